// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package fault

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/leatstream/leat"
	leatv1 "github.com/leatstream/leat/api/leat/v1"
	"github.com/leatstream/leat/test/e2e/rig"
)

// Three nodes that share their shards. Nodes, the roads between them, database and object store are killed, stopped,
// frozen and cut, while streams are resharded and shards move.
func TestClusterUnderFaults(t *testing.T) {
	t.Parallel()
	b, ledger := newBackend(t)
	c := rig.NewCluster(t, b, 3, "--pack-every", "2s", "--shard-limits", "off")
	f, storage := clusterFaults{c}, serveFaults{b}
	f.usualClocks()
	c.Start(t)
	w := newWorld(t, c.Nodes, ledger, func() rig.Fsck { return b.Check(t) })
	w.shared = true
	w.rotate([]fault{
		{"kill -9 of a node", f.killOne},
		{"kill -9 of the leader", f.killLeader},
		{"kill -9 of two nodes", f.killTwo},
		{"kill -9 of all nodes", f.killAll},
		{"kill -9 of the leader while it recovers another", f.killRecoverer},
		{"SIGTERM of a node", f.stopOne},
		{"rolling restart", f.rollingRestart},
		{"zombie", f.zombie},
		{"zombie that led", f.zombieLeader},
		{"zombie without PostgreSQL", f.blindZombie},
		{"a short freeze", f.hiccup},
		{"the road to a node cut", f.cutOne},
		{"the road to a node silent", f.silenceOne},
		{"every road cut", f.cutAll},
		{"PostgreSQL stopped", storage.postgresStopped},
		{"PostgreSQL crashed", storage.postgresCrashed},
		{"PostgreSQL crashed amid a split", f.crashAmidSplit},
		{"S3 stopped", storage.s3Stopped},
		{"S3 frozen", storage.s3Frozen},
		{"S3 slow", storage.s3Slow},
		{"S3 refuses", storage.s3Refuses},
		{"S3 loses answers", storage.s3Loses},
		{"kill -9 while S3 is away", storage.killWithoutS3},
		{"kill -9 while PostgreSQL is away", storage.killWithoutPostgres},
		{"a clock that is wrong", f.wrongClock},
	})
	w.finish()
}

// clusterFaults are the faults of nodes that share their shards.
type clusterFaults struct{ c *rig.Cluster }

// victim chooses a node.
func (f clusterFaults) victim(w *world) int { return w.random.IntN(len(f.c.Nodes)) }

// owning chooses a node that serves an open shard of the load, so that it is missed.
func (f clusterFaults) owning(w *world) (at int) {
	w.t.Helper()
	rig.Eventually(w.t, rig.Patience, "a node chosen by chance serves a shard", func() error {
		at = f.victim(w)
		session, err := f.ask(w, at)
		if err != nil {
			return err
		}
		shards, err := f.c.Shards(w.t.Context(), at, mainStream)
		if err == nil && !slices.ContainsFunc(shards, func(s *leatv1.Shard) bool { return session != "" && s.GetOwnerSessionId() == session }) {
			err = fmt.Errorf("%s serves none", f.c.Nodes[at].Name)
		}
		return err
	})
	return at
}

// killOne: the others take over its shards. The dead one comes back and has some again.
func (f clusterFaults) killOne(w *world) { f.kill(w, f.owning(w)) }

func (f clusterFaults) killLeader(w *world) { f.kill(w, f.c.Leader(w.t)) }

func (f clusterFaults) killTwo(w *world) {
	i := f.victim(w)
	f.kill(w, i, (i+1)%len(f.c.Nodes))
}

func (f clusterFaults) kill(w *world, nodes ...int) {
	for _, i := range nodes {
		f.c.Nodes[i].Kill(w.t)
	}
	w.served(nodes...)
	w.progress("while nodes are dead", 50, rig.Patience)
	f.launch(w, nodes...)
}

func (f clusterFaults) launch(w *world, nodes ...int) {
	for _, i := range nodes {
		f.c.Nodes[i].Launch(w.t)
	}
	for _, i := range nodes {
		f.c.Nodes[i].Await(w.t)
	}
}

func (f clusterFaults) killAll(w *world) {
	for _, n := range f.c.Nodes {
		n.Kill(w.t)
	}
	f.launch(w, 0, 1, 2)
	w.served()
}

// killRecoverer: the leader dies when it is about to settle the death of another node, or is amid that. The third one
// goes on with what it finds.
func (f clusterFaults) killRecoverer(w *world) {
	leader := f.c.Leader(w.t)
	first := (leader + 1 + w.random.IntN(2)) % 3
	f.c.Nodes[first].Kill(w.t)
	w.hold(w.between(2*time.Second, 4500*time.Millisecond))
	f.c.Nodes[leader].Kill(w.t)
	w.served(first, leader)
	f.launch(w, first, leader)
}

