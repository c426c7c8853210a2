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
