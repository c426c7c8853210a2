// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package wal_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore/blob/fault"
	"github.com/leatstream/leat/shardstore/segment"
	"github.com/leatstream/leat/shardstore/wal"
	"github.com/leatstream/leat/shardstore/wal/waltest"
)

func TestRecoverIgnoresWhatLiesBeyondTheFence(t *testing.T) {
	b := newBucket(t)
	b.data(0, 4)
	b.data(5, 4+wal.WindowSize) // sent, and never acked: 4 is missing
	for range 2 {
		rec, err := b.recover(0)
		if err != nil {
			t.Fatal(err)
		}
		waltest.CheckRecovered(t, rec, b.g, 0, 4)
	}
}

func TestRecoverFindsLargeFooters(t *testing.T) {
	b := newBucket(t)
	var chunks []*segment.Chunk
	for i := range uint64(2000) {
		c := segment.NewChunk(leat.ShardKey{Stream: leat.StreamID{1}, Ordinal: i}, 1, 0)
		r := leat.Record{PartitionKey: "k"}
		r.CRC = r.Checksum()
		c.Append(&r)
		chunks = append(chunks, c)
	}
	object, _, err := segment.NewCoder().Encode(segment.Header{Kind: segment.KindSegment, Cluster: b.g.Cluster, Session: b.g.Session}, chunks, nil, segment.Options{})
	if err != nil {
		t.Fatal(err)
	}
	b.put(0, object)
	b.put(1, b.g.Make(t, 1, 200_000))
	rec, err := b.recover(0)
	if err != nil || rec.Fence != 2 || len(rec.Segments[0].Footer.Extents) != 2000 {
		t.Fatalf("Recover = %d segments up to %d, %v", len(rec.Segments), rec.Fence, err)
	}
	for _, e := range rec.Segments[0].Footer.Extents {
		if e.Object != wal.Key(b.g.Session, 0) {
			t.Fatalf("extent in %q", e.Object)
		}
	}
}

func TestRecoverRefusesAStaleCatalog(t *testing.T) {
	for name, lay := range map[string]func(*bucket) (trim uint64){
		"an object a window beyond": func(b *bucket) uint64 {
			b.data(0, 3)
			b.put(3+wal.WindowSize, b.g.Make(b.t, 3+wal.WindowSize, 10))
			return 0
		},
		"everything below the true trim is gone": func(b *bucket) uint64 {
			b.g.Trim = 40
			b.data(40, 45)
			return 3
		},
		"a header that knows a later trim": func(b *bucket) uint64 {
			b.data(0, 3)
			b.g.Trim = 4
			b.data(4, 6)
			return 0
		},
		"a fence behind a gap": func(b *bucket) uint64 {
			b.data(0, 3)
			b.put(5, b.g.Fence(5))
			return 0
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBucket(t)
			trim := lay(b)
			before := len(b.keys())
			rec, err := b.recover(trim)
			if !errors.Is(err, wal.ErrStaleCatalog) || !strings.Contains(err.Error(), "leat rebuild") {
				t.Errorf("Recover = %+v, %v", rec, err)
			}
			if after := len(b.keys()); after != before {
				t.Error("a fence was written")
			}
		})
	}
}

func TestRecoverRefusesWhatDoesNotBelongThere(t *testing.T) {
	for name, object := range map[string]func(*bucket) []byte{
		"another session":     func(b *bucket) []byte { g := waltest.NewSegments(); g.Cluster = b.g.Cluster; return g.Make(b.t, 1, 10) },
		"another number":      func(b *bucket) []byte { return b.g.Make(b.t, 2, 10) },
		"another cluster":     func(b *bucket) []byte { g := *b.g; g.Cluster[0]++; return g.Make(b.t, 1, 10) },
		"a pack":              pack,
		"cut off":             func(b *bucket) []byte { o := b.g.Make(b.t, 1, 1000); return o[:len(o)-1] },
		"a footer with rot":   func(b *bucket) []byte { o := b.g.Make(b.t, 1, 1000); o[len(o)-60] ^= 4; return o },
		"nothing":             func(*bucket) []byte { return nil },
		"fence of a stranger": func(b *bucket) []byte { return waltest.NewSegments().Fence(1) },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBucket(t)
			b.data(0, 1)
			b.put(1, object(b))
			b.data(2, 4)
			if rec, err := b.recover(0); leat.KindOf(err) != leat.KindCorrupt {
				t.Errorf("Recover = %+v, %v", rec, err)
			}
		})
	}
}

func pack(b *bucket) []byte {
	object, _, err := segment.NewCoder().Encode(segment.Header{Kind: segment.KindPack, Cluster: b.g.Cluster, Session: b.g.Session, N: 1}, nil, nil, segment.Options{})
	if err != nil {
		b.t.Fatal(err)
	}
	return object
}

