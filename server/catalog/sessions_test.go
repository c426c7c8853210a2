// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package catalog_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/pgtest"
	"github.com/leatstream/leat/internal/sqldb"
	"github.com/leatstream/leat/server/catalog"
	"github.com/leatstream/leat/shardstore"
)

func TestClusterIsMadeOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		const nodes = 4
		infos := make(chan catalog.ClusterInfo, nodes)
		for range nodes {
			node := openBundle(t, b.cfg)
			go func() {
				info, err := node.Cluster(t.Context())
				if err != nil {
					t.Error(err)
				}
				infos <- info
			}()
		}
		first := <-infos
		for range nodes - 1 {
			if info := <-infos; info != first {
				t.Error("two nodes made two clusters")
			}
		}
		if first.ID == (leat.ClusterID{}) || first.Secret == [32]byte{} {
			t.Error("a cluster without identity or secret")
		}
	})
}

func TestSessionLife(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		s := b.session()
		b.must(b.OpenSession(ctx, catalog.Session{ID: s, Node: "n", Address: "127.0.0.1:1"}))
		b.want(b.OpenSession(ctx, catalog.Session{ID: s, Node: "m"}), leat.KindInUse, "")
		b.must(beat(b, s))
		b.must(beat(b, s))
		live, err := b.ListSessions(ctx, catalog.SessionLive)
		b.must(err)
		if len(live) != 1 || live[0].Beat != 2 || live[0].Node != "n" || live[0].Address != "127.0.0.1:1" || !live[0].Opened.Equal(b.clock.now) {
			t.Errorf("live sessions %+v", live)
		}
		if err := b.CloseSession(ctx, shardstore.Closing{Session: s}, false); !errors.Is(err, shardstore.ErrFenced) {
			t.Errorf("closed from outside without fencing: %v", err)
		}
		b.register(pack(s, 0, 0, 4))
		for range 2 {
			if trim, err := b.BeginFencing(ctx, s); err != nil || trim != 4 {
				t.Errorf("fencing: trim %d, %v", trim, err)
			}
		}
		if err := beat(b, s); !errors.Is(err, shardstore.ErrFenced) {
			t.Errorf("beat while fenced: %v", err)
		}
		if err := b.CloseSession(ctx, shardstore.Closing{Session: s}, true); !errors.Is(err, shardstore.ErrFenced) {
			t.Errorf("closed by its own node while fenced: %v", err)
		}
		b.want(b.CloseSession(ctx, shardstore.Closing{Session: s, Trim: 5, Fence: 6}, false), leat.KindCorrupt, "")
		b.must(b.CloseSession(ctx, shardstore.Closing{Session: s, Trim: 4, Fence: 6}, false))
		if err := b.CloseSession(ctx, shardstore.Closing{Session: s, Trim: 4, Fence: 7}, false); !errors.Is(err, catalog.ErrClosed) {
			t.Errorf("closed twice: %v", err)
		}
		if _, err := b.BeginFencing(ctx, s); !errors.Is(err, catalog.ErrClosed) {
			t.Errorf("fenced when closed: %v", err)
		}
		b.want(b.OpenSession(ctx, catalog.Session{ID: s, Node: "n", Address: "127.0.0.1:1"}), leat.KindInUse, "")
		_, err = b.BeginFencing(ctx, leat.SessionID{9})
		b.want(err, leat.KindNotFound, "")
		all, err := b.ListSessions(ctx)
		b.must(err)
		if len(all) != 1 || all[0].State != catalog.SessionClosed || all[0].Fence != 6 || all[0].Clean || all[0].Trim != 4 {
			t.Errorf("sessions %+v", all)
		}
		// Nothing was left in its segments: they go, but never the fence (I6).
		b.same("queue", b.queued(), segment(s, 0), segment(s, 1), segment(s, 2), segment(s, 3), segment(s, 4), segment(s, 5))
	})
}

