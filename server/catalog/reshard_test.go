// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package catalog_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/catalog"
	"github.com/leatstream/leat/shardstore"
)

// done fills in what an owner adds to an intent.
func done(r shardstore.Reshard, time int64, finals ...uint64) shardstore.Reshard {
	r.Parents = slices.Clone(r.Parents)
	for i := range finals {
		r.Parents[i].Final = finals[i]
	}
	r.Time = time
	return r
}

func TestSplitAndMerge(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		st := b.stream("s", 1)
		s := b.session()
		b.take(s)
		middle := leat.FullRange.Middle()
		split, err := b.BeginReshard(ctx, st.ID, catalog.Split(0, middle))
		b.must(err)
		_, err = b.BeginReshard(ctx, st.ID, catalog.Split(0, middle))
		b.want(err, leat.KindInUse, "Stream s under account 123456789012 not ACTIVE, instead in state UPDATING")
		pending, err := b.PendingReshards(ctx, st.ID)
		b.must(err)
		if len(pending) != 1 || fmt.Sprint(pending[0]) != fmt.Sprint(split) || split.Parents[0].Epoch != 1 {
			t.Errorf("pending %+v, begun %+v", pending, split)
		}
		b.register(pack(s, 0, 0, 1, extent(split.Parents[0].Shard, 1, 0, 5, "")))
		if err := b.FinishReshard(ctx, done(split, 77, 4)); !errors.Is(err, shardstore.ErrFenced) {
			t.Errorf("a final below registered records: %v", err)
		}
		forged := done(split, 77, 9)
		forged.Children = slices.Clone(split.Children)
		forged.Children[0].Range.End = leat.MaxHashKey
		b.want(b.FinishReshard(ctx, forged), leat.KindCorrupt, "")
		b.link.cut("a-")
		b.must(b.FinishReshard(ctx, done(split, 77, 9)))
		b.must(b.FinishReshard(ctx, done(split, 77, 9)))
		b.must(b.FinishReshard(ctx, shardstore.Reshard{ID: "gone"}))

		shards, err := b.Shards(ctx, st.ID)
		b.must(err)
		parent, low, high := shards[0], shards[1], shards[2]
		if parent.Open() || parent.Final != 9 || leat.Micros(parent.Closed) != 77 || len(shards) != 3 {
			t.Errorf("parent %+v of %d shards", parent, len(shards))
		}
		if low.Range != (leat.HashKeyRange{End: middle.Prev()}) || high.Range != (leat.HashKeyRange{Start: middle, End: leat.MaxHashKey}) {
			t.Errorf("children %v and %v", low.Range, high.Range)
		}
		for _, child := range shards[1:] {
			if !child.Open() || child.Owner != s || child.Epoch != 1 || *child.Parent != 0 || child.AdjacentParent != nil {
				t.Errorf("child %+v", child)
			}
		}
		got, err := b.StreamByID(ctx, st.ID)
		b.must(err)
		if got.Status != leat.StreamActive || got.NextOrdinal != 3 {
			t.Errorf("stream %+v", got)
		}
		// The parent's rest is registered after it was closed, and the children's records after that.
		b.register(pack(s, 1, 1, 2, extent(parent.Key, 1, 5, 4, ""), extent(low.Key, 1, 0, 4, "")))

		merge, err := b.BeginReshard(ctx, st.ID, catalog.Merge(1, 2))
		b.must(err)
		// A node may know the child already: it is there soon, unlike one that nobody makes.
		_, err = b.BeginReshard(ctx, st.ID, catalog.Split(3, middle))
		b.want(err, leat.KindInUse, "Stream s under account 123456789012 not ACTIVE, instead in state UPDATING")
		_, err = b.BeginReshard(ctx, st.ID, catalog.Split(4, middle))
		b.want(err, leat.KindNotFound, "Could not find shard shardId-000000000004 in stream s under account 123456789012.")
		b.must(b.FinishReshard(ctx, done(merge, 99, 4, 0)))
		shards, err = b.Shards(ctx, st.ID)
		b.must(err)
		if m := shards[3]; m.Range != leat.FullRange || *m.Parent != 1 || *m.AdjacentParent != 2 || m.Owner != s {
			t.Errorf("merged %+v", m)
		}
		owned, err := b.Owned(ctx, s)
		b.must(err)
		if len(owned) != 4 || !owned[0].Closed || owned[0].Final != 9 || owned[3].Closed || owned[3].LastTime != 99 {
			t.Errorf("owned %+v", owned)
		}
	})
}

