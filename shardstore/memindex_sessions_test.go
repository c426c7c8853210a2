// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package shardstore_test

import (
	"fmt"
	"slices"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore"
	"github.com/leatstream/leat/shardstore/wal"
)

func (x *memIndex) has(k leat.ShardKey) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.shards[k] != nil
}

// addShard makes an open shard that nobody owns.
func (x *memIndex) addShard(k leat.ShardKey) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.shards[k] = &memShard{}
}

func (x *memIndex) setState(id leat.SessionID, state string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.sessions[id].state = state
}

// openSession registers a live session.
func (x *memIndex) openSession(id leat.SessionID) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.sessions[id] = &memSession{state: "live", packs: map[uint64]bool{}, pending: map[leat.ShardKey]bool{}, order: len(x.sessions)}
}

// fence moves a session to fencing and returns its trim.
func (x *memIndex) fence(id leat.SessionID) uint64 {
	x.mu.Lock()
	defer x.mu.Unlock()
	s := x.sessions[id]
	if s.state == "live" {
		s.state = "fencing"
	}
	return s.trim
}

// fenceAll moves all live sessions to fencing and returns the trims of all that are not closed.
func (x *memIndex) fenceAll() map[leat.SessionID]uint64 {
	x.mu.Lock()
	defer x.mu.Unlock()
	trims := map[leat.SessionID]uint64{}
	for id, s := range x.sessions {
		if s.state == "closed" {
			continue
		}
		s.state = "fencing"
		trims[id] = s.trim
	}
	return trims
}

// close ends a session as its closing says, once.
func (x *memIndex) close(c shardstore.Closing) {
	x.mu.Lock()
	defer x.mu.Unlock()
	s := x.sessions[c.Session]
	if s.state == "closed" {
		return
	}
	s.state, s.fence = "closed", c.Fence
	for _, r := range c.Reshards {
		x.finish(r, leat.SessionID{})
	}
	for _, cs := range c.Shards {
		if x.shards[cs.Shard] != nil {
			s.pending[cs.Shard] = true
		}
	}
	if len(s.pending) == 0 {
		for n := s.trim; n < s.fence; n++ {
			x.deletions[wal.Key(c.Session, n)] = 0
		}
	}
	for _, sh := range x.shards {
		if sh.owner == c.Session {
			sh.owner = leat.SessionID{}
		}
	}
}

// confirm puts the outcome of a live session's reshard into the index.
func (x *memIndex) confirm(r shardstore.Reshard, owner leat.SessionID) (err error) {
	leave, err := x.enter("confirm")
	if err != nil {
		return err
	}
	defer leave(&err)
	if s := x.sessions[owner]; s == nil || s.state != "live" {
		return shardstore.ErrFenced
	}
	x.finish(r, owner)
	return nil
}

// finish puts a reshard's outcome into the index, once. mu is held.
func (x *memIndex) finish(r shardstore.Reshard, owner leat.SessionID) {
	for _, p := range r.Parents {
		x.shards[p.Shard].closed, x.shards[p.Shard].final = true, p.Final
	}
	for _, c := range r.Children {
		if x.shards[c.Shard] == nil {
			x.shards[c.Shard] = &memShard{owner: owner, epoch: 1, lastTime: r.Time}
		}
	}
}

// move hands a shard that its owner has released to another session, or to nobody when that one is not live.
func (x *memIndex) move(k leat.ShardKey, from leat.SessionID, epoch, final uint64, to leat.SessionID) (err error) {
	leave, err := x.enter("move")
	if err != nil {
		return err
	}
	defer leave(&err)
	sh := x.shards[k]
	if sh.epoch > epoch {
		return nil
	}
	if s := x.sessions[from]; s.state != "live" || sh.owner != from || sh.epoch != epoch {
		return shardstore.ErrFenced
	}
	if sh.next != final && !x.broken.anyFinal {
		return fmt.Errorf("I7: %s was released at %d and is registered up to %d", k, final, sh.next)
	}
	sh.epoch++
	sh.owner = leat.SessionID{}
	if x.sessions[to].state == "live" {
		sh.owner = to
	}
	return nil
}

// anyFinal breaks the catalog: see brokenIndex.
func (x *memIndex) anyFinal() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.broken.anyFinal = true
}

// ownerOf returns who owns a shard, and in which epoch.
func (x *memIndex) ownerOf(k leat.ShardKey) (owner leat.SessionID, epoch uint64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if sh := x.shards[k]; sh != nil {
		return sh.owner, sh.epoch
	}
	return owner, 0
}

// take gives all shards without an owner to a session and returns the assignments of all that it owns, without pending
// extents, and which sessions hold those.
func (x *memIndex) take(id leat.SessionID) (out []shardstore.Assignment, pending map[leat.ShardKey][]leat.SessionID) {
	x.mu.Lock()
	defer x.mu.Unlock()
	pending = x.pendingSessions()
	live := x.sessions[id].state == "live"
	for k, sh := range x.shards {
		if sh.owner != id && (!sh.owner.IsZero() || !live) {
			continue
		}
		if sh.owner.IsZero() {
			sh.owner = id
			sh.epoch++
		}
		out = append(out, shardstore.Assignment{
			Shard: k, Epoch: sh.epoch, Horizon: sh.horizon, Next: sh.next, LastTime: sh.lastTime,
			Closed: sh.closed, Extents: len(sh.extents),
		})
	}
	slices.SortFunc(out, func(a, b shardstore.Assignment) int { return a.Shard.Compare(b.Shard) })
	return out, pending
}

// pendingSessions lists, for each shard, the closed sessions that still hold extents of it, oldest first. mu is held.
func (x *memIndex) pendingSessions() map[leat.ShardKey][]leat.SessionID {
	pending := map[leat.ShardKey][]leat.SessionID{}
	var order []leat.SessionID
	for s := range x.sessions {
		order = append(order, s)
	}
	slices.SortFunc(order, func(a, b leat.SessionID) int { return x.sessions[a].order - x.sessions[b].order })
	for _, s := range order {
		for k := range x.sessions[s].pending {
			pending[k] = append(pending[k], s)
		}
	}
	return pending
}

// snapshot is what fsck looks at.
func (x *memIndex) snapshot() (out []shardstore.FsckShard, pending map[leat.ShardKey][]leat.SessionID) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for k, sh := range x.shards {
		out = append(out, shardstore.FsckShard{
			Assignment: shardstore.Assignment{Shard: k, Epoch: sh.epoch, Horizon: sh.horizon, Next: sh.next, Closed: sh.closed},
			Final:      sh.final, Extents: slices.Clone(sh.extents),
		})
	}
	return out, x.pendingSessions()
}
