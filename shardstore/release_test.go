// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package shardstore_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore"
	"github.com/leatstream/leat/shardstore/blob"
	"github.com/leatstream/leat/shardstore/blob/fault"
	"github.com/leatstream/leat/shardstore/segment"
	"github.com/leatstream/leat/shardstore/wal"
)

// pair is two sessions beside each other: a owns all shards.
func pair(t *testing.T, shards int) (r *rig, a, b *shardstore.Store) {
	t.Helper()
	r = newRig(t).shards(shards)
	a = r.open()
	b = r.open()
	r.store = a
	return r, a, b
}

// hand moves a shard from one session to another as the cluster does.
func (r *rig) hand(t *testing.T, k leat.ShardKey, from, to *shardstore.Store) (final uint64) {
	t.Helper()
	_, epoch := r.index.ownerOf(k)
	final, err := from.Release(t.Context(), k, epoch)
	if err != nil {
		t.Fatalf("release %s: %v", k, err)
	}
	if err := r.index.move(k, from.Session(), epoch, final, to.Session()); err != nil {
		t.Fatal(err)
	}
	from.ConfirmRelease(k, epoch)
	if err := r.assign(to); err != nil {
		t.Fatal(err)
	}
	return final
}

// A shard goes from one session to another and back with all its records; whoever gave it up answers ErrNotOwned, and
// wakes those who wait.
func TestReleaseHandsAShardOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, a, b := pair(t, 2)
		want := texts("a", 5)
		r.put(0, want...)
		r.put(1, "other")
		waited := make(chan error)
		go func() { waited <- a.Wait(context.Background(), r.key(0), 5) }()
		synctest.Wait()
		if final := r.hand(t, r.key(0), a, b); final != 5 {
			t.Fatalf("final %d", final)
		}
		if err := <-waited; !errors.Is(err, shardstore.ErrNotOwned) {
			t.Errorf("the wait ended with %v", err)
		}
		late := []shardstore.Put{put(r.key(0), "late"), put(r.key(1), "other 2")}
		if err := a.Append(t.Context(), late); err != nil || !errors.Is(late[0].Err, shardstore.ErrNotOwned) || late[1].Err != nil {
			t.Errorf("put: %v, %v, %v", err, late[0].Err, late[1].Err)
		}
		if _, err := a.Read(t.Context(), r.key(0), 0, shardstore.ReadLimits{Records: 1, Bytes: 1}); !errors.Is(err, shardstore.ErrNotOwned) {
			t.Errorf("read: %v", err)
		}
		if err := r.assign(a); err != nil {
			t.Error(err)
		}
		r.store = b
		want = append(want, texts("b", 3)...)
		r.put(0, want[5:]...)
		r.wantAll(0, want)
		r.hand(t, r.key(0), b, a)
		r.store = a
		r.put(0, "back")
		want = append(want, "back")
		r.wantAll(0, want)
		r.kill()
		b.Fail(errors.New("killed"))
		r.reopen()
		r.wantAll(0, want)
		r.wantAll(1, []string{"other", "other 2"})
		r.fsck()
		r.checkUsage(t)
	})
}

// A released shard is never opened again in its epoch, by a late answer of the catalog, and never below its final.
func TestReleasedEpochStaysOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, a, _ := pair(t, 1)
		r.put(0, texts("a", 3)...)
		final, err := a.Release(t.Context(), r.key(0), 1)
		if err != nil {
			t.Fatal(err)
		}
		again, err := a.Release(t.Context(), r.key(0), 1)
		if err != nil || again != final {
			t.Errorf("asked again: %d, %v", again, err)
		}
		if got := a.Released(); len(got) != 1 || got[0] != (shardstore.Released{Shard: r.key(0), Epoch: 1, Final: 3}) {
			t.Errorf("released: %+v", got)
		}
		if err := r.assign(a); err != nil { // the catalog still names it the owner in epoch 1
			t.Fatal(err)
		}
		for range 2 {
			if p := r.put(0, "x"); !errors.Is(p[0].Err, shardstore.ErrNotOwned) {
				t.Errorf("after RELEASE a put came to %v", p[0].Err)
			}
			a.ConfirmRelease(r.key(0), 1)
			if err := a.OpenShards([]shardstore.Assignment{{Shard: r.key(0), Epoch: 1, Next: 3}}); err != nil {
				t.Error(err)
			}
		}
		if got := a.Released(); len(got) != 0 {
			t.Errorf("released after it was confirmed: %+v", got)
		}
		if err := a.OpenShards([]shardstore.Assignment{{Shard: r.key(0), Epoch: 2, Next: 2}}); err == nil || leat.KindOf(err) != leat.KindInternal {
			t.Errorf("opened below its final: %v", err)
		}
	})
}

