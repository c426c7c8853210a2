// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package shardstore_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore"
	"github.com/leatstream/leat/shardstore/blob/fault"
	"github.com/leatstream/leat/shardstore/segment"
)

var errAway = errors.New("the catalog is away")

// away makes every call of the index fail, before or after it is executed.
func away(after bool) func(string, bool) error {
	return func(_ string, is bool) error {
		if is == after {
			return errAway
		}
		return nil
	}
}

// With the catalog away puts and reads go on. What a node keeps in memory for it grows by an extent a shard and pack,
// not by one a shard and segment; and when it is back everything is registered once (I15).
func TestCatalogAwayForLong(t *testing.T) {
	for name, after := range map[string]bool{"refuses": false, "loses answers": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t).shards(3)
				r.params.TailBytes = 1 // what is packed has to be read back
				s := r.open()
				r.index.setFault(away(after))
				want := make([][]string, 3)
				for minute := range 20 {
					for i := range 30 {
						d := texts(fmt.Sprintf("m%d-%d", minute, i), 3)
						r.put(i%3, d...)
						want[i%3] = append(want[i%3], d...)
						pause(2 * time.Second)
					}
				}
				if n := s.Stats().Unindexed; n > 3*(20+10+1) {
					t.Errorf("%d extents wait for the catalog after 20 minutes of 3 shards", n)
				}
				if err := s.Err(); err != nil {
					t.Fatalf("the session ended: %v", err)
				}
				for i := range want {
					r.wantAll(i, want[i])
				}
				r.index.setFault(nil)
				pause(3 * time.Minute)
				if st := s.Stats(); st.Unindexed != 0 || st.Trim == 0 {
					t.Errorf("after the catalog is back: %+v", st)
				}
				if got := r.index.usage[r.stream]; got != 20*30*3 {
					t.Errorf("usage of %d records, want %d (I15)", got, 20*30*3)
				}
				r.fsck()
				r.kill()
				r.reopen()
				for i := range want {
					r.wantAll(i, want[i])
				}
			})
		})
	}
}

// The memory for what the catalog does not know is bounded; beyond it puts are refused, and taken again afterwards.
func TestCatalogAwayForTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t).shards(2)
		r.params.UnindexedRuns = 20
		s := r.open()
		r.index.setFault(away(false))
		var refused error
		for range 100 {
			puts := []shardstore.Put{put(r.key(0), "x"), put(r.key(1), "y")}
			if refused = s.Append(t.Context(), puts); refused != nil {
				break
			}
		}
		if leat.KindOf(refused) != leat.KindThroughputExceeded || !errors.Is(refused, shardstore.ErrOverloaded) {
			t.Fatalf("100 segments were taken with room for 10: %v", refused)
		}
		r.index.setFault(nil)
		pause(2 * time.Minute)
		r.put(0, "z")
		if n := s.Stats().Unindexed; n > 1 {
			t.Errorf("%d extents are not in the index", n)
		}
	})
}

// Close ends in time though the catalog is away, says that it left something, and recovery finds it.
func TestCloseWithTheCatalogAway(t *testing.T) {
	for name, after := range map[string]bool{"refuses": false, "loses answers": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t).shards(1)
				s := r.open()
				want := texts("x", 10)
				r.put(0, want...)
				r.index.setFault(away(after))
				pause(5 * time.Minute) // the packer is at it
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
				defer cancel()
				if err := s.Close(ctx); err == nil {
					t.Fatal("Close says that nothing is left")
				}
				if ctx.Err() != nil {
					t.Fatal("Close waited for the catalog until its context ended")
				}
				r.index.setFault(nil)
				r.reopen()
				r.wantAll(0, want)
				if err := r.store.Pack(t.Context()); err != nil {
					t.Fatal(err)
				}
				if got := r.index.usage[r.stream]; got != 10 {
					t.Errorf("usage of %d records, want 10 (I15)", got)
				}
				r.fsck()
			})
		})
	}
}

