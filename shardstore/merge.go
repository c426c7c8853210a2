// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package shardstore

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore/blob"
)

const (
	extentsBatch = 500              // shards that one question to the index covers
	companyEvery = 5 * time.Minute  // between questions about all shards, where there are more than that
	mergeBuffers = 64 << 20         // bytes of the objects that a merge reads side by side
	mergeAgain   = 10 * time.Minute // before an extent is tried that could not be read or sealed
)

// merge joins small extents of one level into larger ones, so that the index and the number of objects stay bounded
// (data-plane.md, "Pack" and rule 17). One call works on one level that is due; they take turns.
func (s *Store) merge(ctx context.Context) error {
	if s.packer.unsure.Load() {
		return nil // the catalog may have another trim than we know, and would refuse
	}
	more := s.keeper.more.Swap(false)
	due, err := s.mergeCandidates(ctx)
	if err != nil || len(due) == 0 {
		return err
	}
	level := nextLevel(due, s.keeper.level)
	due = onLevel(due, level)
	work, err := s.mergeCompany(ctx, due, level, more)
	if err != nil || len(work) == 0 {
		return err
	}
	if more && level != s.keeper.level {
		s.keeper.more.Store(true) // of the level that the last merge worked on
	}
	s.keeper.level = level
	return s.runMerge(ctx, work, min(level+1, maxLevel))
}

// mergeCandidates finds the shards that have a level with enough extents to join.
func (s *Store) mergeCandidates(ctx context.Context) (due []shardMerge, err error) {
	s.keeper.tryAgain(s.cfg.Clock.Now())
	var grown []*shard
	for _, sh := range s.owned() {
		sh.mu.Lock()
		if sh.count-sh.checked >= s.cfg.Params.MergeFanIn && !sh.gone {
			grown = append(grown, sh)
		}
		sh.mu.Unlock()
	}
	err = s.eachExtents(ctx, grown, func(sh *shard, extents []Extent) {
		sh.mu.Lock()
		sh.kept = countKept(extents)
		sh.mu.Unlock()
		m := dueMerge(sh, s.keeper.mergeable(sh, extents), s.cfg.Params, s.mergeSpan(sh.key.Stream))
		if len(m.groups) > 0 {
			due = append(due, m)
			return
		}
		sh.mu.Lock()
		sh.checked = len(extents)
		sh.mu.Unlock()
	})
	return due, err
}

// mergeCompany adds what other shards have in the same objects. Where there are many shards it makes the due ones wait,
// so that the index is not read whole all the time, unless they are more of what was begun.
func (s *Store) mergeCompany(ctx context.Context, due []shardMerge, level uint8, more bool) ([]shardMerge, error) {
	in := map[*shard]bool{}
	for _, m := range due {
		in[m.sh] = true
	}
	var others []*shard
	for _, sh := range s.owned() {
		sh.mu.Lock()
		if !in[sh] && sh.count > 0 && !sh.gone {
			others = append(others, sh)
		}
		sh.mu.Unlock()
	}
	now := s.cfg.Clock.Now()
	if len(others) > extentsBatch && now.Sub(s.keeper.company) < companyEvery && !more {
		return nil, nil
	}
	s.keeper.company = now
	shared := sourcesOf(due)
	err := s.eachExtents(ctx, others, func(sh *shard, extents []Extent) {
		if m := companyMerge(sh, s.keeper.mergeable(sh, extents), shared, level, s.cfg.Params, s.mergeSpan(sh.key.Stream)); len(m.groups) > 0 {
			due = append(due, m)
		}
	})
	return due, err
}

// mergeSpan bounds the time that one extent may cover, so that retention frees at most an eighth too late.
func (s *Store) mergeSpan(stream leat.StreamID) time.Duration {
	r, ok := s.cfg.Retention(stream, s.cfg.Clock.Now())
	if !ok {
		return leat.MinRetention / 8
	}
	return max(r.Keep/8, time.Hour)
}

// eachExtents asks the index about shards, some hundreds at a time, and sets their counts right.
func (s *Store) eachExtents(ctx context.Context, shards []*shard, f func(*shard, []Extent)) error {
	for part := range slices.Chunk(shards, extentsBatch) {
		keys := make([]leat.ShardKey, len(part))
		changes := make([]uint64, len(part))
		for i, sh := range part {
			sh.mu.Lock()
			keys[i], changes[i] = sh.key, sh.changes
			sh.mu.Unlock()
		}
		answers, err := s.cfg.Index.Extents(ctx, keys)
		if err != nil {
			return fmt.Errorf("read the extent index: %w", err)
		}
		for i, a := range answers {
			sh := part[i]
			sh.mu.Lock()
			if sh.changes == changes[i] {
				sh.count = len(a.Extents)
			}
			sh.mu.Unlock()
			f(sh, a.Extents)
		}
	}
	return nil
}

// runMerge writes one merged object after another. What stayed in segments can wait, since Params.KeepRows bounds it: a
// round takes MergeRound bytes of it, because puts and reads want the medium too. What cannot be merged, because it fails
// its checks or its key is not to be had, does not keep the rest from being merged.
func (s *Store) runMerge(ctx context.Context, work []shardMerge, level uint8) error {
	var errs []error
	late := int64(0) // bytes of what stayed in segments
	for _, out := range planOutputs(work, s.cfg.Params) {
		if out.stayed() {
			if late > 0 && late+out.raw > s.cfg.Params.MergeRound {
				s.keeper.more.Store(true)
				continue
			}
			late += out.raw
		}
		if errs = append(errs, s.readMerge(ctx, &out)); ctx.Err() != nil {
			break
		}
		if len(out.parts) > 0 {
			errs = append(errs, s.writeMerge(ctx, &out, level))
		}
	}
	return errors.Join(errs...)
}

