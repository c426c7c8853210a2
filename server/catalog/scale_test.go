// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package catalog_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/catalog"
)

// tiling draws open shards that tile the hash space, with boundaries anywhere, also next to those of an even tiling.
func tiling(t *rapid.T) (shards []leat.Shard) {
	starts := map[leat.HashKey]bool{{}: true}
	add := func(k leat.HashKey) { starts[k] = true }
	for _, r := range leat.SplitEvenly(rapid.IntRange(1, 12).Draw(t, "even")) {
		switch rapid.IntRange(-3, 3).Draw(t, "shift") {
		case -2:
			add(r.Start.Prev().Prev())
		case -1:
			add(r.Start.Prev())
		case 0:
			add(r.Start)
		case 1:
			add(r.Start.Next())
		case 2:
			add(r.Start.Next().Next())
		}
	}
	for range rapid.IntRange(0, 8).Draw(t, "odd") {
		add(leat.HashKey{Hi: rapid.Uint64().Draw(t, "hi"), Lo: rapid.Uint64().Draw(t, "lo")})
	}
	order := make([]leat.HashKey, 0, len(starts))
	for k := range starts {
		order = append(order, k)
	}
	slices.SortFunc(order, leat.HashKey.Compare)
	for i, start := range order {
		end := leat.MaxHashKey
		if i+1 < len(order) {
			end = order[i+1].Prev()
		}
		shards = append(shards, leat.Shard{Key: leat.ShardKey{Ordinal: uint64(i)}, Range: leat.HashKeyRange{Start: start, End: end}})
	}
	return shards
}

// From any tiling the steps come to exactly the even one, each of them allowed by Kinesis, in at most as many steps as
// there are boundaries to add and to remove, and with the number of shards kept between the two counts, plus one.
func TestNextStepReachesTheTarget(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		shards := tiling(t)
		target := rapid.IntRange(1, 12).Draw(t, "target")
		want := leat.SplitEvenly(target)
		bound := len(shards) + target
		low, high := min(len(shards), target), max(len(shards), target)+1
		if tight(shards, want) {
			low = 1
		}
		next := uint64(len(shards))
		for steps := 0; ; steps++ {
			if n := len(open(shards)); n < low || n > high {
				t.Fatalf("%d shards on the way from %d to %d", n, bound-target, target)
			}
			step := catalog.NextStep(shards, target)
			if step.Kind == catalog.StepDone {
				break
			}
			if steps == bound {
				t.Fatalf("not there after %d steps", steps)
			}
			shards, next = take(t, shards, step, next)
		}
		var got []leat.HashKeyRange
		for _, s := range open(shards) {
			got = append(got, s.Range)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("came to %v, want %v", got, want)
		}
	})
}

// tight tells whether a boundary lies so near to a wanted one that no split can come between.
func tight(shards []leat.Shard, want []leat.HashKeyRange) bool {
	for _, s := range shards {
		for _, w := range want {
			k := s.Range.Start
			for _, near := range []leat.HashKey{k.Next(), k.Prev(), k.Next().Next(), k.Prev().Prev()} {
				if near == w.Start {
					return true
				}
			}
		}
	}
	return false
}

// open returns the open shards by range.
func open(shards []leat.Shard) (out []leat.Shard) {
	for _, s := range shards {
		if s.Open() {
			out = append(out, s)
		}
	}
	slices.SortFunc(out, func(a, b leat.Shard) int { return a.Range.Start.Compare(b.Range.Start) })
	return out
}

// take carries out a step on shards in memory.
func take(t *rapid.T, shards []leat.Shard, step catalog.Step, next uint64) ([]leat.Shard, uint64) {
	shards = slices.Clone(shards)
	end := func(ordinal uint64) leat.HashKeyRange {
		s := &shards[ordinal]
		if !s.Open() {
			t.Fatalf("step %+v takes a closed shard", step)
		}
		s.Closed = s.Closed.AddDate(1, 0, 0)
		return s.Range
	}
	add := func(r leat.HashKeyRange) {
		shards = append(shards, leat.Shard{Key: leat.ShardKey{Ordinal: next}, Range: r})
		next++
	}
	r := end(step.Shard)
	if step.Kind == catalog.StepMerge {
		above := end(step.Adjacent)
		if !r.Adjacent(above) {
			t.Fatalf("step %+v merges shards that are not adjacent", step)
		}
		add(leat.HashKeyRange{Start: r.Start, End: above.End})
		return shards, next
	}
	if step.NewStart.Compare(r.Start.Next()) <= 0 || step.NewStart.Compare(r.End) >= 0 {
		t.Fatalf("step %+v splits %v, which Kinesis refuses", step, r)
	}
	add(leat.HashKeyRange{Start: r.Start, End: step.NewStart.Prev()})
	add(leat.HashKeyRange{Start: step.NewStart, End: r.End})
	return shards, next
}
