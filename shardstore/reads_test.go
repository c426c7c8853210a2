// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package shardstore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore"
	"github.com/leatstream/leat/shardstore/blob"
	"github.com/leatstream/leat/shardstore/blob/fault"
)

// A page never exceeds its limits, save for one first record, and always makes progress.
func TestReadLimits(t *testing.T) {
	for _, tail := range []int64{1 << 30, 1} {
		r := newRig(t).shards(1)
		r.params.TailBytes, r.params.ReadWindow = tail, 2000
		r.params.SegmentTarget = 5000
		s := r.open()
		rng := seeded(t)
		var want []string
		for range 20 {
			var part []string
			for range 1 + rng.IntN(20) {
				part = append(part, strings.Repeat("x", rng.IntN(900)))
			}
			r.put(0, part...)
			want = append(want, part...)
			if rng.IntN(3) == 0 {
				if err := s.Pack(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
		}
		for at := uint64(0); at < uint64(len(want)); {
			lim := shardstore.ReadLimits{Records: 1 + rng.IntN(30), Bytes: 1 + rng.IntN(5000)}
			p, err := s.Read(t.Context(), r.key(0), at, lim)
			if err != nil || len(p.Records) == 0 || p.Next != at+uint64(len(p.Records)) {
				t.Fatalf("at %d: %d records, next %d, %v", at, len(p.Records), p.Next, err)
			}
			size := 0
			for i, rec := range p.Records {
				size += rec.Size()
				if rec.Offset != at+uint64(i) || string(rec.Data) != want[rec.Offset] {
					t.Fatalf("at %d: record %d is %d", at, i, rec.Offset)
				}
			}
			if len(p.Records) > lim.Records || len(p.Records) > 1 && size > lim.Bytes {
				t.Fatalf("at %d: %d records of %d bytes beyond %+v", at, len(p.Records), size, lim)
			}
			if (p.Behind == 0) != (p.Next == p.Tail) {
				t.Fatalf("next %d of %d is %v behind", p.Next, p.Tail, p.Behind)
			}
			at = p.Next
		}
		if p, err := s.Read(t.Context(), r.key(0), 1<<40, shardstore.ReadLimits{Records: 1, Bytes: 1}); err != nil || p.Next != 1<<40 || len(p.Records) != 0 {
			t.Fatalf("beyond the tail: %+v, %v", p, err)
		}
	}
}

// Records that compress very well: one window of stored bytes is decoded in several parts, and readers of different
// parts do not get in each other's way.
func TestReadersOfOneWindow(t *testing.T) {
	r := newRig(t).shards(1)
	r.params.TailBytes = 1
	s := r.open()
	const records, size = 80, 1 << 20
	data := strings.Repeat("0123456789abcdef", size/16)
	for range records / 8 {
		r.put(0, data, data, data, data, data, data, data, data)
	}
	r.put(0, "last") // what is before leaves memory
	if err := s.Pack(t.Context()); err != nil {
		t.Fatal(err)
	}
	var readers sync.WaitGroup
	for i := range 16 {
		readers.Go(func() {
			at := uint64(i * records / 16)
			p, err := s.Read(t.Context(), r.key(0), at, shardstore.ReadLimits{Records: 3, Bytes: 4 * size})
			if err != nil || len(p.Records) == 0 || p.Records[0].Offset != at || string(p.Records[0].Data) != data {
				t.Errorf("reader at %d: %d records, %v", at, len(p.Records), err)
			}
		})
	}
	readers.Wait()
}

// The horizon moves while somebody reads below it: the reader goes on at the horizon (rule 17).
func TestReadAcrossTheHorizon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t).shards(1)
		r.params.TailBytes = 1
		f := r.faulty()
		s := r.open()
		for i := range 4 {
			r.put(0, fmt.Sprint("old", i))
			if err := s.Pack(t.Context()); err != nil {
				t.Fatal(err)
			}
			pause(time.Hour)
		}
		r.put(0, "new")
		r.put(0, "newest")
		if err := s.Pack(t.Context()); err != nil {
			t.Fatal(err)
		}
		hung := fault.NewGate()
		f.SetHook(fault.Always(fault.Fault{Wait: hung.Wait}, fault.Read))
		type answer struct {
			page shardstore.Page
			err  error
		}
		got := make(chan answer)
		go func() {
			p, err := s.Read(t.Context(), r.key(0), 0, shardstore.ReadLimits{Records: 10, Bytes: 1 << 20})
			got <- answer{p, err}
		}()
		<-hung.Arrived()
		r.expire(leat.Micros(time.Now().Add(-time.Minute)))
		if err := s.Housekeep(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, o := range r.objects("pack/") { // as if the reader had been away for 15 minutes
			if named, err := r.index.Named(t.Context(), []string{o}); err != nil || !named[o] {
				t.Fatal(err)
			} else if _, due := r.index.deletions[o]; due {
				if err := f.Delete(t.Context(), o); err != nil {
					t.Fatal(err)
				}
			}
		}
		hung.Open()
		a := <-got
		if a.err != nil || len(a.page.Records) == 0 || string(a.page.Records[0].Data) != "new" || a.page.Records[0].Offset != 4 {
			t.Fatalf("%+v, %v", a.page, a.err)
		}
		if at, err := s.Locate(t.Context(), r.key(0), 1); err != nil || at != 4 {
			t.Fatalf("the first record is at %d, %v", at, err)
		}
	})
}