// What cannot be released now changes nothing.
func TestReleasesThatAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, a, _ := pair(t, 4)
		for name, c := range map[string]struct {
			key   leat.ShardKey
			epoch uint64
		}{"another epoch": {r.key(0), 2}, "an unknown shard": {r.key(9), 1}} {
			if _, err := a.Release(t.Context(), c.key, c.epoch); !errors.Is(err, shardstore.ErrNotOwned) {
				t.Errorf("%s: %v", name, err)
			}
		}
		split := shardstore.Reshard{
			ID: "split", Parents: []segment.ReshardParent{{Shard: r.key(0)}},
			Children: []segment.ReshardChild{{Shard: r.key(7)}, {Shard: r.key(8)}},
		}
		done, err := a.Reshard(t.Context(), split)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range []int{0, 1, 7} {
			if _, err := a.Release(t.Context(), r.key(i), 1); leat.KindOf(err) != leat.KindInUse {
				t.Errorf("shard %d with a reshard that is not confirmed: %v", i, err)
			}
		}
		if p := r.put(1, "x"); p[0].Err != nil {
			t.Error(p[0].Err)
		}
		if err := r.index.confirm(done, a.Session()); err != nil {
			t.Fatal(err)
		}
		a.ConfirmReshard("split")
		for _, i := range []int{0, 1, 7} {
			if _, err := a.Release(t.Context(), r.key(i), 1); err != nil {
				t.Errorf("shard %d after the reshard was confirmed: %v", i, err)
			}
		}
		a.DropShards([]leat.ShardKey{r.key(2)})
		if _, err := a.Release(t.Context(), r.key(2), 1); !errors.Is(err, shardstore.ErrNotOwned) {
			t.Errorf("a dropped shard: %v", err)
		}
		if err := a.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if _, err := a.Release(t.Context(), r.key(3), 1); leat.KindOf(err) != leat.KindUnavailable {
			t.Errorf("after the end: %v", err)
		}
	})
}

// While the catalog or the store is away nothing can be registered: the shard is given back and takes puts again.
func TestReleaseGivesTheShardBack(t *testing.T) {
	for name, broken := range map[string]func(*rig, *fault.Store) (mend func()){
		"the catalog is away": func(r *rig, _ *fault.Store) func() {
			r.index.setFault(away(false))
			return func() { r.index.setFault(nil) }
		},
		"the catalog's answers get lost": func(r *rig, _ *fault.Store) func() {
			r.index.setFault(away(true))
			return func() { r.index.setFault(nil) }
		},
		"no pack can be stored": func(_ *rig, f *fault.Store) func() {
			f.SetHook(func(op fault.Op, key string) fault.Fault {
				if op == fault.Create && strings.HasPrefix(key, "pack/") {
					return fault.Fault{Kind: fault.Refuse, Err: errAway}
				}
				return fault.Fault{}
			})
			return func() { f.SetHook(nil) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t).shards(1)
				f := r.faulty()
				a := r.open()
				b := r.open()
				r.store = a
				want := texts("a", 4)
				r.put(0, want...)
				mend := broken(r, f)
				if _, err := a.Release(t.Context(), r.key(0), 1); err == nil {
					t.Fatal("released without a catalog")
				}
				r.put(0, "again")
				want = append(want, "again")
				r.wantAll(0, want)
				mend()
				if final := r.hand(t, r.key(0), a, b); final != 5 {
					t.Errorf("final %d", final)
				}
				r.store = b
				r.wantAll(0, want)
				r.fsck()
				r.checkUsage(t)
			})
		})
	}
}

