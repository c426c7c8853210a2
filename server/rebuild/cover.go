// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package rebuild

import (
	"cmp"
	"slices"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore"
)

// found is what the bucket holds of one shard.
type found struct {
	packs  []shardstore.Extent // in packs, of any age: they may overlap
	stayed []shardstore.Extent // in segments that count, of any age too
	left   []leftover          // in segments, beyond what was trimmed when their sessions were closed
	floor  uint64              // the shard ends here at least

	counted uint64 // usage has the records up to here: none of them may be left to be adopted, and counted then
}

// leftover is an extent in a segment.
type leftover struct {
	session leat.SessionID
	shardstore.Extent
}

// cover is a shard as its catalog will have it.
type cover struct {
	extents []shardstore.Extent // of packs and segments, joined
	pending []leat.SessionID    // whose segments go on where the extents end, in order
	horizon uint64
	next    uint64              // the end of extents
	end     uint64              // of everything
	unused  []shardstore.Extent // below the horizon: they do not join what is above
}

// cover chooses extents that join, up to the end of the shard and from as far back as they reach: those in packs, and
// those in segments where no pack has the same records. What sessions' segments hold of the end, and only they, is left
// to be adopted.
func (f *found) cover() cover {
	end := f.floor
	for i := range f.packs {
		end = max(end, f.packs[i].End())
	}
	for i := range f.stayed {
		end = max(end, f.stayed[i].End())
	}
	for i := range f.left {
		end = max(end, f.left[i].End())
	}
	byLeft := f.joinLeft(end)
	byPack := f.joinExtents(byLeft, end)
	c := cover{horizon: end, next: end, end: end}
	for at := range byLeft {
		c.horizon = min(c.horizon, at)
	}
	for at := range byPack {
		c.horizon = min(c.horizon, at)
	}
	c.next = c.horizon
	for e := byPack[c.next]; e != nil && (!inSegment(e) || byLeft[c.next] == nil || c.next < f.counted); e = byPack[c.next] {
		c.extents = append(c.extents, *e)
		if inSegment(e) {
			c.extents[len(c.extents)-1].Level = 1 // as the catalog had it: it is merged with those of packs
		}
		c.next = e.End()
	}
	for at := c.next; byLeft[at] != nil; at = byLeft[at].End() {
		if s := byLeft[at].session; len(c.pending) == 0 || c.pending[len(c.pending)-1] != s {
			c.pending = append(c.pending, s)
		}
	}
	for i := range f.packs {
		if f.packs[i].First < c.horizon {
			c.unused = append(c.unused, f.packs[i])
		}
	}
	for i := range f.left {
		if f.left[i].First < c.horizon {
			c.unused = append(c.unused, f.left[i].Extent)
		}
	}
	for i := range f.stayed {
		if f.stayed[i].First < c.horizon {
			c.unused = append(c.unused, f.stayed[i])
		}
	}
	return c
}

// joinLeft returns the leftovers, by their first offsets, from which leftovers lead to the end.
func (f *found) joinLeft(end uint64) map[uint64]*leftover {
	sorted := slices.Clone(f.left)
	slices.SortFunc(sorted, func(a, b leftover) int { return cmp.Compare(b.First, a.First) })
	by := map[uint64]*leftover{}
	for i := range sorted {
		e := &sorted[i]
		if e.End() == end || by[e.End()] != nil {
			by[e.First] = e
		}
	}
	return by
}

// inSegment tells an extent in a segment from one in a pack.
func inSegment(e *shardstore.Extent) bool { return e.Level == 0 }

// joinExtents returns the best extents, by their first offsets, from which extents and then leftovers lead to the end. Of
// several with the same first offset the most merged one is best, then the longest; one in a segment is the last.
func (f *found) joinExtents(left map[uint64]*leftover, end uint64) map[uint64]*shardstore.Extent {
	sorted := slices.Concat(f.packs, f.stayed)
	slices.SortFunc(sorted, func(a, b shardstore.Extent) int {
		return cmp.Or(cmp.Compare(b.First, a.First), cmp.Compare(b.Level, a.Level), cmp.Compare(b.Count, a.Count), cmp.Compare(a.Object, b.Object))
	})
	by := map[uint64]*shardstore.Extent{}
	for i := range sorted {
		e := &sorted[i]
		joins := e.End() == end || by[e.End()] != nil || left[e.End()] != nil
		if joins && by[e.First] == nil {
			by[e.First] = e
		}
	}
	return by
}
