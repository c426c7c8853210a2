// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"

	"github.com/leatstream/leat"
)

// RegisterConsumer (AWS: RegisterStreamConsumer) promises: when it returns no error the stream has the consumer, in
// status CREATING, and it becomes ACTIVE by itself. A stream has 20 consumers at most, and 5 that are CREATING.
//
// Differs from AWS: nothing that a client can see.

// ConsumerRequest names a consumer of a stream.
type ConsumerRequest struct {
	Stream   string // name or ARN
	Consumer string // its name
}

// ConsumerDescription is a consumer and the stream that it reads.
type ConsumerDescription struct {
	leat.Consumer
	In leat.Stream
}

// RegisterConsumer makes a consumer.
func (b *Broker) RegisterConsumer(ctx context.Context, who leat.Principal, req ConsumerRequest) (ConsumerDescription, error) {
	if err := leat.ValidateConsumerName(req.Consumer); err != nil {
		return ConsumerDescription{}, err
	}
	v, err := b.changeable(ctx, who, ActionRegisterConsumer, req.Stream)
	if err != nil {
		return ConsumerDescription{}, err
	}
	c, err := b.catalog.RegisterConsumer(ctx, v.ID, req.Consumer, b.clock.Now().Add(b.transition))
	return ConsumerDescription{Consumer: c, In: v.Stream}, err
}
