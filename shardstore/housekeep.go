// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package shardstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore/wal"
)

// housekeep moves horizons, merges extents and deletes what nothing names, every HousekeepEvery. Failures are logged
// and tried again next time; none of it is needed for puts and reads to go on.
func (s *Store) housekeep(ctx context.Context) {
	for s.sleep(ctx, s.cfg.Params.HousekeepEvery) == nil {
		if err := s.Housekeep(ctx); err != nil && ctx.Err() == nil {
			s.cfg.Logger.Warn("housekeeping waits", "error", err)
		}
	}
}

// Housekeep does one round: retention, then merges, then deletions that are due.
func (s *Store) Housekeep(ctx context.Context) error {
	s.keeping.Lock()
	defer s.keeping.Unlock()
	return errors.Join(s.retain(ctx), s.merge(ctx), s.deleteDue(ctx))
}

// Pack packs everything that is durable now, without waiting until it is due.
func (s *Store) Pack(ctx context.Context) error { return s.packer.packAll(ctx) }

// retain moves the horizon of shards whose first extents have expired as a whole; the index then queues the objects
// that nothing names any more (data-plane.md, rule 17).
func (s *Store) retain(ctx context.Context) error {
	var unknown, expired []*shard
	for _, sh := range s.owned() {
		r, ok := s.cfg.Retention(sh.key.Stream)
		if !ok {
			continue
		}
		sh.mu.Lock()
		switch {
		case sh.gone || sh.count == 0:
		case sh.oldest == 0:
			unknown = append(unknown, sh)
		case sh.oldest < r.ExpiredBefore:
			expired = append(expired, sh)
		}
		sh.mu.Unlock()
	}
	var errs []error
	err := s.eachExtents(ctx, append(unknown, expired...), func(sh *shard, extents []Extent) {
		errs = append(errs, s.retainShard(ctx, sh, extents))
	})
	return errors.Join(append(errs, err)...)
}

func (s *Store) retainShard(ctx context.Context, sh *shard, extents []Extent) error {
	r, ok := s.cfg.Retention(sh.key.Stream)
	if !ok || len(extents) == 0 {
		return nil
	}
	k := 0
	for k < len(extents) && extents[k].MaxTime < r.ExpiredBefore {
		k++
	}
	if k > 0 {
		horizon := extents[k-1].End()
		notBefore := leat.Micros(s.cfg.Clock.Now().Add(s.cfg.Params.DeleteAfter))
		if err := s.cfg.Index.AdvanceHorizon(ctx, sh.key, sh.epoch, horizon, notBefore); err != nil {
			return fmt.Errorf("move the horizon of %s to %d: %w", sh.key, horizon, err)
		}
	}
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.oldest = 0
	if k < len(extents) {
		sh.oldest = extents[k].MaxTime
	}
	if k > 0 {
		sh.horizon = max(sh.horizon, extents[k-1].End())
		sh.count -= k
		sh.checked = min(sh.checked, sh.count)
		sh.unload()
	}
	return nil
}

// deleteDue deletes objects whose time has come. The index has stopped naming them at least DeleteAfter ago, so no
// reader is in them any more.
func (s *Store) deleteDue(ctx context.Context) error {
	const batch = 500
	for {
		keys, err := s.cfg.Index.DueDeletions(ctx, leat.Micros(s.cfg.Clock.Now()), batch)
		if err != nil || len(keys) == 0 {
			return err
		}
		for _, key := range keys {
			if err := s.deleteObject(ctx, key); err != nil {
				return fmt.Errorf("delete %s: %w", key, err)
			}
		}
		if err := s.cfg.Index.Deleted(ctx, keys); err != nil {
			return err
		}
		s.stats.deleted.Add(uint64(len(keys)))
		if len(keys) < batch {
			return nil
		}
	}
}

func (s *Store) deleteObject(ctx context.Context, key string) error {
	if session, n, ok := wal.ParseKey(key); ok {
		return s.cfg.Driver.Remove(ctx, session, n)
	}
	return s.cfg.Blobs.Delete(ctx, key)
}

// sleep waits d on the store's clock.
func (s *Store) sleep(ctx context.Context, d time.Duration) error {
	c, stop := s.cfg.Clock.NewTimer(d)
	defer stop()
	select {
	case <-c:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
