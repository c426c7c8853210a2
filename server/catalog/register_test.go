// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package catalog_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/sqldb"
	"github.com/leatstream/leat/server/catalog"
	"github.com/leatstream/leat/shardstore"
)

// A pack's extents come back field by field, the shard's end and the trim move, segments are queued, usage is written.
func TestRegister(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		st := b.stream("s", 2)
		s := b.session()
		b.take(s)
		k0, k1 := leat.ShardKey{Stream: st.ID}, leat.ShardKey{Stream: st.ID, Ordinal: 1}
		hour := b.clock.now.Truncate(time.Hour)
		late := extent(k1, 1, 0, 5, "")
		late.MaxTime = leat.Micros(hour.Add(time.Hour + time.Minute))
		early := extent(k0, 1, 10, 3, "")
		early.MaxTime = leat.Micros(hour.Add(time.Minute))
		r := pack(s, 0, 0, 3, extent(k0, 1, 0, 10, ""), early, late)
		r.Extents[0].MaxTime = early.MaxTime - 5
		b.register(r)

		if got := b.extents(k0).Extents; !slices.Equal(got, r.Extents[:2]) {
			t.Errorf("came back as %+v", got)
		}
		owned, err := b.Owned(t.Context(), s)
		b.must(err)
		if o := owned[0]; o.Next != 13 || o.LastTime != early.MaxTime || o.Extents != 2 || o.Epoch != 1 {
			t.Errorf("shard 0 is %+v", o)
		}
		b.same("queue", b.queued(), segment(s, 0), segment(s, 1), segment(s, 2))
		sessions, err := b.ListSessions(t.Context())
		b.must(err)
		if sessions[0].Trim != 3 {
			t.Errorf("trim %d", sessions[0].Trim)
		}
		usage, err := b.Usage(t.Context(), account, hour, hour.Add(2*time.Hour))
		b.must(err)
		want := []catalog.Usage{
			{Account: account, Stream: st.ID, Hour: hour, Records: 13, Bytes: 13 * 150, Units: 13},
			{Account: account, Stream: st.ID, Hour: hour.Add(time.Hour), Records: 5, Bytes: 5 * 150, Units: 5},
		}
		if !slices.Equal(usage, want) {
			t.Errorf("usage %+v", usage)
		}
	})
}

// Every field of an extent is stored: a new one must find its column, and a place in this package's test extents.
func TestExtentIsStoredWhole(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		st := b.stream("s", 2)
		s := b.session()
		b.take(s)
		k := leat.ShardKey{Stream: st.ID, Ordinal: 1}
		b.register(pack(s, 0, 0, 0, extent(k, 1, 0, 10, "")))
		r := pack(s, 1, 0, 0, extent(k, 1, 10, 10, ""))
		v := reflect.ValueOf(r.Extents[0])
		for i := range v.NumField() {
			if v.Field(i).IsZero() {
				t.Errorf("the test's extents leave %s unset", v.Type().Field(i).Name)
			}
		}
		b.register(r)
		if got := b.extents(k).Extents[1]; got != r.Extents[0] {
			t.Errorf("stored %+v\nread   %+v", r.Extents[0], got)
		}
	})
}

// A registration that is sent again changes nothing, also when its first COMMIT had no answer.
func TestRegisterTwice(t *testing.T) {
	for name, plan := range map[string]string{"again": "--", "applied, no answer": "a-", "not applied, no answer": "b-", "both": "ba-"} {
		t.Run(name, func(t *testing.T) {
			onBoth(t, func(t *testing.T, b *bundle) {
				st := b.stream("s", 1)
				s := b.session()
				b.take(s)
				r := pack(s, 7, 0, 2, extent(leat.ShardKey{Stream: st.ID}, 1, 0, 10, ""))
				b.link.cut(plan)
				b.register(r)
				b.register(r)
				if n := len(b.extents(leat.ShardKey{Stream: st.ID}).Extents); n != 1 {
					t.Errorf("%d extents", n)
				}
				if n := b.used(); n != 10 {
					t.Errorf("usage of %d records", n)
				}
				b.fence(s, 2)
				b.register(r) // it is registered, whatever became of the session
			})
		})
	}
}

