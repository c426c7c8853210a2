// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package shardstore_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore"
	"github.com/leatstream/leat/shardstore/blob"
	"github.com/leatstream/leat/shardstore/blob/fault"
	"github.com/leatstream/leat/shardstore/blob/mem"
	"github.com/leatstream/leat/shardstore/wal"
)

// rig is a store on a bucket in memory, an index in memory and a log on either, which can be killed and opened again.
type rig struct {
	tb     testing.TB
	index  *memIndex
	blobs  blob.Store
	driver wal.Driver
	log    wal.Params
	params shardstore.Params
	clock  leat.Clock
	logger *slog.Logger
	keepMu sync.Mutex
	keep   shardstore.Retention // what retention answers
	store  *shardstore.Store
	stream leat.StreamID
	guard  *shardstore.ClockGuard // nil: each session has its own
	keys   shardstore.Keys        // nil: nothing is encrypted
	// retention of every stream
	retention func(now time.Time) shardstore.Retention
}

func newRig(tb testing.TB) *rig {
	tb.Helper()
	blobs := mem.New(time.Now)
	r := &rig{
		tb: tb, index: newMemIndex(), blobs: blobs, driver: wal.NewObjects(blobs), log: wal.ObjectParams(),
		params: shardstore.DefaultParams(), clock: leat.SystemClock{}, logger: slog.New(slog.DiscardHandler),
		keep: shardstore.Retention{Keep: 24 * time.Hour}, stream: leat.NewID[leat.StreamID](nil),
	}
	r.retention = func(time.Time) shardstore.Retention {
		r.keepMu.Lock()
		defer r.keepMu.Unlock()
		return r.keep
	}
	r.log.Lease = 0 // a single owner; the lease has its own tests
	r.log.PutsPerSecond = 0
	return r
}

func (r *rig) key(i int) leat.ShardKey { return leat.ShardKey{Stream: r.stream, Ordinal: uint64(i)} }

// shards adds n shards to the index.
func (r *rig) shards(n int) *rig {
	for i := range n {
		r.index.addShard(r.key(i))
	}
	return r
}

// open opens a session and takes all shards that nobody owns.
func (r *rig) open() *shardstore.Store {
	r.tb.Helper()
	s, err := r.tryOpen()
	if err != nil {
		r.tb.Fatalf("open: %v", err)
	}
	return s
}

func (r *rig) tryOpen() (*shardstore.Store, error) {
	id := leat.NewID[leat.SessionID](nil)
	r.index.openSession(id)
	s, err := shardstore.Open(context.Background(), shardstore.Config{
		Session: id, Driver: r.driver, Log: r.log, Blobs: r.blobs, Index: r.index, Params: r.params,
		Clock: r.clock, Logger: r.logger,
		Retention:     func(_ leat.StreamID, now time.Time) (shardstore.Retention, bool) { return r.retention(now), true },
		SessionClosed: r.index.sessionsClosed, Guard: r.guard, Keys: r.keys,
	})
	if err != nil {
		return nil, err
	}
	if err := r.assign(s); err != nil {
		s.Fail(err)
		return nil, err
	}
	r.store = s
	r.tb.Cleanup(func() { s.Fail(errors.New("test over")) })
	return s, nil
}

// assign hands the session every shard that it owns, or that has no owner, with what closed sessions still hold.
func (r *rig) assign(s *shardstore.Store) error { return r.assignFrom(r.blobs, s) }

// assignFrom is assign with closings read from a bucket of the caller's.
func (r *rig) assignFrom(blobs blob.Store, s *shardstore.Store) error {
	assigned, pending := r.index.take(s.Session())
	for i := range assigned {
		a := &assigned[i]
		for _, id := range pending[a.Shard] {
			c, err := shardstore.ReadClosing(context.Background(), blobs, id)
			if err != nil {
				return err
			}
			for _, cs := range c.Shards {
				if cs.Shard == a.Shard {
					a.Pending = append(a.Pending, shardstore.Pending{Session: id, Extents: cs.Extents})
					a.LastTime = max(a.LastTime, cs.LastTime)
				}
			}
		}
	}
	return s.OpenShards(assigned)
}

// faulty puts a store that misbehaves on request in front of the bucket, for sessions opened from now on.
func (r *rig) faulty() *fault.Store {
	f := fault.New(r.blobs, nil)
	r.blobs, r.driver = f, wal.NewObjects(f)
	return f
}

// expire makes everything before a time expired, in microseconds.
func (r *rig) expire(before int64) {
	r.keepMu.Lock()
	defer r.keepMu.Unlock()
	r.keep.ExpiredBefore = before
}

