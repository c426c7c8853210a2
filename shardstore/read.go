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
	"github.com/leatstream/leat/shardstore/blob"
	"github.com/leatstream/leat/shardstore/segment"
	"github.com/leatstream/leat/shardstore/wal"
)

// Read returns records of a shard from an offset on: from memory where the tail reaches that far, otherwise from the
// objects. It never waits for new records: at the tail the page is empty and Next is where to ask again. Below the
// horizon it goes on at the horizon. A page may hold fewer records than the limits allow though more follow.
//
// Errors: ErrNotOwned; KindUnavailable when the session is not live or cannot prove that it still owns its shards
// (data-plane.md, rule 13); KindCorrupt when stored bytes fail their checks.
func (s *Store) Read(ctx context.Context, key leat.ShardKey, from uint64, lim ReadLimits) (page Page, err error) {
	if lim.Records <= 0 || lim.Bytes <= 0 {
		return Page{}, leat.Errorf(leat.KindInvalidArgument, "a read needs room for at least one record")
	}
	sh, err := s.leased(ctx, key)
	if err != nil {
		return Page{}, err
	}
	err = s.reloading(sh, func() error {
		at, err := s.skipExpired(ctx, sh, from, lim.MinTime)
		if err != nil {
			return err
		}
		page, err = s.readFrom(ctx, sh, at, lim)
		return err
	})
	if err != nil {
		return Page{}, err
	}
	s.stats.read(page.Records)
	return page, nil
}

// leased finds a shard and proves that it may be read now.
func (s *Store) leased(ctx context.Context, key leat.ShardKey) (*shard, error) {
	sh, err := s.shard(key)
	if err != nil {
		return nil, err
	}
	return sh, s.lease(ctx)
}

// reloading does f, and once more with the index asked anew when what f knew of it was out of date: an object that is
// gone, a horizon that has moved (data-plane.md, rule 17).
func (s *Store) reloading(sh *shard, f func() error) error {
	stale := func(err error) bool { return errors.Is(err, blob.ErrNotFound) || errors.Is(err, errNoExtent) }
	err := f()
	if !stale(err) {
		return err
	}
	s.stats.reloads.Add(1)
	sh.forget()
	if err = f(); !stale(err) {
		return err
	}
	s.stats.missing.Add(1)
	s.cfg.Logger.Error("what the index says of a shard and what is stored do not agree", "shard", sh.key, "error", err)
	return &leat.Error{Kind: leat.KindUnavailable, Message: "stored records cannot be read now: retry", Err: err}
}

// errNoExtent says that the extents known do not hold an offset: the horizon has passed it, or the index has a gap.
var errNoExtent = errors.New("shardstore: no extent holds the offset")

// readFrom collects chunks from one offset on until the limits are reached.
func (s *Store) readFrom(ctx context.Context, sh *shard, from uint64, lim ReadLimits) (Page, error) {
	var page Page
	left := lim
	for {
		c, at, err := s.chunkAt(ctx, sh, from, &page)
		before := len(page.Records)
		if err == nil && c != nil {
			page.Records, err = c.Records(page.Records, at, left.Records, left.Bytes)
		}
		if err != nil && len(page.Records) == 0 {
			return Page{}, fmt.Errorf("shard %s offset %d: %w", sh.key, at, err)
		}
		if from = at; c == nil {
			break // the tail; or an error, which the next read meets
		}
		if before > 0 && len(page.Records) > before && page.Records[before].Size() > left.Bytes {
			page.Records = page.Records[:before] // a chunk always gives one; here it would go beyond the limit
			break
		}
		for i := range page.Records[before:] {
			left.Bytes -= page.Records[before+i].Size()
		}
		left.Records -= len(page.Records) - before
		from += uint64(len(page.Records) - before)
		if err != nil || left.Records <= 0 || left.Bytes <= 0 || from < c.End() {
			break
		}
	}
	page.Next, page.Checked = from, true
	if page.Ended = page.Ended && from == page.Tail; page.Ended {
		page.Became = sh.became.Load()
	}
	s.behind(&page)
	return page, nil
}

