// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/catalog"
)

// RegisterConsumer (AWS: RegisterStreamConsumer) promises: when it returns no error the stream has the consumer, in
// status CREATING, and it becomes ACTIVE by itself. A stream has 20 consumers at most (50 where the account is committed to a
// minimum throughput), and 5 that are CREATING.
//
// Differs from AWS: nothing that a client can see.

// ConsumerRequest names a consumer of a stream.
type ConsumerRequest struct {
	Stream   string            // name or ARN
	Consumer string            // its name
	Created  int64             // when it was made, in seconds since 1970, where its ARN is given: another time is KindNotFound; 0 for any
	Tags     map[string]string // of a new one
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
	if err := validateTags(req.Tags); err != nil {
		return ConsumerDescription{}, err
	}
	v, err := b.changeable(ctx, who, ActionRegisterConsumer, req.Stream)
	if err != nil {
		return ConsumerDescription{}, err
	}
	if len(req.Tags) > 0 {
		if err := b.may(ctx, who, ActionAddTags, Resource{Account: v.Account, Stream: v.Name, ID: v.ID, Consumer: req.Consumer}); err != nil {
			return ConsumerDescription{}, err
		}
	}
	if err := b.roomForConsumer(ctx, v.Account); err != nil {
		return ConsumerDescription{}, err
	}
	most, err := b.mostConsumers(ctx, v.Account)
	if err != nil {
		return ConsumerDescription{}, err
	}
	c, err := b.catalog.RegisterConsumer(ctx, catalog.NewConsumer{
		Stream: v.ID, Name: req.Consumer, Active: b.clock.Now().Add(b.transition), Most: most, Tags: req.Tags,
	})
	b.identityChanged(ctx) // its tags
	b.changed(ctx, nil, fields{"consumer": req.Consumer, "tags": req.Tags})
	return ConsumerDescription{Consumer: c, In: v.Stream}, err
}
