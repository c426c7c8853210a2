// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/catalog"
)

// leader is what the leader's loop remembers. All of it may be lost: the next leader begins anew.
type leader struct {
	m       *member
	settled uint64                  // the revision at which no stream was in transition
	expired time.Time               // when shards were last expired
	turn    int                     // of picking shards to move
	unowned time.Time               // since when shards have had no owner; zero: none
	fenced  map[leat.SessionID]bool // sessions that are being fenced, and that was said
}

// lead does what one session does for all, with each beat in which it leads: it fences who is silent, brings streams to
// rest, and hands out what nobody takes. Two leaders at a time, or one that is replaced in the middle, do no harm: each
// step is a compare-and-swap or decided once.
func (m *member) lead(ctx context.Context) {
	l := &leader{m: m, expired: m.n.cfg.Clock.Now()}
	waits := nag{log: m.n.cfg.Logger, clock: m.n.cfg.Clock, what: "the leader waits"}
	for {
		select {
		case <-ctx.Done():
			return
		case <-m.pulsed:
		}
		p := m.last()
		if !p.Leads {
			l.unowned = time.Time{}
			continue
		}
		err := errors.Join(l.fence(ctx, len(p.Peers)), l.settle(ctx, &p), l.expire(ctx), l.balance(ctx, &p))
		l.leftovers()
		if ctx.Err() == nil {
			waits.tried(err)
		}
	}
}

// fence recovers sessions that are silent, and those whose fencing somebody has begun.
func (l *leader) fence(ctx context.Context, sessions int) error {
	m := l.m
	m.mu.Lock()
	ids := m.watch.fencing()
	var suspects []leat.SessionID
	for _, id := range m.watch.suspects(m.n.cfg.DeadAfter) {
		if m.watch.replaced(id) {
			ids = append(ids, id)
		} else {
			suspects = append(suspects, id)
		}
	}
	if most := mayFence(sessions); len(suspects) > most {
		m.n.cfg.Logger.Error("many sessions seem dead at once: some are fenced now, the others if they stay silent", "silent", len(suspects), "of", sessions, "fenced_now", most)
		suspects = suspects[:most]
	}
	if len(suspects) > 0 {
		m.watch.spare()
	}
	m.mu.Unlock()
	ids = append(ids, suspects...)
	said := l.fenced
	l.fenced = make(map[leat.SessionID]bool, len(ids))
	if len(ids) == 0 {
		return nil
	}
	errs := make([]error, len(ids))
	var all sync.WaitGroup
	for i, id := range ids {
		if l.fenced[id] = true; !said[id] {
			m.n.cfg.Logger.Warn("fencing a session", "session", id, "leader", m.id)
		}
		all.Go(func() { errs[i] = m.n.recover(ctx, id) })
	}
	all.Wait()
	m.n.owners.Stale()
	return errors.Join(errs...)
}

// leftovers has this session take what nobody has taken for a while.
func (l *leader) leftovers() {
	const patience = 4 // heartbeats
	m := l.m
	_, by := m.n.owners.counts()
	now := m.n.cfg.Clock.Now()
	switch {
	case by[leat.SessionID{}] == 0:
		l.unowned = time.Time{}
	case l.unowned.IsZero():
		l.unowned = now
	case now.Sub(l.unowned) >= patience*m.n.cfg.Heartbeat:
		l.unowned = time.Time{}
		m.takes.Store(true)
		m.n.Kick()
	}
}

// expire forgets closed shards whose records have all expired. Their owners see that they are gone.
func (l *leader) expire(ctx context.Context) error {
	now := l.m.n.cfg.Clock.Now()
	if now.Sub(l.expired) < expireEvery || l.m.n.HoldsExpiry() {
		return nil
	}
	l.expired = now
	gone, err := l.m.n.cfg.Catalog.ExpireShards(ctx)
	if err != nil {
		return fmt.Errorf("expire shards: %w", err)
	}
	if len(gone) > 0 {
		l.m.n.cfg.Changed(ctx)
		l.m.n.cfg.Logger.Info("closed shards have expired", "shards", len(gone))
	}
	return nil
}

