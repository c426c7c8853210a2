// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package kinesis

import "context"

// TagResource promises what AddTagsToStream does, of a stream or of a consumer.
//
// Differs from AWS: nothing that a client can see.

type tagResourceInput struct {
	ResourceARN *string           `json:"ResourceARN,omitempty" check:"required,pattern=resourceARN,len=1..2048"`
	StreamId    *string           `json:"StreamId,omitempty" check:"pattern=streamId,len=1..24"`
	Tags        map[string]string `json:"Tags,omitempty" check:"required,items=1..200,keys=1..128,values=0..256"`
}

func (h *Handler) tagResource(ctx context.Context, c *call, in *tagResourceInput) (*nothing, error) {
	what, err := resource(*in.ResourceARN, in.StreamId)
	if err != nil {
		return nil, err
	}
	return nil, h.broker.AddTags(ctx, c.who, what, in.Tags)
}