// When no run gets an answer the outcome stays unknown; a later call finds out.
func TestRegisterUnknown(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		st := b.stream("s", 1)
		s := b.session()
		b.take(s)
		r := pack(s, 0, 0, 1, extent(leat.ShardKey{Stream: st.ID}, 1, 0, 10, ""))
		b.link.cut("bbb")
		if err := b.Register(t.Context(), r); !errors.Is(err, sqldb.ErrCommitUnknown) || leat.KindOf(err) != leat.KindUnknownOutcome {
			t.Errorf("error %v", err)
		}
		b.register(r)
		if n := b.used(); n != 10 {
			t.Errorf("usage of %d records", n)
		}
	})
}

// What Register refuses, it refuses whole.
func TestRegisterRefuses(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		st := b.stream("s", 2)
		s, other := b.session(), b.session()
		b.take(s)
		k0, k1 := leat.ShardKey{Stream: st.ID}, leat.ShardKey{Stream: st.ID, Ordinal: 1}
		first := pack(s, 0, 0, 1, extent(k0, 1, 0, 10, ""), extent(k1, 1, 0, 10, ""))
		b.register(first)
		merge := func(replaces []shardstore.Extent, extents ...shardstore.Extent) shardstore.Registration {
			r := pack(s, 1, 1, 1, extents...)
			r.Counted, r.Replaces = false, replaces
			return r
		}
		moved := slices.Clone(first.Extents[:1])
		moved[0].Object = "pack/elsewhere"
		with := func(r shardstore.Registration, edit func(*shardstore.Registration)) shardstore.Registration {
			edit(&r)
			return r
		}
		good := pack(s, 1, 1, 2, extent(k0, 1, 10, 5, ""))
		for name, r := range map[string]shardstore.Registration{
			"another's trim":   pack(s, 1, 0, 2, extent(k0, 1, 10, 5, "")),
			"an epoch ahead":   pack(s, 1, 1, 2, extent(k0, 2, 10, 5, "")),
			"an epoch behind":  pack(s, 1, 1, 2, extent(k0, 0, 10, 5, "")),
			"a gap":            pack(s, 1, 1, 2, extent(k0, 1, 11, 5, "")),
			"an overlap":       pack(s, 1, 1, 2, extent(k0, 1, 9, 5, "")),
			"a gap within":     pack(s, 1, 1, 2, extent(k0, 1, 10, 5, ""), extent(k0, 1, 16, 5, "")),
			"another's shard":  pack(other, 1, 0, 2, extent(k0, 1, 10, 5, "")),
			"no such session":  pack(leat.SessionID{1}, 1, 0, 2, extent(k0, 1, 10, 5, "")),
			"merge of nothing": merge([]shardstore.Extent{extent(k0, 1, 10, 5, "pack/x")}, extent(k0, 1, 10, 5, "")),
			"merge elsewhere":  merge(moved, extent(k0, 1, 0, 10, "")),
		} {
			if err := b.Register(t.Context(), r); !errors.Is(err, shardstore.ErrFenced) {
				t.Errorf("%s: %v", name, err)
			}
		}
		for name, r := range map[string]shardstore.Registration{
			"merge that shrinks":   merge(first.Extents[:1], extent(k0, 1, 0, 9, "")),
			"merge without source": merge(nil, extent(k0, 1, 10, 5, "")),
			"counted merge":        with(good, func(r *shardstore.Registration) { r.Replaces = first.Extents[:1] }),
			"unsorted":             pack(s, 1, 1, 2, extent(k1, 1, 10, 5, ""), extent(k0, 1, 10, 5, "")),
			"trim backwards":       pack(s, 1, 1, 0),
			"untrimmed segment":    with(good, func(r *shardstore.Registration) { r.Deletes = []string{segment(s, 2)} }),
			"another's segment":    with(good, func(r *shardstore.Registration) { r.Deletes = []string{segment(other, 0)} }),
			"a live one's rows":    with(good, func(r *shardstore.Registration) { r.Adopts, r.AdoptShards = other, []leat.ShardKey{k0} }),
			"merge that counts":    with(merge(first.Extents[:1], extent(k0, 1, 0, 10, "")), func(r *shardstore.Registration) { r.Gone = first.Extents[1:] }),
			"empty extent":         pack(s, 1, 1, 2, extent(k0, 1, 10, 0, "")),
		} {
			if err := b.Register(t.Context(), r); leat.KindOf(err) != leat.KindInvalidArgument {
				t.Errorf("%s: %v", name, err)
			}
		}
		if got := b.extents(k0).Extents; !slices.Equal(got, first.Extents[:1]) {
			t.Errorf("something was changed: %+v", got)
		}
		b.same("queue", b.queued(), segment(s, 0))
		if n := b.used(); n != 20 {
			t.Errorf("usage of %d records", n)
		}
		b.register(good)
		if _, err := b.BeginFencing(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		if err := b.Register(t.Context(), pack(s, 2, 2, 3)); !errors.Is(err, shardstore.ErrFenced) {
			t.Errorf("after fencing began: %v", err)
		}
	})
}

