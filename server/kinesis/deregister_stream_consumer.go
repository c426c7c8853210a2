// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package kinesis

import "context"

// DeregisterStreamConsumer promises: when it answers, the consumer is gone and its subscriptions on this node have been
// told to end. It is named by its ARN, or by its stream's ARN and its name.
//
// Differs from AWS: it is gone at once and never seen DELETING.

type deregisterStreamConsumerInput struct {
	StreamARN    *string `json:"StreamARN,omitempty" check:"pattern=streamARN,len=1..2048"`
	StreamId     *string `json:"StreamId,omitempty" check:"pattern=streamId,len=1..24"`
	ConsumerName *string `json:"ConsumerName,omitempty" check:"pattern=consumerName,len=1..128"`
	ConsumerARN  *string `json:"ConsumerARN,omitempty" check:"pattern=consumerARN,len=1..2048"`
}

func (h *Handler) deregisterStreamConsumer(ctx context.Context, c *call, in *deregisterStreamConsumerInput) (*nothing, error) {
	which, err := named(in.ConsumerARN, in.StreamARN, in.ConsumerName, in.StreamId)
	if err != nil {
		return nil, err
	}
	return nil, h.broker.DeregisterConsumer(ctx, c.who, which)
}
