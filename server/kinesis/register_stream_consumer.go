// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package kinesis

import (
	"context"

	"github.com/leatstream/leat/server/broker"
)

// RegisterStreamConsumer promises: when it answers, the stream has the consumer, with its tags, in state CREATING, and
// it becomes ACTIVE by itself. A stream has 20 consumers at most, and 5 that are CREATING.
//
// Differs from AWS: nothing that a client can see.

type registerStreamConsumerInput struct {
	StreamARN    *string           `json:"StreamARN,omitempty" check:"required,pattern=streamARN,len=1..2048"`
	StreamId     *string           `json:"StreamId,omitempty" check:"pattern=streamId,len=1..24"`
	ConsumerName *string           `json:"ConsumerName,omitempty" check:"required,pattern=consumerName,len=1..128"`
	Tags         map[string]string `json:"Tags,omitempty" check:"items=1..200,keys=1..128,values=0..256"`
}

type registerStreamConsumerOutput struct {
	Consumer consumer `json:"Consumer"`
}

func (h *Handler) registerStreamConsumer(ctx context.Context, c *call, in *registerStreamConsumerInput) (*registerStreamConsumerOutput, error) {
	stream, err := h.stream(c, nil, in.StreamARN, in.StreamId)
	if err != nil {
		return nil, err
	}
	d, err := h.broker.RegisterConsumer(ctx, c.who, broker.ConsumerRequest{
		Stream: stream, Consumer: *in.ConsumerName, Tags: in.Tags,
	})
	if err != nil {
		return nil, err
	}
	return &registerStreamConsumerOutput{Consumer: h.consumer(&d)}, nil
}
