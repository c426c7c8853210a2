// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package catalog_test

import (
	"errors"
	"testing"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/catalog"
	"github.com/leatstream/leat/shardstore"
)

// shard reads one shard.
func (b *bundle) shard(k leat.ShardKey) leat.Shard {
	b.t.Helper()
	all, err := b.Shards(b.t.Context(), k.Stream)
	b.must(err)
	return all[k.Ordinal]
}

// moves reads the moves of a session, all for the zero one.
func (b *bundle) moves(s leat.SessionID) []catalog.Move {
	b.t.Helper()
	all, err := b.Moves(b.t.Context(), s)
	b.must(err)
	return all
}

// fenced checks that an error is ErrFenced.
func (b *bundle) fenced(what string, err error) {
	b.t.Helper()
	if !errors.Is(err, shardstore.ErrFenced) {
		b.t.Errorf("%s: %v, want ErrFenced", what, err)
	}
}

// A shard goes from one session to another; every call may be sent again, and answers to COMMIT may be lost.
func TestMoveShard(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		st := b.stream("s", 2)
		k := leat.ShardKey{Stream: st.ID}
		from, to, third := b.session(), b.session(), b.session()
		b.take(from)
		b.register(pack(from, 0, 0, 1, extent(k, 1, 0, 5, "")))
		since := b.clock.Now()
		before, err := b.Revision(ctx)
		b.must(err)
		b.link.cut("ab")
		b.must(b.BeginMove(ctx, k, from, 1, to))
		b.clock.advance(time.Minute)
		b.must(b.BeginMove(ctx, k, from, 1, to))
		want := catalog.Move{Shard: k, Epoch: 1, From: from, To: to, Since: since}
		for _, s := range []leat.SessionID{from, to, {}} {
			if got := b.moves(s); len(got) != 1 || got[0].Shard != k || got[0].From != from || got[0].To != to || got[0].Epoch != 1 || !got[0].Since.Equal(since) {
				t.Errorf("moves %+v, want %+v", got, want)
			}
		}
		if got := b.moves(third); len(got) != 0 {
			t.Errorf("moves of a stranger: %+v", got)
		}
		b.want(b.FinishMove(ctx, k, from, 1, 6), leat.KindCorrupt, "")
		b.want(b.FinishMove(ctx, k, from, 1, 4), leat.KindCorrupt, "")
		if sh := b.shard(k); sh.Owner != from || sh.Epoch != 1 {
			t.Errorf("after refusals: %+v", sh)
		}
		b.link.cut("a")
		b.must(b.FinishMove(ctx, k, from, 1, 5))
		b.must(b.FinishMove(ctx, k, from, 1, 5))
		if sh := b.shard(k); sh.Owner != to || sh.Epoch != 2 || len(b.moves(leat.SessionID{})) != 0 {
			t.Errorf("after the move: %+v, %+v", sh, b.moves(leat.SessionID{}))
		}
		if after, err := b.Revision(ctx); err != nil || after <= before {
			t.Errorf("revision %d, before %d, %v", after, before, err)
		}
		owned, err := b.Owned(ctx, to)
		b.must(err)
		if len(owned) != 1 || owned[0].Next != 5 || owned[0].Epoch != 2 || owned[0].Extents != 1 {
			t.Errorf("owned %+v", owned)
		}
		b.fenced("the old owner's pack", b.Register(ctx, pack(from, 1, 1, 2, extent(k, 1, 5, 1, ""))))
		b.fenced("the old owner's horizon", b.AdvanceHorizon(ctx, k, 1, 3, 0))
		b.register(pack(to, 0, 0, 1, extent(k, 2, 5, 1, "")))
		b.must(b.FinishMove(ctx, leat.ShardKey{Stream: st.ID, Ordinal: 9}, from, 1, 5)) // gone
	})
}

func TestMovesThatAreRefused(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		st := b.stream("s", 2)
		k, other := leat.ShardKey{Stream: st.ID}, leat.ShardKey{Stream: st.ID, Ordinal: 1}
		from, to, third := b.session(), b.session(), b.session()
		b.want(b.BeginMove(ctx, k, from, 1, from), leat.KindInvalidArgument, "")
		b.fenced("no owner", b.BeginMove(ctx, k, from, 0, to))
		b.take(from)
		b.fenced("another epoch", b.BeginMove(ctx, k, from, 2, to))
		b.fenced("another owner", b.BeginMove(ctx, k, third, 1, to))
		b.want(b.BeginMove(ctx, leat.ShardKey{Stream: st.ID, Ordinal: 9}, from, 1, to), leat.KindNotFound, "")
		b.want(b.BeginMove(ctx, leat.ShardKey{Stream: leat.StreamID{1}}, from, 1, to), leat.KindNotFound, "")
		b.want(b.BeginMove(ctx, k, from, 1, leat.SessionID{1}), leat.KindInUse, "")
		b.fence(third, 0)
		b.want(b.BeginMove(ctx, k, from, 1, third), leat.KindInUse, "")
		b.must(b.BeginMove(ctx, k, from, 1, to))
		b.want(b.BeginMove(ctx, k, from, 1, b.session()), leat.KindInUse, "")
		b.fenced("a move of a later epoch", b.FinishMove(ctx, k, from, 2, 0))
		b.fenced("finished by another", b.FinishMove(ctx, k, to, 1, 0))
		b.must(b.AbortMove(ctx, k, from, 2))
		b.must(b.AbortMove(ctx, k, to, 1))
		if len(b.moves(from)) != 1 {
			t.Error("a stranger called the move off")
		}
		b.must(b.AbortMove(ctx, k, from, 1))
		b.must(b.AbortMove(ctx, k, from, 1))
		if len(b.moves(from)) != 0 {
			t.Error("the move was not called off")
		}
		b.must(b.BeginMove(ctx, k, from, 1, to))
		b.must(b.BeginDelete(ctx, st.ID, false))
		b.want(b.BeginMove(ctx, other, from, 1, to), leat.KindInUse, "")
		b.must(b.FinishMove(ctx, k, from, 1, 0))
		if sh := b.shard(k); !sh.Owner.IsZero() || sh.Epoch != 2 {
			t.Errorf("a shard of a stream that is being deleted got an owner: %+v", sh)
		}
		if got := b.take(to); len(got) != 0 {
			t.Errorf("taken: %+v", got)
		}
	})
}

