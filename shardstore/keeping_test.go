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
	"github.com/leatstream/leat/shardstore/wal"
)

// After a crash and an adoption retention still sees the oldest extents, not the adopted ones.
func TestRetentionAfterAdoption(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t).shards(1)
		s := r.open()
		r.put(0, "old")
		if err := s.Pack(t.Context()); err != nil {
			t.Fatal(err)
		}
		pause(10 * time.Hour)
		r.put(0, "newer")
		r.kill()
		s = r.reopen()
		if err := s.Pack(t.Context()); err != nil { // adopts
			t.Fatal(err)
		}
		r.expire(leat.Micros(time.Now().Add(-time.Hour)))
		if err := s.Housekeep(t.Context()); err != nil {
			t.Fatal(err)
		}
		if b, err := s.Bounds(t.Context(), r.key(0)); err != nil || b.Horizon != 1 {
			t.Fatalf("the horizon is at %d, %v", b.Horizon, err)
		}
	})
}

// What merged extents hold goes at most an eighth of the retention, and a pack, too late.
func TestRetentionOfMergedExtentsIsPunctual(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const keep, every = 24 * time.Hour, 5 * time.Minute
		r := newRig(t).shards(2)
		r.keepFor(keep)
		s := r.open()
		late := keep + keep/8 + time.Minute + r.params.HousekeepEvery
		for n := range int(3 * keep / every) {
			r.put(0, fmt.Sprint(n))
			if n%7 == 0 {
				r.put(1, fmt.Sprint(n))
			}
			pause(every)
			b, err := s.Bounds(t.Context(), r.key(0))
			if err != nil {
				t.Fatal(err)
			}
			if first := n - int(late/every) - 1; first > 0 && b.Horizon < uint64(first) {
				t.Fatalf("step %d: horizon %d, want %d at least", n, b.Horizon, first)
			}
			if kept := n + 1 - int(keep/every); kept > 0 && b.Horizon > uint64(kept) {
				t.Fatalf("step %d: horizon %d, though records from %d on are to be kept", n, b.Horizon, kept)
			}
		}
		if s.Stats().Merges == 0 || s.Stats().Deleted == 0 {
			t.Errorf("%+v", s.Stats())
		}
		if n := len(r.index.shards[r.key(0)].extents); n > 60 {
			t.Errorf("%d extents", n)
		}
		r.fsck()
	})
}

// One object that cannot be deleted does not keep the others in the queue.
func TestDeletionsThatFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t).shards(1)
		f := r.faulty()
		s := r.open()
		for i := range 5 {
			r.put(0, fmt.Sprint(i))
		}
		if err := s.Pack(t.Context()); err != nil {
			t.Fatal(err)
		}
		stuck := wal.Key(s.Session(), 0)
		f.SetHook(func(op fault.Op, key string) fault.Fault {
			if op == fault.Delete && key == stuck {
				return fault.Fault{Kind: fault.Refuse, Err: fault.ErrReadOnly}
			}
			return fault.Fault{}
		})
		pause(time.Hour)
		if got := r.objects("wal/"); len(got) != 1 || got[0] != stuck {
			t.Fatalf("left: %q", got)
		}
		if err := s.Housekeep(t.Context()); !errors.Is(err, fault.ErrReadOnly) {
			t.Errorf("housekeeping says %v", err)
		}
		f.SetHook(nil)
		pause(time.Minute)
		if got := r.objects("wal/"); len(got) != 0 {
			t.Fatalf("left: %q", got)
		}
	})
}

// However many objects cannot be deleted, those behind them in the queue are, and they themselves when that is possible.
func TestManyDeletionsThatFail(t *testing.T) {
	r := newRig(t).shards(1)
	f := r.faulty()
	s := r.open()
	for i := range 1200 {
		r.index.deletions[fmt.Sprintf("pack/stuck-%04d", i)] = 1
	}
	r.must(f.Create(t.Context(), "pack/unneeded", []byte("x")))
	r.index.deletions["pack/unneeded"] = 2
	f.SetHook(func(op fault.Op, key string) fault.Fault {
		if op == fault.Delete && strings.HasPrefix(key, "pack/stuck") {
			return fault.Fault{Kind: fault.Refuse, Err: fault.ErrReadOnly}
		}
		return fault.Fault{}
	})
	for range 3 {
		if err := s.Housekeep(t.Context()); !errors.Is(err, fault.ErrReadOnly) {
			t.Errorf("housekeeping says %v", err)
		}
	}
	if left := r.objects("pack/"); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
	f.SetHook(nil)
	r.must(s.Housekeep(t.Context()))
	if left := len(r.index.deletions); left != 0 {
		t.Errorf("%d are queued", left)
	}
}

