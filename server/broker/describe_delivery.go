// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/delivery/spec"
)

// DescribeDelivery promises: the delivery stream as the catalog has it, where it is in each shard, why it does not go on
// where it does not, and its backfills. Of secrets it has none.
//
// Differs from AWS: nothing that a client of the AWS wire can see.

// DeliveryTags returns the tags of a delivery stream.
func (b *Broker) DeliveryTags(ctx context.Context, who leat.Principal, name string) (map[string]string, error) {
	if err := b.delivery(ctx, who, ActionListDeliveryTags, name); err != nil {
		return nil, err
	}
	d, err := b.deliveries.Describe(ctx, who.Account, name)
	return d.Tags, err
}

// DescribeDelivery describes a delivery stream.
func (b *Broker) DescribeDelivery(ctx context.Context, who leat.Principal, name string) (spec.Description, error) {
	if err := b.delivery(ctx, who, ActionDescribeDelivery, name); err != nil {
		return spec.Description{}, err
	}
	return b.deliveries.Describe(ctx, who.Account, name)
}