func TestReshardRefuses(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		st := b.stream("s", 3)
		ranges := leat.SplitEvenly(3)
		begin := func(step catalog.Step, kind leat.Kind, text string) {
			t.Helper()
			_, err := b.BeginReshard(ctx, st.ID, step)
			b.want(err, kind, text)
		}
		begin(catalog.Split(7, leat.HashKey{Lo: 5}), leat.KindNotFound, "Could not find shard shardId-000000000007 in stream s under account 123456789012.")
		const outside = "NewStartingHashKey %s used in SplitShard() on shard shardId-000000000000 in stream s under account 123456789012 is not both greater than one plus the shard's StartingHashKey 0 and less than the shard's EndingHashKey 113427455640312821154458202477256070484."
		for _, k := range []leat.HashKey{{}, {Lo: 1}, ranges[0].End, ranges[1].Start, leat.MaxHashKey} {
			begin(catalog.Split(0, k), leat.KindInvalidArgument, fmt.Sprintf(outside, k))
		}
		begin(catalog.Merge(0, 7), leat.KindNotFound, "Could not find shard shardId-000000000007 in stream s under account 123456789012.")
		const apart = "Shards shardId-%012d and shardId-%012d in stream s under account 123456789012 are not an adjacent pair of shards eligible for merging"
		for _, p := range [][2]uint64{{0, 2}, {1, 0}, {0, 0}, {2, 0}} {
			begin(catalog.Merge(p[0], p[1]), leat.KindInvalidArgument, fmt.Sprintf(apart, p[0], p[1]))
		}
		s := b.session()
		b.take(s)
		r, err := b.BeginReshard(ctx, st.ID, catalog.Split(0, leat.HashKey{Lo: 2}))
		b.must(err)
		b.must(b.FinishReshard(ctx, done(r, 1, 0)))
		begin(catalog.Split(0, leat.HashKey{Lo: 5}), leat.KindInvalidArgument,
			"Shard shardId-000000000000 in stream s under account 123456789012 has already been merged or split, and thus is not eligible for merging or splitting.")
		_, err = b.BeginReshard(ctx, leat.StreamID{1}, catalog.Split(0, leat.HashKey{Lo: 5}))
		b.want(err, leat.KindNotFound, "")
		if got, err := b.StreamByID(ctx, st.ID); err != nil || got.Status != leat.StreamActive || got.NextOrdinal != 5 {
			t.Errorf("refused requests changed the stream: %+v, %v", got, err)
		}
	})
}

// A reshard that recovery finds in a dead session's log is finished with its close; one that it does not find is run
// again by the next owner (rule 16).
func TestReshardAndDeath(t *testing.T) {
	for _, found := range []bool{true, false} {
		t.Run(fmt.Sprintf("in the log %v", found), func(t *testing.T) {
			onBoth(t, func(t *testing.T, b *bundle) {
				ctx := t.Context()
				st := b.stream("s", 1)
				dead := b.session()
				b.take(dead)
				b.link.cut("aa-")
				r, err := b.BeginReshard(ctx, st.ID, catalog.Split(0, leat.FullRange.Middle()))
				b.must(err)
				trim, err := b.BeginFencing(ctx, dead)
				b.must(err)
				closing := shardstore.Closing{Session: dead, Trim: trim, Fence: 2}
				if found {
					closing.Reshards = []shardstore.Reshard{done(r, 50, 3)}
					// The parent's rest and a child's first records are in the log, too.
					for _, k := range []leat.ShardKey{r.Parents[0].Shard, r.Children[0].Shard} {
						closing.Shards = append(closing.Shards, shardstore.ClosedShard{Shard: k, Epoch: 1, Final: 3, Extents: []shardstore.Extent{extent(k, 1, 0, 3, segment(dead, 1))}})
					}
				}
				b.must(b.CloseSession(ctx, closing, false))
				next := b.session()
				taken := b.take(next)
				pending, err := b.PendingReshards(ctx, st.ID)
				b.must(err)
				if !found {
					if len(taken) != 1 || taken[0].Closed || len(pending) != 1 || pending[0].Parents[0].Epoch != 2 {
						t.Errorf("taken %+v, pending %+v", taken, pending)
					}
					if err := b.FinishReshard(ctx, done(r, 60, 3)); !errors.Is(err, shardstore.ErrFenced) {
						t.Errorf("the dead session's reshard was finished: %v", err)
					}
					b.must(b.FinishReshard(ctx, done(pending[0], 60, 3)))
					return
				}
				if len(taken) != 3 || !taken[0].Closed || taken[0].Final != 3 || len(taken[0].Sessions) != 1 || len(taken[1].Sessions) != 1 || len(taken[2].Sessions) != 0 || len(pending) != 0 {
					t.Errorf("taken %+v, pending %+v", taken, pending)
				}
				for i, epoch := range []uint64{2, 2, 2} {
					if taken[i].Epoch != epoch {
						t.Errorf("shard %d has epoch %d", i, taken[i].Epoch)
					}
				}
				if got, err := b.StreamByID(ctx, st.ID); err != nil || got.Status != leat.StreamActive {
					t.Errorf("stream %+v, %v", got, err)
				}
			})
		})
	}
}

