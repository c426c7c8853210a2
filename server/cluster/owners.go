// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/catalog"
)

// Owners is the table of who owns which shard, as this node knows it. It is read again when the catalog's revision rises,
// of which the database tells at once and each pulse once more, and when somebody finds it stale. While the catalog is away the last table serves.
type Owners struct {
	cat   *catalog.Catalog
	clock leat.Clock
	log   *slog.Logger
	every time.Duration // between two looks at the revision while no session's pulse brings it

	kick    chan struct{} // asks Run to look now
	loaded  func()        // called after each load that changed something
	turn    chan struct{} // one token: who has it reads the catalog, so that an older answer never replaces a newer one
	count   time.Time     // when all shards were last counted; with turn
	mu      sync.RWMutex  // of what follows
	recount bool          // something changed since all shards were counted
	rev     uint64        // of the last load
	want    uint64        // the highest revision that was heard of
	heard   time.Time     // when a pulse last brought a revision
	shards  map[leat.ShardKey]catalog.Ownership
	by      map[leat.SessionID]map[leat.ShardKey]uint64 // epochs, by owner; the zero session has those that nobody owns
	moving  map[leat.ShardKey]catalog.Ownership         // those that are asked to move
	live    map[leat.SessionID]catalog.Session
	former  bool // see Former
}

func newOwners(cat *catalog.Catalog, clock leat.Clock, every time.Duration, log *slog.Logger, loaded func()) *Owners {
	return &Owners{
		cat: cat, clock: clock, log: log, every: every, loaded: loaded,
		kick: make(chan struct{}, 1), turn: make(chan struct{}, 1),
		shards: map[leat.ShardKey]catalog.Ownership{}, by: map[leat.SessionID]map[leat.ShardKey]uint64{}, live: map[leat.SessionID]catalog.Session{},
		moving: map[leat.ShardKey]catalog.Ownership{},
	}
}

// Owner tells which live session owns a shard, in which epoch, and where it is reached. ok is false when nobody is known
// to: the shard is between two owners, or not known.
func (o *Owners) Owner(k leat.ShardKey) (session leat.SessionID, epoch uint64, address string, ok bool) {
	o.mu.RLock()
	defer o.mu.RUnlock()
	s, known := o.shards[k]
	owner, lives := o.live[s.Owner]
	if !known || !lives {
		return leat.SessionID{}, 0, "", false
	}
	return s.Owner, s.Epoch, owner.Address, true
}

// Live tells whether a session is live, and where it is reached.
func (o *Owners) Live(id leat.SessionID) (address string, ok bool) {
	o.mu.RLock()
	defer o.mu.RUnlock()
	s, ok := o.live[id]
	return s.Address, ok
}

// Peers are the live sessions, with where they are reached.
func (o *Owners) Peers() map[leat.SessionID]string {
	o.mu.RLock()
	defer o.mu.RUnlock()
	all := make(map[leat.SessionID]string, len(o.live))
	for id, s := range o.live {
		all[id] = s.Address
	}
	return all
}

// Former tells whether a node lives that does not sign with the secret that others have: one of a former version, or without
// a master key. Who can read the database and not write it cannot make it say so.
func (o *Owners) Former() bool {
	o.mu.RLock()
	defer o.mu.RUnlock()
	return o.former
}

// Stale asks for a look at the catalog now: somebody found that the table is not right.
func (o *Owners) Stale() {
	select {
	case o.kick <- struct{}{}:
	default:
	}
}

// heardOf is called with each pulse.
func (o *Owners) heardOf(p *catalog.Pulse) {
	o.mu.Lock()
	o.want, o.heard = max(o.want, p.Revision), o.clock.Now()
	o.former = false
	for i := range p.Peers {
		if p.Peers[i].State != catalog.SessionLive {
			delete(o.live, p.Peers[i].ID) // it is being fenced: whoever asks waits for the next owner
		} else if !p.Peers[i].NodeSecret {
			o.former = true
		}
	}
	behind := o.want > o.rev
	o.mu.Unlock()
	if behind {
		o.Stale()
	}
}

// listen hears of new revisions at once, where the database tells of them, until ctx ends. Pulses tell of them too, half
// a second later.
func (o *Owners) listen(ctx context.Context) {
	deaf := nag{log: o.log, clock: o.clock, what: "changes of owners are not heard at once"}
	o.cat.Listen(ctx, func(revision uint64) {
		deaf.tried(nil)
		o.mu.Lock()
		o.want = max(o.want, revision)
		behind := o.want > o.rev
		o.mu.Unlock()
		if behind {
			o.Stale()
		}
	}, deaf.tried)
}

