// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package shardstore

import (
	"math"
	"slices"
	"time"
)

// mergeGroup is a run of one shard's neighbouring extents that become one.
type mergeGroup struct{ from, to int } // indices in the shard's extents, [from, to)

// planMerges says which extents of a shard should become one (data-plane.md, "Pack"). Extents are merged level by
// level: a record is rewritten at most once a level, and a cold shard keeps at most about fanIn extents a level however
// long it lives, so that the index does not grow with time.
//
// A group holds neighbours of one level that are smaller than own bytes each and than most bytes together, and
// spans at most span of time, so that retention can delete what has expired. force takes groups of two and more; without it
// a shard waits until a level has fanIn extents that can be joined. Neighbours of different epochs are joined too: else a
// node that restarts often would leave an extent for each of its lives.
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
	for to < len(extents) && extents[to].Level == extents[from].Level && extents[to].Raw < p.OwnObjectBytes {
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
			groups = append(groups, mergeGroup{from: i, to: j})
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

// mergeDue tells whether merging would make a shard's extents at least fanIn/2 fewer.
func mergeDue(extents []Extent, p Params, span time.Duration) bool {
	saved := 0
	for _, g := range planMerges(extents, p, span, false) {
		saved += g.to - g.from - 1
	}
	return saved >= p.MergeFanIn/2
}

// shardMerge is what one shard brings to a merge.
type shardMerge struct {
	sh     *shard
	groups [][]Extent
}

// dueMerge is what a shard brings when it is due; no groups otherwise.
func dueMerge(sh *shard, extents []Extent, p Params, span time.Duration) shardMerge {
	m := shardMerge{sh: sh}
	if mergeDue(extents, p, span) {
		for _, g := range planMerges(extents, p, span, false) {
			m.groups = append(m.groups, extents[g.from:g.to])
		}
	}
	return m
}

// nextLevel is the lowest level after the last one that some group is of, or else the lowest of all: one that is always due
// keeps no other from its turn.
func nextLevel(due []shardMerge, last uint8) uint8 {
	lowest, next := uint8(maxLevel), uint8(math.MaxUint8)
	for _, m := range due {
		for _, g := range m.groups {
			level := g[0].Level
			lowest = min(lowest, level)
			if level > last {
				next = min(next, level)
			}
		}
	}
	if next <= maxLevel {
		return next
	}
	return lowest
}

// keepLevel drops the groups of other levels.
func (m *shardMerge) keepLevel(level uint8) bool {
	m.groups = slices.DeleteFunc(m.groups, func(g []Extent) bool { return g[0].Level != level })
	return len(m.groups) > 0
}

// onLevel keeps what is of one level.
func onLevel(due []shardMerge, level uint8) (kept []shardMerge) {
	for _, m := range due {
		if m.keepLevel(level) {
			kept = append(kept, m)
		}
	}
	return kept
}

// sourcesOf are the objects that a merge reads for the shards that are due.
func sourcesOf(due []shardMerge) map[string]bool {
	sources := map[string]bool{}
	for _, m := range due {
		for _, g := range m.groups {
			for _, e := range g {
				sources[e.Object] = true
			}
		}
	}
	return sources
}

// companyMerge is what a shard that is not due brings: its extents in the objects that are read anyway, alone or with
// neighbours, so that nobody names those objects after the merge.
func companyMerge(sh *shard, extents []Extent, shared map[string]bool, level uint8, p Params, span time.Duration) shardMerge {
	m := shardMerge{sh: sh}
	in := func(e Extent) bool { return shared[e.Object] && e.Level == level && e.Raw < p.OwnObjectBytes }
	covered := 0
	for _, g := range planMerges(extents, p, span, true) {
		if group := extents[g.from:g.to]; slices.ContainsFunc(group, in) {
			m.groups = append(m.groups, singles(extents[covered:g.from], in)...)
			m.groups = append(m.groups, group)
			covered = g.to
		}
	}
	m.groups = append(m.groups, singles(extents[covered:], in)...)
	m.keepLevel(level)
	return m
}

func singles(extents []Extent, in func(Extent) bool) (groups [][]Extent) {
	for i := range extents {
		if in(extents[i]) {
			groups = append(groups, extents[i:i+1])
		}
	}
	return groups
}

// mergeOutput is one merged object: one group of each of some shards.
type mergeOutput struct {
	work     []mergeShare
	raw      int64
	replaces []Extent // set when it is read
	parts    []part
}

// mergeShare is what a merged object gets of one shard.
type mergeShare struct {
	sh    *shard
	group []Extent
}

// planOutputs shares the groups out to objects of at most about MergeBytes. An object gets one group of a shard at most:
// neighbours in one object would become one extent, beyond the bounds of a group. The n-th groups of all shards go
// together, because they are of about the same time and expire together. A group of OwnObjectBytes and more gets an object
// of its own.
func planOutputs(work []shardMerge, p Params) (outputs []mergeOutput) {
	slices.SortFunc(work, func(a, b shardMerge) int { return a.sh.key.Compare(b.sh.key) })
	var out mergeOutput
	flush := func() {
		if len(out.work) > 0 {
			outputs = append(outputs, out)
		}
		out = mergeOutput{}
	}
	for n, more := 0, true; more; n++ {
		more = false
		for _, m := range work {
			if n >= len(m.groups) {
				continue
			}
			more = true
			raw := rawOf(m.groups[n])
			own := raw >= p.OwnObjectBytes
			if own || out.raw+raw > p.MergeBytes {
				flush()
			}
			out.work = append(out.work, mergeShare{m.sh, m.groups[n]})
			out.raw += raw
			if own {
				flush()
			}
		}
		flush()
	}
	return outputs
}

// stayed tells whether most of an output comes from segments that extents stayed in.
func (out *mergeOutput) stayed() bool {
	var raw int64
	for _, w := range out.work {
		for i := range w.group {
			if isKept(&w.group[i]) {
				raw += w.group[i].Raw
			}
		}
	}
	return 2*raw > out.raw
}

func rawOf(group []Extent) (raw int64) {
	for _, e := range group {
		raw += e.Raw
	}
	return raw
}
