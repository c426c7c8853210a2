// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package catalog_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/catalog"
	"github.com/leatstream/leat/shardstore"
)

// Whatever nodes do, with answers to COMMIT that get lost, the catalog holds what the model holds: extents that join
// from the horizon on (I7), epochs that rise with each owner (I12), usage of the registered packs and nothing else
// (I15), and a deletion queue of exactly what nothing names. A closed session changes nothing any more (I5).
func TestCatalogAgainstModel(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		steps := 40
		if b.cfg.Postgres != "" {
			steps = 12
		}
		rapid.Check(t, func(rt *rapid.T) {
			b.wipe()
			m := &model{bundle: b, t: rt, account: account, queue: map[string]bool{}, objects: map[string]bool{}}
			m.create()
			m.open()
			m.takes()
			for range rapid.IntRange(1, steps).Draw(rt, "steps") {
				m.step()
			}
			m.check()
			m.clear()
		})
	})
}

// step does one thing, most often something that nodes do often.
func (m *model) step() {
	m.link.cut(rapid.SampledFrom([]string{"", "", "", "a", "b", "ab", "ba", "aa"}).Draw(m.t, "faults"))
	action := rapid.SampledFrom([]func(){
		m.put, m.put, m.put, m.put, m.packs, m.packs, m.packs, m.merges, m.retains, m.takes, m.takes, m.open, m.dies,
		m.splits, m.create, m.removes, m.again, m.zombie, m.beginMove, m.beginMove, m.finishMove, m.finishMove, m.abortMove,
	}).Draw(m.t, "action")
	action()
	m.link.cut("")
}

// again sends an old registration again: nothing changes.
func (m *model) again() {
	if r, ok := one(m.t, m.sent, "old"); ok {
		m.register(r)
	}
}

// zombie has a session that is over pack, merge and close: it is refused.
func (m *model) zombie() {
	var over []*mSession
	for _, s := range m.sessions {
		if !s.live {
			over = append(over, s)
		}
	}
	s, ok := one(m.t, over, "zombie")
	if !ok {
		return
	}
	m.link.cut("")
	ctx := m.bundle.t.Context()
	r := pack(s.id, s.number, s.trim, s.trim+1)
	if sh, ok := one(m.t, m.shards(), "its shard"); ok {
		r = pack(s.id, s.number, s.trim, s.trim+1, extent(sh.key, sh.epoch, sh.next, 3, ""))
	}
	if err := m.Register(ctx, r); !errors.Is(err, shardstore.ErrFenced) {
		m.t.Fatalf("a closed session registered a pack: %v", err)
	}
	if sh, ok := one(m.t, m.shards(), "moved shard"); ok {
		if err := m.FinishMove(ctx, sh.key, s.id, sh.epoch, sh.next); !errors.Is(err, shardstore.ErrFenced) {
			m.t.Fatalf("a closed session handed a shard over: %v", err)
		}
	}
	if err := m.CloseSession(ctx, shardstore.Closing{Session: s.id, Trim: s.trim, Fence: s.written + 9}, false); !errors.Is(err, catalog.ErrClosed) {
		m.t.Fatalf("a closed session was closed again: %v", err)
	}
}

// closes ends a session; after a lost answer the catalog says that it is closed.
func (m *model) closes(c shardstore.Closing, clean bool) {
	if err := m.CloseSession(m.bundle.t.Context(), c, clean); err != nil && !errors.Is(err, catalog.ErrClosed) {
		m.t.Fatal(err)
	}
}

func splitAt(sh *mShard) catalog.Step { return catalog.Split(sh.key.Ordinal, sh.span.Middle()) }

// check compares everything.
func (m *model) check() {
	ctx := m.bundle.t.Context()
	shards := m.shards()
	keys := make([]leat.ShardKey, len(shards))
	var all []shardstore.Extent
	for i, sh := range shards {
		keys[i] = sh.key
		all = append(all, sh.extents...)
	}
	got, err := m.Extents(ctx, keys)
	m.must(err)
	for i, sh := range shards {
		if !slices.Equal(got[i].Extents, sh.extents) || got[i].Horizon != sh.horizon || got[i].Shard != sh.key {
			m.t.Fatalf("shard %s:\ngot  %+v\nwant %+v", sh.key, got[i], sh)
		}
		joins(m.t, got[i], sh)
	}
	sortExtents(all)
	var walked []shardstore.Extent
	for e, err := range m.AllExtents(ctx) {
		m.must(err)
		walked = append(walked, e)
	}
	if !slices.Equal(walked, all) {
		m.t.Fatalf("the index holds %d extents, want %d", len(walked), len(all))
	}
	m.checkQueue()
	m.checkUsage()
	m.checkOwners()
}

// joins is I7.
func joins(t *rapid.T, x shardstore.ShardExtents, sh *mShard) {
	at := sh.next
	for _, e := range slices.Backward(x.Extents) {
		if e.End() != at {
			t.Fatalf("shard %s: an extent ends at %d where %d was expected", sh.key, e.End(), at)
		}
		at = e.First
	}
	if at > x.Horizon {
		t.Fatalf("shard %s: extents begin at %d, above the horizon %d", sh.key, at, x.Horizon)
	}
}

func (m *model) checkQueue() {
	want := m.unnamed()
	for k := range m.queue {
		want = append(want, k)
	}
	slices.Sort(want)
	if got := m.queued(); !slices.Equal(got, want) {
		m.t.Fatalf("deletion queue:\ngot  %q\nwant %q", got, want)
	}
}

func (m *model) checkUsage() {
	usage, err := m.Usage(m.bundle.t.Context(), m.account, time.Unix(0, 0).Add(-time.Hour), time.Now().Add(time.Hour))
	m.must(err)
	records := int64(0)
	for _, u := range usage {
		records += u.Records
		if u.Bytes != u.Records*150 || u.Units != u.Records {
			m.t.Fatalf("usage %+v", u)
		}
	}
	if records != m.records {
		m.t.Fatalf("usage of %d records, want %d", records, m.records)
	}
}

// checkOwners compares who owns what, and what closed sessions still hold.
func (m *model) checkOwners() {
	held, err := m.ClosedShards(m.bundle.t.Context())
	m.must(err)
	for _, s := range m.sessions {
		if len(held[s.id]) != s.holds {
			m.t.Fatalf("session %s holds %d shards, want %d", s.id, len(held[s.id]), s.holds)
		}
		owned, err := m.Owned(m.bundle.t.Context(), s.id)
		m.must(err)
		want := m.owned(s)
		if len(owned) != len(want) {
			m.t.Fatalf("session %s owns %d shards, want %d", s.id, len(owned), len(want))
		}
		for i, sh := range want {
			if o := owned[i]; o.Shard != sh.key || o.Epoch != sh.epoch || o.Next != sh.next {
				m.t.Fatalf("owned %+v, want %+v", o, sh)
			}
		}
	}
	m.checkMoves()
}

// clear removes everything and looks that only the queue and the usage are left.
func (m *model) clear() {
	ctx := m.bundle.t.Context()
	for len(m.streams) > 0 {
		m.remove(0)
	}
	for _, s := range m.sessions {
		if !s.live {
			continue
		}
		s.live = false
		m.endMoves(s)
		_, err := m.BeginFencing(ctx, s.id)
		m.must(err)
		m.closes(shardstore.Closing{Session: s.id, Trim: s.trim, Fence: s.written}, false)
		m.queueLog(s)
	}
	m.check()
}
