// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package shardstore

import "time"

// mergeGroup is a run of one shard's neighbouring extents that become one.
type mergeGroup struct {
	from, to int // indices in the shard's extents, [from, to)
	level    uint8
}

// planMerges says which extents of a shard should become one (data-plane.md, "Pack"). Extents are merged level by
// level: a record is rewritten at most once a level, and a cold shard keeps at most about fanIn extents a level however
// long it lives, so that the index does not grow with time.
//
// A group holds neighbours of one level that are smaller than own bytes each and than most bytes together, and
// spans at most span of time, so that retention can delete what has expired. force takes groups of two and more; without it
// a shard waits until a level has fanIn extents that can be joined.
func planMerges(extents []Extent, p Params, span time.Duration, force bool) []mergeGroup {
	var groups []mergeGroup
	for from := 0; from < len(extents); {
		to := runEnd(extents, from, p)
		if to-from >= p.MergeFanIn || (force && to-from > 1) {
			groups = appendGroups(groups, extents, from, to, p, span)
		}
		from = max(to, from+1)
	}
	return groups
}

// runEnd finds the end of the run of small neighbours of one level that begins at from.
func runEnd(extents []Extent, from int, p Params) int {
	to := from
	for to < len(extents) && extents[to].Level == extents[from].Level && extents[to].Raw < p.OwnObjectBytes &&
		extents[to].Epoch == extents[from].Epoch {
		to++
	}
	return to
}

// appendGroups cuts a run into groups within the bounds of bytes and time; a single extent is no group.
func appendGroups(groups []mergeGroup, extents []Extent, from, to int, p Params, span time.Duration) []mergeGroup {
	for i := from; i < to; {
		j, raw := i, int64(0)
		for j < to && (j == i || raw+extents[j].Raw <= p.MergeBytes && withinSpan(extents[i].MinTime, extents[j].MaxTime, span)) {
			raw += extents[j].Raw
			j++
		}
		if j-i > 1 {
			groups = append(groups, mergeGroup{from: i, to: j, level: min(extents[i].Level+1, maxLevel)})
		}
		i = j
	}
	return groups
}

// maxLevel bounds the levels: 16^6 minutes are 30 years.
const maxLevel = 7

func withinSpan(from, to int64, span time.Duration) bool {
	return span <= 0 || time.Duration(to-from)*time.Microsecond <= span
}

// mergeDue tells whether some level has fanIn extents that a merge would make at least fanIn/2 fewer.
func mergeDue(extents []Extent, p Params, span time.Duration) bool {
	saved := 0
	for _, g := range planMerges(extents, p, span, false) {
		saved += g.to - g.from - 1
	}
	return saved >= p.MergeFanIn/2
}