// Extents of a stream that is gone are counted and not stored; an object that then holds nothing is queued at once.
func TestRegisterForGoneShards(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		gone, kept := b.stream("gone", 1), b.stream("kept", 1)
		s := b.session()
		b.take(s)
		b.must(b.BeginDelete(t.Context(), gone.ID, false))
		b.must(b.RemoveStream(t.Context(), gone.ID))
		g, k := leat.ShardKey{Stream: gone.ID}, leat.ShardKey{Stream: kept.ID}
		both := []shardstore.Extent{extent(g, 1, 0, 10, ""), extent(k, 1, 0, 10, "")}
		slices.SortFunc(both, func(a, b shardstore.Extent) int { return a.Shard.Compare(b.Shard) })
		b.register(pack(s, 0, 0, 1, both...))
		empty := pack(s, 1, 1, 2, extent(g, 1, 10, 10, ""))
		b.register(empty)
		if n := len(b.extents(k).Extents); n != 1 {
			t.Errorf("%d extents of the kept stream", n)
		}
		if n := len(b.extents(g).Extents); n != 0 {
			t.Errorf("%d extents of the gone stream", n)
		}
		b.same("queue", b.queued(), empty.Object, segment(s, 0), segment(s, 1))
		if n := b.used(); n != 30 {
			t.Errorf("usage of %d records", n)
		}
	})
}

// What was put into a stream before it was removed is its owner's, in its last mode, once: in a pack that was under way, and in the log of a
// dropped shard, which a registration names alone. What it names of a shard that is there is somebody else's to count.
func TestRegisterCountsRemovedStreams(t *testing.T) {
	for name, plan := range map[string]string{"at once": "--", "applied, no answer": "a-", "not applied, no answer": "b-"} {
		t.Run(name, func(t *testing.T) {
			onBoth(t, func(t *testing.T, b *bundle) {
				kept := b.stream("kept", 1)
				spec := spec("gone", 2)
				spec.Account, spec.Mode = otherAccount, leat.ModeOnDemand
				gone, err := b.CreateStream(t.Context(), spec)
				b.must(err)
				b.must(b.ActivateStream(t.Context(), gone.ID))
				s := b.session()
				b.take(s)
				now := leat.Micros(b.clock.Now())
				b.must(b.BeginDelete(t.Context(), gone.ID, false))
				b.must(b.RemoveStream(t.Context(), gone.ID))

				at := func(k leat.ShardKey, first, count uint64) shardstore.Extent {
					e := extent(k, 1, first, count, "")
					e.MinTime, e.MaxTime = now, now
					return e
				}
				g0, g1, k := leat.ShardKey{Stream: gone.ID}, leat.ShardKey{Stream: gone.ID, Ordinal: 1}, leat.ShardKey{Stream: kept.ID}
				r := pack(s, 0, 0, 2, at(g0, 0, 10))
				never := leat.ShardKey{Stream: leat.NewID[leat.StreamID](nil)}
				r.Gone = []shardstore.Extent{at(g0, 10, 4), at(g1, 0, 3), at(k, 0, 100), at(never, 0, 100)}
				b.link.cut(plan)
				b.register(r)
				b.register(r)
				b.register(pack(s, 1, 2, 3, at(k, 0, 5)))

				usage, err := b.Usage(t.Context(), otherAccount, b.clock.Now().Add(-time.Hour), b.clock.Now().Add(time.Hour))
				b.must(err)
				want := []catalog.Usage{{
					Account: otherAccount, Stream: gone.ID, Hour: b.clock.Now().Truncate(time.Hour), Records: 17, Bytes: 17 * 150, Units: 17,
					OnDemandRecords: 17, OnDemandBytes: 17 * 150, OnDemandUnits: 17,
				}}
				if !slices.Equal(usage, want) {
					t.Errorf("usage %+v", usage)
				}
				if n := b.used(); n != 5 {
					t.Errorf("usage of the other stream: %d records", n)
				}
				if n := len(b.extents(g0).Extents) + len(b.extents(g1).Extents); n != 0 {
					t.Errorf("%d extents are indexed", n)
				}
				b.same("queue", b.queued(), r.Object, segment(s, 0), segment(s, 1), segment(s, 2))
				var manifest string
				b.must(b.db.View(t.Context(), func(tx *sqldb.Tx) error {
					return tx.Row("SELECT body FROM manifests WHERE session = $1 AND number = 0", s).Scan(&manifest)
				}))
				var m catalog.Manifest
				b.must(json.Unmarshal([]byte(manifest), &m))
				if len(m.Streams) != 1 || m.Streams[0].Account != otherAccount || len(m.Streams[0].Extents) != 3 {
					t.Errorf("manifest %s", manifest)
				}
			})
		})
	}
}

