// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package shardstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore/blob"
	"github.com/leatstream/leat/shardstore/segment"
)

// extentAt finds the extent that holds an offset. mu is held; registered extents are known only when the shard is loaded.
func (sh *shard) extentAt(at uint64) (Extent, bool) {
	for _, run := range sh.runs() {
		if e, ok := extentAt(run, at); ok {
			return e, true
		}
	}
	return Extent{}, false
}

// unload forgets the registered extents; the next read that needs them asks the index. What was read of them stays: an
// offset has one record for ever. mu is held.
func (sh *shard) unload() {
	sh.changes++
	sh.extents, sh.loaded = nil, false
}

// forget drops what is known of the index.
func (sh *shard) forget() {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.unload()
}

// known tells whether the registered extents are at hand. mu is held.
func (sh *shard) known() bool { return sh.loaded || sh.count == 0 }

// look calls f, which is quick, with the shard's registered extents known and its lock held: what was known before the lock was
// taken may be forgotten, or be in another place, by then. ErrNotOwned when the shard was dropped.
func (s *Store) look(ctx context.Context, sh *shard, f func()) error {
	for {
		if err := s.load(ctx, sh); err != nil {
			return err
		}
		sh.mu.Lock()
		switch {
		case sh.gone:
			sh.mu.Unlock()
			return ErrNotOwned
		case sh.known():
			f()
			sh.mu.Unlock()
			return nil
		}
		sh.mu.Unlock()
	}
}

// load makes sure that the shard's registered extents are known. Only catch-up reads need it: the tail is in memory.
func (s *Store) load(ctx context.Context, sh *shard) error {
	now := s.cfg.Clock.Now()
	for {
		sh.mu.Lock()
		known, changes := sh.known(), sh.changes
		sh.used = now
		sh.mu.Unlock()
		if known {
			return nil
		}
		answer, err := s.cfg.Index.Extents(ctx, []leat.ShardKey{sh.key})
		if err != nil {
			return &leat.Error{Kind: leat.KindUnavailable, Message: "the extent index cannot be read now: retry", Err: err}
		}
		sh.mu.Lock()
		if sh.changes == changes {
			sh.extents, sh.loaded, sh.count = answer[0].Extents, true, len(answer[0].Extents)
			sh.horizon = max(sh.horizon, answer[0].Horizon)
		}
		sh.mu.Unlock()
	}
}

// fetch returns a chunk that holds an offset below the tail in memory: from the cache, or from the object. What comes
// after it is fetched ahead.
func (s *Store) fetch(ctx context.Context, sh *shard, at uint64) (*segment.Chunk, error) {
	sh.mu.Lock()
	w := sh.cachedWindow(at)
	sh.mu.Unlock()
	if w != nil {
		s.stats.hits.Add(1)
		s.cache.touch(w)
	} else {
		var err error
		if w, err = s.fetchWindow(ctx, sh, at); err != nil {
			return nil, err
		}
	}
	s.readAhead(sh, w.chunk.End())
	return w.chunk, nil
}

// fetchWindow reads the part of an object that holds an offset, and once more if the bytes fail their checks: they may
// have been spoilt on their way.
func (s *Store) fetchWindow(ctx context.Context, sh *shard, at uint64) (*window, error) {
	e, err := s.extentOf(ctx, sh, at)
	if err != nil {
		return nil, err
	}
	w, err := s.loadWindow(ctx, sh, e, at)
	if leat.KindOf(err) == leat.KindCorrupt {
		s.cfg.Logger.Warn("stored records failed their checks and are read again", "shard", sh.key, "object", e.Object, "error", err)
		w, err = s.loadWindow(ctx, sh, e, at)
	}
	return w, err
}

// extentOf finds the extent that holds an offset, loading the index where that is needed.
func (s *Store) extentOf(ctx context.Context, sh *shard, at uint64) (Extent, error) {
	var e Extent
	var missing error
	err := s.look(ctx, sh, func() {
		var ok bool
		if e, ok = sh.extentAt(at); !ok {
			missing = fmt.Errorf("%w: shard %s offset %d, horizon %d, tail %d", errNoExtent, sh.key, at, sh.horizon, sh.visible)
		}
	})
	if err == nil {
		err = missing
	}
	return e, err
}

