// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"

	"github.com/leatstream/leat"
)

// DeregisterConsumer (AWS: DeregisterStreamConsumer) promises: when it returns no error the consumer is gone and its
// subscriptions on this node have been told to end.
//
// Differs from AWS: it is gone at once and never seen DELETING.

// DeregisterConsumer removes a consumer.
func (b *Broker) DeregisterConsumer(ctx context.Context, who leat.Principal, req ConsumerRequest) error {
	if err := leat.ValidateConsumerName(req.Consumer); err != nil {
		return err
	}
	v, err := b.changeable(ctx, who, ActionDeregisterConsumer, req.Stream, req.Consumer)
	if err != nil {
		return err
	}
	if err := b.catalog.DeregisterConsumer(ctx, v.ID, req.Consumer, req.Created); err != nil {
		return err
	}
	b.changed(ctx, fields{"consumer": req.Consumer}, nil)
	b.known.forget(v.ID, req.Consumer)
	b.subs.endConsumer(v.ID, req.Consumer, leat.Errorf(leat.KindNotFound, "Consumer %s was deregistered.", req.Consumer))
	return nil
}
