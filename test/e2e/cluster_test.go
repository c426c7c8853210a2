// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/leatstream/leat"
	leatv1 "github.com/leatstream/leat/api/leat/v1"
	"github.com/leatstream/leat/test/e2e/rig"
)

// These scenarios have three nodes of one cluster. Faults under load, by chance, are in test/fault.

const clusterShards = 12

// clusterTest is a cluster with one stream, and every record that was acknowledged to it.
type clusterTest struct {
	*testing.T
	*rig.Cluster
	shards []*leatv1.Shard

	mu    sync.Mutex
	acked []placed
	n     int
}

// placed is an acknowledged record.
type placed struct{ shard, sequence, data string }

func newCluster(t *testing.T, b *rig.Backend, nodes int) *clusterTest {
	t.Helper()
	c := &clusterTest{T: t, Cluster: rig.NewCluster(t, b, nodes, "--pack-every", "2s", "--shard-limits", "off")}
	c.Start(t)
	rig.Must(t, c.Nodes[0].Env(), "stream", "create", "s", "--shards", fmt.Sprint(clusterShards))
	var err error
	if c.shards, err = c.Shards(t.Context(), 0, "s"); err != nil || len(c.shards) != clusterShards {
		t.Fatalf("%d shards: %v", len(c.shards), err)
	}
	return c
}

// put puts one record into a shard at a node.
func (c *clusterTest) put(ctx context.Context, node int, shard *leatv1.Shard) error {
	c.mu.Lock()
	c.n++
	p := placed{shard: shard.GetShardId(), data: fmt.Sprintf("record %d by %s", c.n, c.Nodes[node].Name)}
	c.mu.Unlock()
	var err error
	if p.sequence, err = c.Put(ctx, node, "s", shard, []byte(p.data)); err != nil {
		return err
	}
	c.mu.Lock()
	c.acked = append(c.acked, p)
	c.mu.Unlock()
	got, err := c.Get(ctx, node, "s", p.shard, p.sequence)
	if err == nil && string(got) != p.data {
		c.Errorf("%s of %s holds %q, not %q", p.sequence, p.shard, got, p.data)
	}
	return err
}

// answers puts into and reads from every shard at every one of these nodes, again where that fails, and returns how long
// the slowest took to be served, and how many calls failed before.
func (c *clusterTest) answers(nodes []int, within time.Duration) (slowest time.Duration, failed int) {
	c.Helper()
	began := time.Now()
	ctx, cancel := context.WithTimeout(c.Context(), within)
	defer cancel()
	var all sync.WaitGroup
	var mu sync.Mutex
	for _, node := range nodes {
		for _, shard := range c.shards {
			all.Go(func() {
				tick := time.NewTicker(20 * time.Millisecond)
				defer tick.Stop()
				for {
					err := c.put(ctx, node, shard)
					mu.Lock()
					if err == nil {
						slowest = max(slowest, time.Since(began))
						mu.Unlock()
						return
					}
					failed++
					mu.Unlock()
					if ctx.Err() != nil {
						c.Errorf("%s does not answer for %s in %v: %v", c.Nodes[node].Name, shard.GetShardId(), within, err)
						return
					}
					if k := leat.KindOf(err); k != leat.KindUnavailable && k != leat.KindUnknownOutcome && k != leat.KindCanceled {
						c.Errorf("%s answers for %s: %v", c.Nodes[node].Name, shard.GetShardId(), err)
					}
					<-tick.C
				}
			})
		}
	}
	all.Wait()
	return slowest, failed
}

// whole checks that every acknowledged record is at its place as every running node reads it.
func (c *clusterTest) whole() {
	c.Helper()
	for _, i := range c.Running() {
		at := map[string]string{}
		for _, r := range getJSON(c.T, c.Nodes[i], "s") {
			if _, twice := at[r.ShardID+r.SequenceNumber]; twice {
				c.Errorf("%s reads %s of %s twice", c.Nodes[i].Name, r.SequenceNumber, r.ShardID)
			}
			at[r.ShardID+r.SequenceNumber] = string(r.Data)
		}
		for _, p := range c.acked {
			if got, ok := at[p.shard+p.sequence]; !ok || got != p.data {
				c.Fatalf("LOST: %q was acknowledged at %s of %s, where %s reads %q (%v)", p.data, p.sequence, p.shard, c.Nodes[i].Name, got, ok)
			}
		}
	}
	c.Logf("%d acknowledged records are at their places", len(c.acked))
}

// owners returns how many of the stream's shards each session owns, as a node knows.
func (c *clusterTest) owners(node int) map[string]int {
	c.Helper()
	shards, err := c.Shards(c.Context(), node, "s")
	if err != nil {
		c.Fatal(err)
	}
	of := map[string]int{}
	for _, s := range shards {
		of[s.GetOwnerSessionId()]++
	}
	return of
}