func TestCleanClose(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		st := b.stream("s", 1)
		s := b.session()
		b.take(s)
		left := shardstore.ClosedShard{Shard: leat.ShardKey{Stream: st.ID}, Epoch: 1, Extents: []shardstore.Extent{extent(leat.ShardKey{Stream: st.ID}, 1, 0, 1, segment(s, 0))}}
		b.want(b.CloseSession(t.Context(), shardstore.Closing{Session: s, Fence: 2, Shards: []shardstore.ClosedShard{left}}, true), leat.KindInvalidArgument, "")
		b.must(b.CloseSession(t.Context(), shardstore.Closing{Session: s, Fence: 2}, true))
		if next := b.take(b.session()); len(next) != 1 || next[0].Epoch != 2 || len(next[0].Sessions) != 0 {
			t.Errorf("the next owner took %+v", next)
		}
		b.same("queue", b.queued(), segment(s, 0), segment(s, 1))
	})
}

// Of two recoverers that close a session at the same time one wins, and the other changes nothing (rule 11).
func TestTwoRecoverers(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		st := b.stream("s", 1)
		k := leat.ShardKey{Stream: st.ID}
		for range 5 {
			s := b.session()
			b.take(s)
			_, err := b.BeginFencing(ctx, s)
			b.must(err)
			results := make(chan error, 2)
			for range 2 {
				go func() {
					results <- b.CloseSession(ctx, shardstore.Closing{Session: s, Fence: 3, Shards: []shardstore.ClosedShard{
						{Shard: k, Epoch: 1, Final: 1, Extents: []shardstore.Extent{extent(k, 1, 0, 1, segment(s, 0))}},
					}}, false)
				}()
			}
			won, lost := <-results, <-results
			if won != nil {
				won, lost = lost, won
			}
			if won != nil || !errors.Is(lost, catalog.ErrClosed) {
				t.Fatalf("results %v and %v, want one winner", won, lost)
			}
		}
		held, err := b.ClosedShards(ctx)
		b.must(err)
		if len(held) != 5 {
			t.Errorf("%d closed sessions hold something, want 5", len(held))
		}
	})
}

// A close whose answer is lost is found closed when it is sent again.
func TestCloseUnknown(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		s := b.session()
		_, err := b.BeginFencing(t.Context(), s)
		b.must(err)
		b.link.cut("a")
		if err := b.CloseSession(t.Context(), shardstore.Closing{Session: s, Fence: 3}, false); !errors.Is(err, catalog.ErrClosed) {
			t.Errorf("applied, no answer: %v", err)
		}
	})
}

