// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package shardstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore/segment"
)

const (
	releaseTries  = 3
	releaseWithin = 5 * time.Second // a shard that cannot be made ready in this time takes puts again
)

// errBehind says that packs of the shard are written and cannot be registered yet.
var errBehind = leat.Errorf(leat.KindUnavailable, "records of the shard are not in the index yet")

// release is a shard on its way out of the session. Store.mu guards it.
type release struct {
	epoch     uint64
	final     uint64
	sh        *shard        // until RELEASE is placed
	over      chan struct{} // closed when RELEASE is placed or the shard is given back
	batch     *batch        // of RELEASE, from when it is placed until it is durable
	durable   bool
	confirmed bool
}

// placed tells whether RELEASE is on its way or durable: the shard is not ours in this epoch for ever.
func (r *release) placed() bool { return r != nil && (r.batch != nil || r.durable) }

// Released is a shard that this session gave up.
type Released struct {
	Shard leat.ShardKey
	Epoch uint64
	Final uint64 // the offset after the last record that the epoch gave; all below are in the index
}

// Release gives one shard up, so that another session may own it in the next epoch (data-plane.md, rule 15). From the
// call on puts to it answer ErrNotOwned; what is pending becomes durable, is packed and registered; reads and waits end
// with ErrNotOwned; then a RELEASE record is written. When Release returns without error that record is durable, and
// the shard has final records, all in the index. The caller MUST put that into the catalog and call ConfirmRelease:
// until then nobody serves the shard. This session never acts in that epoch again, whatever happens.
//
// With ErrUnknownOutcome (ctx or the session ended first) the record is on its way all the same: while the session lives
// the same call again waits for it. After any other error nothing has changed and the shard takes puts again. ErrNotOwned when it is not
// open here in that epoch. KindInUse while a reshard of this session is not confirmed: ask again.
//
// A call that finds another one for the shard under way waits for it, or ends with ctx's error.
//
// Calls for several shards at once share segments and packs: that costs much less than one after the other.
func (s *Store) Release(ctx context.Context, key leat.ShardKey, epoch uint64) (final uint64, err error) {
	if err := s.packAhead(ctx, key, epoch); err != nil {
		return 0, err
	}
	r, mine, err := s.beginRelease(ctx, key, epoch)
	if err != nil {
		return 0, err
	}
	if mine {
		if err := s.prepareRelease(ctx, r); err != nil {
			s.giveBack(r)
			return 0, notReleased(key, err)
		}
	}
	s.mu.Lock()
	b := r.batch
	s.mu.Unlock()
	if b != nil {
		err = s.settle(ctx, b)
	}
	return r.final, err
}

// notReleased says that nothing has changed. What it wraps tells why the shard cannot be had; any other cause is only
// told, or an unknown outcome of a record or a pack might be taken for that of RELEASE.
func notReleased(key leat.ShardKey, err error) error {
	if errors.Is(err, ErrNotOwned) || errors.Is(err, ErrFenced) {
		return fmt.Errorf("release shard %s: %w", key, err)
	}
	return leat.Errorf(leat.KindUnavailable, "shard %s is not released and stays here: %v", key, err)
}

// Released lists the shards whose RELEASE is durable and which are not confirmed.
func (s *Store) Released() (all []Released) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for k, r := range s.releases {
		if r.durable && !r.confirmed {
			all = append(all, Released{Shard: k, Epoch: r.epoch, Final: r.final})
		}
	}
	slices.SortFunc(all, func(a, b Released) int { return a.Shard.Compare(b.Shard) })
	return all
}

// ConfirmRelease says that the catalog has a higher epoch for the shard, or has no such shard any more.
func (s *Store) ConfirmRelease(key leat.ShardKey, epoch uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.releases[key]; r != nil && r.epoch == epoch && r.durable {
		r.confirmed = true // it stays known: a late answer of the catalog must not open the shard in this epoch again
	}
}

// packAhead packs what is much while the shard still takes puts, so that they stop for a short time only.
func (s *Store) packAhead(ctx context.Context, key leat.ShardKey, epoch uint64) error {
	s.mu.Lock()
	_, err := s.releasable(key, epoch)
	r := s.releases[key]
	known := r != nil && r.epoch == epoch // an earlier call's outcome may be there
	s.mu.Unlock()
	if err != nil && !known {
		return err
	}
	large := func() bool { return s.packer.backlog() > int64(s.cfg.Params.SegmentTarget) }
	if known || !large() {
		return nil
	}
	if err := s.packUntil(ctx, large); err != nil {
		return notReleased(key, err)
	}
	return nil
}

// releasable finds a shard that may be released. mu is held.
func (s *Store) releasable(key leat.ShardKey, epoch uint64) (*shard, error) {
	if s.state != live {
		return nil, s.notLive()
	}
	sh := s.shards[key]
	switch {
	case sh == nil || sh.unopened || sh.epoch != epoch:
		return nil, ErrNotOwned
	case len(s.reshards) > 0:
		return nil, leat.Errorf(leat.KindInUse, "a reshard of this session is not in the catalog yet: no shard is released before it is")
	}
	return sh, nil
}

