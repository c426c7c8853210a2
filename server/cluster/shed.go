// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/catalog"
	"github.com/leatstream/leat/shardstore"
)

const (
	shedEvery   = 30      // heartbeats between two looks: what was moved must show in the averages first
	shedFloor   = 1 << 20 // bytes a second by which sessions may differ, whatever the rest
	recordCosts = 512     // bytes that a record costs beyond its own, about
)

// work is what a session takes in, in bytes a second.
func work(p *catalog.Peer) float64 { return float64(p.BytesIn) + recordCosts*float64(p.RecordsIn) }

// shed is what the busiest session knows of its shards.
type shed struct {
	at    time.Time
	tails map[leat.ShardKey]uint64
}

// overload returns which session should take over work, and how much, when own is the busiest one, by half above the
// mean; a zero share where nothing is to be done.
func overload(own leat.SessionID, peers []catalog.Peer) (to leat.SessionID, share float64) {
	var all, mine, least float64
	n := 0
	for i := range peers {
		p := &peers[i]
		if p.State != catalog.SessionLive || p.Draining || p.Revision == 0 {
			continue
		}
		w := work(p)
		n++
		all += w
		if p.ID == own {
			mine = w
		} else if to.IsZero() || w < least {
			to, least = p.ID, w
		}
	}
	if to.IsZero() || mine < 1.5*all/float64(n) || mine-least < shedFloor {
		return leat.SessionID{}, 0
	}
	return to, (mine - least) / 2
}

// heaviest returns the shard with the most work that is not more than share of a session's: moving one with more would
// only move the trouble.
func heaviest(rates map[leat.ShardKey]float64, share float64) (best leat.ShardKey, found bool) {
	for k, r := range rates {
		if r <= 0 || r > share {
			continue
		}
		if !found || r > rates[best] || r == rates[best] && k.Compare(best) < 0 {
			best, found = k, true
		}
	}
	return best, found
}

// shedLoad asks for one of this session's shards to move when this session is much busier than the others. The busiest
// session decides that, not the leader: it alone knows which of its shards are busy.
func (m *member) shedLoad(ctx context.Context, s *shardstore.Store) error {
	now := m.n.cfg.Clock.Now()
	passed := now.Sub(m.shed.at)
	if passed < shedEvery*m.n.cfg.Heartbeat {
		return nil
	}
	limited, cancel := context.WithTimeout(ctx, m.n.cfg.Heartbeat) // without a read lease shards do not answer
	defer cancel()
	owned := m.n.owners.ownedBy(m.id)
	tails := make(map[leat.ShardKey]uint64, len(owned))
	grown, all := map[leat.ShardKey]float64{}, 0.0
	for k := range owned {
		b, err := s.Bounds(limited, k)
		if err != nil {
			continue // not open here, or its reads wait: it is not the one to move
		}
		tails[k] = b.Tail
		if before, known := m.shed.tails[k]; known && b.Tail > before {
			grown[k] = float64(b.Tail - before)
			all += grown[k]
		}
	}
	m.shed = shed{at: now, tails: tails}
	p := m.last()
	to, share := overload(m.id, p.Peers)
	if share == 0 || all == 0 || len(m.n.owners.moves()) > 0 {
		return nil
	}
	for i := range p.Peers {
		if p.Peers[i].ID == m.id {
			for k := range grown { // a shard's part of the session's work is its part of the records
				grown[k] *= work(&p.Peers[i]) / all
			}
		}
	}
	k, found := heaviest(grown, share)
	if !found {
		return nil
	}
	err := m.n.cfg.Catalog.BeginMove(ctx, k, m.id, owned[k], to)
	if errors.Is(err, shardstore.ErrFenced) || leat.KindOf(err) == leat.KindInUse {
		return nil // it moves already, or is not to
	}
	if err == nil {
		m.n.cfg.Logger.Info("moving a busy shard", "shard", k, "to", to)
		m.n.owners.Stale()
	}
	return err
}
