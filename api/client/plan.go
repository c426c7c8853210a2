// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package client

import (
	"slices"
	"strings"

	"github.com/leatstream/leat"
)

// shard is a shard as it was last listed.
type shard struct {
	id      string
	parents []string
	hashes  leat.HashKeyRange
	closed  bool
}

// plan decides which shards are read, from where, and when: a child after all its parents. It does no I/O.
type plan struct {
	start Start
	nodes map[string]*node
}

// node is one shard of the plan.
type node struct {
	*shard
	start   Start
	started bool
	ended   bool
}

// newPlan plans to read a stream from a start, or from where the checkpoints are.
func newPlan(start Start, shards map[string]*shard, done Checkpoints) *plan {
	p := &plan{start: start, nodes: map[string]*node{}}
	past, fresh := ancestors(shards, done), descendants(shards, done)
	for id, s := range shards {
		c, read := done[id]
		n := &node{shard: s, start: start}
		switch {
		case read && c.Ended, past[id]:
			n.started, n.ended = true, true
		case read && c.SequenceNumber != "":
			n.start = AfterSequence(c.SequenceNumber)
		case fresh[id]:
			n.start = TrimHorizon()
		case start.kind == startLatest && s.closed:
			n.started, n.ended = true, true
		}
		p.nodes[id] = n
	}
	return p
}

// ancestors are the shards that must have ended before the shards with a checkpoint could begin.
func ancestors(shards map[string]*shard, done Checkpoints) map[string]bool {
	past := map[string]bool{}
	var climb func(s *shard)
	climb = func(s *shard) {
		for _, id := range s.parents {
			parent := shards[id]
			if parent != nil && !past[id] {
				past[id] = true
				climb(parent)
			}
		}
	}
	for id := range done {
		if s := shards[id]; s != nil {
			climb(s)
		}
	}
	return past
}

// descendants are the shards with an ancestor that has a checkpoint: all of them is new. A parent that is listed no more counts as such an
// ancestor when a shard with a checkpoint is not listed any more either: that one may be its parent.
func descendants(shards map[string]*shard, done Checkpoints) map[string]bool {
	known := map[string]bool{}
	gone := false
	for id := range done {
		gone = gone || shards[id] == nil
	}
	var below func(id string) bool
	below = func(id string) bool {
		if is, seen := known[id]; seen {
			return is
		}
		known[id] = false
		s := shards[id]
		if s == nil {
			return false
		}
		for _, parent := range s.parents {
			if _, read := done[parent]; read || below(parent) || (gone && shards[parent] == nil) {
				known[id] = true
			}
		}
		return known[id]
	}
	for id := range shards {
		below(id)
	}
	return known
}

// ready returns the shards that may begin now, and takes them as begun.
func (p *plan) ready() (out []*node) {
	for _, n := range p.nodes {
		if n.started || slices.ContainsFunc(n.parents, p.unfinished) {
			continue
		}
		n.started = true
		out = append(out, n)
	}
	slices.SortFunc(out, func(a, b *node) int { return strings.Compare(a.id, b.id) })
	return out
}

// unfinished tells whether a shard is part of the plan and has not ended.
func (p *plan) unfinished(id string) bool {
	n := p.nodes[id]
	return n != nil && !n.ended
}

// end notes that a shard has been read to its end, and takes in its children. These begin at their beginning, but for a
// plan that begins at a time: their parent may have ended long before it.
func (p *plan) end(id string, children []*shard) {
	p.nodes[id].ended = true
	for _, s := range children {
		n := p.nodes[s.id]
		if n == nil {
			n = &node{shard: s, start: p.start}
			p.nodes[s.id] = n
		}
		if !n.started && n.start == p.start && p.start.kind != startTime {
			n.start = TrimHorizon()
		}
	}
}