// revision is that of the last load.
func (o *Owners) revision() uint64 {
	o.mu.RLock()
	defer o.mu.RUnlock()
	return o.rev
}

// ownership returns the row of a shard.
func (o *Owners) ownership(k leat.ShardKey) (catalog.Ownership, bool) {
	o.mu.RLock()
	defer o.mu.RUnlock()
	s, ok := o.shards[k]
	return s, ok
}

// ownedBy returns the shards of a session with their epochs, a copy.
func (o *Owners) ownedBy(id leat.SessionID) map[leat.ShardKey]uint64 {
	o.mu.RLock()
	defer o.mu.RUnlock()
	return maps.Clone(o.by[id])
}

// counts returns how many shards there are, and how many a session owns; the zero session: nobody.
func (o *Owners) counts() (all int, by map[leat.SessionID]int) {
	o.mu.RLock()
	defer o.mu.RUnlock()
	by = make(map[leat.SessionID]int, len(o.by))
	for id, keys := range o.by {
		by[id] = len(keys)
	}
	return len(o.shards), by
}

// moves returns the shards that are asked to move, sorted.
func (o *Owners) moves() []catalog.Ownership {
	o.mu.RLock()
	defer o.mu.RUnlock()
	return slices.SortedFunc(maps.Values(o.moving), func(a, b catalog.Ownership) int { return a.Shard.Compare(b.Shard) })
}

// Run keeps the table until ctx ends.
func (o *Owners) Run(ctx context.Context) {
	const least = 10 * time.Millisecond // between two looks
	for {
		c, stop := o.clock.NewTimer(o.every)
		looked := false
		select {
		case <-ctx.Done():
			stop()
			return
		case <-o.kick:
			looked = true
		case <-c:
			looked = o.unheard()
		}
		stop()
		if !looked {
			continue
		}
		if err := o.load(ctx); err != nil && ctx.Err() == nil {
			o.log.Debug("the table of owners stays as it is", "error", err)
		}
		pause, stop := o.clock.NewTimer(least)
		select {
		case <-ctx.Done():
		case <-pause:
		}
		stop()
	}
}

// unheard tells whether no pulse brings revisions now.
func (o *Owners) unheard() bool {
	o.mu.RLock()
	defer o.mu.RUnlock()
	return o.want > o.rev || o.recount || o.clock.Now().Sub(o.heard) > 2*o.every
}

// countEvery is how often, in looks, it is asked whether shards are gone.
const countEvery = 4

// load reads what has changed.
func (o *Owners) load(ctx context.Context) error {
	select {
	case o.turn <- struct{}{}:
		defer func() { <-o.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	now := o.clock.Now()
	since := o.revision()
	count := now.Sub(o.count) >= countEvery*o.every
	got, err := o.cat.OwnersSince(ctx, since, count)
	if err != nil {
		return fmt.Errorf("read who owns the shards: %w", err)
	}
	if got.Revision < since {
		return catalog.ErrOlder // the next beat ends the session
	}
	if count {
		o.count = now
	}
	left := o.apply(got, since == 0)
	o.mu.Lock()
	o.recount = !count && (o.recount || got.Revision != since)
	o.mu.Unlock()
	if count && left != got.Total { // some are gone
		if got, err = o.cat.OwnersSince(ctx, 0, false); err != nil {
			return fmt.Errorf("read who owns the shards: %w", err)
		}
		o.apply(got, true)
	}
	if got.Revision != since || count {
		o.loaded()
	}
	return nil
}

// apply puts an answer into the table and returns how many shards it knows then.
func (o *Owners) apply(got catalog.Owners, whole bool) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	if whole {
		clear(o.shards)
		clear(o.by)
		clear(o.moving)
	}
	for _, s := range got.Shards {
		if old, known := o.shards[s.Shard]; known {
			delete(o.by[old.Owner], s.Shard)
		}
		o.shards[s.Shard] = s
		delete(o.moving, s.Shard)
		if !s.MovingTo.IsZero() {
			o.moving[s.Shard] = s
		}
		if o.by[s.Owner] == nil {
			o.by[s.Owner] = map[leat.ShardKey]uint64{}
		}
		o.by[s.Owner][s.Shard] = s.Epoch
	}
	for id, keys := range o.by {
		if len(keys) == 0 {
			delete(o.by, id)
		}
	}
	clear(o.live)
	o.former = false
	for _, s := range got.Live {
		o.live[s.ID] = s
		o.former = o.former || !s.NodeSecret
	}
	o.rev = got.Revision
	o.want = max(o.want, o.rev)
	return len(o.shards)
}
