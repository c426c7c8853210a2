// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/catalog"
	"github.com/leatstream/leat/shardstore"
)

// movesAtOnce is how many shards one session hands over at a time: they share a segment and a pack.
const movesAtOnce = 4

// handOver gives away the shards of this session that the catalog wants elsewhere (data-plane.md, rule 15), whenever the
// table of owners has such. A shard that is released stays where nobody serves it until the catalog knows, so that is
// told again with each round.
func (m *member) handOver(ctx context.Context, s *shardstore.Store) {
	waits := nag{log: m.n.cfg.Logger, clock: m.n.cfg.Clock, what: "a shard is not handed over yet"}
	for {
		wait := m.n.cfg.Heartbeat
		if err := errors.Join(m.handOverSome(ctx, s), m.shedLoad(ctx, s)); ctx.Err() == nil {
			waits.tried(err)
		}
		c, stop := m.n.cfg.Clock.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-m.move:
		case <-c:
		}
		stop()
		if ctx.Err() != nil {
			return
		}
	}
}

func (m *member) handOverSome(ctx context.Context, s *shardstore.Store) error {
	err := m.tellReleased(ctx, s)
	var out []catalog.Ownership
	for _, move := range m.n.owners.moves() {
		if move.Owner == m.id && len(out) < movesAtOnce {
			out = append(out, move)
		}
	}
	if len(out) == 0 {
		return err
	}
	errs := make([]error, len(out), len(out)+2)
	var all sync.WaitGroup
	for i, move := range out {
		all.Go(func() { errs[i] = m.release(ctx, s, move) })
	}
	all.Wait()
	errs = append(errs, err, m.tellReleased(ctx, s))
	m.n.owners.Stale()
	return errors.Join(errs...)
}

// release writes one RELEASE. A move that cannot be carried out is called off, so that the shard is not waited for.
func (m *member) release(ctx context.Context, s *shardstore.Store, move catalog.Ownership) error {
	_, lives := m.n.owners.Live(move.MovingTo)
	var err error
	if lives {
		_, err = s.Release(ctx, move.Shard, move.Epoch)
		switch {
		case err == nil, errors.Is(err, shardstore.ErrUnknownOutcome), ctx.Err() != nil:
			return err
		case errors.Is(err, shardstore.ErrNotOwned), leat.KindOf(err) == leat.KindInUse:
			return nil // not open here yet, or a reshard comes first: the next round sees
		}
	}
	return errors.Join(err, m.n.cfg.Catalog.AbortMove(ctx, move.Shard, m.id, move.Epoch))
}

// tellReleased brings durable releases to the catalog. One that it does not take holds up no other.
func (m *member) tellReleased(ctx context.Context, s *shardstore.Store) error {
	var errs []error
	for _, r := range s.Released() {
		if err := m.n.cfg.Catalog.FinishMove(ctx, r.Shard, m.id, r.Epoch, r.Final); err != nil {
			if errs = append(errs, fmt.Errorf("finish the move of shard %s: %w", r.Shard, err)); ctx.Err() != nil {
				break
			}
			continue
		}
		s.ConfirmRelease(r.Shard, r.Epoch)
		m.n.cfg.Logger.Info("handed a shard over", "shard", r.Shard, "epoch", r.Epoch, "session", m.id)
	}
	return errors.Join(errs...)
}