// behind tells how old the reader's position is.
func (s *Store) behind(page *Page) {
	if page.Next >= page.Tail || len(page.Records) == 0 {
		return
	}
	last := page.Records[len(page.Records)-1].Time
	page.Behind = max(s.cfg.Clock.Now().Sub(time.UnixMicro(last)), time.Millisecond)
}

// chunkAt finds the chunk that holds an offset, or nil at the tail, and fills in the page's bounds. The offset moves to
// the horizon when it lies below.
func (s *Store) chunkAt(ctx context.Context, sh *shard, from uint64, page *Page) (*segment.Chunk, uint64, error) {
	sh.mu.Lock()
	page.Horizon, page.Tail, page.Ended = sh.horizon, sh.visible, sh.closed
	from = max(from, sh.horizon)
	switch {
	case sh.gone:
		sh.mu.Unlock()
		return nil, from, ErrNotOwned
	case from >= sh.visible:
		sh.mu.Unlock()
		return nil, from, nil
	case len(sh.tail) > 0 && from >= sh.tail[0].First:
		c := sh.tail[sh.tailAt(from)].Chunk
		sh.mu.Unlock()
		return c, from, nil
	case len(page.Records) > 0 && !sh.cached(from):
		// One page makes at most one trip to the store; the caller asks on while read-ahead works.
		sh.mu.Unlock()
		return nil, from, nil
	}
	sh.mu.Unlock()
	c, err := s.fetch(ctx, sh, from)
	return c, from, err
}

// skipExpired moves an offset to the first record that is not older than minTime. It leaves memory only for records
// that are not in it.
func (s *Store) skipExpired(ctx context.Context, sh *shard, from uint64, minTime int64) (uint64, error) {
	if minTime <= 0 {
		return from, nil
	}
	sh.mu.Lock()
	from = max(from, sh.horizon)
	kept := from >= sh.visible || len(sh.tail) > 0 && from >= sh.tail[0].First && sh.tail[sh.tailAt(from)].MinTime >= minTime
	if !kept {
		e, ok := sh.extentAt(from)
		kept = ok && e.MinTime >= minTime
	}
	sh.mu.Unlock()
	if kept {
		return from, nil
	}
	at, err := s.locate(ctx, sh, minTime)
	return max(from, at), err
}

// Locate returns the offset of the first record whose time is at or after at (microseconds since 1970): the tail when
// there is none. Errors are those of Read.
func (s *Store) Locate(ctx context.Context, key leat.ShardKey, at int64) (offset uint64, err error) {
	sh, err := s.leased(ctx, key)
	if err != nil {
		return 0, err
	}
	err = s.reloading(sh, func() error {
		offset, err = s.locate(ctx, sh, at)
		return err
	})
	return offset, err
}

func (s *Store) locate(ctx context.Context, sh *shard, at int64) (uint64, error) {
	if offset, ok := sh.locateInMemory(at); ok {
		return offset, nil
	}
	var e Extent
	var ok bool
	var visible uint64
	err := s.look(ctx, sh, func() {
		e, ok = sh.extentByTime(at)
		visible = sh.visible
	})
	switch {
	case err != nil:
		return 0, err
	case !ok:
		return visible, nil
	case e.MinTime >= at:
		return e.First, nil
	}
	return s.seek(ctx, sh, e, at)
}

// locateInMemory answers when the time lies beyond the shard's last record or in its tail.
func (sh *shard) locateInMemory(at int64) (uint64, bool) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.lastTime < at {
		return sh.visible, true
	}
	if len(sh.tail) == 0 || sh.tail[0].MinTime >= at {
		return 0, false
	}
	i, _ := slices.BinarySearchFunc(sh.tail, at, func(c tailChunk, at int64) int {
		if c.MaxTime < at {
			return -1
		}
		return 1
	})
	return sh.tail[i].SeekTime(at), true // lastTime ≥ at, so there is one
}

