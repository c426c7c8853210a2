// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package kinesis

import "context"

// UntagResource promises what RemoveTagsFromStream does, of a stream or of a consumer.
//
// Differs from AWS: nothing that a client can see.

type untagResourceInput struct {
	ResourceARN *string  `json:"ResourceARN,omitempty" check:"required,pattern=resourceARN,len=1..2048"`
	StreamId    *string  `json:"StreamId,omitempty" check:"pattern=streamId,len=1..24"`
	TagKeys     []string `json:"TagKeys,omitempty" check:"required,items=1..50,each=1..128"`
}

func (h *Handler) untagResource(ctx context.Context, c *call, in *untagResourceInput) (*nothing, error) {
	what, err := resource(*in.ResourceARN, in.StreamId)
	if err != nil {
		return nil, err
	}
	return nil, h.broker.RemoveTags(ctx, c.who, what, in.TagKeys)
}
