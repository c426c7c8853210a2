// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package kinesis

import "context"

// DescribeStreamConsumer promises: the consumer as it is now. It is named by its ARN, or by its stream's ARN and its
// name; the ARN of a consumer that was made again under the same name is not the ARN of the first.
//
// Differs from AWS: nothing that a client can see.

type describeStreamConsumerInput struct {
	StreamARN    *string `json:"StreamARN,omitempty" check:"pattern=streamARN,len=1..2048"`
	StreamId     *string `json:"StreamId,omitempty" check:"pattern=streamId,len=1..24"`
	ConsumerName *string `json:"ConsumerName,omitempty" check:"pattern=consumerName,len=1..128"`
	ConsumerARN  *string `json:"ConsumerARN,omitempty" check:"pattern=consumerARN,len=1..2048"`
}

type describeStreamConsumerOutput struct {
	ConsumerDescription consumerDescription `json:"ConsumerDescription"`
}

type consumerDescription struct {
	consumer
	StreamARN string `json:"StreamARN"`
}

func (h *Handler) describeStreamConsumer(ctx context.Context, c *call, in *describeStreamConsumerInput) (*describeStreamConsumerOutput, error) {
	which, err := named(in.ConsumerARN, in.StreamARN, in.ConsumerName, in.StreamId)
	if err != nil {
		return nil, err
	}
	d, err := h.broker.DescribeConsumer(ctx, c.who, which)
	if err != nil {
		return nil, err
	}
	return &describeStreamConsumerOutput{ConsumerDescription: consumerDescription{
		consumer: h.consumer(&d), StreamARN: d.In.ARN(h.broker.Region()),
	}}, nil
}
