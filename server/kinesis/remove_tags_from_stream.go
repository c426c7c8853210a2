// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package kinesis

import (
	"context"

	"github.com/leatstream/leat/server/broker"
)

// RemoveTagsFromStream promises: none of the tags stands on the stream any more. Names of tags that it does not have
// are ignored.
//
// Differs from AWS: nothing that a client can see.

type removeTagsFromStreamInput struct {
	TagKeys    []string `json:"TagKeys,omitempty" check:"required,items=1..50,each=1..128"`
	StreamName *string  `json:"StreamName,omitempty" check:"pattern=streamName,len=1..128"`
	StreamARN  *string  `json:"StreamARN,omitempty" check:"pattern=streamARN,len=1..2048"`
	StreamId   *string  `json:"StreamId,omitempty" check:"pattern=streamId,len=1..24"`
}

func (h *Handler) removeTagsFromStream(ctx context.Context, c *call, in *removeTagsFromStreamInput) (*nothing, error) {
	stream, err := h.stream(c, in.StreamName, in.StreamARN, in.StreamId)
	if err != nil {
		return nil, err
	}
	return nil, h.broker.RemoveTags(ctx, c.who, broker.ResourceRequest{Stream: stream}, in.TagKeys)
}
