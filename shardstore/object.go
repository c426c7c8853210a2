// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package shardstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore/blob"
	"github.com/leatstream/leat/shardstore/segment"
	"github.com/leatstream/leat/shardstore/wal"
)

// createTries is how often an object is sent before whoever needs it does its work again later, under another number.
const createTries = 6

// create writes an object that only this session can name, so that an object that stands there is our own earlier try.
func (s *Store) create(ctx context.Context, key string, body []byte) error {
	pause := 50 * time.Millisecond
	for try := 1; ; try++ {
		err := s.cfg.Blobs.Create(ctx, key, body)
		if errors.Is(err, blob.ErrExists) {
			err = s.sameObject(ctx, key, body)
		}
		if err == nil || ctx.Err() != nil || try == createTries || leat.KindOf(err) == leat.KindCorrupt {
			return err
		}
		s.cfg.Logger.Warn("the object store does not take a pack yet", "key", key, "error", err, "retry_in", pause)
		if err := s.sleep(ctx, pause); err != nil {
			return err
		}
		pause *= 2
	}
}

// sameObject tells our own earlier attempt from a stranger's object by the header's nonce.
func (s *Store) sameObject(ctx context.Context, key string, body []byte) error {
	head, err := s.cfg.Blobs.Read(ctx, key, 0, segment.HeaderSize)
	if err != nil {
		return fmt.Errorf("read back %s: %w", key, err)
	}
	if _, err := segment.ParseHeader(head); err != nil {
		// Spoilt on its way, perhaps: no proof of a stranger.
		return leat.Errorf(leat.KindUnavailable, "read back %s: %v", key, err)
	}
	if string(head) != string(body[:segment.HeaderSize]) {
		return leat.Errorf(leat.KindCorrupt, "object %s is not the one that this session wrote", key)
	}
	return nil
}

// readObject reads a byte range of a segment or a pack. KindUnavailable when its store does not answer.
func (s *Store) readObject(ctx context.Context, key string, off, length int64) (b []byte, err error) {
	if session, n, ok := wal.ParseKey(key); ok {
		b, err = s.cfg.Driver.Read(ctx, session, n, off, length)
	} else {
		b, err = s.cfg.Blobs.Read(ctx, key, off, length)
	}
	return b, passing(ctx, err)
}

// passing makes an error of a store retryable, unless it says what is in the store.
func passing(ctx context.Context, err error) error {
	var known *leat.Error
	if err == nil || ctx.Err() != nil || errors.Is(err, blob.ErrNotFound) || errors.As(err, &known) {
		return err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		err = errors.New(err.Error()) // the store's own limit: it must not look like the caller's
	}
	return &leat.Error{Kind: leat.KindUnavailable, Message: "stored records cannot be read now: retry", Err: err}
}

// objectReader reads extents in the order in which they lie in their objects, with few large requests.
type objectReader struct {
	s      *Store
	window int64 // bytes of one request
	object string
	off    int64
	bytes  []byte
}

// chunk reads an extent, and once more by itself if that fails: its bytes may have been spoilt on their way, or those
// after it cannot be read.
func (r *objectReader) chunk(ctx context.Context, e Extent) (*segment.Chunk, error) {
	c, err := r.read(ctx, e, r.window)
	if err != nil && ctx.Err() == nil {
		r.bytes = nil
		c, err = r.read(ctx, e, 0)
	}
	return c, err
}

func (r *objectReader) read(ctx context.Context, e Extent, window int64) (*segment.Chunk, error) {
	in := e.Object == r.object && e.Off >= r.off && e.Off+e.Len <= r.off+int64(len(r.bytes))
	if !in {
		b, err := r.s.readObject(ctx, e.Object, e.Off, max(e.Len, window))
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", e.Object, err)
		}
		r.object, r.off, r.bytes = e.Object, e.Off, b
	}
	if at := e.Off - r.off; at+e.Len <= int64(len(r.bytes)) {
		return r.s.coder.DecodeExtent(e, r.bytes[at:at+e.Len])
	}
	r.bytes = nil
	return nil, leat.Errorf(leat.KindCorrupt, "object %s ends before byte %d", e.Object, e.Off+e.Len)
}
