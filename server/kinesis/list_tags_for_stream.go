// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package kinesis

import (
	"context"

	"github.com/leatstream/leat/server/broker"
)

// ListTagsForStream promises: the stream's tags in order of their names, from the one after ExclusiveStartTagKey on.
//
// Differs from AWS: nothing that a client can see.

type listTagsForStreamInput struct {
	StreamName           *string `json:"StreamName,omitempty" check:"pattern=streamName,len=1..128"`
	StreamARN            *string `json:"StreamARN,omitempty" check:"pattern=streamARN,len=1..2048"`
	StreamId             *string `json:"StreamId,omitempty" check:"pattern=streamId,len=1..24"`
	ExclusiveStartTagKey *string `json:"ExclusiveStartTagKey,omitempty" check:"len=1..128"`
	Limit                *int32  `json:"Limit,omitempty" check:"range=1..50"`
}

type listTagsForStreamOutput struct {
	Tags        []tag `json:"Tags"`
	HasMoreTags bool  `json:"HasMoreTags"`
}

func (h *Handler) listTagsForStream(ctx context.Context, c *call, in *listTagsForStreamInput) (*listTagsForStreamOutput, error) {
	stream, err := h.stream(c, in.StreamName, in.StreamARN, in.StreamId)
	if err != nil {
		return nil, err
	}
	tags, more, err := h.broker.ListTags(ctx, c.who, broker.ListTagsRequest{
		ResourceRequest: broker.ResourceRequest{Stream: stream},
		After:           value(in.ExclusiveStartTagKey),
		Limit:           int(value(in.Limit)),
	})
	if err != nil {
		return nil, err
	}
	return &listTagsForStreamOutput{Tags: tagsOf(tags), HasMoreTags: more}, nil
}
