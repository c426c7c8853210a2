// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package forward_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore"
)

var all = shardstore.ReadLimits{Records: 1000, Bytes: 1 << 20}

// Every read answers the same from any node.
func TestReads(t *testing.T) {
	r := newRig(t, 2, within)
	r.open(shard(0), r.nodes[1])
	for i := range 20 {
		r.must(r.nodes[0].router.Append(t.Context(), []shardstore.Put{put(shard(0), fmt.Sprint("k", i), fmt.Sprint(i))}))
	}
	for i, n := range r.nodes {
		p, err := n.router.Read(t.Context(), shard(0), 5, shardstore.ReadLimits{Records: 10, Bytes: 1000})
		r.must(err)
		if len(p.Records) != 10 || p.Next != 15 || p.Tail != 20 || p.Behind != 5 || p.Ended {
			t.Errorf("node %d: page %+v", i, p)
		}
		for j := range p.Records {
			got := &p.Records[j]
			if got.Offset != uint64(5+j) || string(got.Data) != fmt.Sprint(5+j) || got.PartitionKey != fmt.Sprint("k", 5+j) || got.CRC != got.Checksum() || got.Time != int64(1_000_005+j) {
				t.Errorf("node %d: record %d is %+v", i, j, got)
			}
		}
		if at, err := n.router.Locate(t.Context(), shard(0), 1_000_007); err != nil || at != 7 {
			t.Errorf("node %d: located %d, %v", i, at, err)
		}
		if b, err := n.router.Bounds(t.Context(), shard(0)); err != nil || b != (shardstore.Bounds{Epoch: 1, Tail: 20, LastTime: 7, Closed: true}) {
			t.Errorf("node %d: bounds %+v, %v", i, b, err)
		}
		if p, err := n.router.Read(t.Context(), shard(0), 20, all); err != nil || len(p.Records) != 0 || p.Next != 20 {
			t.Errorf("node %d: at the tail %+v, %v", i, p, err)
		}
	}
}

// What an engine says of a read comes through as it is.
func TestReadRefused(t *testing.T) {
	r := newRig(t, 2, within)
	r.open(shard(0), r.nodes[1])
	r.nodes[1].session.Load().refuse = &leat.Error{Kind: leat.KindCorrupt, Message: "broken", Err: errors.New("a bad block")}
	_, err := r.nodes[0].router.Read(t.Context(), shard(0), 0, all)
	var e *leat.Error
	if !errors.As(err, &e) || e.Kind != leat.KindCorrupt || e.Message != "broken" || e.Err == nil || e.Err.Error() != "a bad block" {
		t.Errorf("the read ended with %#v", err)
	}
}

// A read whose connection breaks is made again; one whose owner hangs goes to the next owner.
func TestReadRetried(t *testing.T) {
	r := newRig(t, 3, within)
	r.open(shard(0), r.nodes[1])
	r.must(r.nodes[1].router.Append(t.Context(), []shardstore.Put{put(shard(0), "a", "1")}))
	var reads atomic.Int64
	s := r.nodes[1].session.Load()
	s.reading = func(ctx context.Context) error {
		if reads.Add(1) == 1 {
			r.nodes[1].road.cut()
			<-ctx.Done()
			return ctx.Err()
		}
		return nil
	}
	p, err := r.nodes[0].router.Read(t.Context(), shard(0), 0, all)
	if err != nil || len(p.Records) != 1 || reads.Load() < 2 {
		t.Fatalf("after a cut: %+v, %v", p, err)
	}
	hung := make(chan struct{})
	s.mu.Lock()
	s.reading = func(ctx context.Context) error {
		close(hung)
		<-ctx.Done()
		return ctx.Err()
	}
	s.mu.Unlock()
	done := make(chan error)
	go func() {
		_, err := r.nodes[0].router.Read(t.Context(), shard(0), 0, all)
		done <- err
	}()
	<-hung
	r.open(shard(0), r.nodes[2])
	r.must(<-done)
}

// A read that finds no owner in time says so; one that is given up ends with its context.
func TestReadNoOwner(t *testing.T) {
	r := newRig(t, 1, 30*time.Millisecond)
	if _, err := r.nodes[0].router.Bounds(t.Context(), shard(0)); leat.KindOf(err) != leat.KindUnavailable {
		t.Errorf("it ended with %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.nodes[0].router.Locate(ctx, shard(0), 1); !errors.Is(err, context.Canceled) {
		t.Errorf("it ended with %v", err)
	}
}

// waiting starts a Wait at another node and returns when it stands there.
func (r *rig) waiting(ctx context.Context, n *node, k leat.ShardKey, from uint64) chan error {
	r.t.Helper()
	before := n.router.Calls()
	done := make(chan error, 1)
	go func() { done <- n.router.Wait(ctx, k, from) }()
	r.poll("a wait at the owner", func() bool { return n.router.Calls() == before+1 })
	return done
}

// A wait ends when the record comes, when the shard moves, when the owner stops, when the connection breaks, and when
// nobody waits any more.
func TestWait(t *testing.T) {
	r := newRig(t, 3, within)
	n := r.nodes[0]
	r.open(shard(0), r.nodes[1])

	done := r.waiting(t.Context(), n, shard(0), 0)
	r.must(n.router.Append(t.Context(), []shardstore.Put{put(shard(0), "a", "1")}))
	r.must(<-done)
	r.must(n.router.Wait(t.Context(), shard(0), 0))

	done = r.waiting(t.Context(), n, shard(0), 1)
	r.release(shard(0), r.nodes[1])
	if err := <-done; !errors.Is(err, shardstore.ErrNotOwned) {
		t.Errorf("after a release: %v", err)
	}
	if err := n.router.Wait(t.Context(), shard(0), 1); !errors.Is(err, shardstore.ErrNotOwned) {
		t.Errorf("at an owner that knows nothing of the shard: %v", err)
	}
	r.open(shard(0), r.nodes[1])
	done = r.waiting(t.Context(), n, shard(0), 1)
	r.owners.forget(shard(0)) // as when the owner is a zombie, which does not know
	if err := <-done; !errors.Is(err, shardstore.ErrNotOwned) {
		t.Errorf("after the shard moved: %v", err)
	}
	if err := n.router.Wait(t.Context(), shard(0), 1); !errors.Is(err, shardstore.ErrNotOwned) {
		t.Errorf("without an owner: %v", err)
	}
	r.open(shard(0), r.nodes[2])
	done = r.waiting(t.Context(), n, shard(0), 1)
	r.nodes[2].road.cut()
	if err := <-done; !errors.Is(err, shardstore.ErrNotOwned) {
		t.Errorf("after a cut: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done = r.waiting(ctx, n, shard(0), 1)
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("given up: %v", err)
	}
	done = r.waiting(t.Context(), n, shard(0), 1)
	r.nodes[2].server.Stop()
	r.nodes[2].server.Stop()
	if err := <-done; !errors.Is(err, shardstore.ErrNotOwned) {
		t.Errorf("after a stop: %v", err)
	}
}
