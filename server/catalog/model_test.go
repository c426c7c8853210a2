// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package catalog_test

import (
	"cmp"
	"fmt"
	"slices"

	"pgregory.net/rapid"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore"
)

// model is what the catalog must hold, kept in memory by the rules of data-plane.md. Its shards belong to sessions that
// log, pack, merge, retain, die and adopt as nodes do; each method acts on the catalog and on itself alike.
type model struct {
	*bundle
	t        *rapid.T
	account  string
	streams  []*mStream
	sessions []*mSession
	queue    map[string]bool
	objects  map[string]bool // ever named
	records  int64           // of all registered packs
	sent     []shardstore.Registration
}

type mStream struct {
	leat.Stream
	shards []*mShard
}

type mShard struct {
	key     leat.ShardKey
	span    leat.HashKeyRange
	owner   *mSession
	moving  *mSession // the owner is to hand it to this one
	epoch   uint64
	next    uint64 // registered
	end     uint64 // durable
	horizon uint64
	closed  bool
	gone    bool
	extents []shardstore.Extent
	logged  []shardstore.Extent // in the owner's segments
	pending []mPending          // in those of closed sessions
}

type mPending struct {
	session *mSession
	extents []shardstore.Extent
}

type mSession struct {
	id      leat.SessionID
	live    bool
	trim    uint64
	written uint64 // segments
	number  uint64 // of the next pack
	holds   int    // shards that have something pending in it
}

func (m *model) shards() (all []*mShard) {
	for _, st := range m.streams {
		all = append(all, st.shards...)
	}
	slices.SortFunc(all, func(a, b *mShard) int { return a.key.Compare(b.key) })
	return all
}

func (m *model) owned(s *mSession) (all []*mShard) {
	for _, sh := range m.shards() {
		if sh.owner == s {
			all = append(all, sh)
		}
	}
	return all
}

// some draws a subset.
func some[T any](t *rapid.T, all []T, what string) (out []T) {
	for _, x := range all {
		if rapid.Bool().Draw(t, what) {
			out = append(out, x)
		}
	}
	return out
}

func one[T any](t *rapid.T, all []T, what string) (x T, ok bool) {
	if len(all) == 0 {
		return x, false
	}
	return all[rapid.IntRange(0, len(all)-1).Draw(t, what)], true
}

func (m *model) liveSession() (*mSession, bool) {
	var live []*mSession
	for _, s := range m.sessions {
		if s.live {
			live = append(live, s)
		}
	}
	return one(m.t, live, "session")
}

func (m *model) create() {
	n := rapid.IntRange(1, 4).Draw(m.t, "shards")
	sp := spec(fmt.Sprint("s", len(m.streams), len(m.objects), len(m.sent), len(m.queue)), n)
	sp.Account = m.account
	st, err := m.CreateStream(m.bundle.t.Context(), sp)
	if leat.KindOf(err) == leat.KindInUse {
		return
	}
	m.must(err)
	m.must(m.ActivateStream(m.bundle.t.Context(), st.ID))
	ms := &mStream{Stream: st}
	for i, r := range leat.SplitEvenly(n) {
		ms.shards = append(ms.shards, &mShard{key: leat.ShardKey{Stream: st.ID, Ordinal: uint64(i)}, span: r})
	}
	m.streams = append(m.streams, ms)
}

func (m *model) open() {
	m.sessions = append(m.sessions, &mSession{id: m.session(), live: true})
}

// takes gives a session shards without owner and compares what the catalog says of them.
func (m *model) takes() {
	s, ok := m.liveSession()
	if !ok {
		return
	}
	limit := rapid.IntRange(1, 6).Draw(m.t, "limit")
	m.link.cut("")
	taken, err := m.TakeShards(m.bundle.t.Context(), s.id, limit)
	m.must(err)
	var want []*mShard
	for _, sh := range m.shards() {
		if sh.owner == nil && len(want) < limit {
			want = append(want, sh)
		}
	}
	if len(taken) != len(want) {
		m.t.Fatalf("took %d shards, want %d", len(taken), len(want))
	}
	for i, sh := range want {
		sh.owner = s
		sh.epoch++
		var sessions []leat.SessionID
		for _, p := range sh.pending {
			sessions = append(sessions, p.session.id)
		}
		x := taken[i]
		if x.Shard != sh.key || x.Epoch != sh.epoch || x.Next != sh.next || x.Horizon != sh.horizon || x.Closed != sh.closed ||
			x.Extents != len(sh.extents) || !slices.Equal(x.Sessions, sessions) || sh.closed && x.Final != sh.end {
			m.t.Fatalf("took %+v, want %+v", x, sh)
		}
	}
}

// put writes one durable segment with records of some open shards.
func (m *model) put() {
	s, ok := m.liveSession()
	if !ok {
		return
	}
	object := segment(s.id, s.written)
	s.written++
	for _, sh := range some(m.t, m.owned(s), "put") {
		if sh.closed {
			continue
		}
		e := extent(sh.key, sh.epoch, sh.end, uint64(rapid.IntRange(1, 5).Draw(m.t, "count")), object)
		sh.logged = append(sh.logged, e)
		sh.end = e.End()
	}
}