// readMerge reads the extents of a merged object in the order of shards, from all their objects side by side; every
// record is checked on the way. Shards of which something cannot be merged are left out.
func (s *Store) readMerge(ctx context.Context, out *mergeOutput) error {
	readers := map[string]*objectReader{}
	for _, w := range out.work {
		for _, e := range w.group {
			readers[e.Object] = nil
		}
	}
	window := max(64<<10, min(s.cfg.Params.ReadWindow/4, int64(mergeBuffers/len(readers))))
	for object := range readers {
		readers[object] = &objectReader{s: s, window: window}
	}
	var errs []error
	work := out.work
	out.work = nil
	for _, w := range work {
		p, err := s.readShare(ctx, w, readers)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("merge of %s from offset %d: %w", w.sh.key, w.group[0].First, err))
			continue
		}
		out.work, out.parts, out.replaces = append(out.work, w), append(out.parts, p), append(out.replaces, w.group...)
	}
	return errors.Join(errs...)
}

// readShare reads what a merged object gets of one shard. What cannot be merged is noted.
func (s *Store) readShare(ctx context.Context, w mergeShare, readers map[string]*objectReader) (part, error) {
	p := part{sh: w.sh}
	for _, e := range w.group {
		c, err := readers[e.Object].chunk(ctx, e)
		if err != nil {
			bad := w.group // at first together: one that is left alone among merged ones is never due again
			if leat.KindOf(err) == leat.KindCorrupt || errors.Is(err, blob.ErrNotFound) {
				bad = []Extent{e}
			}
			s.keeper.unmergeable(s.cfg.Clock.Now(), w.sh, bad...)
			return p, err
		}
		c.Epoch = w.group[len(w.group)-1].Epoch // one extent has one epoch: that of its last owner
		p.add(c, &e)
	}
	_, err := s.sealOf(&p)
	if err != nil {
		s.keeper.unmergeable(s.cfg.Clock.Now(), w.sh, w.group...)
	}
	return p, err
}

// extentKey is a registered extent.
type extentKey struct {
	sh     *shard
	first  uint64
	object string
}

// unmergeable notes extents that cannot be merged now.
func (k *keeper) unmergeable(now time.Time, sh *shard, extents ...Extent) {
	for i := range extents {
		k.unmerged[extentKey{sh, extents[i].First, extents[i].Object}] = now
	}
}

// tryAgain forgets what was noted long ago, and has the shards looked at again.
func (k *keeper) tryAgain(now time.Time) {
	maps.DeleteFunc(k.unmerged, func(e extentKey, at time.Time) bool {
		if now.Sub(at) < mergeAgain {
			return false
		}
		e.sh.mu.Lock()
		defer e.sh.mu.Unlock()
		e.sh.checked = 0
		return true
	})
}

// mergeable returns a shard's extents with those that cannot be merged looking as if they were too large: merges go on around
// them, and they make nothing due.
func (k *keeper) mergeable(sh *shard, extents []Extent) []Extent {
	if len(k.unmerged) == 0 {
		return extents
	}
	extents = slices.Clone(extents)
	for i := range extents {
		e := &extents[i]
		if _, noted := k.unmerged[extentKey{sh, e.First, e.Object}]; noted {
			e.Raw = math.MaxInt64
		}
	}
	return extents
}

// writeMerge writes and registers one merged object. A refusal means that the extents changed meanwhile (a stream was
// deleted): the merge is forgotten, its object is swept later, and nothing is lost.
func (s *Store) writeMerge(ctx context.Context, out *mergeOutput, level uint8) error {
	reg := Registration{Session: s.cfg.Session, Number: s.packer.nextNumber(), Replaces: out.replaces}
	if err := s.packer.write(ctx, &reg, out.parts, level); err != nil {
		return fmt.Errorf("merge into pack %d: %w", reg.Number, err)
	}
	err := s.registerMerge(ctx, &reg)
	for i, p := range out.parts {
		gone := 0
		if err == nil {
			gone = countKept(out.work[i].group)
		}
		p.sh.merged(gone) // whatever the outcome: the next read asks the index
	}
	if errors.Is(err, ErrFenced) {
		s.cfg.Logger.Warn("a merge was overtaken by other changes and is dropped", "object", reg.Object, "error", err)
		return nil
	}
	if err != nil {
		return fmt.Errorf("register the merge into %s: %w", reg.Object, err)
	}
	s.stats.merges.Add(1)
	return nil
}

// registerMerge tries a few times under one number. After that the outcome may be unknown; it does not matter, since a
// merge only says another way where the same records are.
func (s *Store) registerMerge(ctx context.Context, reg *Registration) error {
	pause := 100 * time.Millisecond
	for try := 1; ; try++ {
		err := s.packer.register(ctx, reg)
		if err == nil || errors.Is(err, ErrFenced) || try == 3 || s.sleep(ctx, pause) != nil {
			return err
		}
		pause *= 4
	}
}

// merged says that the registered extents are others now; so many of those that stayed in segments are gone.
func (sh *shard) merged(kept int) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.checked = 0
	sh.kept = max(0, sh.kept-kept)
	sh.unload()
}