// An object that is gone though the index names it is an error to retry, never an empty page; the first failure alone
// is not told.
func TestMissingObject(t *testing.T) {
	r := newRig(t).shards(1)
	r.params.TailBytes = 1
	f := r.faulty()
	s := r.open()
	r.put(0, "first")
	r.put(0, "second")
	if err := s.Pack(t.Context()); err != nil {
		t.Fatal(err)
	}
	read := func() (shardstore.Page, error) {
		return s.Read(t.Context(), r.key(0), 0, shardstore.ReadLimits{Records: 1, Bytes: 100})
	}
	gone := fault.Fault{Kind: fault.Refuse, Err: blob.ErrNotFound}
	f.SetHook(fault.Script(fault.Read, gone, gone))
	if p, err := read(); leat.KindOf(err) != leat.KindUnavailable || s.Stats().Missing != 1 {
		t.Fatalf("a missing object: %+v, %v", p, err)
	}
	f.SetHook(fault.Script(fault.Read, gone))
	if p, err := read(); err != nil || len(p.Records) != 1 || s.Stats().Missing != 1 {
		t.Fatalf("an object that was missing once: %+v, %v", p, err)
	}
}

// A page says that its records were checked, and none is given out of memory that has changed.
func TestReadsCheckTheirMemory(t *testing.T) {
	for _, packed := range []bool{false, true} {
		r := newRig(t).shards(1)
		if packed {
			r.params.TailBytes = 1
		}
		s := r.open()
		r.put(0, "one", "two", "three")
		if err := s.Pack(t.Context()); err != nil {
			t.Fatal(err)
		}
		lim := shardstore.ReadLimits{Records: 10, Bytes: 1000}
		p, err := s.Read(t.Context(), r.key(0), 0, lim)
		if err != nil || !p.Checked || len(p.Records) != 3 {
			t.Fatalf("%d records, checked %v, %v", len(p.Records), p.Checked, err)
		}
		p.Records[1].Data[0] ^= 1 // the store's own memory, as a fault of it would change it
		if p, err := s.Read(t.Context(), r.key(0), 1, lim); leat.KindOf(err) != leat.KindCorrupt || len(p.Records) > 0 {
			t.Errorf("packed %v: %d records, %v", packed, len(p.Records), err)
		}
	}
}

// Bytes that were spoilt on their way are read again and never shown; bytes that are spoilt in the store are an error.
func TestSpoiltReads(t *testing.T) {
	for _, kind := range []fault.Kind{fault.Flip, fault.Truncate} {
		r := newRig(t).shards(1)
		r.params.TailBytes, r.params.CacheBytes = 1, 1
		f := r.faulty()
		s := r.open()
		want := texts("x", 500)
		r.put(0, want...)
		r.put(0, "last")
		if err := s.Pack(t.Context()); err != nil {
			t.Fatal(err)
		}
		spoilt := fault.Fault{Kind: kind, N: 300}
		f.SetHook(fault.Script(fault.Read, spoilt))
		r.wantAll(0, append(want, "last"))
		f.SetHook(nil)
		r.kill()
		s = r.reopen() // nothing is cached
		f.SetHook(fault.Always(spoilt, fault.Read))
		if p, err := s.Read(t.Context(), r.key(0), 0, shardstore.ReadLimits{Records: 10, Bytes: 1000}); leat.KindOf(err) != leat.KindCorrupt {
			t.Fatalf("%s: %d records, %v", kind, len(p.Records), err)
		}
	}
}