// send registers and remembers that.
func (m *model) send(r shardstore.Registration) {
	m.register(r)
	m.sent = append(m.sent, r)
	if r.Object != "" {
		m.objects[r.Object] = true
	}
	for _, e := range r.Extents {
		m.objects[e.Object] = true
	}
	for _, k := range r.Deletes {
		m.queue[k] = true
	}
	if r.Counted {
		for _, e := range r.Extents {
			m.records += int64(e.Count)
		}
	}
}

// adopts packs what closed sessions left of a session's shards, oldest owner first.
func (m *model) adopts(s *mSession) {
	for {
		byDead := map[*mSession][]*mShard{}
		var order []*mSession
		for _, sh := range m.owned(s) {
			if len(sh.pending) > 0 {
				dead := sh.pending[0].session
				if byDead[dead] == nil {
					order = append(order, dead)
				}
				byDead[dead] = append(byDead[dead], sh)
			}
		}
		if len(order) == 0 {
			return
		}
		m.adopt(s, order[0], byDead[order[0]])
	}
}

func (m *model) adopt(s, dead *mSession, shards []*mShard) {
	var keys []leat.ShardKey
	var extents []shardstore.Extent
	for _, sh := range shards {
		keys = append(keys, sh.key)
		extents = append(extents, joined(sh.pending[0].extents))
	}
	r := pack(s.id, s.number, 0, 0, extents...)
	r.TrimFrom, r.TrimTo = s.trim, s.trim
	r.Adopts, r.AdoptShards = dead.id, keys
	s.number++
	m.send(r)
	for i, sh := range shards {
		sh.extents = append(sh.extents, r.Extents[i])
		sh.next = r.Extents[i].End()
		sh.pending = sh.pending[1:]
		m.unhold(dead)
	}
}

// unhold counts a row (closed session, shard) that is gone; with the last the session's segments are queued.
func (m *model) unhold(dead *mSession) {
	if dead.holds--; dead.holds == 0 {
		m.queueLog(dead)
	}
}

func (m *model) queueLog(s *mSession) {
	for n := s.trim; n < s.written; n++ {
		m.queue[segment(s.id, n)] = true
	}
}

// joined is one extent for a run of them.
func joined(run []shardstore.Extent) shardstore.Extent {
	first, last := run[0], run[len(run)-1]
	e := extent(first.Shard, last.Epoch, first.First, last.End()-first.First, "")
	return e
}

// packs registers the oldest segments of a session.
func (m *model) packs() {
	s, ok := m.liveSession()
	if !ok || s.trim == s.written {
		return
	}
	m.adopts(s)
	m.packTo(s, s.trim+uint64(rapid.IntRange(1, int(s.written-s.trim)).Draw(m.t, "segments")))
}

// packAll registers all that a session's log holds.
func (m *model) packAll(s *mSession) { m.packTo(s, s.written) }

func (m *model) packTo(s *mSession, to uint64) {
	r, parts := m.packOf(s, to)
	m.send(r)
	s.number++
	s.trim = r.TrimTo
	at := 0
	for _, sh := range parts {
		for ; at < len(r.Extents) && r.Extents[at].Shard == sh.key; at++ {
			sh.extents = append(sh.extents, r.Extents[at])
			sh.next = r.Extents[at].End()
		}
		sh.logged = sh.logged[loggedBelow(sh, s, r.TrimTo):]
	}
}

// packOf is the pack of a session's segments below to. Extents of some of them stay where they are.
func (m *model) packOf(s *mSession, to uint64) (r shardstore.Registration, parts []*mShard) {
	var extents []shardstore.Extent
	stays, held := map[string]bool{}, map[string]bool{}
	for n := s.trim; n < to; n++ {
		stays[segment(s.id, n)] = rapid.IntRange(0, 2).Draw(m.t, "stays") == 0
	}
	var kept []int // indices in extents
	for _, sh := range m.owned(s) {
		logged := sh.logged[:loggedBelow(sh, s, to)]
		if len(logged) > 0 {
			parts = append(parts, sh)
		}
		for from := 0; from < len(logged); {
			if stays[logged[from].Object] {
				kept = append(kept, len(extents))
				extents = append(extents, logged[from])
				held[logged[from].Object] = true
				from++
				continue
			}
			end := from + 1
			for end < len(logged) && !stays[logged[end].Object] {
				end++
			}
			extents = append(extents, joined(logged[from:end]))
			from = end
		}
	}
	r = pack(s.id, s.number, s.trim, to, extents...)
	for _, i := range kept {
		r.Extents[i].Object = extents[i].Object
	}
	if len(kept) == len(extents) {
		r.Object = ""
	}
	r.Deletes = slices.DeleteFunc(r.Deletes, func(key string) bool { return held[key] })
	return r, parts
}

