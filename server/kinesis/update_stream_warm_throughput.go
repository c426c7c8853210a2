// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package kinesis

import (
	"context"

	"github.com/leatstream/leat/server/broker"
)

// UpdateStreamWarmThroughput promises: the on-demand stream keeps room for this many MiB/s of writes.
//
// Differs from AWS: nothing that a client can see.

type updateStreamWarmThroughputInput struct {
	StreamName          *string `json:"StreamName,omitempty" check:"pattern=streamName,len=1..128"`
	StreamARN           *string `json:"StreamARN,omitempty" check:"pattern=streamARN,len=1..2048"`
	StreamId            *string `json:"StreamId,omitempty" check:"pattern=streamId,len=1..24"`
	WarmThroughputMiBps *int32  `json:"WarmThroughputMiBps,omitempty" check:"required,range=0..2147483647"`
}

type updateStreamWarmThroughputOutput struct {
	StreamName     string          `json:"StreamName"`
	StreamARN      string          `json:"StreamARN"`
	WarmThroughput *warmThroughput `json:"WarmThroughput"`
}

func (h *Handler) updateStreamWarmThroughput(ctx context.Context, c *call, in *updateStreamWarmThroughputInput) (*updateStreamWarmThroughputOutput, error) {
	stream, err := h.stream(c, in.StreamName, in.StreamARN, in.StreamId)
	if err != nil {
		return nil, err
	}
	d, err := h.broker.UpdateStream(ctx, c.who, broker.UpdateStreamRequest{Stream: stream, WarmThroughput: integer(in.WarmThroughputMiBps)})
	if err != nil {
		return nil, err
	}
	return &updateStreamWarmThroughputOutput{
		StreamName: d.Name, StreamARN: d.ARN(h.broker.Region()), WarmThroughput: warmThroughputOf(&d),
	}, nil
}