// settle brings the streams that are in transition a step further. While there are none, and nothing has changed, it asks
// nothing.
func (l *leader) settle(ctx context.Context, p *catalog.Pulse) error {
	n := l.m.n
	if l.settled == p.Revision {
		return nil
	}
	streams, err := n.cfg.Catalog.UnsettledStreams(ctx)
	if err != nil {
		return fmt.Errorf("list streams in transition: %w", err)
	}
	if len(streams) == 0 {
		l.settled = p.Revision
		return nil
	}
	var errs []error
	changed := false
	for i := range streams {
		did, err := l.step(ctx, p, &streams[i])
		if err != nil {
			errs = append(errs, fmt.Errorf("stream %s: %w", streams[i].Name, err))
		}
		changed = changed || did
	}
	if changed {
		n.cfg.Changed(ctx)
		n.owners.Stale()
	}
	return errors.Join(errs...)
}

// step brings one stream further.
func (l *leader) step(ctx context.Context, p *catalog.Pulse, st *catalog.Unsettled) (did bool, err error) {
	n := l.m.n
	if n.unseen(st.Since) > 0 {
		return false, nil
	}
	switch st.Status {
	case leat.StreamCreating:
		served, err := l.served(ctx, p, st.ID)
		if err != nil || !served {
			return false, err
		}
		return true, n.cfg.Catalog.ActivateStream(ctx, st.ID)
	case leat.StreamDeleting:
		// Its name is free then. A session that takes it for ACTIVE still would ack what is meant for the next stream of the name.
		if !known(p, st.Version) {
			return false, l.heldUp(p, st)
		}
		return true, n.cfg.Catalog.RemoveStream(ctx, st.ID)
	}
	intents, err := n.cfg.Catalog.PendingReshards(ctx, st.ID)
	if err != nil {
		return false, err
	}
	if len(intents) > 0 { // their owners carry them out
		var errs []error
		for i := range intents {
			errs = append(errs, l.unite(ctx, &intents[i]))
		}
		return false, errors.Join(errs...)
	}
	// A setting such as encryption is in force only when every session that may still take puts knows it.
	if !known(p, st.Version) {
		return false, nil
	}
	return n.cfg.Catalog.NextScaleStep(ctx, st.ID)
}

// known tells whether every session that is not closed has applied the catalog up to a revision. One that is being fenced
// counts: until its fence is durable it may ack.
func known(p *catalog.Pulse, revision uint64) bool {
	for i := range p.Peers {
		if p.Peers[i].Revision < revision {
			return false
		}
	}
	return true
}

// heldUp says which sessions keep a deleted stream, once it has waited for longer than they should take.
func (l *leader) heldUp(p *catalog.Pulse, st *catalog.Unsettled) error {
	n := l.m.n
	if n.cfg.Clock.Now().Sub(st.Since) < n.cfg.Transition+20*n.cfg.Heartbeat {
		return nil
	}
	var late []string
	for i := range p.Peers {
		if peer := &p.Peers[i]; peer.Revision < st.Version {
			late = append(late, fmt.Sprintf("session %s of node %q (%s)", peer.ID, peer.Node, peer.State))
		}
	}
	return leat.Errorf(leat.KindUnavailable, "it is DELETING, and stays while sessions that are not closed may take it for ACTIVE: %s", strings.Join(late, ", "))
}

// served tells whether every shard of a stream is open at a live owner.
func (l *leader) served(ctx context.Context, p *catalog.Pulse, id leat.StreamID) (bool, error) {
	at := map[leat.SessionID]uint64{}
	for i := range p.Peers {
		if p.Peers[i].State == catalog.SessionLive {
			at[p.Peers[i].ID] = p.Peers[i].Revision
		}
	}
	shards, err := l.m.n.cfg.Catalog.Shards(ctx, id)
	if err != nil {
		return false, err
	}
	for i := range shards {
		row, there := l.m.n.owners.ownership(shards[i].Key)
		if !there || row.Owner.IsZero() || at[row.Owner] < row.Changed {
			return false, nil
		}
	}
	return len(shards) > 0, nil
}
