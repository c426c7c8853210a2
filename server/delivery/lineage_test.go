// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/delivery/spec"
)

// Which shards begin depends on what has become of their ancestors.
func TestLineage(t *testing.T) {
	made := time.Date(2026, 11, 29, 0, 0, 0, 0, time.UTC)
	ptr := func(o uint64) *uint64 { return &o }
	// 0 becomes 2 and 3; 3 and 1 become 4.
	shard := func(ordinal uint64, closed int, parents ...uint64) leat.Shard {
		s := leat.Shard{Key: leat.ShardKey{Ordinal: ordinal}}
		if closed != 0 {
			s.Closed = made.Add(time.Duration(closed) * time.Minute)
		}
		if len(parents) > 0 {
			s.Parent = ptr(parents[0])
		}
		if len(parents) > 1 {
			s.AdjacentParent = ptr(parents[1])
		}
		return s
	}
	all := func(without ...uint64) (kept []leat.Shard) {
		for _, s := range []leat.Shard{shard(0, -5), shard(1, -4), shard(2, 0, 0), shard(3, -4, 0), shard(4, 0, 3, 1)} {
			if !slices.Contains(without, s.Key.Ordinal) {
				kept = append(kept, s)
			}
		}
		return kept
	}
	at := func(done bool, ordinals ...uint64) (cs []cursor) {
		for _, o := range ordinals {
			cs = append(cs, cursor{ordinal: o, done: done})
		}
		return cs
	}
	for name, c := range map[string]struct {
		from    spec.Start
		cursors []cursor
		shards  []leat.Shard
		want    string
	}{
		"nothing is done":                             {spec.TrimHorizon, at(false, 0, 1), all(), "[]"},
		"a merge waits for the branch that waits":     {spec.TrimHorizon, append(at(false, 0), at(true, 1)...), all(), "[]"},
		"children of what is done":                    {spec.TrimHorizon, at(true, 0, 1), all(), "[2 3]"},
		"a merge of what is done":                     {spec.TrimHorizon, append(at(true, 0, 1, 3), at(false, 2)...), all(), "[4]"},
		"a merge of which one parent is gone":         {spec.TrimHorizon, at(true, 0, 1), all(0, 3), "[2 4]"},
		"a merge of which all ancestors are gone":     {spec.TrimHorizon, at(false, 2), all(0, 1, 3), "[4]"},
		"what was closed before the latest":           {spec.Latest, at(false, 2, 4), all(), "[]"},
		"what was closed before, its parents gone":    {spec.Latest, at(false, 2, 4), all(0, 1), "[]"},
		"after the latest, all between are forgotten": {spec.Latest, at(true, 9), []leat.Shard{shard(12, 7, 11), shard(13, 0, 12)}, "[12]"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLineage(&spec.Delivery{Created: made, Config: spec.Config{Source: spec.Source{Stream: "s", From: c.from}}}, c.cursors, c.shards)
			due := []uint64{}
			for i := range c.shards {
				if l.have[c.shards[i].Key.Ordinal] == nil && l.due(&c.shards[i]) {
					due = append(due, c.shards[i].Key.Ordinal)
				}
			}
			if got := fmt.Sprint(due); got != c.want {
				t.Errorf("due: %s, want %s", got, c.want)
			}
		})
	}
}