// beginRelease stops puts to the shard. mine is false when an earlier call placed its RELEASE; a call under way is
// waited for.
func (s *Store) beginRelease(ctx context.Context, key leat.ShardKey, epoch uint64) (r *release, mine bool, err error) {
	for {
		s.mu.Lock()
		if r := s.releases[key]; r != nil && r.epoch == epoch {
			placed := r.placed()
			s.mu.Unlock()
			if placed {
				return r, false, nil
			}
			select {
			case <-r.over:
				continue
			case <-ctx.Done():
				return nil, false, ctx.Err()
			}
		}
		defer s.mu.Unlock()
		sh, err := s.releasable(key, epoch)
		if err != nil {
			return nil, false, err
		}
		sh.releasing = true
		r := &release{epoch: epoch, sh: sh, over: make(chan struct{})}
		s.releases[key] = r
		return r, true, nil
	}
}

// giveBack lets the shard take puts again.
func (s *Store) giveBack(r *release) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r.sh.releasing = false
	delete(s.releases, r.sh.key)
	close(r.over)
}

// prepareRelease gets all of the shard's records into the index and places RELEASE.
func (s *Store) prepareRelease(ctx context.Context, r *release) error {
	ctx, cancel := context.WithTimeout(ctx, releaseWithin)
	defer cancel()
	s.mu.Lock()
	next := r.sh.next // no put changes it any more
	s.mu.Unlock()
	if !r.sh.visibleTo(next) {
		if err := s.flush(ctx); err != nil {
			return err
		}
	}
	if err := s.indexAll(ctx, r.sh); err != nil {
		return err
	}
	return s.placeRelease(r)
}

// indexAll packs and registers the shard's remainder.
func (s *Store) indexAll(ctx context.Context, sh *shard) error {
	pause := 100 * time.Millisecond
	for try := 1; !sh.indexed(); try++ {
		err := s.packUntil(ctx, sh.inLog)
		switch {
		case errors.Is(err, ErrFenced):
			return err
		case err == nil && sh.indexed():
			return nil
		case err == nil:
			err = errBehind
		}
		if try == releaseTries || s.sleep(ctx, pause) != nil {
			return err
		}
		pause *= 4
	}
	return nil
}

// packUntil packs while more says so, and registers what is written. A refusal by the catalog ends the session.
func (s *Store) packUntil(ctx context.Context, more func() bool) error {
	err := s.packer.roundWhile(ctx, more)
	if errors.Is(err, ErrFenced) {
		s.abort(fmt.Errorf("the catalog refused a pack: %w", err))
	}
	return err
}

// placeRelease puts RELEASE into the pending batch. Reads end here, before it can be durable (rule 13).
func (s *Store) placeRelease(r *release) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	sh := r.sh
	switch {
	case s.state != live:
		return s.notLive()
	case s.shards[sh.key] != sh:
		return ErrNotOwned // dropped meanwhile
	case !sh.indexed() || !sh.visibleTo(sh.next):
		return leat.Errorf(leat.KindInternal, "shard %s has records beyond the index", sh.key)
	}
	delete(s.shards, sh.key)
	unindexed, _ := sh.drop() // all of it is indexed
	s.unindexed.Add(unindexed)
	b := s.queue[len(s.queue)-1]
	b.controls = append(b.controls, segment.Control{Kind: segment.ControlRelease, Shard: sh.key, Epoch: r.epoch, Final: sh.next})
	b.onDone = append(b.onDone, func() { s.releaseDurable(r) })
	r.final, r.batch, r.sh = sh.next, b, nil
	close(r.over)
	s.notify()
	return nil
}

func (s *Store) releaseDurable(r *release) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r.durable, r.batch = true, nil
}

// released refuses an assignment that begins before what this session released, and tells whether one is of an epoch
// that it released. mu is held.
func (s *Store) released(sh *shard) (over bool, err error) {
	r := s.releases[sh.key]
	if !r.placed() {
		return false, nil
	}
	if r.epoch < sh.epoch && sh.next < r.final {
		return false, leat.Errorf(leat.KindInternal, "shard %s: epoch %d begins at offset %d, but this session released epoch %d at %d", sh.key, sh.epoch, sh.next, r.epoch, r.final)
	}
	return r.epoch >= sh.epoch, nil
}

// visibleTo tells whether all records below next are durable and visible.
func (sh *shard) visibleTo(next uint64) bool {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return sh.visible == next
}

// inLog tells whether some of the shard's records are in this session's segments and in no pack.
func (sh *shard) inLog() bool {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return len(sh.logged) > 0
}

// indexed tells whether all that is visible is in the index.
func (sh *shard) indexed() bool {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return len(sh.logged) == 0 && len(sh.parked) == 0 && len(sh.pending) == 0
}

// backlog is how many bytes of records are in no pack.
func (p *packer) backlog() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.bytes
}
