// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package shardstore

import (
	"container/list"
	"context"
	"errors"
	"sync"

	"github.com/leatstream/leat/shardstore/segment"
)

// window is a part of an extent in the block cache.
type window struct {
	sh    *shard
	chunk *segment.Chunk
	place *list.Element // in the cache, whose lock guards it; nil when evicted
}

// holds tells whether the window has the record of an offset.
func (w *window) holds(at uint64) bool { return w.chunk.First <= at && at < w.chunk.End() }

// windowCache bounds the memory of blocks read back and keeps readers of one part from fetching it twice. Windows are
// found through their shards; the cache knows only their age and size.
type windowCache struct {
	budget int64

	mu     sync.Mutex
	bytes  int64
	all    *list.List // of *window, the most recently used first
	flight map[byteSpan]*flight
}

type flight struct {
	done chan struct{}
	w    *window
	err  error
}

func (c *windowCache) init(budget int64) {
	c.budget, c.all, c.flight = budget, list.New(), map[byteSpan]*flight{}
}

func (c *windowCache) size() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.bytes
}

func (c *windowCache) touch(w *window) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if w.place != nil {
		c.all.MoveToFront(w.place)
	}
}

// add accounts for a window and evicts the least recently used ones beyond the budget. The newest always stays.
func (c *windowCache) add(w *window) {
	c.mu.Lock()
	w.place = c.all.PushFront(w)
	c.bytes += int64(w.chunk.MemSize())
	var out []*window
	for c.bytes > c.budget && c.all.Len() > 1 {
		o := c.all.Remove(c.all.Back()).(*window)
		o.place = nil
		c.bytes -= int64(o.chunk.MemSize())
		out = append(out, o)
	}
	c.mu.Unlock()
	for _, o := range out {
		o.sh.remove(o)
	}
}

// drop takes windows out that can no longer be found through their shard.
func (c *windowCache) drop(windows []*window) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, w := range windows {
		if w.place != nil {
			c.all.Remove(w.place)
			w.place = nil
			c.bytes -= int64(w.chunk.MemSize())
		}
	}
}

// once lets one caller load a span while the others wait for its result.
func (c *windowCache) once(ctx context.Context, key byteSpan, load func() (*window, error)) (*window, error) {
	for {
		c.mu.Lock()
		f := c.flight[key]
		if f == nil {
			f = &flight{done: make(chan struct{})}
			c.flight[key] = f
			c.mu.Unlock()
			f.w, f.err = load()
			c.mu.Lock()
			delete(c.flight, key)
			c.mu.Unlock()
			close(f.done)
			return f.w, f.err
		}
		c.mu.Unlock()
		select {
		case <-f.done:
			if f.err == nil {
				return f.w, nil
			}
			if !errors.Is(f.err, context.Canceled) && !errors.Is(f.err, context.DeadlineExceeded) {
				return nil, f.err
			}
			// The one who loaded gave up, not the store: try for ourselves.
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
