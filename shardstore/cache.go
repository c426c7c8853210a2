// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package shardstore

import (
	"context"
	"errors"
	"slices"
	"sync"
)

// windowCache bounds the memory of blocks read back and keeps readers of one part from fetching it twice. Windows are
// found through their shards; the cache knows only their age and size.
type windowCache struct {
	budget int64

	mu     sync.Mutex
	clock  uint64
	bytes  int64
	all    []*window
	flight map[byteSpan]*flight
}

type flight struct {
	done chan struct{}
	w    *window
	err  error
}

func (c *windowCache) init(budget int64) {
	c.budget, c.flight = budget, map[byteSpan]*flight{}
}

func (c *windowCache) size() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.bytes
}

func (c *windowCache) touch(w *window) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.clock++
	w.used = c.clock
}

// add accounts for a window and evicts the least recently used ones beyond the budget. The newest always stays.
func (c *windowCache) add(w *window) {
	c.mu.Lock()
	c.clock++
	w.used = c.clock
	c.all = append(c.all, w)
	c.bytes += int64(w.chunk.MemSize())
	var out []*window
	for c.bytes > c.budget && len(c.all) > 1 {
		oldest := 0
		for i, o := range c.all {
			if o.used < c.all[oldest].used {
				oldest = i
			}
		}
		out = append(out, c.all[oldest])
		c.bytes -= int64(c.all[oldest].chunk.MemSize())
		c.all = slices.Delete(c.all, oldest, oldest+1)
	}
	c.mu.Unlock()
	for _, o := range out {
		o.sh.remove(o)
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
