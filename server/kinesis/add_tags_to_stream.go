// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package kinesis

import (
	"context"

	"github.com/leatstream/leat/server/broker"
)

// AddTagsToStream promises: all the tags stand on the stream, new or overwritten, or none of them does. A stream has 50
// tags at most.
//
// Differs from AWS: nothing that a client can see.

type addTagsToStreamInput struct {
	Tags       map[string]string `json:"Tags,omitempty" check:"required,items=1..200,keys=1..128,values=0..256"`
	StreamName *string           `json:"StreamName,omitempty" check:"pattern=streamName,len=1..128"`
	StreamARN  *string           `json:"StreamARN,omitempty" check:"pattern=streamARN,len=1..2048"`
	StreamId   *string           `json:"StreamId,omitempty" check:"pattern=streamId,len=1..24"`
}

func (h *Handler) addTagsToStream(ctx context.Context, c *call, in *addTagsToStreamInput) (*nothing, error) {
	stream, err := h.stream(c, in.StreamName, in.StreamARN, in.StreamId)
	if err != nil {
		return nil, err
	}
	return nil, h.broker.AddTags(ctx, c.who, broker.ResourceRequest{Stream: stream}, in.Tags)
}
