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

// DescribeDelivery describes a delivery stream.
func (b *Broker) DescribeDelivery(ctx context.Context, who leat.Principal, name string) (spec.Description, error) {
	if err := b.delivery(ctx, who, ActionDescribeDelivery, name); err != nil {
		return spec.Description{}, err
	}
	return b.deliveries.Describe(ctx, who.Account, name)
}
