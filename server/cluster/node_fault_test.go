// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/sqldb"
	"github.com/leatstream/leat/server/catalog"
	"github.com/leatstream/leat/server/cluster"
	"github.com/leatstream/leat/shardstore"
	"github.com/leatstream/leat/shardstore/wal"
)

// FinishReshard is applied and its answers are lost: the intent is done, so nothing in the catalog reminds anybody. The
// node tells it again all the same; packing must not wait for ever.
func TestReshardWhoseAnswerIsLost(t *testing.T) {
	w := newWorld(t)
	var armed, down atomic.Bool
	var id atomic.Value
	lose := func() error {
		if armed.Load() && w.status(id.Load().(leat.StreamID)) == leat.StreamActive {
			armed.Store(false)
			down.Store(true)
			return errCut
		}
		return nil
	}
	refuse := func() error {
		if down.Load() {
			return errCut
		}
		return nil
	}
	a := w.node("a", func(c *cluster.Config) {
		c.Catalog = w.open(sqldb.Faults{BeforeCommit: refuse, AfterCommit: lose})
	}).awaitReady()
	s, k := w.stream(a, "s", 1)
	a.mustPut(k[0], "0")
	id.Store(s.ID)
	if _, err := w.cat.BeginReshard(t.Context(), s.ID, catalog.Split(0, leat.FullRange.Middle())); err != nil {
		t.Fatal(err)
	}
	armed.Store(true)
	a.Kick()
	await(t, "the answer of FinishReshard is lost", down.Load)
	down.Store(false)
	a.mustPut(leat.ShardKey{Stream: s.ID, Ordinal: 1}, "child")
	await(t, "everything is packed", func() bool {
		if err := a.Store().Pack(t.Context()); err != nil {
			t.Log(err)
		}
		st, _ := a.Stats()
		return st.Trim == st.Durable
	})
}

// The catalog is lost between a RESHARD record and FinishReshard: the node's edges are told all the same, the children
// take records, and the catalog is told once it is back.
func TestReshardWithoutTheCatalog(t *testing.T) {
	w := newWorld(t)
	var down atomic.Bool
	var parent atomic.Pointer[leat.ShardKey]
	var a *life
	told := make(chan shardstore.Reshard, 1)
	refuse := func() error {
		if k := parent.Load(); k != nil && !down.Load() { // from the moment on at which the parent is closed
			b, err := a.Store().Bounds(context.Background(), *k)
			down.Store(err == nil && b.Closed)
		}
		if down.Load() {
			return errCut
		}
		return nil
	}
	a = w.node("a", func(c *cluster.Config) {
		c.Catalog = w.open(sqldb.Faults{BeforeCommit: refuse})
		c.Resharded = func(_ context.Context, r shardstore.Reshard) { told <- r }
	}).awaitReady()
	s, k := w.stream(a, "s", 1)
	a.mustPut(k[0], "0", "1")
	if _, err := w.cat.BeginReshard(t.Context(), s.ID, catalog.Split(0, leat.FullRange.Middle())); err != nil {
		t.Fatal(err)
	}
	parent.Store(&k[0])
	a.Kick()
	r := <-told
	if len(r.Parents) != 1 || r.Parents[0].Final != 2 || len(r.Children) != 2 || r.Time == 0 {
		t.Errorf("told of %+v", r)
	}
	for _, c := range r.Children {
		a.mustPut(c.Shard, "child")
		a.mustRead(c.Shard, "child")
	}
	if st := w.status(s.ID); st != leat.StreamUpdating {
		t.Errorf("the stream is %s in a catalog that was not told", st)
	}
	parent.Store(nil)
	down.Store(false)
	await(t, "the catalog is told", func() bool { return w.status(s.ID) == leat.StreamActive })
}

