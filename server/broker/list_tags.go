// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"

	"github.com/leatstream/leat"
)

// ListTags (AWS: ListTagsForStream, ListTagsForResource) promises: the tags in order of their names (by bytes), as the
// catalog has them.
//
// Differs from AWS: nothing that a client can see.

// ListTagsRequest names a stream or a consumer, and a page of its tags.
type ListTagsRequest struct {
	ResourceRequest
	After string // a tag's name: begin after it (AWS: ExclusiveStartTagKey)
	Limit int    // 1 to 50; 0 means all
}

// ListTags lists tags. more tells that there are some after them.
func (b *Broker) ListTags(ctx context.Context, who leat.Principal, req ListTagsRequest) (tags []Tag, more bool, err error) {
	if req.Limit < 0 || req.Limit > leat.MaxTags {
		return nil, false, leat.Invalid("limit", "limit of %d tags must be from 1 to %d", req.Limit, leat.MaxTags)
	}
	r, _, err := b.resource(ctx, who, ActionListTags, req.ResourceRequest, b.described)
	if err != nil {
		return nil, false, err
	}
	limit := req.Limit
	if limit == 0 {
		limit = leat.MaxTags
	}
	tags, err = b.catalog.ListTags(ctx, r, req.After, limit+1)
	if err != nil {
		return nil, false, away(err)
	}
	if len(tags) > limit {
		return tags[:limit], true, nil
	}
	return tags, false, nil
}
