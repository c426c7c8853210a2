// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package kinesis

import (
	"context"

	"github.com/leatstream/leat/server/broker"
)

// IncreaseStreamRetentionPeriod promises: records are kept for this long from now on, which must not be shorter than they are
// kept already. What has expired already stays expired. The retention that it has already is no error.
//
// Differs from AWS: it takes effect at once.

type increaseStreamRetentionPeriodInput struct {
	StreamName           *string `json:"StreamName,omitempty" check:"pattern=streamName,len=1..128"`
	StreamARN            *string `json:"StreamARN,omitempty" check:"pattern=streamARN,len=1..2048"`
	StreamId             *string `json:"StreamId,omitempty" check:"pattern=streamId,len=1..24"`
	RetentionPeriodHours *int32  `json:"RetentionPeriodHours,omitempty" check:"required"`
}

func (h *Handler) increaseStreamRetentionPeriod(ctx context.Context, c *call, in *increaseStreamRetentionPeriodInput) (*nothing, error) {
	stream, err := h.stream(c, in.StreamName, in.StreamARN, in.StreamId)
	if err != nil {
		return nil, err
	}
	return nil, h.retain(ctx, c, stream, int(*in.RetentionPeriodHours), broker.RetentionIncrease)
}
