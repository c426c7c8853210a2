// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"

	"github.com/leatstream/leat"
)

// AddTags (AWS: AddTagsToStream, TagResource) promises: all the tags are there, those of names that were there before with
// their new values, or none was changed. They go with the stream or the consumer.
//
// Differs from AWS: names that begin with "aws:" are not reserved.

// AddTags gives tags to a stream or a consumer.
func (b *Broker) AddTags(ctx context.Context, who leat.Principal, req ResourceRequest, tags map[string]string) error {
	if len(tags) == 0 {
		return leat.Invalid("tags", "no tag is given")
	}
	if err := validateTags(tags); err != nil {
		return err
	}
	r, _, err := b.resource(ctx, who, ActionAddTags, req, b.changeable)
	if err != nil {
		return err
	}
	before := b.tagsOf(ctx, r)
	err = b.catalog.AddTags(ctx, r, tags)
	b.identityChanged(ctx)
	b.changed(ctx, before, b.tagsOf(ctx, r))
	return err
}
