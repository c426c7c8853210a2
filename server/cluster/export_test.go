// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/catalog"
	"github.com/leatstream/leat/shardstore"
)

// Watch is what a node's polls say of the others' hearts.
type Watch struct{ w watch }

// Poll counts one successful look.
func (w *Watch) Poll(now time.Time, own leat.SessionID, peers []catalog.Peer, covers time.Duration) {
	w.w.poll(now, own, peers, covers)
}

// Suspects are the sessions silent for that long.
func (w *Watch) Suspects(after time.Duration) []leat.SessionID { return w.w.suspects(after) }

// Replaced tells whether a session's node has opened a later one.
func (w *Watch) Replaced(id leat.SessionID) bool { return w.w.replaced(id) }

// Spare begins anew.
func (w *Watch) Spare() { w.w.spare() }

// MayFence is the cap on fencing.
func MayFence(sessions int) int { return mayFence(sessions) }

// Seat is a session as the balance sees it.
type Seat struct {
	Shards int
	Leaves bool
}

// Level balances sessions, numbered from 0, until nothing is left to move, and returns their shards then and how many
// moves there were.
func Level(seats []Seat) (shards []int, moves int) {
	now := make([]seat, len(seats))
	for i, s := range seats {
		now[i] = seat{id: leat.SessionID{byte(i + 1)}, shards: s.Shards, leaves: s.Leaves}
	}
	for {
		round := level(now)
		for _, t := range round {
			now[t.from[0]-1].shards--
			now[t.to[0]-1].shards++
		}
		moves += len(round)
		if len(round) == 0 {
			break
		}
	}
	for _, s := range now {
		shards = append(shards, s.shards)
	}
	return shards, moves
}

// Overload tells which session should take over work from own, and how much.
func Overload(own leat.SessionID, peers []catalog.Peer) (to leat.SessionID, share float64) {
	return overload(own, peers)
}

// Heaviest chooses the shard to move.
func Heaviest(rates map[leat.ShardKey]float64, share float64) (leat.ShardKey, bool) {
	return heaviest(rates, share)
}

// Expire forgets the closed shards of a node that serves alone.
func Expire(ctx context.Context, n *Node) error { return n.expire(ctx, n.Store()) }

// Serve opens a session on a node, or ends it without a word.
func Serve(n *Node, s *shardstore.Store) { n.store.Store(s) }
