// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"

	"github.com/leatstream/leat"
)

// RemoveTags (AWS: RemoveTagsFromStream, UntagResource) promises: none of the names is a tag any more. Names that were none
// are passed over.
//
// Differs from AWS: nothing that a client can see.

// RemoveTags takes tags from a stream or a consumer.
func (b *Broker) RemoveTags(ctx context.Context, who leat.Principal, req ResourceRequest, names []string) error {
	if len(names) == 0 || len(names) > leat.MaxTags {
		return leat.Invalid("names", "%d names are given: give 1 to %d", len(names), leat.MaxTags)
	}
	for _, name := range names {
		if err := validateTagName(name); err != nil {
			return atField("names", err)
		}
	}
	r, _, err := b.resource(ctx, who, ActionRemoveTags, req, b.changeable)
	if err != nil {
		return err
	}
	before := b.tagsOf(ctx, r)
	err = b.catalog.RemoveTags(ctx, r, names)
	b.identityChanged(ctx)
	b.changed(ctx, before, b.tagsOf(ctx, r))
	return err
}
