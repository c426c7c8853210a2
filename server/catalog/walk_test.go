// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package catalog_test

import (
	"context"
	"errors"
	"testing"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore"
)

// Walks over more than one page come to every row once, in order, and end early when asked to or when they fail.
func TestWalks(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		const many = 1300
		st := b.stream("s", many)
		s := b.session()
		b.take(s)
		var extents []shardstore.Extent
		for i := range uint64(many) {
			extents = append(extents, extent(leat.ShardKey{Stream: st.ID, Ordinal: i}, 1, 0, 3, ""))
		}
		b.register(pack(s, 0, 0, many, extents...))

		at := uint64(0)
		for sh, err := range b.AllShards(t.Context()) {
			b.must(err)
			if sh.Shard.Ordinal != at || sh.Extents != 1 || sh.Next != 3 {
				t.Fatalf("shard %d of the walk is %+v", at, sh)
			}
			at++
		}
		if at != many {
			t.Errorf("walked over %d shards", at)
		}
		at = 0
		for e, err := range b.AllExtents(t.Context()) {
			b.must(err)
			if e.Shard.Ordinal != at {
				t.Fatalf("extent %d of the walk is %+v", at, e)
			}
			at++
		}
		if at != many {
			t.Errorf("walked over %d extents", at)
		}
		if n := len(b.queued()); n != many {
			t.Errorf("walked over %d deletions", n)
		}

		for _, err := range b.AllShards(t.Context()) {
			b.must(err)
			break
		}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		n := 0
		for _, err := range b.AllExtents(gone) {
			if n++; !errors.Is(err, context.Canceled) || leat.KindOf(err) != leat.KindCanceled {
				t.Errorf("a walk for nobody: %v", err)
			}
		}
		if n != 1 {
			t.Errorf("%d answers from a walk that failed", n)
		}
	})
}
