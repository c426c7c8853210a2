// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/sqldb"
	"github.com/leatstream/leat/server/catalog"
	"github.com/leatstream/leat/server/cluster"
	"github.com/leatstream/leat/shardstore/blob/fault"
	"github.com/leatstream/leat/shardstore/wal"
)

// The leader dies in the middle of a recovery, when the session is fenced in the catalog and not in the log: the next
// leader finishes it and fences the first.
func TestLeaderDiesInMidRecovery(t *testing.T) {
	w := newWorld(t)
	c := &team{world: w, acked: map[leat.ShardKey][]string{}}
	var victim atomic.Value
	victim.Store("none")
	g := &gate{}
	leader := c.join("leader", func(cfg *cluster.Config) {
		g.around(w)(cfg)
		store := fault.New(cfg.Blobs, func(_ fault.Op, key string) fault.Fault {
			if strings.Contains(key, victim.Load().(string)) {
				g.shut.Store(true)
				return fault.Fault{Kind: fault.Refuse, Err: errCut}
			}
			return fault.Fault{}
		})
		cfg.Blobs, cfg.Driver = store, wal.NewObjects(store)
	})
	if c.leader() != leader {
		t.Fatal("the first node does not lead")
	}
	c.join("second")
	dead := &gate{}
	c.join("victim", dead.around(w))
	_, keys := w.stream(c.nodes[1], "s", 9)
	for _, k := range keys {
		c.put(k, "1", "2")
	}
	victim.Store(c.nodes[2].Session().String())
	dead.shut.Store(true)
	await(t, "the leader dies", g.shut.Load)
	c.nodes = c.nodes[1:2]
	for _, k := range keys {
		c.put(k, "3")
	}
	c.check()
}

// Many nodes believe to lead all the time, while a node dies, one joins and shards split: the compare-and-swaps keep all
// right.
func TestManyLeaders(t *testing.T) {
	w := newWorld(t)
	c := w.team(3)
	g := &gate{}
	c.join("victim", g.around(w))
	s, keys := w.stream(c.nodes[0], "s", 8)
	ctx, stop := context.WithCancel(t.Context())
	several := slices.Clone(c.nodes[:3])
	var chaos sync.WaitGroup
	chaos.Go(func() {
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for ctx.Err() == nil {
			<-tick.C
			for _, id := range sessionsOf(several) {
				if err := w.cat.ReleaseLeader(ctx, id); err != nil && ctx.Err() == nil {
					t.Log(err)
				}
			}
		}
	})
	defer chaos.Wait()
	defer stop()
	await(t, "two lead at once", func() bool {
		leaders := 0
		for _, l := range c.nodes {
			if l.Leads() {
				leaders++
			}
		}
		return leaders > 1
	})
	for _, k := range keys {
		c.put(k, "1")
	}
	if _, err := w.cat.SetTargetShards(t.Context(), s.ID, 16, nil); err != nil {
		t.Fatal(err)
	}
	g.shut.Store(true)
	c.nodes = c.nodes[:3]
	c.join("fifth")
	await(t, "the stream has sixteen shards", func() bool { return w.status(s.ID) == leat.StreamActive && w.openShards(s.ID) == 16 })
	all, err := w.cat.Shards(t.Context(), s.ID)
	if err != nil {
		t.Fatal(err)
	}
	for i := range all {
		if all[i].Open() {
			c.put(all[i].Key, "2")
		}
	}
	c.check()
}

func sessionsOf(nodes []*life) (ids []leat.SessionID) {
	for _, l := range nodes {
		if id := l.Session(); !id.IsZero() {
			ids = append(ids, id)
		}
	}
	return ids
}

