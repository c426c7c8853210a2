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
	packs []shardstore.Extent // in packs, of any age: they may overlap
	left  []leftover          // in segments of closed sessions
	floor uint64              // the shard ends here at least
}

// leftover is an extent in a segment.
type leftover struct {
	session leat.SessionID
	shardstore.Extent
}

// cover is a shard as its catalog will have it.
type cover struct {
	extents []shardstore.Extent // of packs, joined
	pending []leat.SessionID    // whose segments go on where the extents end, in order
	horizon uint64
	next    uint64              // the end of extents
	end     uint64              // of everything
	unused  []shardstore.Extent // below the horizon: they do not join what is above
}

// cover chooses extents that join: packs first, then segments, up to the end of the shard and from as far back as they
// reach.
func (f *found) cover() cover {
	end := f.floor
	for i := range f.packs {
		end = max(end, f.packs[i].End())
	}
	for i := range f.left {
		end = max(end, f.left[i].End())
	}
	byLeft := f.joinLeft(end)
	byPack := f.joinPacks(byLeft, end)
	c := cover{horizon: end, next: end, end: end}
	for at := range byLeft {
		c.horizon = min(c.horizon, at)
	}
	for at := range byPack {
		c.horizon = min(c.horizon, at)
	}
	c.next = c.horizon
	for e := byPack[c.next]; e != nil; e = byPack[c.next] {
		c.extents = append(c.extents, *e)
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

// joinPacks returns the best extents of packs, by their first offsets, from which packs and then leftovers lead to the
// end. Of several with the same first offset the most merged one is best, then the longest.
func (f *found) joinPacks(left map[uint64]*leftover, end uint64) map[uint64]*shardstore.Extent {
	sorted := slices.Clone(f.packs)
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
