// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/sqldb"
	"github.com/leatstream/leat/server/catalog"
	"github.com/leatstream/leat/server/cluster"
	"github.com/leatstream/leat/shardstore"
	"github.com/leatstream/leat/shardstore/blob"
	"github.com/leatstream/leat/shardstore/blob/fault"
	"github.com/leatstream/leat/shardstore/blob/mem"
	"github.com/leatstream/leat/shardstore/wal"
)

// world is one catalog and one bucket, on which nodes live and die.
type world struct {
	t     *testing.T
	file  string
	cat   *catalog.Catalog
	info  catalog.ClusterInfo
	blobs blob.Store
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, file: filepath.Join(inMemory(t), "catalog.db"), blobs: mem.New(time.Now)}
	w.cat = w.open(sqldb.Faults{})
	if err := w.cat.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	var err error
	if w.info, err = w.cat.Cluster(t.Context()); err != nil {
		t.Fatal(err)
	}
	return w
}

// inMemory makes a folder in memory, where the system has such: nodes here count as dead after 200 ms, and a commit to the
// disk of a busy machine may take as long.
func inMemory(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "leat-cluster-") //nolint:usetesting // t.TempDir is on a disk
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// open opens the catalog by connections of its own.
func (w *world) open(faults sqldb.Faults) *catalog.Catalog {
	w.t.Helper()
	return w.openWith(faults, catalog.Options{})
}

func (w *world) openWith(faults sqldb.Faults, o catalog.Options) *catalog.Catalog {
	w.t.Helper()
	db, err := sqldb.Open(w.t.Context(), sqldb.Config{SQLite: w.file, Faults: faults})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = db.Close() })
	return catalog.New(db, o)
}

// life is one running node.
type life struct {
	*cluster.Node
	t    *testing.T
	stop context.CancelFunc
	done chan error
	once sync.Once
	err  error
}

// node starts a node whose object store may be made to fail.
func (w *world) node(name string, change ...func(*cluster.Config)) *life {
	w.t.Helper()
	log := wal.ObjectParams()
	log.Lease, log.StallAfter = 200*time.Millisecond, time.Second
	cfg := cluster.Config{
		Catalog: w.cat, Info: w.info, Driver: wal.NewObjects(w.blobs), Log: log, Blobs: w.blobs, Node: name,
		Streams:   func(leat.StreamID) (leat.Stream, bool) { return leat.Stream{}, false },
		Heartbeat: 20 * time.Millisecond, DeadAfter: 200 * time.Millisecond, Transition: time.Millisecond, Drain: 10 * time.Second,
	}
	for _, c := range change {
		c(&cfg)
	}
	ctx, stop := context.WithCancel(context.Background())
	l := &life{Node: cluster.New(cfg), t: w.t, stop: stop, done: make(chan error, 1)}
	go func() { l.done <- l.Run(ctx) }()
	w.t.Cleanup(func() { _ = l.end() })
	return l
}

// end stops the node in order and returns what Run said.
func (l *life) end() error {
	l.once.Do(func() {
		l.stop()
		l.err = <-l.done
	})
	return l.err
}

// await polls until ok, for a bounded time: what happens in between is other goroutines' doing, without a signal.
func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

func (l *life) awaitReady() *life {
	l.t.Helper()
	await(l.t, "the node is ready", func() bool { return l.Ready() == nil })
	return l
}

// stream makes a stream and returns the keys of its shards once they take puts.
func (w *world) stream(l *life, name string, shards int) (leat.Stream, []leat.ShardKey) {
	w.t.Helper()
	s, err := w.cat.CreateStream(w.t.Context(), catalog.NewStream{Account: leat.DevAccount, Name: name, Mode: leat.ModeProvisioned, Shards: shards, Retention: 24 * time.Hour, MaxRecordBytes: 1 << 20})
	if err != nil {
		w.t.Fatal(err)
	}
	l.Kick()
	await(w.t, "the stream is active", func() bool { return w.status(s.ID) == leat.StreamActive })
	keys := make([]leat.ShardKey, shards)
	for i := range keys {
		keys[i] = leat.ShardKey{Stream: s.ID, Ordinal: uint64(i)}
	}
	return s, keys
}