// A store that does not answer is no fault of ours: the reader is told to try again, and then finds everything.
func TestReadsWithTheStoreAway(t *testing.T) {
	r := newRig(t).shards(1)
	r.params.TailBytes, r.params.CacheBytes = 1, 1
	f := r.faulty()
	s := r.open()
	want := texts("x", 100)
	r.put(0, want...)
	r.put(0, "last")
	if err := s.Pack(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{nil, fault.ErrTimeout, fault.ErrBucketGone} {
		f.SetHook(fault.Always(fault.Fault{Kind: fault.Refuse, Err: err}, fault.Read))
		p, got := s.Read(t.Context(), r.key(0), 0, shardstore.ReadLimits{Records: 10, Bytes: 1000})
		if leat.KindOf(got) != leat.KindUnavailable || errors.Is(got, context.DeadlineExceeded) {
			t.Errorf("%v: %d records, %v", err, len(p.Records), got)
		}
	}
	f.SetHook(nil)
	r.wantAll(0, append(want, "last"))
}

// The tail is served from memory though the index is away, records that expired in it included.
func TestExpiredTailWithTheCatalogAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t).shards(1)
		s := r.open()
		r.put(0, "old", "old too")
		pause(time.Hour)
		minTime := leat.Micros(time.Now().Add(-time.Minute))
		r.index.setFault(away(false))
		p, err := s.Read(t.Context(), r.key(0), 0, shardstore.ReadLimits{Records: 10, Bytes: 1000, MinTime: minTime})
		if err != nil || len(p.Records) != 0 || p.Next != 2 {
			t.Fatalf("a tail that expired: %+v, %v", p, err)
		}
		r.put(0, "new")
		p, err = s.Read(t.Context(), r.key(0), 0, shardstore.ReadLimits{Records: 10, Bytes: 1000, MinTime: minTime})
		if err != nil || len(p.Records) != 1 || p.Records[0].Offset != 2 {
			t.Fatalf("a tail that expired in part: %+v, %v", p, err)
		}
	})
}

// Extents that nobody reads leave memory, and come back when they are asked for.
func TestIdleExtentsLeaveMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t).shards(1)
		r.params.TailBytes, r.params.CacheBytes = 1, 1
		s := r.open()
		want := texts("x", 100)
		for part := range 4 {
			r.put(0, want[25*part:25*part+25]...)
			if err := s.Pack(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		var asked int
		r.index.setFault(func(op string, after bool) error {
			if op == "extents" && !after {
				asked++
			}
			return nil
		})
		r.wantAll(0, want)
		r.wantAll(0, want)
		if asked != 1 {
			t.Errorf("the index was asked %d times for one shard", asked)
		}
		pause(r.params.UnloadAfter + time.Hour)
		before := asked
		r.wantAll(0, want)
		if asked != before+1 {
			t.Errorf("after an hour the index was asked %d times", asked-before)
		}
	})
}

// What was read from small extents and then from the merged one is the same, whatever is still cached.
func TestReadWhileMerging(t *testing.T) {
	r := newRig(t).shards(1)
	r.params.TailBytes, r.params.MergeFanIn, r.params.ReadWindow = 1, 4, 3000
	s := r.open()
	rng := seeded(t)
	var want []string
	ctx, stop := context.WithCancel(t.Context())
	var mu sync.Mutex
	var readers sync.WaitGroup
	for i := range 3 {
		readers.Go(func() {
			for at := uint64(0); ctx.Err() == nil; {
				p, err := s.Read(ctx, r.key(0), at, shardstore.ReadLimits{Records: 50 + 20*i, Bytes: 5000})
				if err != nil {
					if !errors.Is(err, context.Canceled) {
						t.Errorf("read at %d: %v", at, err)
					}
					return
				}
				mu.Lock()
				for j, rec := range p.Records {
					if rec.Offset != at+uint64(j) || !bytes.Equal(rec.Data, []byte(want[rec.Offset])) {
						t.Errorf("read at %d gave %d", at, rec.Offset)
					}
				}
				mu.Unlock()
				if at = p.Next; at == p.Tail {
					at = 0
				}
			}
		})
	}
	for range 60 {
		part := texts(fmt.Sprint(rng.Uint32()), 1+rng.IntN(60))
		mu.Lock()
		want = append(want, part...)
		mu.Unlock()
		r.put(0, part...)
		if err := errors.Join(s.Pack(t.Context()), s.Housekeep(t.Context())); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	readers.Wait()
	if s.Stats().Merges == 0 {
		t.Fatal("nothing was merged")
	}
	r.wantAll(0, want)
	r.fsck()
}

// What was read back of a shard leaves memory with it, and nothing else does.
func TestDroppedShardsLeaveTheCache(t *testing.T) {
	r := newRig(t).shards(2)
	r.params.TailBytes = 1
	s := r.open()
	for i := range 2 {
		r.put(i, texts(fmt.Sprint("x", i), 100)...)
		r.put(i, "last")
	}
	if err := s.Pack(t.Context()); err != nil {
		t.Fatal(err)
	}
	read := func(i int) int64 {
		t.Helper()
		if p, err := s.Read(t.Context(), r.key(i), 0, shardstore.ReadLimits{Records: 10, Bytes: 1000}); err != nil || len(p.Records) == 0 {
			t.Fatalf("%d records, %v", len(p.Records), err)
		}
		return s.Stats().CacheBytes
	}
	one := read(0)
	both := read(1)
	if one == 0 || both <= one {
		t.Fatalf("the cache has %d bytes, then %d", one, both)
	}
	s.DropShards([]leat.ShardKey{r.key(1)})
	if left := s.Stats().CacheBytes; left != one {
		t.Errorf("the cache has %d bytes, want %d", left, one)
	}
	hits := s.Stats().CacheHits
	if read(0); s.Stats().CacheHits == hits {
		t.Error("the other shard has left the cache")
	}
}
