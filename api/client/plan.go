// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package client

import (
	"maps"
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
		c := done[id]
		n := &node{shard: s, start: start}
		switch {
		case c.Ended:
			n.started, n.ended = true, true
		case c.SequenceNumber != "":
			n.start = AfterSequence(c.SequenceNumber)
		case past[id]:
			n.started, n.ended = true, true
		case fresh[id]:
			n.start = TrimHorizon()
		case start.kind == startLatest && s.closed:
			n.started, n.ended = true, true
		}
		p.nodes[id] = n
	}
	p.forget()
	return p
}

// ancestors are the shards that must have ended before the shards with a checkpoint could begin. A checkpoint in the midst of a shard is the better
// witness: what descends from that shard is not among them, unless it has a checkpoint of its own.
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
	midway := Checkpoints{}
	for id, c := range done {
		if shards[id] != nil && c.SequenceNumber != "" && !c.Ended {
			midway[id] = c
		}
	}
	unread := descendants(shards, midway)
	maps.DeleteFunc(past, func(id string, _ bool) bool { return unread[id] })
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

// latest is how many shards begin at their end. None of them has to wait for another.
func (p *plan) latest() (n int64) {
	for _, s := range p.nodes {
		if !s.started && s.start.kind == startLatest {
			n++
		}
	}
	return n
}

// unfinished tells whether a shard has not ended, or is not part of the plan yet.
func (p *plan) unfinished(id string) bool {
	n := p.nodes[id]
	return n == nil || !n.ended
}

// unknown returns a shard with a parent that is not part of the plan: its other parent has ended, and this one was made by a split or merge of which
// nobody has told yet, or has gone. A listing knows; empty for none.
func (p *plan) unknown() (id string) {
	for _, n := range p.nodes {
		if n.id > id && slices.ContainsFunc(n.parents, p.missing) {
			id = n.id
		}
	}
	return id
}

func (p *plan) missing(id string) bool { return p.nodes[id] == nil }

// learn takes in a listing that is as new as every shard of the plan with a parent that is missing.
func (p *plan) learn(listed map[string]*shard) {
	for id, s := range listed {
		if p.nodes[id] == nil {
			p.nodes[id] = &node{shard: s, start: p.beginning()}
		}
	}
	p.forget()
}

// forget has nobody wait for parents that are missing after a listing: retention has removed them.
func (p *plan) forget() {
	for _, n := range p.nodes {
		n.parents = slices.DeleteFunc(n.parents, p.missing)
	}
}

// beginning is where shards begin that were made since the plan was: at their beginning, but for a plan that begins at a time, since their parent may
// have ended long before it.
func (p *plan) beginning() Start {
	if p.start.kind == startTime {
		return p.start
	}
	return TrimHorizon()
}

// end notes that a shard has been read to its end, and takes in its children.
func (p *plan) end(id string, children []*shard) {
	p.nodes[id].ended = true
	for _, s := range children {
		n := p.nodes[s.id]
		if n == nil {
			n = &node{shard: s, start: p.start}
			p.nodes[s.id] = n
		}
		if !n.started && n.start == p.start {
			n.start = p.beginning()
		}
	}
}
