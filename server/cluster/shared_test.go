// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/catalog"
	"github.com/leatstream/leat/server/cluster"
	"github.com/leatstream/leat/shardstore"
)

// shared makes a node one of many.
func shared(c *cluster.Config) { c.Shared = true }

// team is several nodes of one world that share its shards, and what was acked by any of them.
type team struct {
	*world
	nodes []*life
	acked map[leat.ShardKey][]string
}

func (w *world) team(n int) *team {
	w.t.Helper()
	t := &team{world: w, acked: map[leat.ShardKey][]string{}}
	for i := range n {
		t.join(fmt.Sprintf("n%d", i))
	}
	return t
}

// join starts one more node.
func (t *team) join(name string, change ...func(*cluster.Config)) *life {
	t.t.Helper()
	l := t.node(name, append(change, shared)...).awaitReady()
	t.nodes = append(t.nodes, l)
	await(t.t, "the others see the new node", func() bool {
		for _, o := range t.nodes {
			for _, p := range t.nodes {
				if _, ok := o.Owners().Live(p.Session()); !ok && !p.Session().IsZero() {
					return false
				}
			}
		}
		return true
	})
	return l
}

// owner is the node that owns a shard and has it open, nil while there is none.
func (t *team) owner(k leat.ShardKey) *life {
	for _, l := range t.nodes {
		s := l.Store()
		if s == nil {
			continue
		}
		if _, err := s.Bounds(context.Background(), k); err == nil {
			return l
		}
	}
	return nil
}

// put puts records to whoever owns the shard, and waits for an owner as a gateway would. A record is sent again only when
// it was certainly not written.
func (t *team) put(k leat.ShardKey, texts ...string) {
	t.t.Helper()
	for _, text := range texts {
		await(t.t, fmt.Sprintf("%q is put into %s", text, k), func() bool {
			l := t.owner(k)
			if l == nil {
				return false
			}
			err := l.put(k, text)
			if err == nil {
				return true
			}
			if !errors.Is(err, shardstore.ErrNotOwned) && leat.KindOf(err) != leat.KindUnavailable || errors.Is(err, shardstore.ErrUnknownOutcome) {
				t.t.Fatalf("put %q: %v", text, err)
			}
			return false
		})
		t.acked[k] = append(t.acked[k], text)
	}
}

// check reads every acked record back, in order, from whoever owns its shard now.
func (t *team) check() {
	t.t.Helper()
	for k, want := range t.acked {
		await(t.t, fmt.Sprintf("%s has an owner", k), func() bool { return t.owner(k) != nil })
		t.owner(k).mustRead(k, want...)
	}
}

// counts is how many shards each node has open.
func (t *team) counts() (counts []int, all int) {
	for _, l := range t.nodes {
		st, _ := l.Stats()
		counts = append(counts, st.Shards)
		all += st.Shards
	}
	return counts, all
}

// leader is the node that leads.
func (t *team) leader() (leader *life) {
	t.t.Helper()
	await(t.t, "somebody leads", func() bool {
		for _, l := range t.nodes {
			if l.Leads() {
				leader = l
				return true
			}
		}
		return false
	})
	return leader
}

func (t *team) follower() *life {
	t.t.Helper()
	leader := t.leader()
	for _, l := range t.nodes {
		if l != leader {
			return l
		}
	}
	t.t.Fatal("nobody follows")
	return nil
}

// Nodes that start together take a fair share of each stream's shards, and every node knows every owner.
func TestShardsAreShared(t *testing.T) {
	w := newWorld(t)
	c := w.team(3)
	_, keys := w.stream(c.nodes[0], "s", 9)
	for _, k := range keys {
		c.put(k, "1", "2")
	}
	c.check()
	await(t, "three shards on each node", func() bool { // a slow machine may take them unevenly first
		counts, all := c.counts()
		return all == 9 && counts[0] == 3 && counts[1] == 3 && counts[2] == 3
	})
	for _, k := range keys {
		owner := c.owner(k)
		for _, l := range c.nodes {
			await(t, "each node knows each owner", func() bool {
				id, epoch, _, ok := l.Owners().Owner(k)
				return ok && id == owner.Session() && epoch > 0
			})
		}
	}
}

