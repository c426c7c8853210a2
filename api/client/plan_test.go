// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package client

import "testing"

// A reader that was away until its shards and their children had gone goes on at the beginning of what is left of their line.
func TestPlanAfterAllThatWasReadHasGone(t *testing.T) {
	shards := map[string]*shard{
		"d": {id: "d", parents: []string{"b"}}, // a, which was read, and b are listed no more
		"e": {id: "e", parents: []string{"d"}},
		"f": {id: "f"}, // was there from the beginning
	}
	p := newPlan(Latest(), shards, Checkpoints{"a": {SequenceNumber: "1"}})
	for id, want := range map[string]Start{"d": TrimHorizon(), "e": TrimHorizon(), "f": Latest()} {
		if got := p.nodes[id].start; got != want {
			t.Errorf("%s begins at %+v, want %+v", id, got, want)
		}
	}
	// With everything that was read still listed, a parent that is not says nothing.
	shards["a"] = &shard{id: "a"}
	p = newPlan(Latest(), shards, Checkpoints{"a": {SequenceNumber: "1"}})
	if got := p.nodes["d"].start; got != Latest() {
		t.Errorf("d begins at %+v", got)
	}
}

// A shard that was merged waits for the parent too that the plan has not heard of yet, and no longer than that is to be waited for.
func TestPlanHoldsBackWhatWasMergedOfUnknownShards(t *testing.T) {
	begun := func(p *plan) (ids string) {
		for _, n := range p.ready() {
			ids += n.id
		}
		return ids
	}
	p := newPlan(TrimHorizon(), map[string]*shard{"a": {id: "a"}, "b": {id: "b"}}, nil)
	if got := begun(p); got != "ab" {
		t.Fatalf("%s begin", got)
	}
	m := &shard{id: "m", parents: []string{"c", "d"}} // of a's child and b's
	p.end("a", []*shard{{id: "c", parents: []string{"a"}}})
	begun(p)
	p.end("c", []*shard{m})
	if got := begun(p); got != "" || p.unknown() != "m" {
		t.Fatalf("%s begins, and %q has an unknown parent", got, p.unknown())
	}
	p.learn(map[string]*shard{"b": {id: "b"}, "d": {id: "d", parents: []string{"b"}}, "m": m})
	if got := begun(p); got != "" || p.unknown() != "" {
		t.Fatalf("%s begins after the listing, and %q has an unknown parent", got, p.unknown())
	}
	p.end("b", []*shard{{id: "d", parents: []string{"b"}}})
	if got := begun(p); got != "d" {
		t.Errorf("%s begins", got)
	}
	p.end("d", []*shard{m})
	if got := begun(p); got != "m" {
		t.Errorf("%s begins", got)
	}
	p = newPlan(TrimHorizon(), map[string]*shard{"a": {id: "a"}}, nil)
	begun(p)
	p.end("a", []*shard{{id: "m", parents: []string{"a", "d"}}})
	p.learn(map[string]*shard{"m": {id: "m", parents: []string{"a", "d"}}})
	if got := begun(p); got != "m" {
		t.Errorf("%s begins, of which a parent has gone", got)
	}
}

// A checkpoint in the midst of a shard says more of it than one of its descendant, which an earlier reader began too early.
func TestPlanGoesOnInTheMidstOfAncestors(t *testing.T) {
	shards := map[string]*shard{
		"a": {id: "a"}, "c": {id: "c", parents: []string{"a"}},
		"b": {id: "b"}, "d": {id: "d", parents: []string{"b"}},
		"m": {id: "m", parents: []string{"c", "d"}},
	}
	p := newPlan(Latest(), shards, Checkpoints{"a": {Ended: true}, "c": {Ended: true}, "b": {SequenceNumber: "5"}, "m": {SequenceNumber: "9"}})
	for _, want := range []struct {
		id    string
		start Start
	}{{"b", AfterSequence("5")}, {"d", TrimHorizon()}, {"m", AfterSequence("9")}} {
		ready := p.ready()
		if len(ready) != 1 || ready[0].id != want.id || ready[0].start != want.start {
			t.Fatalf("got %+v, want %+v", ready, want)
		}
		p.end(want.id, nil)
	}
}
