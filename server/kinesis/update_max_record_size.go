// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package kinesis

import (
	"context"

	"github.com/leatstream/leat/server/broker"
)

// UpdateMaxRecordSize promises: from now on the stream takes records whose data and partition key have this size
// together, and no larger ones. Records that it holds already stay.
//
// Differs from AWS: it takes effect at once.

type updateMaxRecordSizeInput struct {
	StreamARN          *string `json:"StreamARN,omitempty" check:"pattern=streamARN,len=1..2048"`
	StreamId           *string `json:"StreamId,omitempty" check:"pattern=streamId,len=1..24"`
	MaxRecordSizeInKiB *int32  `json:"MaxRecordSizeInKiB,omitempty" check:"required,range=1024..10240"`
}

func (h *Handler) updateMaxRecordSize(ctx context.Context, c *call, in *updateMaxRecordSizeInput) (*nothing, error) {
	stream, err := h.stream(c, nil, in.StreamARN, in.StreamId)
	if err != nil {
		return nil, err
	}
	size := int(*in.MaxRecordSizeInKiB) << 10
	_, err = h.broker.UpdateStream(ctx, c.who, broker.UpdateStreamRequest{Stream: stream, MaxRecordBytes: &size})
	return nil, err
}