// The catalog is away for longer than the time after which a node counts as dead: nobody is fenced when it is back, and
// puts and reads go on meanwhile (static stability).
func TestSharedCatalogAway(t *testing.T) {
	w := newWorld(t)
	g := &gate{}
	away := func(c *cluster.Config) {
		c.Catalog = w.open(sqldb.Faults{BeforeCommit: g.check})
		c.Heartbeat, c.DeadAfter, c.Log.StallAfter = 50*time.Millisecond, time.Second, 10*time.Second
	}
	c := &team{world: w, acked: map[leat.ShardKey][]string{}}
	for i := range 3 {
		c.join(fmt.Sprint("n", i), away)
	}
	_, keys := w.stream(c.nodes[0], "s", 6)
	// A shard that is amid a move when the catalog goes away waits for it (rule 15).
	await(t, "all is at rest", func() bool { return c.balanced(6) })
	before := sessionsOf(c.nodes)
	g.shut.Store(true)
	for end := time.Now().Add(1500 * time.Millisecond); time.Now().Before(end); {
		for _, k := range keys {
			c.put(k, time.Now().String())
		}
	}
	c.check()
	g.shut.Store(false)
	await(t, "a beat comes through", func() bool { return c.leader() != nil })
	_, more := w.stream(c.nodes[0], "later", 6) // needs all of them
	for _, k := range more {
		c.put(k, "1")
	}
	c.check()
	if after := sessionsOf(c.nodes); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Fatalf("sessions %v became %v", before, after)
	}
}

// A stream's settings are in force only when every session that may still ack knows them.
func TestSettingsWaitForAllSessions(t *testing.T) {
	w := newWorld(t)
	c := w.team(2)
	var block atomic.Bool
	c.join("slow", func(cfg *cluster.Config) {
		cfg.Known = func(context.Context) error {
			if block.Load() {
				return errors.New("not yet")
			}
			return nil
		}
	})
	s, _ := w.stream(c.nodes[0], "s", 3)
	block.Store(true)
	key := catalog.StreamKey{ID: leat.NewID[leat.KeyID](rand.Reader), Stream: s.ID, Wrapped: "wrapped"}
	updated, err := w.cat.StartEncryption(t.Context(), key, "alias/a")
	if err != nil {
		t.Fatal(err)
	}
	known := func() (n int) {
		p, err := w.cat.Peers(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for i := range p {
			if p[i].Revision >= updated.Version {
				n++
			}
		}
		return n
	}
	await(t, "two of three know it", func() bool { return known() == 2 })
	for range 20 { // the leader's next looks change nothing
		beats := c.leader().beats(w)
		await(t, "the leader beats", func() bool { return c.leader().beats(w) > beats })
		if w.status(s.ID) != leat.StreamUpdating {
			t.Fatal("the stream is active before all sessions know its key")
		}
	}
	block.Store(false)
	await(t, "the stream is active", func() bool { return w.status(s.ID) == leat.StreamActive })
	if known() != 3 {
		t.Fatal("the stream is active and not all sessions know its key")
	}
}

func (l *life) beats(w *world) uint64 {
	p, err := w.cat.Peers(context.Background())
	if err != nil {
		l.t.Fatal(err)
	}
	for i := range p {
		if p[i].ID == l.Session() {
			return p[i].Beat
		}
	}
	return 0
}

// A move whose answers are lost on every step: FinishMove is told again, and the shard is never served by two (I12).
func TestMovesWithLostAnswers(t *testing.T) {
	w := newWorld(t)
	var n atomic.Int64
	lossy := func(c *cluster.Config) {
		c.Catalog = w.open(sqldb.Faults{AfterCommit: func() error {
			if n.Add(1)%3 == 0 {
				return errCut
			}
			return nil
		}})
	}
	c := &team{world: w, acked: map[leat.ShardKey][]string{}}
	c.join("first", lossy)
	_, keys := w.stream(c.nodes[0], "s", 8)
	c.join("second", lossy)
	for i := 0; !c.balanced(8); i++ {
		for _, k := range keys {
			c.put(k, fmt.Sprint(i))
		}
		owners := 0
		for _, l := range c.nodes {
			if _, err := l.Store().Bounds(context.Background(), keys[i%8]); err == nil {
				owners++
			}
		}
		if owners > 1 {
			t.Fatalf("%d nodes have shard %s open", owners, keys[i%8])
		}
		if i > 10000 {
			t.Fatal("never balanced")
		}
	}
	c.check()
}