// A node that beats no more is fenced by the leader and its shards have new owners; the zombie acks and serves nothing
// after that (I4, I13), and joins again.
func TestSilentNodeIsFenced(t *testing.T) {
	w := newWorld(t)
	c := w.team(2)
	g := &gate{}
	zombie := c.join("zombie", g.around(w))
	_, keys := w.stream(c.nodes[0], "s", 9)
	for _, k := range keys {
		c.put(k, "1", "2")
	}
	await(t, "the zombie-to-be has its part", func() bool {
		st, _ := zombie.Stats()
		return st.Shards == 3
	})
	var lost []leat.ShardKey
	for _, k := range keys {
		if c.owner(k) == zombie {
			lost = append(lost, k)
		}
	}
	before := zombie.Session()
	g.shut.Store(true)
	c.nodes = c.nodes[:2]
	for _, k := range keys {
		c.put(k, "3")
	}
	c.check()
	for _, k := range lost {
		if _, err := zombie.Read(context.Background(), k, 0, shardstore.ReadLimits{Records: 10, Bytes: 1 << 20}); err == nil {
			t.Fatal("the zombie served a read after its successor's first ack (I13)")
		}
	}
	g.shut.Store(false)
	for _, k := range lost {
		if err := zombie.put(k, "zombie"); err == nil {
			t.Fatal("the zombie acked a put")
		}
	}
	await(t, "the zombie has joined again", func() bool { return zombie.Ready() == nil && zombie.Session() != before })
	c.nodes = append(c.nodes, zombie)
	for _, k := range keys {
		c.put(k, "4")
	}
	c.check()
}

// The leader dies: another leads, fences it, and all goes on.
func TestLeaderDies(t *testing.T) {
	w := newWorld(t)
	g := &gate{}
	c := &team{world: w, acked: map[leat.ShardKey][]string{}}
	first := c.join("first", g.around(w))
	if c.leader() != first {
		t.Fatal("the first node does not lead")
	}
	c.join("second")
	c.join("third")
	_, keys := w.stream(c.nodes[1], "s", 6)
	for _, k := range keys {
		c.put(k, "1")
	}
	g.shut.Store(true)
	c.nodes = c.nodes[1:]
	began := time.Now()
	for _, k := range keys {
		c.put(k, "2")
	}
	t.Logf("all shards had owners again after %v", time.Since(began))
	c.check()
	c.leader()
}

// A node that stops in order leaves nothing to recover, and its shards have owners at once.
func TestDrainedNodeGivesItsShards(t *testing.T) {
	w := newWorld(t)
	c := w.team(3)
	_, keys := w.stream(c.nodes[0], "s", 9)
	for _, k := range keys {
		c.put(k, "1")
	}
	leaver := c.follower()
	id := leaver.Session()
	if err := leaver.end(); err != nil {
		t.Fatal(err)
	}
	for _, k := range keys {
		c.put(k, "2")
	}
	c.check()
	closed, err := w.cat.ListSessions(t.Context(), catalog.SessionClosed)
	if err != nil || len(closed) != 1 || closed[0].ID != id || !closed[0].Clean {
		t.Fatalf("closed sessions: %+v, %v", closed, err)
	}
}

// Everybody dies at once, and a new set of nodes starts: no operator is needed, however small the cap on fencing.
func TestColdStart(t *testing.T) {
	w := newWorld(t)
	g := &gate{}
	c := &team{world: w, acked: map[leat.ShardKey][]string{}}
	for i := range 3 {
		c.join(fmt.Sprint("old", i), g.around(w))
	}
	_, keys := w.stream(c.nodes[0], "s", 6)
	for _, k := range keys {
		c.put(k, "1")
	}
	g.shut.Store(true)
	c.nodes = nil
	for i := range 3 {
		c.join(fmt.Sprint("new", i))
	}
	for _, k := range keys {
		c.put(k, "2")
	}
	c.check()
}