// However many owners died before it, the next one hears of all of them, in the order in which they owned the shard;
// their segments go when the last shard of each is packed (rule 12).
func TestChainOfDeaths(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		st := b.stream("s", 2)
		k0, k1 := leat.ShardKey{Stream: st.ID}, leat.ShardKey{Stream: st.ID, Ordinal: 1}
		left := func(s leat.SessionID, k leat.ShardKey, epoch, first uint64) shardstore.ClosedShard {
			return shardstore.ClosedShard{Shard: k, Epoch: epoch, Final: first + 5, Extents: []shardstore.Extent{extent(k, epoch, first, 5, segment(s, 0))}}
		}
		// The second to own was opened first.
		s2 := b.session()
		b.clock.advance(time.Second)
		s1 := b.session()
		b.take(s1)
		b.fence(s1, 2, left(s1, k0, 1, 0), left(s1, k1, 1, 0))
		b.take(s2)
		b.fence(s2, 1, left(s2, k0, 2, 5), left(s2, leat.ShardKey{Stream: leat.StreamID{1}}, 1, 0))
		s3 := b.session()
		taken := b.take(s3)
		if len(taken) != 2 || !slices.Equal(taken[0].Sessions, []leat.SessionID{s1, s2}) || !slices.Equal(taken[1].Sessions, []leat.SessionID{s1}) || taken[0].Epoch != 3 {
			t.Fatalf("taken %+v", taken)
		}

		adoptOf := func(number uint64, from leat.SessionID, done []leat.ShardKey, extents ...shardstore.Extent) shardstore.Registration {
			r := pack(s3, number, 0, 0, extents...)
			r.Adopts, r.AdoptShards = from, done
			return r
		}
		b.register(adoptOf(0, s1, []leat.ShardKey{k0}, extent(k0, 1, 0, 5, "")))
		b.same("one shard left", b.queued())
		named, err := b.Named(ctx, []string{segment(s1, 0), segment(s1, 1), segment(s1, 2), segment(s3, 0), segment(leat.SessionID{7}, 0), "wal/odd"})
		b.must(err)
		if !named[segment(s1, 0)] || !named[segment(s1, 1)] || !named[segment(s1, 2)] || !named[segment(s3, 0)] || !named[segment(leat.SessionID{7}, 0)] || named["wal/odd"] {
			t.Errorf("named %v", named)
		}
		b.register(adoptOf(1, s1, []leat.ShardKey{k1}, extent(k1, 1, 0, 5, "")))
		b.same("none left of the first", b.queued(), segment(s1, 0), segment(s1, 1))
		b.register(adoptOf(2, s2, []leat.ShardKey{k0}, extent(k0, 2, 5, 5, "")))
		b.same("none left", b.queued(), segment(s1, 0), segment(s1, 1), segment(s2, 0))
		b.must(b.Deleted(ctx, b.queued()))
		named, err = b.Named(ctx, []string{segment(s1, 0), segment(s1, 2), segment(s3, 0)})
		b.must(err)
		if named[segment(s1, 0)] || !named[segment(s1, 2)] || !named[segment(s3, 0)] {
			t.Errorf("named %v: of a finished session the fence alone", named)
		}
		if n := b.used(); n != 15 {
			t.Errorf("usage of %d records", n)
		}
	})
}

// Two nodes that adopt the last two shards of a dead session at the same time: its segments are queued.
func TestAdoptionsRace(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		st := b.stream("s", 2)
		dead, x, y := b.session(), b.session(), b.session()
		b.take(dead)
		var left []shardstore.ClosedShard
		for i := range uint64(2) {
			k := leat.ShardKey{Stream: st.ID, Ordinal: i}
			left = append(left, shardstore.ClosedShard{Shard: k, Epoch: 1, Final: 5, Extents: []shardstore.Extent{extent(k, 1, 0, 5, segment(dead, 0))}})
		}
		b.fence(dead, 1, left...)
		errs := make(chan error, 2)
		for i, s := range []leat.SessionID{x, y} {
			taken, err := b.TakeShards(t.Context(), s, 1)
			b.must(err)
			r := pack(s, 0, 0, 0, extent(taken[0].Shard, 1, 0, 5, ""))
			r.Adopts, r.AdoptShards = dead, []leat.ShardKey{taken[0].Shard}
			if taken[0].Shard.Ordinal != uint64(i) {
				t.Fatalf("took %v", taken)
			}
			go func() { errs <- b.Register(t.Context(), r) }()
		}
		b.must(errors.Join(<-errs, <-errs))
		b.same("queue", b.queued(), segment(dead, 0))
	})
}

// Two nodes that free the last two extents of one object at the same time: the object is queued.
func TestHorizonsRace(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		st := b.stream("s", 2)
		s := b.session()
		b.take(s)
		k0, k1 := leat.ShardKey{Stream: st.ID}, leat.ShardKey{Stream: st.ID, Ordinal: 1}
		for n := range uint64(5) {
			p := pack(s, n, 0, 0, extent(k0, 1, n*10, 10, ""), extent(k1, 1, n*10, 10, ""))
			b.register(p)
			errs := make(chan error, 2)
			for _, k := range []leat.ShardKey{k0, k1} {
				go func() { errs <- b.AdvanceHorizon(t.Context(), k, 1, (n+1)*10, 5) }()
			}
			b.must(errors.Join(<-errs, <-errs))
			b.same("queue", b.queued(), p.Object)
			b.must(b.Deleted(t.Context(), b.queued()))
		}
	})
}