// Every node takes every request, whichever node serves the shard.
func TestAnyNodeServesAnyShard(t *testing.T) {
	t.Parallel()
	c := newCluster(t, rig.SharedBackend(t), 3)
	c.AwaitBalance(t, 3, clusterShards/3, time.Minute)
	if _, failed := c.answers(c.Running(), rig.Patience); failed > 0 {
		t.Errorf("%d calls failed with all nodes up", failed)
	}
	for i, n := range c.Nodes {
		if of := c.owners(i); len(of) != 3 || of[""] > 0 {
			t.Errorf("%s lists these owners: %v", n.Name, of)
		}
		if got, err := n.Metric(t.Context(), "leat_shards_owned"); err != nil || got < 2 {
			t.Errorf("%s has %v shards in /metrics: %v", n.Name, got, err)
		}
	}
	leader := c.Leader(t)
	for i, n := range c.Nodes {
		live, err := n.Metric(t.Context(), `leat_cluster_nodes{state="live"}`)
		if i == leader && (err != nil || live != 3) || i != leader && err == nil {
			t.Errorf("%s counts %v live nodes, and %s leads (%v)", n.Name, live, c.Nodes[leader].Name, err)
		}
	}
	rig.Must(t, c.Nodes[1].Env(), "consumer", "register", "s", "pushed")
	for i := range c.Nodes {
		for _, shard := range c.shards {
			c.pushed(i, shard)
		}
	}
	// Settings that were made at one node are in force at all of them.
	rig.Must(t, c.Nodes[2].Env(), "stream", "create", "other", "--shards", "3")
	for _, n := range c.Nodes {
		rig.Must(t, n.Env(), "put", "other", "hello", "--key", n.Name)
	}
	if got := getJSON(t, c.Nodes[0], "other"); len(got) != len(c.Nodes) {
		t.Errorf("%d records, want %d", len(got), len(c.Nodes))
	}
	c.whole()
	c.Stop(t)
	c.Check(t)
}

// The leader counts the cluster on /metrics.
func TestClusterMetrics(t *testing.T) {
	t.Parallel()
	n := rig.Serve(t, "node", rig.SharedBackend(t))
	n.Start(t)
	rig.Must(t, n.Env(), "stream", "create", "s", "--shards", "2")
	for name, want := range map[string]float64{
		"leat_leader": 1, `leat_cluster_nodes{state="live"}`: 1, `leat_cluster_nodes{state="fencing"}`: 0,
		"leat_cluster_shards": 2, "leat_cluster_shards_unowned": 0, "leat_cluster_shards_moving": 0,
	} {
		if got, err := n.Metric(t.Context(), name); err != nil || got != want {
			t.Errorf("%s is %v, want %v (%v)", name, got, want, err)
		}
	}
	n.Stop(t)
}

// pushed subscribes to a shard at one node, puts at another, and waits for the record.
func (c *clusterTest) pushed(node int, shard *leatv1.Shard) {
	c.Helper()
	ctx, cancel := context.WithTimeout(c.Context(), rig.Patience)
	defer cancel()
	sub, err := c.Client(node).Records.SubscribeToShard(ctx, &leatv1.SubscribeToShardRequest{
		Stream: "s", Consumer: "pushed", ShardId: shard.GetShardId(),
		Start: &leatv1.StartingPosition{Type: leatv1.StartingPositionType_STARTING_POSITION_TYPE_TRIM_HORIZON},
	})
	if err != nil {
		c.Fatalf("subscribe to %s at %s: %v", shard.GetShardId(), c.Nodes[node].Name, err)
	}
	if err := c.put(ctx, (node+1)%len(c.Nodes), shard); err != nil {
		c.Fatal(err)
	}
	want := c.acked[len(c.acked)-1].sequence
	for {
		res, err := sub.Recv()
		if err != nil && !errors.Is(err, io.EOF) || err != nil && ctx.Err() != nil {
			c.Fatalf("%s pushes of %s: %v", c.Nodes[node].Name, shard.GetShardId(), err)
		}
		for _, r := range res.GetRecords() {
			if r.GetSequenceNumber() == want {
				return
			}
		}
	}
}