// seek finds the first record at or after a time inside an extent, by halving on the offset.
func (s *Store) seek(ctx context.Context, sh *shard, e Extent, at int64) (uint64, error) {
	low, high := e.First, e.End() // the answer is in (low, high]
	for low < high {
		mid := low + (high-low)/2
		c, err := s.heldChunk(ctx, sh, mid)
		if err != nil {
			return 0, err
		}
		switch {
		case c.MaxTime < at:
			low = c.End()
		case c.MinTime >= at && c.First > low:
			high = c.First
		default:
			return min(c.SeekTime(at), e.End()), nil
		}
	}
	return low, nil
}

// heldChunk returns the chunk that holds an offset, from memory or the store.
func (s *Store) heldChunk(ctx context.Context, sh *shard, at uint64) (*segment.Chunk, error) {
	sh.mu.Lock()
	if len(sh.tail) > 0 && at >= sh.tail[0].First && at < sh.visible {
		c := sh.tail[sh.tailAt(at)].Chunk
		sh.mu.Unlock()
		return c, nil
	}
	sh.mu.Unlock()
	return s.fetch(ctx, sh, at)
}

// runs returns the shard's extents in order of offset: registered, of closed sessions, of this session in packs and in
// segments. mu is held.
func (sh *shard) runs() [][]Extent {
	runs := [][]Extent{sh.extents}
	for _, p := range sh.pending {
		runs = append(runs, p.Extents)
	}
	return append(runs, sh.parked, sh.logged)
}

// extentByTime finds the first extent whose MaxTime is at or after a time. mu is held and the registered extents are known.
func (sh *shard) extentByTime(at int64) (Extent, bool) {
	for _, run := range sh.runs() {
		i, _ := slices.BinarySearchFunc(run, at, func(e Extent, at int64) int {
			if e.MaxTime < at {
				return -1
			}
			return 1
		})
		if i < len(run) {
			return run[i], true
		}
	}
	return Extent{}, false
}

// Bounds returns where a shard begins and ends now.
func (s *Store) Bounds(ctx context.Context, key leat.ShardKey) (Bounds, error) {
	sh, err := s.leased(ctx, key)
	if err != nil {
		return Bounds{}, err
	}
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return Bounds{Epoch: sh.epoch, Horizon: sh.horizon, Tail: sh.visible, LastTime: sh.lastTime, Closed: sh.closed}, nil
}

// Wait returns when a record at or beyond an offset is visible or the shard is closed. ErrNotOwned when the shard or
// the session goes away meanwhile. It costs nothing while it waits.
func (s *Store) Wait(ctx context.Context, key leat.ShardKey, from uint64) error {
	sh, err := s.shard(key)
	if err != nil {
		return err
	}
	for {
		sh.mu.Lock()
		switch {
		case sh.gone:
			sh.mu.Unlock()
			return ErrNotOwned
		case sh.visible > from || sh.closed:
			sh.mu.Unlock()
			return nil
		}
		c := sh.wait()
		sh.mu.Unlock()
		select {
		case <-c:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// leaseProbes is how often one read looks for a fence. A look that took longer than the lease lasts proves nothing any
// more when it is done.
const leaseProbes = 3

// lease makes sure that no other session owns our shards (data-plane.md, rule 13). It asks the log when it has not
// heard of it lately: an idle session pays for that only while somebody reads.
func (s *Store) lease(ctx context.Context) error {
	var err error
	for range leaseProbes {
		if s.writer.Leased() {
			return nil
		}
		if err = s.writer.Probe(ctx); err != nil {
			break
		}
	}
	if err == nil && s.writer.Leased() {
		return nil
	}
	if errors.Is(err, wal.ErrFenced) {
		s.abort(err)
	}
	return &leat.Error{Kind: leat.KindUnavailable, Message: "this node cannot prove that it still owns the shard: retry", After: overloadPause, Err: err}
}