// A stream that is deleted while it is packed, merged and retained does not disturb the others.
func TestDropShards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t).shards(2)
		r.params.MergeFanIn = 4
		s := r.open()
		waiting := make(chan error)
		go func() { waiting <- s.Wait(t.Context(), r.key(1), 1000) }()
		for i := range 10 {
			r.put(0, fmt.Sprint(i))
			if i < 5 {
				r.put(1, fmt.Sprint(i))
			}
			if i == 4 {
				synctest.Wait()
				s.DropShards([]leat.ShardKey{r.key(1)})
				r.index.removeShard(r.key(1))
			}
			if i%2 == 0 {
				if err := s.Pack(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := <-waiting; !errors.Is(err, shardstore.ErrNotOwned) {
			t.Errorf("who waited for the dropped shard hears %v", err)
		}
		if _, err := s.Read(t.Context(), r.key(1), 0, shardstore.ReadLimits{Records: 1, Bytes: 1}); !errors.Is(err, shardstore.ErrNotOwned) {
			t.Errorf("a read of the dropped shard: %v", err)
		}
		if err := errors.Join(s.Pack(t.Context()), s.Housekeep(t.Context())); err != nil {
			t.Fatal(err)
		}
		if n := s.Stats().Unindexed; n != 0 {
			t.Errorf("%d extents are counted as not indexed", n)
		}
		r.wantAll(0, []string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"})
		r.fsck()
	})
}

// What was put into a shard before it was dropped is counted once, wherever its records were by then: in a pack that was registered, in one that waited
// for the catalog, or in the log alone; and nothing of it is written into packs that begin later.
func TestDroppedShardsAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t).shards(2)
		s := r.open()
		put := func(n int) {
			t.Helper()
			for range n {
				r.put(0, "kept")
				r.put(1, "dropped")
			}
			synctest.Wait()
		}
		used := func() int64 {
			r.index.mu.Lock()
			defer r.index.mu.Unlock()
			return r.index.usage[r.stream]
		}
		put(3)
		if err := s.Pack(t.Context()); err != nil {
			t.Fatal(err)
		}
		put(4)
		r.index.setFault(away(false))
		if err := s.Pack(t.Context()); err == nil {
			t.Fatal("packed without a catalog")
		}
		put(5)
		r.index.setFault(nil)
		r.index.removeShard(r.key(1))
		s.DropShards([]leat.ShardKey{r.key(1)})
		for range 3 {
			r.put(0, "kept")
			if err := s.Pack(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if n := used(); n != 12+12+3 {
			t.Errorf("usage of %d records, want 27 (I15)", n)
		}
		if n := s.Stats().Unindexed; n != 0 {
			t.Errorf("%d extents are counted as not indexed", n)
		}
		r.fsck()
	})
}

// A shard that is dropped while its records are being packed is counted by that pack, whether or not it comes to be at the first attempt.
func TestShardsDroppedInAPackAreCounted(t *testing.T) {
	for name, fails := range map[string]bool{"written": false, "written later": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t).shards(2)
				f := r.faulty()
				s := r.open()
				for range 4 {
					r.put(0, "kept")
					r.put(1, "dropped")
				}
				synctest.Wait()
				dropped := false
				f.SetHook(func(op fault.Op, key string) fault.Fault {
					if !strings.HasPrefix(key, "pack/") {
						return fault.Fault{}
					}
					if !dropped {
						dropped = true
						r.index.removeShard(r.key(1))
						s.DropShards([]leat.ShardKey{r.key(1)})
					}
					if fails {
						return fault.Fault{Kind: fault.Refuse, Err: fault.ErrReadOnly}
					}
					return fault.Fault{}
				})
				if err := s.Pack(t.Context()); (err != nil) != fails {
					t.Fatal(err)
				}
				f.SetHook(nil)
				for range 2 {
					r.put(0, "kept")
					if err := s.Pack(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				r.index.mu.Lock()
				n := r.index.usage[r.stream]
				r.index.mu.Unlock()
				if n != 10 {
					t.Errorf("usage of %d records, want 10 (I15)", n)
				}
				r.fsck()
			})
		})
	}
}

// orphanRig makes orphans: packs that a session wrote and never registered.
func orphanRig(t *testing.T, orphans int) (r *rig, first leat.SessionID) {
	t.Helper()
	r = newRig(t).shards(1)
	s := r.open()
	first = s.Session()
	for i := range 10 {
		r.put(0, fmt.Sprint("named", i))
		if err := s.Pack(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	r.index.setFault(away(false))
	for i := range orphans {
		r.put(0, fmt.Sprint("parked", i))
		if err := s.Pack(t.Context()); err == nil {
			t.Fatal("packed without a catalog")
		}
	}
	r.index.setFault(nil)
	r.kill()
	return r, first
}

// Packs that nothing names go a day after they were written, once their session is closed, and nothing else goes (rule 7).
func TestSweepOfOrphans(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const orphans = 5
		r, first := orphanRig(t, orphans)
		r.reopen()
		before := r.objects("pack/")
		if len(before) < 10+orphans {
			t.Fatalf("%d packs", len(before))
		}
		r.index.setState(first, "fencing") // not closed yet: hands off
		pause(25 * time.Hour)
		if n := r.store.Stats().Swept; n != 0 {
			t.Fatalf("%d packs of a session that is not closed were swept", n)
		}
		r.index.setState(first, "closed")
		pause(2 * time.Hour)
		if n := r.store.Stats().Swept; n != orphans {
			t.Fatalf("%d packs were swept, want %d", n, orphans)
		}
		r.fsck()
		for _, key := range before {
			named, err := r.index.Named(t.Context(), []string{key})
			if err != nil {
				t.Fatal(err)
			}
			if named[key] != r.exists(key) {
				t.Errorf("%s is named: %v, exists: %v", key, named[key], r.exists(key))
			}
		}
	})
}

func TestSweepWaitsADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := orphanRig(t, 3)
		r.reopen()
		pause(23 * time.Hour)
		if n := r.store.Stats().Swept; n != 0 {
			t.Fatalf("%d orphans were swept on the first day", n)
		}
	})
}

// A catalog that is not this bucket's names nothing: the sweep deletes nothing, and says why.
func TestSweepThatWouldDeleteTooMuch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := orphanRig(t, 30)
		log := &logged{}
		r.logger = log.logger()
		r.reopen()
		before := r.objects("pack/")
		pause(26 * time.Hour)
		if n := r.store.Stats().Swept; n != 0 {
			t.Fatalf("%d packs were swept", n)
		}
		if after := r.objects("pack/"); len(after) < len(before) {
			t.Fatalf("of %d packs %d are left", len(before), len(after))
		}
		if !log.says("more than the 20 that one sweep may delete") {
			t.Error("nobody was told")
		}
	})
}

// A catalog that cannot say what it names stops the sweep.
func TestSweepWithoutACatalog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := orphanRig(t, 3)
		r.reopen()
		before := r.objects("pack/")
		r.index.setFault(func(op string, after bool) error {
			if op == "named" && !after {
				return errAway
			}
			return nil
		})
		pause(26 * time.Hour)
		for _, key := range before {
			if !r.exists(key) {
				t.Fatalf("%s was swept", key)
			}
		}
	})
}

// A wrong shard epoch in the index ends the session at its next retention (rule 17).
func TestRetentionOfAnotherEpoch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t).shards(1)
		s := r.open()
		r.put(0, "old")
		if err := s.Pack(t.Context()); err != nil {
			t.Fatal(err)
		}
		pause(time.Hour)
		r.index.shards[r.key(0)].epoch++
		r.expire(leat.Micros(time.Now()))
		if err := s.Housekeep(t.Context()); !errors.Is(err, shardstore.ErrFenced) {
			t.Fatalf("housekeeping says %v", err)
		}
		<-s.Done()
	})
}

// Chains of deaths: owners that die before they adopt leave more and more pending sessions; then one adopts them all,
// in packs so small that it needs several, and dies between them (rule 12).
func TestCrashWhileAdopting(t *testing.T) {
	for _, lost := range []bool{false, true} {
		for k := range 8 {
			t.Run(fmt.Sprintf("k=%d lost=%v", k, lost), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					r := newRig(t).shards(2)
					r.params.PackBytes = 400
					r.index.setFault(func(op string, after bool) error {
						if op == "register" && !after {
							return errAway
						}
						return nil
					})
					r.open()
					want := make([][]string, 2)
					for life := range 3 {
						for i := range want {
							for part := range 3 {
								d := texts(fmt.Sprintf("l%d-%d-%s", life, part, strings.Repeat("x", 50)), 3)
								r.put(i, d...)
								want[i] = append(want[i], d...)
							}
						}
						r.kill()
						r.reopen()
					}
					calls := 0
					r.index.setFault(func(op string, after bool) error {
						if op != "register" || after != lost {
							return nil
						}
						if calls++; calls > k {
							return errAway
						}
						return nil
					})
					pause(2 * time.Second)
					r.kill()
					r.index.setFault(nil)
					s := r.reopen()
					if err := s.Pack(t.Context()); err != nil {
						t.Fatal(err)
					}
					for i := range want {
						r.wantAll(i, want[i])
					}
					r.fsck()
					if got, want := r.index.usage[r.stream], int64(len(want[0])+len(want[1])); got != want {
						t.Errorf("usage of %d records, want %d (I15)", got, want)
					}
					for id, old := range r.index.sessions {
						if len(old.pending) > 0 {
							t.Errorf("session %s still has rows: %v", id, old.pending)
						}
					}
				})
			})
		}
	}
}

func (r *rig) keepFor(d time.Duration) {
	r.retention = func(time.Time) shardstore.Retention {
		return shardstore.Retention{ExpiredBefore: leat.Micros(time.Now().Add(-d)), Keep: d}
	}
}

// sessionsClosed is Config.SessionClosed over the index in memory.
func (x *memIndex) sessionsClosed(_ context.Context, ids []leat.SessionID) (map[leat.SessionID]bool, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	closed := map[leat.SessionID]bool{}
	for id, s := range x.sessions {
		if slices.Contains(ids, id) {
			closed[id] = s.state == "closed"
		}
	}
	return closed, nil
}

func (x *memIndex) removeShard(k leat.ShardKey) {
	x.mu.Lock()
	defer x.mu.Unlock()
	gone := x.shards[k].extents
	delete(x.shards, k)
	x.unname(gone, 0)
}