// Splits, a merge and a deletion are carried out wherever the parents live.
func TestSharedTransitions(t *testing.T) {
	w := newWorld(t)
	c := w.team(3)
	s, keys := w.stream(c.nodes[0], "s", 3)
	for _, k := range keys {
		c.put(k, "1")
	}
	for i := range keys {
		if _, err := w.cat.BeginReshard(t.Context(), s.ID, catalog.Split(uint64(i), leat.SplitEvenly(6)[2*i+1].Start)); err != nil {
			t.Fatal(err)
		}
		await(t, "the split is done", func() bool { return w.status(s.ID) == leat.StreamActive })
	}
	for i := range 6 {
		c.put(leat.ShardKey{Stream: s.ID, Ordinal: uint64(3 + i)}, "child")
	}
	if _, err := w.cat.BeginReshard(t.Context(), s.ID, catalog.Merge(3, 4)); err != nil {
		t.Fatal(err)
	}
	await(t, "the merge is done", func() bool { return w.status(s.ID) == leat.StreamActive })
	c.put(leat.ShardKey{Stream: s.ID, Ordinal: 9}, "grandchild")
	c.check()
	if err := w.cat.BeginDelete(t.Context(), s.ID, true); err != nil {
		t.Fatal(err)
	}
	await(t, "the stream is gone everywhere", func() bool {
		_, err := w.cat.StreamByID(t.Context(), s.ID)
		_, all := c.counts()
		return leat.KindOf(err) == leat.KindNotFound && all == 0
	})
}

// balanced tells whether all nodes serve about as many shards, and none is on its way.
func (t *team) balanced(shards int) bool {
	counts, all := t.counts()
	moves, err := t.cat.Moves(context.Background(), leat.SessionID{})
	return err == nil && len(moves) == 0 && all == shards && slices.Max(counts)-slices.Min(counts) <= 1
}

// Nodes that join are given shards while puts go on, and one that is to leave gives all of its own away: nothing acked is
// lost, doubled or reordered.
func TestJoinsAndLeaves(t *testing.T) {
	w := newWorld(t)
	c := w.team(1)
	_, keys := w.stream(c.nodes[0], "s", 12)
	n := 0
	during := func(what string, done func() bool) {
		t.Helper()
		await(t, what, func() bool {
			n++
			for _, k := range keys {
				c.put(k, fmt.Sprint(n))
			}
			return done()
		})
		c.check()
	}
	c.join("second")
	c.join("third")
	during("three nodes are balanced", func() bool { return c.balanced(12) })
	c.join("fourth")
	during("four nodes are balanced", func() bool { return c.balanced(12) })
	leaver := c.follower()
	if err := w.cat.SetDraining(t.Context(), leaver.Session(), true); err != nil {
		t.Fatal(err)
	}
	during("the leaver has nothing", func() bool { st, _ := leaver.Stats(); return st.Shards == 0 })
	if err := leaver.end(); err != nil {
		t.Fatal(err)
	}
	during("all is at rest", func() bool {
		_, all := c.counts()
		return all == 12
	})
}

// The parents of a merge have two owners: one of them moves first.
func TestMergeAcrossOwners(t *testing.T) {
	w := newWorld(t)
	c := w.team(2)
	s, keys := w.stream(c.nodes[0], "s", 4)
	for _, k := range keys {
		c.put(k, "1")
	}
	await(t, "both nodes have shards", func() bool { return c.balanced(4) })
	low := 0
	for low < 3 && c.owner(keys[low]) == c.owner(keys[low+1]) {
		low++
	}
	if low == 3 {
		t.Fatal("one node has all shards")
	}
	if _, err := w.cat.BeginReshard(t.Context(), s.ID, catalog.Merge(uint64(low), uint64(low+1))); err != nil {
		t.Fatal(err)
	}
	await(t, "the merge is done", func() bool { return w.status(s.ID) == leat.StreamActive })
	c.put(leat.ShardKey{Stream: s.ID, Ordinal: 4}, "child")
	c.check()
}