// A merge puts one extent in the place of several and frees their objects; a shared one stays until its last extent goes.
func TestMergeAndHorizonFreeObjects(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		st := b.stream("s", 2)
		s := b.session()
		b.take(s)
		k0, k1 := leat.ShardKey{Stream: st.ID}, leat.ShardKey{Stream: st.ID, Ordinal: 1}
		p0 := pack(s, 0, 0, 0, extent(k0, 1, 0, 10, ""), extent(k1, 1, 0, 10, ""))
		p1 := pack(s, 1, 0, 0, extent(k0, 1, 10, 10, ""))
		b.register(p0)
		b.register(p1)
		m := pack(s, 2, 0, 0, extent(k0, 1, 0, 20, ""))
		m.Counted = false
		m.Replaces = []shardstore.Extent{p1.Extents[0], p0.Extents[0]} // in any order
		b.register(m)
		b.same("after the merge", b.queued(), p1.Object)
		if got := b.extents(k0).Extents; !slices.Equal(got, m.Extents) {
			t.Errorf("after the merge: %+v", got)
		}
		if n := b.used(); n != 30 {
			t.Errorf("usage of %d records: a merge must not count", n)
		}

		if err := b.AdvanceHorizon(t.Context(), k1, 2, 10, 5); !errors.Is(err, shardstore.ErrFenced) {
			t.Errorf("horizon with another epoch: %v", err)
		}
		b.must(b.AdvanceHorizon(t.Context(), k1, 1, 9, 5))
		b.same("horizon within an extent", b.queued(), p1.Object)
		b.must(b.AdvanceHorizon(t.Context(), k1, 1, 10, 5))
		b.must(b.AdvanceHorizon(t.Context(), k1, 1, 4, 5)) // not back
		b.same("horizon beyond the last extent", b.queued(), p0.Object, p1.Object)
		if x := b.extents(k1); x.Horizon != 10 || len(x.Extents) != 0 {
			t.Errorf("after the horizon moved: %+v", x)
		}
		b.must(b.AdvanceHorizon(t.Context(), leat.ShardKey{Stream: st.ID, Ordinal: 9}, 1, 10, 5))

		due, err := b.DueDeletions(t.Context(), 999, 10)
		b.must(err)
		b.same("due before 1000", due, p0.Object)
		named, err := b.Named(t.Context(), []string{p0.Object, m.Object, "pack/orphan"})
		b.must(err)
		if !named[p0.Object] || !named[m.Object] || named["pack/orphan"] {
			t.Errorf("named %v", named)
		}
		b.must(b.Deleted(t.Context(), []string{p0.Object}))
		b.same("after deletion", b.queued(), p1.Object)
	})
}