func TestScale(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		st := b.stream("s", 3)
		b.take(b.session())
		finish := func() (steps int) {
			t.Helper()
			for {
				did, err := b.NextScaleStep(ctx, st.ID)
				b.must(err)
				pending, err := b.PendingReshards(ctx, st.ID)
				b.must(err)
				if len(pending) == 0 {
					if again, err := b.NextScaleStep(ctx, st.ID); err != nil || again || !did {
						t.Errorf("at the end: did %v, then %v, %v", did, again, err)
					}
					return steps
				}
				if again, err := b.NextScaleStep(ctx, st.ID); err != nil || again || !did {
					t.Errorf("with a step under way: did %v, then %v, %v", did, again, err)
				}
				b.must(b.FinishReshard(ctx, done(pending[0], int64(steps+1), make([]uint64, len(pending[0].Parents))...)))
				steps++
			}
		}
		for _, target := range []int{5, 2, 4, 8, 1} {
			got, err := b.SetTargetShards(ctx, st.ID, target, nil)
			b.must(err)
			if got.Status != leat.StreamUpdating || got.TargetShards != target {
				t.Errorf("scaling %+v", got)
			}
			_, err = b.SetTargetShards(ctx, st.ID, 3, nil)
			b.want(err, leat.KindInUse, "Stream s under account 123456789012 not ACTIVE, instead in state UPDATING")
			steps := finish()
			got, err = b.StreamByID(ctx, st.ID)
			b.must(err)
			shards, err := b.Shards(ctx, st.ID)
			b.must(err)
			var ranges []leat.HashKeyRange
			for _, s := range open(shards) {
				ranges = append(ranges, s.Range)
			}
			if !slices.Equal(ranges, leat.SplitEvenly(target)) || got.Status != leat.StreamActive || got.TargetShards != 0 {
				t.Errorf("after %d steps to %d: %+v, %v", steps, target, got, ranges)
			}
		}
		// Scaling that is given up ends with the step under way.
		_, err := b.SetTargetShards(ctx, st.ID, 4, nil)
		b.must(err)
		_, err = b.NextScaleStep(ctx, st.ID)
		b.must(err)
		b.must(b.ClearTarget(ctx, st.ID))
		got, err := b.StreamByID(ctx, st.ID)
		b.must(err)
		if got.Status != leat.StreamUpdating || got.TargetShards != 0 {
			t.Errorf("given up: %+v", got)
		}
		pending, err := b.PendingReshards(ctx, st.ID)
		b.must(err)
		b.must(b.AbandonReshard(ctx, st.ID, pending[0].ID, "test"))
		got, err = b.StreamByID(ctx, st.ID)
		b.must(err)
		if got.Status != leat.StreamActive {
			t.Errorf("abandoned: %+v", got)
		}
		// The log is the truth: a record that turns up after all is finished.
		b.must(b.FinishReshard(ctx, done(pending[0], 100, 0)))
		shards, err := b.Shards(ctx, st.ID)
		b.must(err)
		if n := len(open(shards)); n != 2 {
			t.Errorf("%d open shards", n)
		}
	})
}