// A reshard that the catalog has not heard of stays in the log: Close says so, and recovery finishes it (rule 16).
func TestCloseWithAnUnconfirmedReshard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t).shards(1)
		s := r.open()
		parent := texts("p", 5)
		r.put(0, parent...)
		split := shardstore.Reshard{ID: "r", Parents: []segment.ReshardParent{{Shard: r.key(0)}}, Children: []segment.ReshardChild{{Shard: r.key(1)}, {Shard: r.key(2)}}}
		if _, err := s.Reshard(t.Context(), split); err != nil {
			t.Fatal(err)
		}
		r.put(1, "child")
		if err := s.Close(t.Context()); err == nil {
			t.Fatal("Close says that nothing is left")
		}
		r.reopen()
		r.wantAll(0, parent)
		r.wantAll(1, []string{"child"})
		r.fsck()
	})
}

// Two callers of Close hear the same.
func TestCloseTwice(t *testing.T) {
	r := newRig(t).shards(1)
	s := r.open()
	r.put(0, "x")
	errs := make(chan error)
	for range 2 {
		go func() { errs <- s.Close(t.Context()) }()
	}
	for range 2 {
		if err := <-errs; err != nil {
			t.Errorf("Close: %v", err)
		}
	}
	if err := s.Close(t.Context()); err != nil {
		t.Errorf("Close again: %v", err)
	}
	closes := 0
	for n := range s.Stats().Durable {
		b, err := r.driver.Read(t.Context(), s.Session(), n, 0, -1)
		if err != nil {
			t.Fatal(err)
		}
		f, _, err := segment.ParseFooter(b, int64(len(b)))
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range f.Controls {
			if c.Kind == segment.ControlClose {
				closes++
			}
		}
	}
	if closes != 1 {
		t.Errorf("%d CLOSE records", closes)
	}
}

// A reshard whose caller gave up is on its way all the same; the same call again tells how it ended.
func TestReshardAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t).shards(1)
		hung := fault.NewGate()
		f := r.faulty()
		s := r.open()
		r.put(0, texts("p", 7)...)
		f.SetHook(fault.Always(fault.Fault{Wait: hung.Wait}, fault.Create))
		split := shardstore.Reshard{ID: "r", Parents: []segment.ReshardParent{{Shard: r.key(0)}}, Children: []segment.ReshardChild{{Shard: r.key(1)}}}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := s.Reshard(ctx, split); !errors.Is(err, shardstore.ErrUnknownOutcome) {
			t.Fatalf("a reshard that nobody answered: %v", err)
		}
		if err := s.Append(ctx, []shardstore.Put{put(r.key(1), "early")}); err != nil {
			t.Fatal(err)
		}
		f.SetHook(nil)
		hung.Open()
		done, err := s.Reshard(t.Context(), split)
		if err != nil || done.Parents[0].Final != 7 {
			t.Fatalf("the same reshard again: %+v, %v", done, err)
		}
		other := split
		other.ID = "other"
		if _, err := s.Reshard(t.Context(), other); !errors.Is(err, shardstore.ErrResharded) {
			t.Fatalf("another reshard of a closed parent: %v", err)
		}
		r.wantAll(1, nil)
		r.put(1, "child")
		r.wantAll(1, []string{"child"})
	})
}

// A merge that the catalog refuses is dropped; a pack that it refuses ends the session (I4, I7).
func TestRefusedRegistrations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t).shards(1)
		r.params.MergeFanIn = 4
		s := r.open()
		var want []string
		for i := range 8 {
			r.put(0, fmt.Sprint(i))
			want = append(want, fmt.Sprint(i))
			if err := s.Pack(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		r.index.setFault(func(op string, after bool) error {
			if op == "register" && !after {
				return fmt.Errorf("%w: as the test wants it", shardstore.ErrFenced)
			}
			return nil
		})
		if err := s.Housekeep(t.Context()); err != nil || s.Err() != nil {
			t.Fatalf("a merge was refused: %v, %v", err, s.Err())
		}
		r.wantAll(0, want)
		r.put(0, "last")
		if err := s.Pack(t.Context()); !errors.Is(err, shardstore.ErrFenced) {
			t.Fatalf("a pack was refused: %v", err)
		}
		<-s.Done()
		if !errors.Is(s.Err(), shardstore.ErrFenced) {
			t.Errorf("the session ended with %v", s.Err())
		}
	})
}