// pause waits in the bubble's time.
func pause(d time.Duration) { <-time.After(d) }

// kill ends the session as a crash does: nothing is flushed, packed or closed.
func (r *rig) kill() { r.store.Fail(errors.New("killed")) }

// recover ends every session that is not closed.
func (r *rig) recover() error {
	for id, s := range r.index.sessions {
		if s.state == "closed" {
			continue
		}
		trim := r.index.fence(id)
		c, err := shardstore.Recover(context.Background(), shardstore.Recovery{Driver: r.driver, Blobs: r.blobs}, id, trim)
		if err != nil {
			return err
		}
		r.index.close(c)
	}
	return nil
}

// reopen recovers what is dead and opens the next session.
func (r *rig) reopen() *shardstore.Store {
	r.tb.Helper()
	if err := r.recover(); err != nil {
		r.tb.Fatalf("recover: %v", err)
	}
	return r.open()
}

// put appends records with the given data to a shard and returns the outcomes.
func (r *rig) put(shard int, data ...string) []shardstore.Put {
	r.tb.Helper()
	puts := make([]shardstore.Put, len(data))
	for i, d := range data {
		puts[i] = put(r.key(shard), d)
	}
	if err := r.store.Append(context.Background(), puts); err != nil {
		r.tb.Fatalf("append: %v", err)
	}
	return puts
}

func put(k leat.ShardKey, data string) shardstore.Put {
	p := shardstore.Put{Shard: k, Record: leat.Record{PartitionKey: "k", Data: []byte(data)}}
	p.Record.CRC = p.Record.Checksum()
	return p
}

// all reads a shard from its horizon to its tail.
func (r *rig) all(shard int) []leat.Record {
	r.tb.Helper()
	var out []leat.Record
	for from := uint64(0); ; {
		p, err := r.store.Read(context.Background(), r.key(shard), from, shardstore.ReadLimits{Records: 1000, Bytes: 10 << 20})
		if err != nil {
			r.tb.Fatalf("read shard %d at %d: %v", shard, from, err)
		}
		out = append(out, p.Records...)
		if p.Next >= p.Tail {
			return out
		}
		if p.Next == from {
			r.tb.Fatalf("read shard %d stands still at %d of %d", shard, from, p.Tail)
		}
		from = p.Next
	}
}

// wantAll checks that a shard holds exactly these records, in order and densely numbered.
func (r *rig) wantAll(shard int, want []string) {
	r.tb.Helper()
	got := r.all(shard)
	if len(got) != len(want) {
		r.tb.Fatalf("shard %d has %d records, want %d", shard, len(got), len(want))
	}
	for i := range want {
		if string(got[i].Data) != want[i] || got[i].Offset != uint64(i) {
			r.tb.Fatalf("shard %d record %d: offset %d data %.40q, want %.40q", shard, i, got[i].Offset, got[i].Data, want[i])
		}
		if i > 0 && got[i].Time < got[i-1].Time {
			r.tb.Fatalf("shard %d record %d: time falls (I9)", shard, i)
		}
	}
}

// fsck checks the index against the bucket.
func (r *rig) fsck() {
	r.tb.Helper()
	for _, p := range r.problems() {
		r.tb.Errorf("fsck: %v", p)
	}
}

// problems is what fsck finds.
func (r *rig) problems() (found []shardstore.Problem) {
	r.tb.Helper()
	snapshot, pending := r.index.snapshot()
	shards := func(yield func(shardstore.FsckShard, error) bool) {
		for _, f := range snapshot {
			for _, id := range pending[f.Shard] {
				c, err := shardstore.ReadClosing(context.Background(), r.blobs, id)
				if err != nil {
					yield(f, err)
					return
				}
				for _, cs := range c.Shards {
					if cs.Shard == f.Shard {
						f.Pending = append(f.Pending, shardstore.Pending{Session: id, Extents: cs.Extents})
					}
				}
			}
			if !yield(f, nil) {
				return
			}
		}
	}
	_, err := shardstore.Fsck(context.Background(), r.driver, r.blobs, r.keys, shards, func(p shardstore.Problem) { found = append(found, p) })
	if err != nil {
		found = append(found, shardstore.Problem{Text: err.Error()})
	}
	return found
}

// seeded returns a source of randomness whose seed is printed when the test fails.
func seeded(tb testing.TB) *rand.Rand {
	tb.Helper()
	seed := rand.Uint64()
	tb.Cleanup(func() {
		if tb.Failed() {
			tb.Logf("seed %d", seed)
		}
	})
	return rand.New(rand.NewPCG(seed, 1))
}

func texts(prefix string, n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("%s-%06d", prefix, i)
	}
	return out
}