// A node whose clock is wrong opens no session until it is right (rule 19).
func TestWrongClockOpensNoSession(t *testing.T) {
	w := newWorld(t)
	var off atomic.Int64
	off.Store(int64(time.Hour))
	a := w.node("a", func(c *cluster.Config) {
		c.Reference = func() (time.Time, error) { return time.Now().Add(time.Duration(off.Load())), nil }
	})
	await(t, "the node says why it does not serve", func() bool {
		err := a.Ready()
		return err != nil && strings.Contains(err.Error(), "clock is wrong by")
	})
	if err := a.ClockWrong(); leat.KindOf(err) != leat.KindUnavailable {
		t.Errorf("of the clock the node says %v", err)
	}
	off.Store(0)
	a.awaitReady()
	if err := a.ClockWrong(); err != nil {
		t.Errorf("of a clock that is right the node says %v", err)
	}
}

// slowBegin stands for any opening that takes longer than DeadAfter: a slow PUT, the read lease, many shards.
type slowBegin struct{ *wal.Objects }

func (d slowBegin) Begin(ctx context.Context, s leat.SessionID) error {
	c, _ := leat.SystemClock{}.NewTimer(400 * time.Millisecond)
	<-c
	return d.Objects.Begin(ctx, s)
}

// Two standbys and an opening that takes longer than DeadAfter: the heart beats meanwhile, so nobody fences it.
func TestOpeningIsNotTakenForDeath(t *testing.T) {
	w := newWorld(t)
	a := w.node("a").awaitReady()
	_, k := w.stream(a, "s", 1)
	a.mustPut(k[0], "1")
	slow := func(c *cluster.Config) { c.Driver = slowBegin{wal.NewObjects(w.blobs)} }
	b, c := w.node("b", slow), w.node("c", slow)
	standsBy := func(l *life) bool {
		err := l.Ready()
		return err != nil && strings.Contains(err.Error(), "stands by")
	}
	await(t, "both stand by", func() bool { return standsBy(b) && standsBy(c) })
	if err := a.end(); err != nil {
		t.Fatal(err)
	}
	await(t, "one of them serves", func() bool { return b.Ready() == nil || c.Ready() == nil })
	all, err := w.cat.ListSessions(t.Context())
	if err != nil || len(all) != 2 {
		t.Fatalf("%d sessions were opened, want 2 (%v)", len(all), err)
	}
}

// The catalog goes away right after the dead session is closed in it. Whoever opens next, and however often it tried,
// acks nothing before the zombie's read lease has passed (rule 13, I13).
func TestLeaseIsOutlastedAfterAFailedOpening(t *testing.T) {
	const lease = 1200 * time.Millisecond
	w := newWorld(t)
	cut := &gate{}
	long := func(c *cluster.Config) { c.Log.Lease = lease }
	a := w.node("a", long, cut.around(w)).awaitReady()
	_, k := w.stream(a, "s", 1)
	a.mustPut(k[0], "1")
	cut.shut.Store(true) // a knows nothing
	var down atomic.Bool
	var once atomic.Bool
	closed := func() bool {
		all, err := w.cat.ListSessions(context.Background(), catalog.SessionClosed)
		return err == nil && len(all) > 0
	}
	lose := func() error {
		if closed() && once.CompareAndSwap(false, true) {
			down.Store(true)
			return errCut
		}
		return nil
	}
	refuse := func() error {
		if down.Load() {
			return errCut
		}
		return nil
	}
	b := w.node("b", long, func(c *cluster.Config) { c.Catalog = w.open(sqldb.Faults{BeforeCommit: refuse, AfterCommit: lose}) })
	await(t, "a is fenced and the catalog is away", down.Load)
	fenced := time.Now()
	await(t, "b's opening has failed", func() bool {
		err := b.Ready()
		return err != nil && !strings.Contains(err.Error(), "recovering") && !strings.Contains(err.Error(), "stands by")
	})
	down.Store(false)
	b.awaitReady()
	b.mustPut(k[0], "2")
	if d := time.Since(fenced); d < lease {
		t.Errorf("the successor acked %v after the fence; the lease is %v", d, lease)
	}
	b.mustRead(k[0], "1", "2")
}