func (w *world) status(id leat.StreamID) leat.StreamStatus {
	w.t.Helper()
	s, err := w.cat.StreamByID(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	return s.Status
}

func (l *life) put(k leat.ShardKey, text string) error {
	p := []shardstore.Put{{Shard: k, Record: leat.Record{PartitionKey: "k", Data: []byte(text)}}}
	p[0].Record.CRC = p[0].Record.Checksum()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := l.Append(ctx, p); err != nil {
		return err
	}
	return p[0].Err
}

func (l *life) mustPut(k leat.ShardKey, texts ...string) {
	l.t.Helper()
	for _, text := range texts {
		if err := l.put(k, text); err != nil {
			l.t.Fatalf("put %q: %v", text, err)
		}
	}
}

func (l *life) mustRead(k leat.ShardKey, want ...string) {
	l.t.Helper()
	var got []string
	for from, tail := uint64(0), uint64(1); from < tail; {
		page, err := l.Read(context.Background(), k, from, shardstore.ReadLimits{Records: 1000, Bytes: 1 << 20})
		if err != nil {
			l.t.Fatalf("read: %v", err)
		}
		for _, r := range page.Records {
			got = append(got, string(r.Data))
		}
		from, tail = page.Next, page.Tail
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		l.t.Fatalf("read %q, want %q", got, want)
	}
}

func TestDrainedNodeLeavesNothing(t *testing.T) {
	w := newWorld(t)
	a := w.node("a").awaitReady()
	_, k := w.stream(a, "s", 2)
	a.mustPut(k[0], "1", "2")
	if err := a.end(); err != nil {
		t.Fatal(err)
	}
	sessions, err := w.cat.ListSessions(t.Context())
	if err != nil || len(sessions) != 1 || !sessions[0].Clean {
		t.Fatalf("after a clean stop: %+v, %v", sessions, err)
	}
	b := w.node("b").awaitReady()
	b.mustRead(k[0], "1", "2")
	b.mustPut(k[0], "3")
	b.mustRead(k[0], "1", "2", "3")
}

// A second node takes nothing while the first lives, and everything when it is dead (rule 9, I4, I12).
func TestStandbyTakesOver(t *testing.T) {
	w := newWorld(t)
	gate := &gate{}
	a := w.node("a", gate.around(w)).awaitReady()
	_, k := w.stream(a, "s", 2)
	a.mustPut(k[0], "1", "2")
	b := w.node("b")
	await(t, "the second node stands by", func() bool {
		err := b.Ready()
		return err != nil && strings.Contains(err.Error(), "stands by")
	})
	a.mustPut(k[0], "3")
	if err := b.put(k[0], "x"); leat.KindOf(err) != leat.KindUnavailable {
		t.Fatalf("a put to the standby: %v", err)
	}

	gate.shut.Store(true) // a is cut off from catalog and store, and does not know it
	b.awaitReady()
	b.mustRead(k[0], "1", "2", "3")
	b.mustPut(k[0], "4")
	if _, err := a.Read(context.Background(), k[0], 0, shardstore.ReadLimits{Records: 10, Bytes: 1 << 20}); err == nil {
		t.Fatal("the zombie served a read after its successor's first ack (I13)")
	}
	gate.shut.Store(false)
	if err := a.put(k[0], "zombie"); err == nil {
		t.Fatal("the zombie acked a put")
	}
	await(t, "the zombie has become a standby", func() bool {
		err := a.Ready()
		return err != nil && strings.Contains(err.Error(), "stands by")
	})
	b.mustPut(k[0], "5")
	b.mustRead(k[0], "1", "2", "3", "4", "5")
}

// gate cuts a node off from the catalog and the store.
type gate struct {
	shut atomic.Bool
	met  atomic.Int64 // how often it was found shut
}

var errCut = errors.New("cut off")

func (g *gate) check() error {
	if g.shut.Load() {
		g.met.Add(1)
		return errCut
	}
	return nil
}

// around puts the gate between a node and the world.
func (g *gate) around(w *world) func(*cluster.Config) {
	return func(c *cluster.Config) {
		store := fault.New(w.blobs, func(fault.Op, string) fault.Fault {
			if g.check() != nil {
				return fault.Fault{Kind: fault.Refuse, Err: errCut}
			}
			return fault.Fault{}
		})
		c.Blobs, c.Driver = store, wal.NewObjects(store)
		c.Catalog = w.open(sqldb.Faults{BeforeCommit: g.check})
	}
}

// A session whose store fails ends itself; the process stays, says why, and goes on when the store is back (rule 5).
func TestStoreAwayAndBack(t *testing.T) {
	w := newWorld(t)
	g := &gate{}
	a := w.node("a", g.around(w)).awaitReady()
	_, k := w.stream(a, "s", 1)
	a.mustPut(k[0], "1")
	first := a.Session()
	g.shut.Store(true)
	if err := a.put(k[0], "lost?"); !errors.Is(err, shardstore.ErrUnknownOutcome) && leat.KindOf(err) != leat.KindUnavailable {
		t.Fatalf("a put while the store is away: %v", err)
	}
	await(t, "the session has ended", func() bool { return a.Ready() != nil })
	g.shut.Store(false)
	a.awaitReady()
	if a.Session() == first {
		t.Fatal("the dead session came back")
	}
	a.mustPut(k[0], "2")
	a.mustRead(k[0], "1", "2")
}

// The catalog away: puts and reads of the tail go on (static stability), and so does the session when it is back: what
// a heartbeat was told before its commit failed is not held against the catalog.
func TestCatalogAway(t *testing.T) {
	w := newWorld(t)
	g := &gate{}
	a := w.node("a", func(c *cluster.Config) { c.Catalog = w.open(sqldb.Faults{BeforeCommit: g.check}) }).awaitReady()
	_, k := w.stream(a, "s", 1)
	g.shut.Store(true)
	for i := range 50 {
		a.mustPut(k[0], fmt.Sprint(i))
	}
	page, err := a.Read(context.Background(), k[0], 40, shardstore.ReadLimits{Records: 10, Bytes: 1 << 20})
	if err != nil || len(page.Records) != 10 {
		t.Fatalf("reads while the catalog is away: %d records, %v", len(page.Records), err)
	}
	session := a.Session()
	await(t, "beats are lost at their commit", func() bool { return g.met.Load() > 5 })
	g.shut.Store(false)
	before := a.beats(w)
	await(t, "the heart beats again", func() bool { return a.beats(w) > before+3 })
	if a.Session() != session || a.Ready() != nil {
		t.Fatalf("session %s, then %s: %v", session, a.Session(), a.Ready())
	}
	if err := a.end(); err != nil {
		t.Fatal(err)
	}
	b := w.node("b").awaitReady()
	var want []string
	for i := range 50 {
		want = append(want, fmt.Sprint(i))
	}
	b.mustRead(k[0], want...)
}

func TestSplitMergeScaleDelete(t *testing.T) {
	w := newWorld(t)
	a := w.node("a").awaitReady()
	s, k := w.stream(a, "s", 2)
	a.mustPut(k[0], "0", "1")
	settled := func() bool { return w.status(s.ID) == leat.StreamActive }
	step := func(st catalog.Step) {
		t.Helper()
		if _, err := w.cat.BeginReshard(t.Context(), s.ID, st); err != nil {
			t.Fatal(err)
		}
		a.Kick()
		await(t, "the reshard is done", settled)
	}
	step(catalog.Split(0, leat.SplitEvenly(4)[1].Start))
	child := leat.ShardKey{Stream: s.ID, Ordinal: 2}
	a.mustPut(child, "child")
	if err := a.put(k[0], "late"); !errors.Is(err, shardstore.ErrResharded) {
		t.Fatalf("a put to a parent: %v", err)
	}
	step(catalog.Merge(2, 3))
	a.mustRead(child, "child")
	if _, err := w.cat.SetTargetShards(t.Context(), s.ID, 5, nil); err != nil {
		t.Fatal(err)
	}
	a.Kick()
	await(t, "the stream has five shards", func() bool { return settled() && w.openShards(s.ID) == 5 })

	// A restart in the middle of all this changes nothing.
	if err := a.end(); err != nil {
		t.Fatal(err)
	}
	b := w.node("b").awaitReady()
	b.mustRead(k[0], "0", "1")
	b.mustRead(child, "child")

	if err := w.cat.BeginDelete(t.Context(), s.ID, true); err != nil {
		t.Fatal(err)
	}
	b.Kick()
	await(t, "the stream is gone", func() bool {
		_, err := w.cat.StreamByID(t.Context(), s.ID)
		return leat.KindOf(err) == leat.KindNotFound
	})
	// The catalog forgets the stream a moment before the node does.
	await(t, "a put to a deleted stream is refused", func() bool { return errors.Is(b.put(child, "x"), shardstore.ErrNotOwned) })
}

func (w *world) openShards(id leat.StreamID) (n int) {
	w.t.Helper()
	all, err := w.cat.Shards(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	for i := range all {
		if all[i].Open() {
			n++
		}
	}
	return n
}
