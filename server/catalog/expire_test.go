// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package catalog_test

import (
	"testing"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/catalog"
	"github.com/leatstream/leat/shardstore"
)

// splitOf makes a stream whose one shard was split, with so many records in a pack.
func (b *bundle) splitOf(records uint64) (leat.Stream, leat.SessionID, shardstore.Reshard) {
	b.t.Helper()
	st := b.stream("s", 1)
	s := b.session()
	b.take(s)
	split, err := b.BeginReshard(b.t.Context(), st.ID, catalog.Split(0, leat.FullRange.Middle()))
	b.must(err)
	b.register(pack(s, 0, 0, 1, extent(split.Parents[0].Shard, 1, 0, records, "")))
	b.must(b.FinishReshard(b.t.Context(), done(split, leat.Micros(b.clock.Now()), records)))
	return st, s, split
}

// A closed shard goes once retention has passed its end and nothing of it is kept, and not before.
func TestExpireShards(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		st, _, split := b.splitOf(5)
		parent := split.Parents[0].Shard
		none := func(when string) {
			t.Helper()
			if gone, err := b.ExpireShards(ctx); err != nil || len(gone) != 0 {
				t.Errorf("%s: %v went, %v", when, gone, err)
			}
		}
		none("just closed")
		b.clock.advance(leat.MinRetention + time.Second)
		none("old, but its records are still kept")
		b.must(b.AdvanceHorizon(ctx, parent, 1, 5, 0))
		before, err := b.Revision(ctx)
		b.must(err)
		gone, err := b.ExpireShards(ctx)
		b.must(err)
		if len(gone) != 1 || gone[0] != parent {
			t.Errorf("%v went, want %v", gone, parent)
		}
		ch, err := b.Changes(ctx, before)
		b.must(err)
		if len(ch.Streams) != 1 {
			t.Errorf("nodes are not told: %+v", ch)
		}
		shards, err := b.Shards(ctx, st.ID)
		b.must(err)
		if len(shards) != 2 || *shards[0].Parent != 0 {
			t.Errorf("left: %+v", shards)
		}
		none("again")
	})
}

// An empty closed shard stays as long as one that it was made of: the parent's readers come to its children through it.
func TestExpireShardsInTheirOrder(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		st, s, first := b.splitOf(5)
		parent := first.Parents[0].Shard
		b.take(s)
		second, err := b.BeginReshard(ctx, st.ID, catalog.Split(1, first.Children[0].Range.Middle()))
		b.must(err)
		b.must(b.FinishReshard(ctx, done(second, leat.Micros(b.clock.Now()), 0)))
		b.clock.advance(leat.MinRetention + time.Second)
		if gone, err := b.ExpireShards(ctx); err != nil || len(gone) != 0 {
			t.Errorf("%v went before its parent, %v", gone, err)
		}
		b.must(b.AdvanceHorizon(ctx, parent, 1, 5, 0))
		for _, want := range []leat.ShardKey{parent, second.Parents[0].Shard} {
			gone, err := b.ExpireShards(ctx)
			b.must(err)
			if len(gone) != 1 || gone[0] != want {
				t.Errorf("%v went, want %v", gone, want)
			}
		}
	})
}