// TestFenceRaces has something else come to stand at the first missing place just before the fence arrives.
func TestFenceRaces(t *testing.T) {
	for _, c := range []struct {
		name  string
		first func(*bucket)
		fence uint64
	}{
		{"with the owner's segment", func(b *bucket) { b.data(2, 3) }, 3},
		{"with two of the owner's segments", func(b *bucket) { b.data(2, 4) }, 4},
		{"with another recoverer", func(b *bucket) { b.put(2, b.g.Fence(2)) }, 2},
		{"with both", func(b *bucket) { b.data(2, 3); b.put(3, b.g.Fence(3)) }, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBucket(t)
			b.data(0, 2)
			var done atomic.Bool
			b.fault.SetHook(func(op fault.Op, _ string) fault.Fault {
				if op == fault.Create && done.CompareAndSwap(false, true) {
					c.first(b)
				}
				return fault.Fault{}
			})
			rec, err := b.recover(0)
			if err != nil {
				t.Fatal(err)
			}
			waltest.CheckRecovered(t, rec, b.g, 0, c.fence)
		})
	}
}

func TestFenceWithoutAnAnswer(t *testing.T) {
	for _, kind := range []fault.Kind{fault.LoseAnswer, fault.Late, fault.Refuse, fault.Twice, fault.DuplicateLate} {
		b := newBucket(t)
		b.data(0, 2)
		b.fault.SetHook(fault.Script(fault.Create, fault.Fault{Kind: kind}))
		rec, err := b.recover(0)
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		waltest.CheckRecovered(t, rec, b.g, 0, 2)
		b.fault.ReleaseAll(t.Context())
		if rec, err = b.recover(0); err != nil || rec.Fence != 2 {
			t.Errorf("%s: once more: %d, %v", kind, rec.Fence, err)
		}
	}
}

// TestClosedIsAskedAtEveryMissingSegment: the session is closed, and its segments deleted, while a slow recoverer scans.
func TestClosedIsAskedAtEveryMissingSegment(t *testing.T) {
	b := newBucket(t)
	b.data(0, 3)
	o := waltest.Options(b.g)
	closed := false
	o.ClosedExists = func(context.Context) (bool, error) {
		if !closed {
			closed = true
			b.put(3, b.g.Make(t, 3, 10)) // so that the fence is refused and the scan goes on
			return false, nil
		}
		return true, nil
	}
	if rec, err := b.driver.Recover(t.Context(), b.g.Session, 0, o); !errors.Is(err, wal.ErrClosed) {
		t.Errorf("Recover = %+v, %v", rec, err)
	}
}

// TestRecoverersThatDie kills a recoverer at its k-th request, for every k. The next one comes to the same end, and so
// did the first, if it got to one.
func TestRecoverersThatDie(t *testing.T) {
	for _, applied := range []bool{false, true} {
		for k := int64(1); ; k++ {
			b := newBucket(t)
			b.data(0, 5)
			b.data(6, 9)
			ctx, die := context.WithCancel(t.Context())
			var calls atomic.Int64
			b.fault.SetHook(func(fault.Op, string) fault.Fault {
				switch c := calls.Add(1); {
				case c == k && applied:
					return fault.Fault{Hold: func(context.Context) error { die(); return context.Canceled }}
				case c >= k:
					die()
					return fault.Fault{Kind: fault.Refuse, Err: context.Canceled}
				}
				return fault.Fault{}
			})
			first, err := b.driver.Recover(ctx, b.g.Session, 0, waltest.Options(b.g))
			b.fault.SetHook(nil)
			second, again := b.recover(0)
			if again != nil {
				t.Fatalf("died at request %d: the next recoverer: %v", k, again)
			}
			waltest.CheckRecovered(t, second, b.g, 0, 5)
			die()
			if err == nil {
				waltest.CheckRecovered(t, first, b.g, 0, 5)
				if calls.Load() < k {
					break // it was not touched any more
				}
			}
		}
	}
}

// TestRecoverInChaos: whatever the network does, an answer is the right one.
func TestRecoverInChaos(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	good := 0
	for i := range uint64(60) {
		b := newBucket(t)
		b.data(0, 20)
		b.data(21, 24)
		b.fault.SetHook(fault.Seeded(seed+i, fault.Chaos(0.04)...))
		rec, err := b.recover(0)
		if err == nil {
			good++
			waltest.CheckRecovered(t, rec, b.g, 0, 20)
		}
		b.fault.SetHook(nil)
		b.fault.ReleaseAll(t.Context())
		if rec, err = b.recover(0); err != nil {
			t.Fatalf("seed %d: when all is quiet: %v", seed+i, err)
		}
		waltest.CheckRecovered(t, rec, b.g, 0, 20)
	}
	if good == 0 {
		t.Errorf("seed %d: no recovery came through", seed)
	}
}