// readAhead fetches the windows after an offset in the background, as far as Params.ReadAhead says.
func (s *Store) readAhead(sh *shard, at uint64) {
	sh.mu.Lock()
	for n := 0; n < s.cfg.Params.ReadAhead; n++ {
		w := sh.cachedWindow(at)
		if w == nil {
			break
		}
		at = w.chunk.End()
		if n == s.cfg.Params.ReadAhead-1 {
			sh.mu.Unlock()
			return // enough is there
		}
	}
	if sh.ahead || at >= sh.memFirst() {
		sh.mu.Unlock()
		return
	}
	sh.ahead = true
	sh.mu.Unlock()
	over := func() {
		sh.mu.Lock()
		sh.ahead = false
		sh.mu.Unlock()
	}
	began := s.background(s.life, func(ctx context.Context) {
		defer over()
		_, err := s.fetchWindow(ctx, sh, at)
		if err != nil && ctx.Err() == nil && !errors.Is(err, blob.ErrNotFound) {
			s.cfg.Logger.Debug("read-ahead failed; the reader will meet it", "shard", sh.key, "error", err)
		}
	})
	if !began {
		over()
	}
}

// cachedWindow finds the window that holds an offset. mu is held.
func (sh *shard) cachedWindow(at uint64) *window {
	i, ok := slices.BinarySearchFunc(sh.fetched, at, func(w *window, at uint64) int {
		return around(w.chunk.First, w.chunk.End(), at)
	})
	if !ok {
		return nil
	}
	return sh.fetched[i]
}

// cached tells whether a read at an offset costs no request. mu is held.
func (sh *shard) cached(at uint64) bool { return sh.cachedWindow(at) != nil }

// insert adds a window in order of first offset. Windows of extents that were merged meanwhile may lie in its way: they
// are taken out and returned, so that windows never overlap. mu is held.
func (sh *shard) insert(w *window) (replaced []*window) {
	from, _ := slices.BinarySearchFunc(sh.fetched, w.chunk.First, func(o *window, first uint64) int {
		if o.chunk.End() <= first {
			return -1
		}
		return 1
	})
	to, _ := slices.BinarySearchFunc(sh.fetched, w.chunk.End(), func(o *window, end uint64) int { return cmp.Compare(o.chunk.First, end) })
	replaced = slices.Clone(sh.fetched[from:to])
	sh.fetched = slices.Replace(sh.fetched, from, to, w)
	return replaced
}

// uncache takes all windows out, and returns them.
func (sh *shard) uncache() []*window {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	all := sh.fetched
	sh.fetched = nil
	return all
}

func (sh *shard) remove(w *window) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if i := slices.Index(sh.fetched, w); i >= 0 {
		sh.fetched = slices.Delete(sh.fetched, i, i+1)
	}
	if len(sh.fetched) == 0 {
		sh.fetched = nil
	}
}

// loadWindow reads the part of an extent that holds an offset. Readers that want the same part share one request.
func (s *Store) loadWindow(ctx context.Context, sh *shard, e Extent, at uint64) (*window, error) {
	span, err := s.windowSpan(ctx, e, at)
	if err != nil {
		return nil, err
	}
	for {
		w, err := s.cache.once(ctx, span, func() (*window, error) { return s.readWindow(ctx, sh, e, span, at) })
		if err != nil || w.holds(at) {
			return w, err
		}
		// Another reader wanted an earlier or later record of the same part, which is decoded in several.
	}
}

// readWindow makes one request, unless another reader did meanwhile.
func (s *Store) readWindow(ctx context.Context, sh *shard, e Extent, span byteSpan, at uint64) (*window, error) {
	sh.mu.Lock()
	w := sh.cachedWindow(at)
	sh.mu.Unlock()
	if w != nil {
		return w, nil
	}
	c, err := s.readSpan(ctx, e, span, at)
	if err != nil {
		return nil, fmt.Errorf("read %s bytes %d+%d: %w", e.Object, span.off, span.length, err)
	}
	s.stats.fetches.Add(1)
	s.stats.fetchedBytes.Add(uint64(span.length))
	w = &window{sh: sh, chunk: c}
	sh.mu.Lock()
	if sh.gone {
		sh.mu.Unlock()
		return w, nil // for whoever asked for it, and nobody else
	}
	replaced := sh.insert(w)
	sh.mu.Unlock()
	s.cache.drop(replaced)
	s.cache.add(w)
	return w, nil
}