// A node that is killed is missed for a few seconds at most, one that is asked to stop hardly at all, and one that joins
// has its part of the shards within a minute.
func TestNodesComeAndGo(t *testing.T) {
	t.Parallel()
	c := newCluster(t, rig.SharedBackend(t), 3)
	c.AwaitBalance(t, 3, clusterShards/3, time.Minute)
	c.answers(c.Running(), rig.Patience)

	leader := c.Leader(t)
	follower := (leader + 1) % 3
	for _, death := range []struct {
		of   string
		node int
	}{{"a follower", follower}, {"the leader", leader}} {
		c.Nodes[death.node].Kill(t)
		took, failed := c.answers(c.Running(), rig.Patience)
		t.Logf("after kill -9 of %s every shard answered at every other node within %v; %d calls failed", death.of, took.Round(10*time.Millisecond), failed)
		rig.Timely(t, took, failOver)
		c.Nodes[death.node].Start(t)
		c.AwaitBalance(t, 3, clusterShards/3, time.Minute)
	}

	for i, n := range c.Nodes {
		c.answers(c.Running(), rig.Patience)
		began := time.Now()
		n.Term(t)
		rest := []int{(i + 1) % 3, (i + 2) % 3}
		var took time.Duration
		for n.Running() { // from its first moments to its end
			slowest, failed := c.answers(rest, rig.Patience)
			if took = max(took, slowest); failed > 0 {
				t.Errorf("%d calls at other nodes failed while %s stopped", failed, n.Name)
			}
		}
		slowest, failed := c.answers(rest, rig.Patience)
		if took = max(took, slowest); failed > 0 {
			t.Errorf("%d calls at other nodes failed after %s had stopped", failed, n.Name)
		}
		t.Logf("%s stopped in %v; the slowest call at other nodes took %v", n.Name, time.Since(began).Round(10*time.Millisecond), took.Round(10*time.Millisecond))
		rig.Timely(t, took, handOver)
		if err := n.Exit(t); err != nil {
			t.Fatalf("%s: %v\n%s", n.Name, err, n.Log())
		}
		n.Start(t)
		c.AwaitBalance(t, 3, clusterShards/3, time.Minute)
	}

	// One that is asked to drain has no shards soon, stays, and passes on what it is asked.
	began := time.Now()
	rig.Must(t, c.Nodes[0].Env(), "node", "drain", c.Nodes[1].Name)
	rig.Eventually(t, time.Minute, "the node has handed over its shards", func() error {
		if left, err := c.Nodes[1].Metric(t.Context(), "leat_shards_owned"); err != nil || left > 0 {
			return fmt.Errorf("it has %v: %w", left, errors.Join(err, errors.New("not yet")))
		}
		return nil
	})
	t.Logf("a node was drained in %v", time.Since(began).Round(10*time.Millisecond))
	if _, failed := c.answers(c.Running(), rig.Patience); failed > 0 {
		t.Errorf("%d calls failed with a drained node", failed)
	}
	rig.Must(t, c.Nodes[0].Env(), "node", "drain", c.Nodes[1].Name, "--undo")
	c.AwaitBalance(t, 3, clusterShards/3, time.Minute)

	began = time.Now()
	c.Add(t).Start(t)
	c.AwaitBalance(t, 4, clusterShards/4, time.Minute)
	t.Logf("the fourth node had its part %v after its start", time.Since(began).Round(10*time.Millisecond))
	if _, failed := c.answers(c.Running(), rig.Patience); failed > 0 {
		t.Errorf("%d calls failed with all nodes up", failed)
	}
	c.whole()
	c.Stop(t)
	c.Check(t)
}

// What rig.Timely holds these to. A stop takes 0.1 to 0.3 s on a machine that has nothing else to do.
const (
	failOver  = 8 * time.Second
	handOver  = time.Second
	coldStart = 8 * time.Second
)

// While PostgreSQL is away, every node goes on taking every request for every shard.
func TestClusterGoesOnWithoutPostgres(t *testing.T) {
	t.Parallel()
	b := rig.NewBackend(t)
	c := newCluster(t, b, 3)
	c.AwaitBalance(t, 3, clusterShards/3, time.Minute)
	c.answers(c.Running(), rig.Patience)
	b.PG.Stop(t)
	end := time.Now().Add(6 * time.Second) // longer than it takes to declare a node dead
	for time.Now().Before(end) {
		if _, failed := c.answers(c.Running(), rig.Patience); failed > 0 {
			t.Fatalf("%d calls failed without PostgreSQL", failed)
		}
	}
	b.PG.Start(t)
	rig.Must(t, c.Nodes[2].Env(), "stream", "create", "after", "--shards", "3")
	rig.Must(t, c.Nodes[0].Env(), "put", "after", "hello", "--key", "k")
	if _, failed := c.answers(c.Running(), rig.Patience); failed > 0 {
		t.Errorf("%d calls failed after PostgreSQL had come back", failed)
	}
	for _, n := range c.Nodes {
		if strings.Contains(n.Log(), "recovered a session") {
			t.Errorf("%s declared another node dead, and none was:\n%s", n.Name, n.Log())
		}
	}
	c.whole()
	c.Stop(t)
	c.Check(t)
}

// All nodes die at once and come back, without anybody's help.
func TestClusterColdStart(t *testing.T) {
	t.Parallel()
	c := newCluster(t, rig.SharedBackend(t), 3)
	c.AwaitBalance(t, 3, clusterShards/3, time.Minute)
	c.answers(c.Running(), rig.Patience)
	for _, n := range c.Nodes {
		n.Kill(t)
	}
	began := time.Now()
	c.Start(t)
	c.answers(c.Running(), rig.Patience)
	took := time.Since(began)
	t.Logf("every shard answered at every node %v after the start", took.Round(10*time.Millisecond))
	rig.Timely(t, took, coldStart)
	c.AwaitBalance(t, 3, clusterShards/3, time.Minute)
	c.whole()
	c.Stop(t)
	c.Check(t)
}
