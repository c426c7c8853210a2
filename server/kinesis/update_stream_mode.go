// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package kinesis

import (
	"context"

	"github.com/leatstream/leat/server/broker"
)

// UpdateStreamMode promises: the stream is in this mode and keeps its shards. WarmThroughputMiBps goes with ON_DEMAND
// alone.
//
// Differs from AWS: as often as one likes, not twice in 24 hours.

type updateStreamModeInput struct {
	StreamARN           *string            `json:"StreamARN,omitempty" check:"required,pattern=streamARN,len=1..2048"`
	StreamId            *string            `json:"StreamId,omitempty" check:"pattern=streamId,len=1..24"`
	StreamModeDetails   *streamModeDetails `json:"StreamModeDetails,omitempty" check:"required"`
	WarmThroughputMiBps *int32             `json:"WarmThroughputMiBps,omitempty" check:"range=0..2147483647"`
}

func (h *Handler) updateStreamMode(ctx context.Context, c *call, in *updateStreamModeInput) (*nothing, error) {
	stream, err := h.stream(c, nil, in.StreamARN, in.StreamId)
	if err != nil {
		return nil, err
	}
	mode := modeOf(in.StreamModeDetails)
	_, err = h.broker.UpdateStream(ctx, c.who, broker.UpdateStreamRequest{
		Stream: stream, Mode: &mode, WarmThroughput: integer(in.WarmThroughputMiBps),
	})
	return nil, err
}