func TestLeader(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		x, y := leat.SessionID{1}, leat.SessionID{2}
		acquire := func(s leat.SessionID, want bool) {
			t.Helper()
			leads, err := b.AcquireLeader(t.Context(), s, time.Minute)
			b.must(err)
			if leads != want {
				t.Errorf("session %s leads: %v", s, leads)
			}
		}
		acquire(x, true)
		acquire(y, false)
		b.clock.advance(59 * time.Second)
		acquire(x, true)
		b.clock.advance(59 * time.Second)
		acquire(y, false)
		b.clock.advance(time.Second)
		acquire(y, true)
		acquire(x, false)
		b.must(b.ReleaseLeader(t.Context(), x))
		acquire(x, false)
		b.must(b.ReleaseLeader(t.Context(), y))
		acquire(x, true)
		// A lease that a clock wrote which was an hour ahead.
		b.clock.advance(time.Hour)
		acquire(y, true)
		b.clock.advance(-time.Hour)
		acquire(x, true)
		acquire(y, false)
	})
}

// Two sessions that take shards at the same time share them: each shard has one owner, and each epoch one (I12).
func TestTakeShardsRace(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		b.stream("s", 50)
		type answer struct {
			session leat.SessionID
			taken   []catalog.Taken
		}
		answers := make(chan answer)
		for range 3 {
			s := b.session()
			go func() {
				all := answer{session: s}
				for {
					taken, err := b.TakeShards(t.Context(), s, 7)
					if err != nil {
						t.Error(err)
					}
					if len(taken) == 0 {
						break
					}
					all.taken = append(all.taken, taken...)
				}
				answers <- all
			}()
		}
		seen := map[leat.ShardKey]bool{}
		for range 3 {
			a := <-answers
			for _, k := range a.taken {
				if seen[k.Shard] || k.Epoch != 1 {
					t.Errorf("shard %s in epoch %d was taken twice", k.Shard, k.Epoch)
				}
				seen[k.Shard] = true
			}
			owned, err := b.Owned(t.Context(), a.session)
			b.must(err)
			if len(owned) != len(a.taken) {
				t.Errorf("owns %d, took %d", len(owned), len(a.taken))
			}
		}
		if len(seen) != 50 {
			t.Errorf("%d shards were taken", len(seen))
		}
	})
}

func TestTakeShardsWantsALiveSession(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		b.stream("s", 1)
		s := b.session()
		_, err := b.BeginFencing(t.Context(), s)
		b.must(err)
		if _, err := b.TakeShards(t.Context(), s, 10); !errors.Is(err, shardstore.ErrFenced) {
			t.Errorf("a fenced session took shards: %v", err)
		}
	})
}

// While PostgreSQL is away every call says KindUnavailable; the same catalog works again when it is back.
func TestPostgresAway(t *testing.T) {
	cluster := pgtest.New(t)
	b := openBundle(t, sqldb.Config{Postgres: cluster.Database(t)})
	st := b.stream("s", 1)
	s := b.session()
	b.take(s)
	r := pack(s, 0, 0, 1, extent(leat.ShardKey{Stream: st.ID}, 1, 0, 10, ""))
	cluster.Stop(t)
	for name, err := range map[string]error{
		"Beat":     beat(b, s),
		"Register": b.Register(t.Context(), r),
		"Revision": errOf(b.Revision(t.Context())),
		"Create":   errOf(b.CreateStream(t.Context(), spec("x", 1))),
		"Extents":  errOf(b.Extents(t.Context(), []leat.ShardKey{{Stream: st.ID}})),
	} {
		if leat.KindOf(err) != leat.KindUnavailable {
			t.Errorf("%s: %v", name, err)
		}
	}
	cluster.Start(t)
	b.must(beat(b, s))
	b.register(r)
}

func errOf[T any](_ T, err error) error { return err }

func beat(b *bundle, s leat.SessionID) error {
	_, err := b.Beat(b.t.Context(), s, catalog.Report{})
	return err
}