func loggedBelow(sh *mShard, s *mSession, to uint64) (n int) {
	for n < len(sh.logged) && sh.logged[n].Object < segment(s.id, to) {
		n++
	}
	return n
}

// merges joins runs of extents of some shards.
func (m *model) merges() {
	s, ok := m.liveSession()
	if !ok {
		return
	}
	r := shardstore.Registration{}
	var extents []shardstore.Extent
	type change struct {
		sh       *mShard
		from, to int
	}
	var changes []change
	for _, sh := range some(m.t, m.owned(s), "merge") {
		if len(sh.extents) == 0 {
			continue
		}
		from := rapid.IntRange(0, len(sh.extents)-1).Draw(m.t, "from")
		to := rapid.IntRange(from+1, len(sh.extents)).Draw(m.t, "to")
		r.Replaces = append(r.Replaces, sh.extents[from:to]...)
		extents = append(extents, joined(sh.extents[from:to]))
		changes = append(changes, change{sh, from, to})
	}
	if len(changes) == 0 {
		return
	}
	merged := pack(s.id, s.number, 0, 0, extents...)
	merged.Counted, merged.Replaces = false, slices.Clone(r.Replaces)
	s.number++
	m.send(merged)
	for i, c := range changes {
		c.sh.extents = slices.Replace(slices.Clone(c.sh.extents), c.from, c.to, merged.Extents[i])
	}
}

func (m *model) retains() {
	sh, ok := one(m.t, m.shards(), "shard")
	if !ok || sh.owner == nil {
		return
	}
	horizon := uint64(rapid.IntRange(0, int(sh.next)).Draw(m.t, "horizon"))
	m.must(m.AdvanceHorizon(m.bundle.t.Context(), sh.key, sh.epoch, horizon, 1))
	sh.horizon = max(sh.horizon, horizon)
	sh.extents = slices.DeleteFunc(slices.Clone(sh.extents), func(e shardstore.Extent) bool { return e.End() <= horizon })
}

// dies closes a session as a recoverer does, or as its own node with nothing left.
func (m *model) dies() {
	s, ok := m.liveSession()
	if !ok {
		return
	}
	closing := shardstore.Closing{Session: s.id, Trim: s.trim, Fence: s.written}
	m.endMoves(s)
	for _, sh := range m.owned(s) {
		if len(sh.logged) > 0 {
			closing.Shards = append(closing.Shards, shardstore.ClosedShard{Shard: sh.key, Epoch: sh.epoch, Final: sh.end, Extents: sh.logged})
			sh.pending = append(sh.pending, mPending{s, sh.logged})
			sh.logged = nil
			s.holds++
		}
		sh.owner = nil
	}
	s.live = false
	clean := s.holds == 0 && rapid.Bool().Draw(m.t, "clean")
	if !clean {
		trim, err := m.BeginFencing(m.bundle.t.Context(), s.id)
		m.must(err)
		if trim != s.trim {
			m.t.Fatalf("fenced with trim %d, want %d", trim, s.trim)
		}
	}
	m.closes(closing, clean)
	if s.holds == 0 {
		m.queueLog(s)
	}
}

// splits carries out a reshard of a shard that a live session owns.
func (m *model) splits() {
	st, ok := one(m.t, m.streams, "stream")
	if !ok {
		return
	}
	sh, _ := one(m.t, st.shards, "shard")
	if sh.owner == nil || sh.closed {
		return
	}
	r, err := m.BeginReshard(m.bundle.t.Context(), st.ID, splitAt(sh))
	m.must(err)
	m.must(m.FinishReshard(m.bundle.t.Context(), done(r, 1, sh.end)))
	sh.closed = true
	for _, c := range r.Children {
		st.shards = append(st.shards, &mShard{key: c.Shard, span: c.Range, owner: sh.owner, epoch: 1})
	}
}

func (m *model) removes() {
	if len(m.streams) == 0 {
		return
	}
	i := rapid.IntRange(0, len(m.streams)-1).Draw(m.t, "stream")
	m.remove(i)
}

func (m *model) remove(i int) {
	st := m.streams[i]
	m.must(m.BeginDelete(m.bundle.t.Context(), st.ID, false))
	m.must(m.RemoveStream(m.bundle.t.Context(), st.ID))
	m.streams = slices.Delete(m.streams, i, i+1)
	for _, sh := range st.shards {
		sh.gone = true
		for _, p := range sh.pending {
			m.unhold(p.session)
		}
	}
}

// unnamed are the objects that were named once and are not any more.
func (m *model) unnamed() (keys []string) {
	named := map[string]bool{}
	for _, sh := range m.shards() {
		for _, e := range sh.extents {
			named[e.Object] = true
		}
	}
	for k := range m.objects {
		if !named[k] {
			keys = append(keys, k)
		}
	}
	return keys
}

func sortExtents(all []shardstore.Extent) {
	slices.SortFunc(all, func(a, b shardstore.Extent) int {
		return cmp.Or(a.Shard.Compare(b.Shard), cmp.Compare(a.First, b.First))
	})
}