// Extents may stay in the segments that the pack trims: those are not deleted before the last extent in them goes.
func TestRegisterKeeps(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		st := b.stream("s", 2)
		s := b.session()
		b.take(s)
		k0, k1 := leat.ShardKey{Stream: st.ID}, leat.ShardKey{Stream: st.ID, Ordinal: 1}
		r := pack(s, 0, 0, 3, extent(k0, 1, 0, 10, ""), extent(k0, 1, 10, 5, ""), extent(k1, 1, 0, 5, ""), extent(k1, 1, 5, 5, ""))
		r.Extents[1].Object, r.Extents[3].Object = segment(s, 1), segment(s, 1)
		r.Extents[2].Object = shardstore.KeptKey(s, 0, 0)
		r.Deletes = []string{segment(s, 0), segment(s, 2)}
		b.register(r)
		b.register(r)
		if got := slices.Concat(b.extents(k0).Extents, b.extents(k1).Extents); !slices.Equal(got, r.Extents) {
			t.Errorf("came back as %+v", got)
		}
		b.same("queue", b.queued(), segment(s, 0), segment(s, 2))
		named, err := b.Named(t.Context(), []string{segment(s, 1), shardstore.KeptKey(s, 0, 0)})
		b.must(err)
		if len(named) != 2 {
			t.Errorf("named: %v", named)
		}
		b.must(b.AdvanceHorizon(t.Context(), k0, 1, 15, 1))
		b.same("after one shard let go", b.queued(), r.Object, segment(s, 0), segment(s, 2))
		merge := pack(s, 1, 3, 3, extent(k1, 1, 0, 10, ""))
		merge.Counted, merge.Replaces = false, r.Extents[2:]
		b.register(merge)
		b.same("after the other", b.queued(), r.Object, segment(s, 0), segment(s, 1), segment(s, 2), shardstore.KeptKey(s, 0, 0))
		if n := b.used(); n != 25 {
			t.Errorf("usage of %d records", n)
		}
	})
}

// What stays for shards that are gone is deleted with the rest.
func TestRegisterKeepsNothingOfRemovedStreams(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		st := b.stream("s", 1)
		s := b.session()
		b.take(s)
		b.must(b.BeginDelete(t.Context(), st.ID, false))
		b.must(b.RemoveStream(t.Context(), st.ID))
		r := pack(s, 0, 0, 1, extent(leat.ShardKey{Stream: st.ID}, 1, 0, 10, ""))
		r.Object, r.Extents[0].Object, r.Deletes = "", segment(s, 0), nil
		b.register(r)
		b.same("queue", b.queued(), segment(s, 0))
	})
}

