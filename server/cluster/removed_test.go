// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"testing"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/sqldb"
	"github.com/leatstream/leat/server/cluster"
)

// Streams that are made, put into and deleted long before a pack is due are paid for, by a node that is alone as by nodes that share.
func TestPutsOfDeletedStreamsAreCounted(t *testing.T) {
	for name, nodes := range map[string]int{"alone": 0, "shared": 2} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			var c *team
			if nodes > 0 {
				c = w.team(nodes)
			} else {
				c = &team{world: w, acked: map[leat.ShardKey][]string{}, nodes: []*life{w.node("a").awaitReady()}}
			}
			const rounds = 3
			for range rounds {
				s, keys := w.stream(c.nodes[0], "s", 2)
				for _, k := range keys {
					await(t, "a put is taken", func() bool {
						for _, l := range c.nodes {
							if l.put(k, "one") == nil {
								return true
							}
						}
						return false
					})
				}
				if err := w.cat.BeginDelete(t.Context(), s.ID, false); err != nil {
					t.Fatal(err)
				}
				for _, l := range c.nodes {
					l.Kick()
				}
				await(t, "the stream is gone everywhere", func() bool {
					_, err := w.cat.StreamByID(t.Context(), s.ID)
					_, all := c.counts()
					return leat.KindOf(err) == leat.KindNotFound && all == 0
				})
			}
			for _, l := range c.nodes {
				if err := l.Store().Pack(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			usage, err := w.cat.Usage(t.Context(), leat.DevAccount, time.Unix(0, 0), time.Now().Add(time.Hour))
			if err != nil {
				t.Fatal(err)
			}
			records := int64(0)
			for _, u := range usage {
				records += u.Records
			}
			if records != 2*rounds {
				t.Errorf("usage of %d records, want %d: %+v", records, 2*rounds, usage)
			}
		})
	}
}

// A deleted stream stays until no session takes it for ACTIVE any more: its name is free then, and what such a session took for
// the next stream of the name would be lost.
func TestRemovalWaitsForEverySession(t *testing.T) {
	w := newWorld(t)
	patient := func(c *cluster.Config) { c.DeadAfter = time.Hour }
	c := &team{world: w, acked: map[leat.ShardKey][]string{}}
	leader := c.join("leader", patient)
	if c.leader() != leader {
		t.Fatal("the first node does not lead")
	}
	g := &gate{}
	c.join("deaf", patient, func(c *cluster.Config) { c.Catalog = w.open(sqldb.Faults{BeforeCommit: g.check}) })
	s, _ := w.stream(leader, "s", 2)
	g.shut.Store(true)
	defer g.shut.Store(false) // it ends in order
	if err := w.cat.BeginDelete(t.Context(), s.ID, false); err != nil {
		t.Fatal(err)
	}
	before := leader.beats(w)
	await(t, "the leader has looked at it", func() bool { return leader.beats(w) > before+5 })
	if status := w.status(s.ID); status != leat.StreamDeleting {
		t.Fatalf("the stream is %s", status)
	}
	g.shut.Store(false)
	await(t, "the stream is gone", func() bool {
		_, err := w.cat.StreamByID(t.Context(), s.ID)
		return leat.KindOf(err) == leat.KindNotFound
	})
}