// Shards with intents stay, but for the parents of a merge that have two owners.
func TestMovesAndReshards(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		st := b.stream("s", 4)
		key := func(i uint64) leat.ShardKey { return leat.ShardKey{Stream: st.ID, Ordinal: i} }
		a, c, third := b.session(), b.session(), b.session()
		b.take(a)
		split, err := b.BeginReshard(ctx, st.ID, catalog.Split(0, leat.SplitEvenly(4)[0].Middle()))
		b.must(err)
		b.want(b.BeginMove(ctx, key(0), a, 1, c), leat.KindInUse, "")
		b.must(b.BeginMove(ctx, key(2), a, 1, c)) // no parent
		b.must(b.FinishReshard(ctx, done(split, 1, 0)))
		b.must(b.BeginMove(ctx, key(0), a, 1, c)) // closed shards move too
		for _, i := range []uint64{0, 2} {
			b.must(b.FinishMove(ctx, key(i), a, 1, 0))
		}
		if sh := b.shard(key(0)); sh.Owner != c || sh.Open() {
			t.Errorf("the closed shard: %+v", sh)
		}
		merge, err := b.BeginReshard(ctx, st.ID, catalog.Merge(1, 2))
		b.must(err)
		b.want(b.BeginMove(ctx, key(1), a, 1, third), leat.KindInUse, "")
		b.must(b.BeginMove(ctx, key(1), a, 1, c))
		b.want(b.BeginMove(ctx, key(2), c, 2, a), leat.KindInUse, "") // or they would change places
		b.must(b.FinishMove(ctx, key(1), a, 1, 0))
		b.want(b.BeginMove(ctx, key(1), c, 2, a), leat.KindInUse, "")
		pending, err := b.PendingReshards(ctx, st.ID)
		b.must(err)
		if len(pending) != 1 || pending[0].ID != merge.ID || pending[0].Parents[0].Epoch != 2 {
			t.Errorf("pending %+v", pending)
		}
		b.must(b.FinishReshard(ctx, done(pending[0], 2, 0, 0)))
		if sh := b.shard(merge.Children[0].Shard); sh.Owner != c {
			t.Errorf("child %+v", sh)
		}
	})
}

// Whoever dies meanwhile, the shard is never without a way to a new owner, and no epoch comes twice.
func TestMovesAndDeaths(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		st := b.stream("s", 4)
		key := func(i uint64) leat.ShardKey { return leat.ShardKey{Stream: st.ID, Ordinal: i} }
		a, c := b.session(), b.session()
		b.take(a)
		for i := range uint64(4) {
			b.must(b.BeginMove(ctx, key(i), a, 1, c))
		}
		b.must(b.FinishMove(ctx, key(0), a, 1, 0))
		_, err := b.BeginFencing(ctx, c)
		b.must(err)
		// The new owner is being fenced: nobody gets the shard, and anybody may take it.
		b.must(b.FinishMove(ctx, key(1), a, 1, 0))
		if sh := b.shard(key(1)); !sh.Owner.IsZero() || sh.Epoch != 2 {
			t.Errorf("moved to a dead session: %+v", sh)
		}
		b.fence(c, 0)
		if len(b.moves(leat.SessionID{})) != 0 {
			t.Errorf("moves to a closed session: %+v", b.moves(leat.SessionID{}))
		}
		// A move that was called off after the owner had released the shard.
		b.must(b.FinishMove(ctx, key(2), a, 1, 0))
		taken := b.take(a)
		if len(taken) != 3 {
			t.Errorf("taken %+v", taken)
		}
		for i, want := range []uint64{3, 3, 3, 1} {
			if sh := b.shard(key(uint64(i))); sh.Owner != a || sh.Epoch != want {
				t.Errorf("shard %d: %+v, want epoch %d", i, sh, want)
			}
		}
		// The old owner dies with moves under way, released or not.
		d := b.session()
		b.must(b.BeginMove(ctx, key(0), a, 3, d))
		_, err = b.BeginFencing(ctx, a)
		b.must(err)
		b.fenced("the move of a session that is being fenced", b.FinishMove(ctx, key(0), a, 3, 0))
		b.fence(a, 0)
		b.fenced("the move of a session that is closed", b.FinishMove(ctx, key(0), a, 3, 0))
		if len(b.moves(leat.SessionID{})) != 0 {
			t.Errorf("moves from a closed session: %+v", b.moves(leat.SessionID{}))
		}
		if got := b.take(d); len(got) != 4 || got[0].Epoch != 4 {
			t.Errorf("taken %+v", got)
		}
	})
}
