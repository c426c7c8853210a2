// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package shardstore

import (
	"context"
	"fmt"
	"sync"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore/segment"
)

// wholeRaw is how many raw bytes an extent may have to be decoded at once.
const wholeRaw = 32 << 20

// byteSpan is a byte range of an object that holds whole blocks: the unit of the block cache.
type byteSpan struct {
	object      string
	off, length int64
	first       uint64 // offset of its first record
	whole       bool   // it is the whole extent
}

// windowSpan tells which part of an extent to read for an offset. A small extent is one part; a large one is cut at
// blocks, windowOf bytes apart, always at the same places.
func (s *Store) windowSpan(ctx context.Context, e Extent, at uint64) (byteSpan, error) {
	size := s.windowOf(e)
	if e.IndexLen == 0 || e.Len <= size && e.Raw <= wholeRaw {
		return byteSpan{object: e.Object, off: e.Off, length: e.Len, first: e.First, whole: e.Raw <= wholeRaw}, nil
	}
	ix, err := s.indexes.get(ctx, s, e)
	if err != nil {
		return byteSpan{}, err
	}
	from, to := ix[0], e.Len
	for _, row := range ix[1:] {
		if row.Off-from.Off < size {
			continue
		}
		if row.First > at {
			to = row.Off
			break
		}
		from = row
	}
	return byteSpan{object: e.Object, off: e.Off + from.Off, length: to - from.Off, first: from.First}, nil
}

// windowOf is how many stored bytes of an extent make one window. What compresses well is cut finer: a window's memory
// counts, and a cache that a few windows fill would lose what was read ahead before it is used.
func (s *Store) windowOf(e Extent) int64 {
	most := s.cfg.Params.ReadWindow
	return max(min(most, 2*most*e.Len/max(e.Raw, 1)), min(most, 64<<10))
}

// readSpan reads and decodes the part of an extent that holds an offset.
func (s *Store) readSpan(ctx context.Context, e Extent, span byteSpan, at uint64) (*segment.Chunk, error) {
	stored, err := s.readObject(ctx, span.object, span.off, span.length)
	if err != nil {
		return nil, err
	}
	if span.whole {
		return s.coder.DecodeExtent(e, stored)
	}
	for first := span.first; ; {
		c, n, err := s.coder.DecodeBlocks(e, first, stored)
		if err != nil {
			return nil, err
		}
		if c == nil {
			return nil, leat.Errorf(leat.KindCorrupt, "object %s ends before record %d of %s", e.Object, at, e.Shard)
		}
		if at < c.End() {
			return c, nil
		}
		// What compresses very well is decoded in several parts.
		first, stored = c.End(), stored[n:]
	}
}

// indexCache keeps the block indexes of large extents: some kilobytes each.
type indexCache struct {
	mu  sync.Mutex
	all map[indexKey]segment.Index
}

type indexKey struct {
	object string
	off    int64
}

// maxIndexes bounds the cache; beyond it any one goes.
const maxIndexes = 1024

func (c *indexCache) get(ctx context.Context, s *Store, e Extent) (segment.Index, error) {
	key := indexKey{e.Object, e.Off}
	c.mu.Lock()
	ix, ok := c.all[key]
	c.mu.Unlock()
	if ok {
		return ix, nil
	}
	stored, err := s.readObject(ctx, e.Object, e.Off+e.Len, e.IndexLen)
	if err != nil {
		return nil, fmt.Errorf("read the block index in %s: %w", e.Object, err)
	}
	ix, err = segment.ParseIndex(e, stored)
	if err != nil {
		return nil, fmt.Errorf("block index in %s: %w", e.Object, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for k := range c.all {
		if len(c.all) < maxIndexes {
			break
		}
		delete(c.all, k)
	}
	c.all[key] = ix
	return ix, nil
}