// The answer to RELEASE does not come before the caller's patience ends: the shard is gone all the same, and the same
// call again waits for the record.
func TestReleaseOfUnknownOutcome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t).shards(1)
		f := r.faulty()
		a := r.open()
		r.put(0, "x")
		if err := a.Pack(t.Context()); err != nil {
			t.Fatal(err)
		}
		gate := fault.NewGate()
		f.SetHook(func(op fault.Op, key string) fault.Fault {
			if op == fault.Create && strings.HasPrefix(key, "wal/") {
				return fault.Fault{Wait: gate.Wait}
			}
			return fault.Fault{}
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := a.Release(ctx, r.key(0), 1); !errors.Is(err, shardstore.ErrUnknownOutcome) {
			t.Fatalf("got %v", err)
		}
		if got := a.Released(); len(got) != 0 {
			t.Errorf("released before it is durable: %+v", got)
		}
		if _, err := a.Bounds(t.Context(), r.key(0)); !errors.Is(err, shardstore.ErrNotOwned) {
			t.Errorf("read after RELEASE was placed: %v", err)
		}
		outcome := make(chan error)
		go func() {
			_, err := a.Release(context.Background(), r.key(0), 1)
			outcome <- err
		}()
		synctest.Wait()
		gate.Open()
		if err := <-outcome; err != nil {
			t.Errorf("asked again: %v", err)
		}
	})
}

// gated is a rig whose writes of one kind wait.
func gated(t *testing.T, prefix string) (r *rig, shut func(), open func()) {
	t.Helper()
	r = newRig(t).shards(1)
	f, gate := r.faulty(), fault.NewGate()
	r.open()
	return r, func() {
			f.SetHook(func(op fault.Op, key string) fault.Fault {
				if op == fault.Create && strings.HasPrefix(key, prefix) {
					return fault.Fault{Wait: gate.Wait}
				}
				return fault.Fault{}
			})
		}, func() {
			f.SetHook(nil)
			gate.Open()
		}
}

// A put that was taken before the release is acked, and the final lies beyond it.
func TestReleaseWaitsForWhatIsPending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, shut, open := gated(t, "wal/")
		shut()
		puts := []shardstore.Put{put(r.key(0), "x"), put(r.key(0), "y")}
		acked, released := make(chan error, 1), make(chan error, 1)
		final := uint64(0)
		go func() { acked <- r.store.Append(t.Context(), puts) }()
		synctest.Wait()
		go func() {
			var err error
			final, err = r.store.Release(t.Context(), r.key(0), 1)
			released <- err
		}()
		synctest.Wait()
		select {
		case err := <-released:
			t.Fatalf("released before the put was durable: %v", err)
		default:
		}
		open()
		if err := <-acked; err != nil || puts[1].Err != nil || puts[1].Record.Offset != 1 {
			t.Errorf("put: %v, %+v", err, puts[1])
		}
		if err := <-released; err != nil || final != 2 {
			t.Errorf("final %d, %v", final, err)
		}
	})
}

// What is much is packed before puts stop: they go on while a large pack is written.
func TestReleasePacksAheadOfItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, shut, open := gated(t, "pack/")
		large := strings.Repeat("x", leat.MaxRecordBytes/2)
		for range 12 {
			r.put(0, large)
		}
		shut()
		released := make(chan error, 1)
		go func() {
			_, err := r.store.Release(t.Context(), r.key(0), 1)
			released <- err
		}()
		synctest.Wait()
		if p := r.put(0, "while it is packed"); p[0].Err != nil || p[0].Record.Offset != 12 {
			t.Errorf("put: %+v", p[0])
		}
		open()
		if err := <-released; err != nil {
			t.Error(err)
		}
		if got := r.store.Released(); len(got) != 1 || got[0].Final != 13 {
			t.Errorf("released %+v", got)
		}
		if st := r.store.Stats(); st.Packs != 2 {
			t.Errorf("%d packs", st.Packs)
		}
	})
}

