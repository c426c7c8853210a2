// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package catalog_test

import (
	"slices"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/catalog"
)

// ownedShard draws a shard whose owner lives.
func (m *model) ownedShard() (*mShard, bool) {
	owned := slices.DeleteFunc(m.shards(), func(sh *mShard) bool { return sh.owner == nil })
	return one(m.t, owned, "owned shard")
}

// beginMove asks an owner to hand a shard to another session.
func (m *model) beginMove() {
	sh, ok := m.ownedShard()
	to, there := m.liveSession()
	if !ok || !there || sh.owner == to {
		return
	}
	err := m.BeginMove(m.bundle.t.Context(), sh.key, sh.owner.id, sh.epoch, to.id)
	if sh.moving != nil && sh.moving != to {
		if leat.KindOf(err) != leat.KindInUse {
			m.t.Fatalf("shard %s moves twice: %v", sh.key, err)
		}
		return
	}
	m.must(err)
	sh.moving = to
}

func (m *model) abortMove() {
	sh, ok := m.ownedShard()
	if !ok {
		return
	}
	m.must(m.AbortMove(m.bundle.t.Context(), sh.key, sh.owner.id, sh.epoch))
	sh.moving = nil
}

// finishMove releases a shard as the engine does, with all that its owner's log holds in the index, and hands it over.
// The move may have been called off.
func (m *model) finishMove() {
	sh, ok := m.ownedShard()
	if !ok {
		return
	}
	s := sh.owner
	m.adopts(s)
	if s.trim < s.written {
		m.packAll(s)
	}
	epoch := sh.epoch
	m.must(m.FinishMove(m.bundle.t.Context(), sh.key, s.id, epoch, sh.end))
	sh.owner, sh.moving = sh.moving, nil
	sh.epoch++
	m.must(m.FinishMove(m.bundle.t.Context(), sh.key, s.id, epoch, sh.end)) // again: nothing changes
}

// endMoves calls off the moves from and to a session.
func (m *model) endMoves(s *mSession) {
	for _, sh := range m.shards() {
		if sh.owner == s || sh.moving == s {
			sh.moving = nil
		}
	}
}

// checkMoves compares what is under way.
func (m *model) checkMoves() {
	all, err := m.Moves(m.bundle.t.Context(), leat.SessionID{})
	m.must(err)
	got := map[leat.ShardKey]catalog.Move{}
	for _, mv := range all {
		got[mv.Shard] = mv
	}
	for _, sh := range m.shards() {
		mv, there := got[sh.key]
		if there != (sh.moving != nil) || there && (mv.From != sh.owner.id || mv.To != sh.moving.id || mv.Epoch != sh.epoch) {
			m.t.Fatalf("shard %s: move %+v, want %+v", sh.key, mv, sh)
		}
		delete(got, sh.key)
	}
	if len(got) > 0 {
		m.t.Fatalf("moves of no shard: %+v", got)
	}
}