// A segment may keep extents of the very registration that trims it, or adopts from its session, and of no other: somebody
// else may be about to delete it.
func TestRegisterRefusesToKeep(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		st := b.stream("s", 1)
		dead := b.session()
		b.take(dead)
		k := leat.ShardKey{Stream: st.ID}
		b.register(pack(dead, 0, 0, 2, extent(k, 1, 0, 10, "")))
		left := extent(k, 1, 10, 5, segment(dead, 2))
		b.fence(dead, 3, shardstore.ClosedShard{Shard: k, Epoch: 1, Final: 15, Extents: []shardstore.Extent{left}})
		s := b.session()
		b.take(s)
		for name, change := range map[string]func(*shardstore.Registration){
			"beyond the trim":       func(r *shardstore.Registration) { r.Extents[0].Object = segment(s, 2) },
			"another session's":     func(r *shardstore.Registration) { r.Extents[0].Object = segment(dead, 1) },
			"deleted with the rest": func(r *shardstore.Registration) { r.Extents[0].Object = segment(s, 0) },
			"another number's name": func(r *shardstore.Registration) { r.Extents[0].Object = shardstore.KeptKey(s, 7, 0) },
			"nowhere":               func(r *shardstore.Registration) { r.Extents[0].Object, r.Object = "", "" },
			"adopted from another": func(r *shardstore.Registration) {
				r.TrimTo, r.Deletes = 0, nil
				r.Adopts, r.AdoptShards, r.Extents[0].Object = dead, []leat.ShardKey{k}, segment(s, 0)
			},
			"merged": func(r *shardstore.Registration) {
				r.Counted, r.Replaces = false, slices.Clone(r.Extents)
				r.Extents[0].Object = segment(s, 1)
			},
		} {
			r := pack(s, 0, 0, 2, extent(k, 2, 10, 5, ""))
			r.Deletes = r.Deletes[:1]
			change(&r)
			if err := b.Register(t.Context(), r); leat.KindOf(err) != leat.KindInvalidArgument {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

// What cannot be adopted into a pack stays in the segment of the closed session, beside what else stays there, and the
// segment stays while it is named or anything is to be adopted.
func TestWhatIsAdoptedMayStay(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		st, removed := b.stream("s", 3), b.stream("removed", 1)
		dead := b.session()
		b.take(dead)
		k := [3]leat.ShardKey{{Stream: st.ID}, {Stream: st.ID, Ordinal: 1}, {Stream: st.ID, Ordinal: 2}}
		gone := leat.ShardKey{Stream: removed.ID}
		var closed []shardstore.ClosedShard
		left := map[leat.ShardKey]shardstore.Extent{}
		for key, n := range map[leat.ShardKey]uint64{k[0]: 0, k[1]: 0, k[2]: 1, gone: 0} {
			e := extent(key, 1, 0, 10, segment(dead, n))
			left[key] = e
			closed = append(closed, shardstore.ClosedShard{Shard: key, Epoch: 1, Final: 10, Extents: []shardstore.Extent{e}})
		}
		b.fence(dead, 2, closed...)
		s := b.session()
		b.take(s)
		number := uint64(0)
		adopt := func(key leat.ShardKey) {
			r := pack(s, number, 0, 0, left[key])
			r.Object, r.Extents[0].Object = "", left[key].Object
			r.Adopts, r.AdoptShards = dead, []leat.ShardKey{key}
			number++
			b.register(r)
		}
		b.must(b.BeginDelete(t.Context(), removed.ID, false))
		b.must(b.RemoveStream(t.Context(), removed.ID))
		adopt(gone)
		b.same("of a stream that is gone", b.queued())
		adopt(k[0])
		adopt(k[1])
		if got := b.extents(k[1]).Extents; len(got) != 1 || got[0] != left[k[1]] {
			t.Errorf("came back as %+v", got)
		}
		b.must(b.AdvanceHorizon(t.Context(), k[0], 2, 10, 1))
		b.must(b.AdvanceHorizon(t.Context(), k[1], 2, 10, 1))
		b.same("while something is left", b.queued())
		adopt(k[2])
		b.same("while something is named", b.queued(), segment(dead, 0))
		b.must(b.AdvanceHorizon(t.Context(), k[2], 2, 10, 1))
		b.same("at last", b.queued(), segment(dead, 0), segment(dead, 1))
	})
}

// A rebuilt catalog knows no trim: a segment that an extent stays in may hold what has to be adopted yet, and then it
// outlives the extent.
func TestSegmentsOfRebuiltCatalogsOutliveTheirExtents(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		st := b.stream("s", 2)
		dead := b.session()
		b.take(dead)
		k0, k1 := leat.ShardKey{Stream: st.ID}, leat.ShardKey{Stream: st.ID, Ordinal: 1}
		r := pack(dead, 0, 0, 2, extent(k0, 1, 0, 10, ""))
		r.Object, r.Extents[0].Object, r.Deletes = "", segment(dead, 1), r.Deletes[:1]
		b.register(r)
		left := extent(k1, 1, 0, 5, segment(dead, 1))
		b.fence(dead, 3, shardstore.ClosedShard{Shard: k1, Epoch: 1, Final: 5, Extents: []shardstore.Extent{left}})
		b.must(b.db.Tx(t.Context(), func(tx *sqldb.Tx) error {
			_, err := tx.Exec("UPDATE sessions SET trimmed = 0 WHERE id = $1", dead)
			return err
		}))
		s := b.session()
		b.take(s)
		b.must(b.AdvanceHorizon(t.Context(), k0, 2, 10, 1))
		b.same("while something is left", b.queued(), segment(dead, 0))
		adopted := pack(s, 0, 0, 0, extent(k1, 1, 0, 5, ""))
		adopted.Adopts, adopted.AdoptShards = dead, []leat.ShardKey{k1}
		b.register(adopted)
		b.same("when nothing is left", b.queued(), segment(dead, 0), segment(dead, 1), segment(dead, 2))
	})
}
