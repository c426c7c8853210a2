// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package kinesis

import (
	"context"

	"github.com/leatstream/leat/server/broker"
)

// ListTagsForResource promises: every tag of a stream or of a consumer, in order of their names.
//
// Differs from AWS: nothing that a client can see.

type listTagsForResourceInput struct {
	ResourceARN *string `json:"ResourceARN,omitempty" check:"required,pattern=resourceARN,len=1..2048"`
	StreamId    *string `json:"StreamId,omitempty" check:"pattern=streamId,len=1..24"`
}

type listTagsForResourceOutput struct {
	Tags []tag `json:"Tags"`
}

func (h *Handler) listTagsForResource(ctx context.Context, c *call, in *listTagsForResourceInput) (*listTagsForResourceOutput, error) {
	what, err := resource(*in.ResourceARN, in.StreamId)
	if err != nil {
		return nil, err
	}
	tags, _, err := h.broker.ListTags(ctx, c.who, broker.ListTagsRequest{ResourceRequest: what})
	if err != nil {
		return nil, err
	}
	return &listTagsForResourceOutput{Tags: tagsOf(tags)}, nil
}