// While a release waits, its shard may be dropped, the session may be refused by the catalog, and others who ask for the
// same may lose patience.
func TestReleaseIsOvertaken(t *testing.T) {
	for name, c := range map[string]struct {
		meanwhile func(*rig)
		want      error
		ended     bool
	}{
		"the shard is dropped":  {func(r *rig) { r.store.DropShards([]leat.ShardKey{r.key(0)}) }, shardstore.ErrNotOwned, false},
		"the session is fenced": {func(r *rig) { r.index.fence(r.store.Session()) }, shardstore.ErrFenced, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, shut, open := gated(t, "pack/")
				r.put(0, "x")
				shut()
				released := make(chan error, 1)
				go func() {
					_, err := r.store.Release(t.Context(), r.key(0), 1)
					released <- err
				}()
				synctest.Wait()
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				if _, err := r.store.Release(ctx, r.key(0), 1); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, shardstore.ErrUnknownOutcome) {
					t.Errorf("an impatient second call: %v", err)
				}
				c.meanwhile(r)
				open()
				if err := <-released; !errors.Is(err, c.want) {
					t.Errorf("got %v, want %v", err, c.want)
				}
				if got := r.store.Released(); len(got) != 0 {
					t.Errorf("released %+v", got)
				}
				if !c.ended {
					return
				}
				<-r.store.Done()
				if err := r.store.Err(); !errors.Is(err, shardstore.ErrFenced) {
					t.Errorf("the session ended with %v", err)
				}
			})
		})
	}
}

// A shard that is on its way out is not resharded: two sessions would have it.
func TestNoReshardOfAShardThatIsReleased(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, shut, open := gated(t, "pack/")
		r.put(0, "x")
		shut()
		released := make(chan error, 1)
		go func() {
			_, err := r.store.Release(t.Context(), r.key(0), 1)
			released <- err
		}()
		synctest.Wait()
		_, err := r.store.Reshard(t.Context(), shardstore.Reshard{
			ID: "split", Parents: []segment.ReshardParent{{Shard: r.key(0)}},
			Children: []segment.ReshardChild{{Shard: r.key(7)}, {Shard: r.key(8)}},
		})
		if !errors.Is(err, shardstore.ErrNotOwned) {
			t.Errorf("resharded while it is released: %v", err)
		}
		open()
		if err := <-released; err != nil {
			t.Error(err)
		}
	})
}

// Shards that are released at once share their packs: as few as there are rounds of the packer, not one a shard.
func TestReleasesShareTheirPacks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const shards = 50
		r, a, _ := pair(t, shards)
		for i := range shards {
			r.put(i, "x")
		}
		var all sync.WaitGroup
		for i := range shards {
			for range 2 { // the second call of a shard waits for the first
				all.Go(func() {
					if final, err := a.Release(t.Context(), r.key(i), 1); err != nil || final != 1 {
						t.Errorf("shard %d: %d, %v", i, final, err)
					}
				})
			}
		}
		all.Wait()
		if st := a.Stats(); st.Packs > 3 || st.Shards != 0 || st.Unindexed != 0 || len(a.Released()) != shards {
			t.Errorf("%+v", st)
		}
	})
}

