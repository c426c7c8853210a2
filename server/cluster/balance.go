// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"slices"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/catalog"
	"github.com/leatstream/leat/shardstore"
)

// seat is a session as the balance sees it.
type seat struct {
	id     leat.SessionID
	shards int // when the moves under way are done
	out    int // moves under way from it
	leaves bool
}

// transfer is a shard to move from one session to another.
type transfer struct{ from, to leat.SessionID }

// level returns what to move now so that each session has about as many shards as the others, and one that leaves has
// none. Differences of an eighth are left alone, so that it comes to rest. At most movesAtOnce are under way from one
// session.
func level(seats []seat) (moves []transfer) {
	seats = slices.Clone(seats)
	for {
		from, to := extremes(seats)
		if from == nil || to == nil {
			return moves
		}
		moves = append(moves, transfer{from.id, to.id})
		from.shards--
		from.out++
		to.shards++
	}
}

// extremes returns who is to give a shard to whom; nil for nobody.
func extremes(seats []seat) (from, to *seat) {
	all, stay := 0, 0
	for i := range seats {
		s := &seats[i]
		all += s.shards
		if !s.leaves {
			stay++
			if to == nil || s.shards < to.shards {
				to = s
			}
		}
		if s.out < movesAtOnce && s.shards > 0 && (from == nil || s.leaves && !from.leaves || s.leaves == from.leaves && s.shards > from.shards) {
			from = s
		}
	}
	if from == nil || to == nil {
		return nil, nil
	}
	if slack := max(1, all/stay/8); !from.leaves && from.shards-to.shards <= slack {
		return nil, nil
	}
	return from, to
}

// balance moves shards from sessions that have many to those that have few.
func (l *leader) balance(ctx context.Context, p *catalog.Pulse) error {
	owners := l.m.n.owners
	_, by := owners.counts()
	if by[leat.SessionID{}] > 0 {
		return nil // they are taken first
	}
	var seats []seat
	at := map[leat.SessionID]int{}
	for i := range p.Peers {
		if peer := &p.Peers[i]; peer.State == catalog.SessionLive && peer.Revision > 0 { // one that opens still takes none
			at[peer.ID] = len(seats)
			seats = append(seats, seat{id: peer.ID, shards: by[peer.ID], leaves: peer.Draining})
		}
	}
	for _, move := range owners.moves() {
		from, known := at[move.Owner]
		if to, lives := at[move.MovingTo]; known && lives {
			seats[from].shards--
			seats[from].out++
			seats[to].shards++
		}
	}
	wanted := level(seats)
	if len(wanted) == 0 {
		return nil
	}
	var errs []error
	for _, t := range wanted {
		if key, epoch, found := l.pick(t.from); found {
			errs = append(errs, l.begin(ctx, key, t.from, epoch, t.to))
		}
	}
	return errors.Join(append(errs, owners.load(ctx))...) // the next round must count these
}

// begin asks for one move. One that is refused is not needed any more, or will be asked for again.
func (l *leader) begin(ctx context.Context, key leat.ShardKey, from leat.SessionID, epoch uint64, to leat.SessionID) error {
	err := l.m.n.cfg.Catalog.BeginMove(ctx, key, from, epoch, to)
	switch {
	case errors.Is(err, shardstore.ErrFenced), leat.KindOf(err) == leat.KindInUse, leat.KindOf(err) == leat.KindNotFound:
		return nil
	case err == nil:
		l.m.n.cfg.Logger.Info("moving a shard", "shard", key, "from", from, "to", to)
	}
	return err
}

// pick chooses a shard of a session that does not move yet. The choice turns, so that one that may not move keeps no other
// from it.
func (l *leader) pick(from leat.SessionID) (leat.ShardKey, uint64, bool) {
	owned := l.m.n.owners.ownedBy(from)
	for _, move := range l.m.n.owners.moves() {
		delete(owned, move.Shard)
	}
	if len(owned) == 0 {
		return leat.ShardKey{}, 0, false
	}
	keys := make([]leat.ShardKey, 0, len(owned))
	for k := range owned {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, leat.ShardKey.Compare)
	l.turn++
	k := keys[l.turn%len(keys)]
	return k, owned[k], true
}

// unite brings the parents of a merge to one owner (data-plane.md, rule 16): the second one moves to the first.
func (l *leader) unite(ctx context.Context, r *shardstore.Reshard) error {
	if len(r.Parents) != 2 {
		return nil
	}
	low, okLow := l.m.n.owners.ownership(r.Parents[0].Shard)
	high, okHigh := l.m.n.owners.ownership(r.Parents[1].Shard)
	if !okLow || !okHigh || low.Owner.IsZero() || high.Owner.IsZero() || low.Owner == high.Owner ||
		!low.MovingTo.IsZero() || !high.MovingTo.IsZero() {
		return nil
	}
	return l.begin(ctx, high.Shard, high.Owner, high.Epoch, low.Owner)
}
