// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package kinesis

import (
	"context"

	"github.com/leatstream/leat/server/broker"
)

// UpdateShardCount promises: when it answers, the stream comes to the number of open shards by splits and merges and is
// UPDATING until it has them. CurrentShardCount is what it had when asked.
//
// Differs from AWS: at most double, at least half, and ten calls in 24 hours hold only with --scale-limits aws.

type updateShardCountInput struct {
	ScalingType      *string `json:"ScalingType,omitempty" check:"required,enum=UNIFORM_SCALING"`
	StreamName       *string `json:"StreamName,omitempty" check:"pattern=streamName,len=1..128"`
	TargetShardCount *int32  `json:"TargetShardCount,omitempty" check:"required,range=1..100000"`
	StreamARN        *string `json:"StreamARN,omitempty" check:"pattern=streamARN,len=1..2048"`
	StreamId         *string `json:"StreamId,omitempty" check:"pattern=streamId,len=1..24"`
}

type updateShardCountOutput struct {
	StreamName        string `json:"StreamName"`
	StreamARN         string `json:"StreamARN"`
	CurrentShardCount int    `json:"CurrentShardCount"`
	TargetShardCount  int    `json:"TargetShardCount"`
}

func (h *Handler) updateShardCount(ctx context.Context, c *call, in *updateShardCountInput) (*updateShardCountOutput, error) {
	stream, err := h.stream(c, in.StreamName, in.StreamARN, in.StreamId)
	if err != nil {
		return nil, err
	}
	current, err := h.broker.ScaleStream(ctx, c.who, broker.ScaleStreamRequest{
		Stream: stream, Target: int(*in.TargetShardCount), ProvisionedOnly: true,
	})
	if err != nil {
		return nil, provisioned(err)
	}
	out := &updateShardCountOutput{CurrentShardCount: current, TargetShardCount: int(*in.TargetShardCount)}
	out.StreamName, out.StreamARN = h.identity(c, stream)
	return out, nil
}
