// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"

	"github.com/leatstream/leat"
)

// DescribeConsumer (AWS: DescribeStreamConsumer) promises: the consumer as the catalog has it.
//
// Differs from AWS: nothing that a client can see.

// DescribeConsumer describes a consumer.
func (b *Broker) DescribeConsumer(ctx context.Context, who leat.Principal, req ConsumerRequest) (ConsumerDescription, error) {
	if err := leat.ValidateConsumerName(req.Consumer); err != nil {
		return ConsumerDescription{}, err
	}
	v, err := b.described(ctx, who, ActionDescribeConsumer, req.Stream, req.Consumer)
	if err != nil {
		return ConsumerDescription{}, err
	}
	c, err := b.catalog.Consumer(ctx, v.ID, req.Consumer)
	if err != nil {
		return ConsumerDescription{}, away(err)
	}
	if req.Created != 0 && c.Created.Unix() != req.Created {
		return ConsumerDescription{}, leat.Errorf(leat.KindNotFound, "Consumer %s not found.", req.Consumer)
	}
	return ConsumerDescription{Consumer: c, In: v.Stream}, nil
}
