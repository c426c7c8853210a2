// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package shardstore

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore/wal"
)

// keeper is the state of housekeeping.
type keeper struct {
	one      turn                    // of whoever does it
	swept    time.Time               // when the sweep last began, or the session
	failed   map[string]bool         // objects that could not be deleted, since all were tried the last time
	company  time.Time               // when a merge last asked about all shards
	level    uint8                   // that it worked on
	unmerged map[extentKey]time.Time // extents that cannot be merged, and since when that is known
	more     atomic.Bool             // the last merge left some for the next one
}

// housekeep moves horizons, merges extents and deletes what nothing names, every HousekeepEvery. Failures are logged
// and tried again next time; none of it is needed for puts and reads to go on.
func (s *Store) housekeep(ctx context.Context) {
	pause := s.cfg.Params.HousekeepEvery
	for s.sleep(ctx, pause) == nil {
		began := s.cfg.Clock.Now()
		if err := s.Housekeep(ctx); err != nil && ctx.Err() == nil {
			s.cfg.Logger.Warn("housekeeping waits", "error", err)
		}
		pause = s.cfg.Params.HousekeepEvery
		if s.keeper.more.Load() { // a tenth of the time is for what is left to merge
			pause = min(pause, max(time.Second, 9*s.cfg.Clock.Now().Sub(began)))
		}
	}
}

// Housekeep does one round: retention, then merges; where the session leads, deletions that are due, and at most once an
// hour the sweep.
func (s *Store) Housekeep(ctx context.Context) error {
	if err := s.keeper.one.lock(ctx); err != nil {
		return err
	}
	defer s.keeper.one.unlock()
	s.unloadIdle()
	// What expires in a round, and what goes, does so by this one reading: the wall clock may jump before the round is over.
	now, err := s.cfg.Guard.now()
	switch {
	case err != nil: // by a wrong clock everything may seem to have expired
		err = errors.Join(fmt.Errorf("nothing expires and nothing is deleted meanwhile: %w", err), s.merge(ctx))
	case s.cfg.Guard.holds(now):
		err = s.merge(ctx)
	default:
		err = errors.Join(s.retain(ctx, now), s.merge(ctx))
		if s.cfg.Leads == nil || s.cfg.Leads() {
			err = errors.Join(err, s.deleteDue(ctx, now), s.sweepDue(ctx, now))
		}
	}
	if errors.Is(err, ErrFenced) {
		s.abort(fmt.Errorf("the catalog refused housekeeping: %w", err))
	}
	return err
}

// Pack packs everything that is durable now, without waiting until it is due.
func (s *Store) Pack(ctx context.Context) error {
	err := s.packer.round(ctx, true)
	if errors.Is(err, ErrFenced) {
		s.abort(fmt.Errorf("the catalog refused a pack: %w", err))
	}
	return err
}

// unloadIdle lets go of the extents of shards that nobody has read from objects for a while.
func (s *Store) unloadIdle() {
	before := s.cfg.Clock.Now().Add(-s.cfg.Params.UnloadAfter)
	for _, sh := range s.owned() {
		sh.mu.Lock()
		if sh.loaded && sh.used.Before(before) {
			sh.unload()
		}
		sh.mu.Unlock()
	}
}

// retain moves the horizon of shards whose first extents have expired as a whole by now; the index then queues the objects
// that nothing names any more (data-plane.md, rule 17).
func (s *Store) retain(ctx context.Context, now time.Time) error {
	var due []*shard
	for _, sh := range s.owned() {
		r, ok := s.cfg.Retention(sh.key.Stream, now)
		if !ok {
			continue
		}
		sh.mu.Lock()
		if !sh.gone && sh.count > 0 && (sh.oldest == 0 || sh.oldest < r.ExpiredBefore) {
			due = append(due, sh)
		}
		sh.mu.Unlock()
	}
	var errs []error
	err := s.eachExtents(ctx, due, func(sh *shard, extents []Extent) {
		errs = append(errs, s.retainShard(ctx, sh, extents, now))
	})
	return errors.Join(append(errs, err)...)
}

func (s *Store) retainShard(ctx context.Context, sh *shard, extents []Extent, now time.Time) error {
	r, ok := s.cfg.Retention(sh.key.Stream, now)
	if !ok || len(extents) == 0 {
		return nil
	}
	k := 0
	for k < len(extents) && extents[k].MaxTime < r.ExpiredBefore {
		k++
	}
	if k > 0 {
		if err := s.advance(ctx, sh, extents[k-1].End()); err != nil {
			return err
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
		// The count stays: a load may have seen already that they are fewer, and one that is too low would say that there is
		// none where there are some. Whoever asks the index next sets it right.
		sh.checked = max(0, sh.checked-k)
		sh.unload()
	}
	return nil
}

// advance moves a shard's horizon in the index. A refusal ends the session, unless the shard was dropped meanwhile.
func (s *Store) advance(ctx context.Context, sh *shard, horizon uint64) error {
	notBefore := leat.Micros(s.cfg.Clock.Now().Add(s.cfg.Params.DeleteAfter))
	err := s.cfg.Index.AdvanceHorizon(ctx, sh.key, sh.epoch, horizon, notBefore)
	if err == nil {
		return nil
	}
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.gone {
		return nil
	}
	return fmt.Errorf("move the horizon of %s to %d: %w", sh.key, horizon, err)
}

// deleteDue deletes objects whose time has come by now. The index has stopped naming them at least DeleteAfter ago, so no
// reader is in them any more. What cannot be deleted now stays in the queue and does not keep the others there, however
// much it is: it is tried again when all others have been. A round ends with the batch in which something fails, since it may
// be that nothing can be deleted now.
func (s *Store) deleteDue(ctx context.Context, now time.Time) error {
	const batch = 500
	failed := s.keeper.failed
	var errs []error
	for {
		limit := batch + len(failed)
		keys, err := s.cfg.Index.DueDeletions(ctx, leat.Micros(now), limit)
		if err != nil {
			return errors.Join(append(errs, err)...)
		}
		gone := make([]string, 0, batch)
		for _, key := range keys {
			if failed[key] {
				continue
			}
			if err := s.deleteObject(ctx, key); err != nil {
				failed[key] = true
				errs = append(errs, fmt.Errorf("delete %s: %w", key, err))
				continue
			}
			gone = append(gone, key)
		}
		if len(gone) > 0 {
			if err := s.cfg.Index.Deleted(ctx, gone); err != nil {
				return errors.Join(append(errs, err)...)
			}
			s.stats.deleted.Add(uint64(len(gone)))
		}
		if len(keys) < limit {
			clear(failed)
		}
		if len(keys) < limit || len(errs) > 0 {
			return errors.Join(errs...)
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