// Puts to the shard and to its neighbour go on while it is handed to and fro: each record is acked once, and the
// neighbour is never refused.
func TestReleaseUnderLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, a, b := pair(t, 2)
		l := newLedger()
		over := make(chan struct{})
		var writers sync.WaitGroup
		for i, s := range []*shardstore.Store{a, b, a, b} {
			writers.Go(func() {
				for n := 0; ; n++ {
					select {
					case <-over:
						return
					default:
					}
					puts := []shardstore.Put{put(r.key(0), texts("w", i+1)[i]+texts("", n+1)[n])}
					if err := l.put(t.Context(), s, puts); err != nil && !errors.Is(err, shardstore.ErrNotOwned) {
						t.Errorf("put: %v", err)
					}
					if s == a {
						if err := l.put(t.Context(), s, []shardstore.Put{put(r.key(1), texts("n", i+1)[i]+texts("", n+1)[n])}); err != nil {
							t.Errorf("the neighbour: %v", err)
						}
					}
					pause(10 * time.Millisecond)
				}
			})
		}
		from, to := a, b
		for range 10 {
			pause(100 * time.Millisecond)
			r.hand(t, r.key(0), from, to)
			from, to = to, from
		}
		close(over)
		writers.Wait()
		l.final(t.Context(), from, r.key(0))
		l.final(t.Context(), a, r.key(1))
		if err := l.err(); err != nil {
			t.Error(err)
		}
		if n := len(l.acked[r.key(0)]); n < 100 {
			t.Errorf("only %d records were acked", n)
		}
		a.Fail(errors.New("killed"))
		b.Fail(errors.New("killed"))
		r.fsck2(t)
	})
}

// fsck2 recovers everything and checks it.
func (r *rig) fsck2(t *testing.T) {
	t.Helper()
	r.reopen()
	r.fsck()
	r.checkUsage(t)
}

// untrimmed recovers as somebody does who does not know how far the log was trimmed.
type untrimmed struct{ wal.Driver }

func (u untrimmed) Recover(ctx context.Context, s leat.SessionID, _ uint64, o wal.RecoverOptions) (wal.Recovered, error) {
	return u.Driver.Recover(ctx, s, 0, o)
}

// Recovery leaves out what was released, even where it scans from below the trim: another session owns it. What the
// session put after it got the shard back counts.
func TestRecoveryLeavesReleasedShardsOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, a, b := pair(t, 2)
		r.put(0, "x", "y")
		r.put(1, "z")
		r.hand(t, r.key(0), a, b)
		recovered := func() shardstore.Closing {
			t.Helper()
			a.Fail(errors.New("killed"))
			blobs := &unclosed{r.blobs}
			c, err := shardstore.Recover(t.Context(), shardstore.Recovery{Driver: untrimmed{r.driver}, Blobs: blobs}, a.Session(), r.index.fence(a.Session()))
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		r.hand(t, r.key(0), b, a)
		r.put(0, "after")
		c := recovered()
		if len(c.Shards) != 2 || c.Shards[0].Epoch != 3 || c.Shards[0].Final != 3 || len(c.Shards[0].Extents) != 1 || c.Shards[1].Final != 1 {
			t.Errorf("%+v", c)
		}
	})
}

// A RELEASE whose shard has records in segments that were not packed is a contradiction, and is not passed over.
func TestRecoveryRefusesAReleaseThatDoesNotAddUp(t *testing.T) {
	for name, final := range map[string]uint64{"not packed": 2, "another final": 1} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t).shards(1)
			a := r.open()
			r.put(0, "x", "y")
			r.kill()
			n := a.Stats().Durable
			h := segment.Header{Kind: segment.KindSegment, Session: a.Session(), N: n, Nonce: leat.NewID[leat.SessionID](nil)}
			if name == "another final" {
				h.Trim = n
			}
			object, _, err := segment.NewCoder().Encode(h, nil, []segment.Control{{Kind: segment.ControlRelease, Shard: r.key(0), Epoch: 1, Final: final}}, segment.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if err := r.blobs.Create(t.Context(), wal.Key(a.Session(), n), object); err != nil {
				t.Fatal(err)
			}
			if err := r.recover(); leat.KindOf(err) != leat.KindCorrupt {
				t.Errorf("got %v", err)
			}
			if _, err := shardstore.ReadClosing(t.Context(), r.blobs, a.Session()); !errors.Is(err, blob.ErrNotFound) {
				t.Errorf("the end was decided all the same: %v", err)
			}
		})
	}
}