func (f clusterFaults) stopOne(w *world) {
	i := f.victim(w)
	f.c.Nodes[i].Stop(w.t)
	w.served(i)
	w.progress("while a node is away", 50, rig.Patience)
	f.launch(w, i)
}

func (f clusterFaults) rollingRestart(w *world) {
	for i, n := range f.c.Nodes {
		n.Stop(w.t)
		f.launch(w, i)
	}
}

// zombie: a node is frozen for longer than it takes to be declared dead, is replaced, and goes on with what it was
// doing. From then on it may acknowledge nothing and give nothing to readers of what it owned; the history would show it.
func (f clusterFaults) zombie(w *world) { f.freeze(w, f.owning(w)) }

func (f clusterFaults) zombieLeader(w *world) { f.freeze(w, f.c.Leader(w.t)) }

func (f clusterFaults) freeze(w *world, i int) {
	was := f.session(w, i)
	f.c.Nodes[i].Freeze(w.t)
	w.served(i)
	f.buried(w, was)
	w.progress("while a node is frozen", 50, rig.Patience)
	f.c.Nodes[i].Thaw(w.t)
	f.reborn(w, i, was)
}

// buried waits until a session is closed: one that owned nothing is missed by no reader.
func (f clusterFaults) buried(w *world, session string) {
	w.t.Helper()
	rig.Eventually(w.t, rig.Patience, "a dead session is closed", func() error {
		nodes, err := f.c.List(w.t.Context())
		if err == nil && slices.ContainsFunc(nodes, func(n *leatv1.Node) bool { return n.GetSessionId() == session }) {
			err = errors.New("it is there")
		}
		return err
	})
}

// blindZombie: a zombie that cannot learn from the database that it was replaced. What it tries to write, and its own
// look into the bucket before a read, tell it.
func (f clusterFaults) blindZombie(w *world) {
	i := f.owning(w)
	was := f.session(w, i)
	f.c.Nodes[i].Freeze(w.t)
	w.served(i)
	f.buried(w, was)
	w.progress("while a node is frozen", 50, rig.Patience)
	defer w.rest(i)()
	f.c.PG.Crash(w.t)
	f.c.Nodes[i].Thaw(w.t)
	rig.Eventually(w.t, rig.Patience, "the zombie serves nothing", func() error { return stands(w.t.Context(), f.c.Nodes[i]) })
	w.static("while PostgreSQL is down", 200, rig.Patience)
	f.c.PG.Start(w.t)
	f.reborn(w, i, was)
}

// session is the one that a node has open.
func (f clusterFaults) session(w *world, i int) (id string) {
	w.t.Helper()
	rig.Eventually(w.t, rig.Patience, "the node has a session", func() (err error) {
		if id, err = f.ask(w, i); err == nil && id == "" {
			err = errors.New("it has none")
		}
		return err
	})
	return id
}

func (f clusterFaults) ask(w *world, i int) (session string, err error) {
	ctx, cancel := context.WithTimeout(w.t.Context(), callWithin)
	defer cancel()
	res, err := f.c.Client(i).System.GetServerInfo(ctx, &leatv1.GetServerInfoRequest{})
	return res.GetServer().GetSessionId(), err
}

// reborn waits until a node serves with another session than it had.
func (f clusterFaults) reborn(w *world, i int, was string) {
	w.t.Helper()
	rig.Eventually(w.t, rig.Patience, "the zombie has a new session", func() error {
		now, err := f.ask(w, i)
		if err == nil && (now == "" || now == was) {
			err = fmt.Errorf("its session is %q", now)
		}
		return err
	})
	f.c.Nodes[i].Await(w.t)
}

// crashAmidSplit: the database is lost at any moment of a split, also when the split is durable and nobody but the owner
// knows. Every node goes on taking records for every hash key, since the owner says what became of the parent.
func (f clusterFaults) crashAmidSplit(w *world) {
	defer w.rest()()
	w.split(f.emptiest(w))
	w.hold(w.between(0, 1500*time.Millisecond))
	f.c.PG.Crash(w.t)
	w.everywhere("while PostgreSQL is down")
	f.c.PG.Start(w.t)
}

// emptiest returns the session with the fewest shards of those that have an open one of the load: one shard more, and
// nothing needs to move.
func (f clusterFaults) emptiest(w *world) (id string) {
	w.t.Helper()
	rig.Eventually(w.t, rig.Patience, "some node has few shards", func() error {
		nodes, err := f.c.List(w.t.Context())
		if err != nil {
			return err
		}
		shards, err := f.c.Shards(w.t.Context(), 0, mainStream)
		if err != nil {
			return err
		}
		slices.SortFunc(nodes, func(a, b *leatv1.Node) int { return int(a.GetShardCount() - b.GetShardCount()) })
		for _, n := range nodes {
			if slices.ContainsFunc(shards, func(s *leatv1.Shard) bool { return s.GetOwnerSessionId() == n.GetSessionId() }) {
				id = n.GetSessionId()
				return nil
			}
		}
		return errors.New("nobody owns a shard of the load")
	})
	return id
}