// A store that hangs fills the memory for records that are not durable to its bound and no further; what is beyond is
// refused as overload, and all is well when the store goes on (rule 4).
func TestOverload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const room, size = 1 << 20, 10_000
		r := newRig(t).shards(4)
		r.params.SegmentTarget, r.params.NotDurableBytes = 100_000, room
		r.log.SegmentTarget = 100_000
		r.log.HedgeAfter, r.log.AttemptTimeout, r.log.AttemptTimeoutMax = 0, 0, 0
		hung := fault.NewGate()
		f := r.faulty()
		s := r.open()
		f.SetHook(fault.Always(fault.Fault{Wait: hung.Wait}, fault.Create))
		data := strings.Repeat("x", size)
		before := heap()
		outcomes := make(chan error, 1000)
		for i := range 1000 {
			go func() {
				puts := []shardstore.Put{put(r.key(i%4), data)}
				err := s.Append(t.Context(), puts)
				outcomes <- errors.Join(err, puts[0].Err)
			}()
		}
		synctest.Wait()
		if st := s.Stats(); st.NotDurable > room || st.NotDurable < room/2 || st.Overloads == 0 {
			t.Errorf("not durable: %d of %d, %d refused", st.NotDurable, room, st.Overloads)
		}
		if grown := heap() - before; grown > 8*room {
			t.Errorf("the heap grew by %d KiB with room for %d KiB", grown>>10, room>>10)
		}
		hung.Open()
		f.SetHook(nil)
		taken := 0
		for range 1000 {
			switch err := <-outcomes; {
			case err == nil:
				taken++
			case leat.KindOf(err) != leat.KindThroughputExceeded:
				t.Errorf("refused with %v", err)
			}
		}
		if taken < 50 || s.Stats().NotDurable != 0 {
			t.Errorf("%d taken; %+v", taken, s.Stats())
		}
		r.put(0, "after")
	})
}

// TestEncodingAhead: while one segment is being written the next one is encoded, once it is full, and both become durable in
// their order.
func TestEncodingAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size = 10_000
		r := newRig(t).shards(1)
		r.params.SegmentTarget, r.log.SegmentTarget, r.log.InFlight = 5*size, 5*size, 1
		r.log.HedgeAfter, r.log.AttemptTimeout, r.log.AttemptTimeoutMax = 0, 0, 0
		hung := fault.NewGate()
		f := r.faulty()
		s := r.open()
		f.SetHook(fault.Always(fault.Fault{Wait: hung.Wait}, fault.Create))
		acked := make(chan uint64, 100)
		puts := func(n int) {
			for range n {
				go func() {
					p := []shardstore.Put{put(r.key(0), strings.Repeat("x", size))}
					if err := errors.Join(s.Append(t.Context(), p), p[0].Err); err != nil {
						t.Error(err)
					}
					acked <- p[0].Record.Offset
				}()
				synctest.Wait()
			}
		}
		puts(1) // on its way
		puts(3)
		if s.Ahead() {
			t.Error("a batch that is not full is encoded")
		}
		puts(9)
		if !s.Ahead() {
			t.Error("a full batch waits to be encoded")
		}
		hung.Open()
		f.SetHook(nil)
		seen := make([]bool, 13)
		for range seen {
			seen[<-acked] = true
		}
		if i := slices.Index(seen, false); i >= 0 {
			t.Errorf("record %d has no ack", i)
		}
		r.put(0, "after")
	})
}