// hiccup: too short a freeze for anybody to be declared dead.
func (f clusterFaults) hiccup(w *world) {
	n := f.c.Nodes[f.victim(w)]
	n.Freeze(w.t)
	w.hold(w.between(200*time.Millisecond, 1500*time.Millisecond))
	n.Thaw(w.t)
}

// cutOne: a node lives, and its clients reach it, but other nodes do not.
func (f clusterFaults) cutOne(w *world) {
	road := f.c.Roads[f.victim(w)]
	road.Cut()
	w.hold(w.between(time.Second, 5*time.Second))
	road.Mend()
}

// silenceOne: the same, and nobody is told: calls hang.
func (f clusterFaults) silenceOne(w *world) {
	road := f.c.Roads[f.victim(w)]
	road.Silence()
	w.hold(w.between(time.Second, 8*time.Second))
	road.Mend()
}

func (f clusterFaults) cutAll(w *world) {
	for _, road := range f.c.Roads {
		road.Cut()
	}
	w.hold(w.between(time.Second, 5*time.Second))
	for _, road := range f.c.Roads {
		road.Mend()
	}
}

// served waits until every node, other than some, answers reads of every shard that is open. It is called when a fault
// has just begun.
func (w *world) served(but ...int) {
	w.t.Helper()
	began := time.Now()
	ctx, cancel := context.WithTimeout(w.t.Context(), rig.Patience)
	defer cancel()
	var all sync.WaitGroup
	for i, n := range w.nodes {
		if !slices.Contains(but, i) && n.Running() {
			all.Go(func() { w.reads(ctx, i) })
		}
	}
	all.Wait()
	took := time.Since(began)
	w.over = max(w.over, took)
	w.t.Logf("%6.1fs every shard is served after %v", time.Since(w.began).Seconds(), took.Round(10*time.Millisecond))
}

// reads waits until a node answers reads of every open shard.
func (w *world) reads(ctx context.Context, node int) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := errors.Join(w.readsOf(ctx, node, mainStream), w.readsOf(ctx, node, tailStream))
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			w.t.Errorf("%s does not answer for every shard: %v", w.nodes[node].Name, err)
			return
		}
	}
}

func (w *world) readsOf(ctx context.Context, node int, stream string) error {
	ctx, cancel := context.WithTimeout(ctx, callWithin)
	defer cancel()
	c := w.probes[node]
	res, err := c.Shards.ListShards(ctx, &leatv1.ListShardsRequest{Stream: stream, PageSize: leat.MaxListShards})
	if err != nil {
		return err
	}
	var all sync.WaitGroup
	errs := make([]error, len(res.GetShards()))
	for i, s := range res.GetShards() {
		if s.GetCloseTime() != nil {
			continue
		}
		all.Go(func() {
			latest := &leatv1.StartingPosition{Type: leatv1.StartingPositionType_STARTING_POSITION_TYPE_LATEST}
			it, err := c.Records.GetShardIterator(ctx, &leatv1.GetShardIteratorRequest{Stream: stream, ShardId: s.GetShardId(), Start: latest})
			if err == nil {
				_, err = c.Records.GetRecords(ctx, &leatv1.GetRecordsRequest{ShardIterator: it.GetShardIterator(), Limit: 1})
			}
			errs[i] = err
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

// A rolling restart of the whole cluster, behind a load balancer, under an AWS SDK with its defaults: whatever a request
// meets, the SDK's own retries hide it, and no record is lost, doubled or out of order.
func TestRollingRestartUnderAnSDK(t *testing.T) {
	t.Parallel()
	l := newSDKLoad(t, rig.SharedBackend(t), "")
	l.await("before any restart", 200)
	for _, n := range l.c.Nodes {
		began := time.Now()
		n.Stop(t)
		n.Start(t)
		t.Logf("%s was restarted in %v", n.Name, time.Since(began).Round(10*time.Millisecond))
		l.await("after the restart of "+n.Name, 200)
	}
	final := l.finish()
	v := l.history.Check(final)
	for _, broken := range v.Broken {
		t.Error(broken)
	}
	counts := l.history.Counts()
	t.Logf("%d records acknowledged, %d read meanwhile, %d lost; the slowest call took %v", counts.Acked, counts.Reads, v.Lost, l.slowest().Round(10*time.Millisecond))
	for _, n := range l.c.Nodes {
		if strings.Contains(n.Log(), "recovered a session") {
			t.Errorf("a stop in order left %s something to recover", n.Name)
		}
	}
	l.c.Stop(t)
	if f := billed(t, l.c.Verify(t), l.c.Check(t)); f.Records != final.Records() {
		t.Errorf("leat fsck counts %d records, %d were read back", f.Records, final.Records())
	}
}
