// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package fault

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/leatstream/leat/shardstore/blob"
)

// Create implements blob.Store.
func (s *Store) Create(ctx context.Context, key string, body []byte) error {
	f, err := s.begin(ctx, Create, key)
	if err != nil {
		return err
	}
	switch f.Kind {
	case Late:
		s.keep(Create, key, body)
		return fmt.Errorf("create %s: %w", key, f.Err)
	case Twice:
		// The first answer is the one that the network lost.
		_ = s.create(ctx, key, body)
		err = s.create(ctx, key, body)
	case DuplicateLate:
		if err = s.create(ctx, key, body); err == nil {
			s.keep(Create, key, body)
		}
	case Overwrite:
		err = s.overwrite(ctx, key, body)
	case Pretend:
		if err = s.create(ctx, key, body); errors.Is(err, blob.ErrExists) {
			err = nil
		}
	default:
		err = s.create(ctx, key, body)
	}
	return f.end(ctx, Create, key, err)
}

// create hands a write to the store below and counts what was applied.
func (s *Store) create(ctx context.Context, key string, body []byte) error {
	err := s.inner.Create(ctx, key, body)
	if err == nil {
		s.count(func(c *Counts) {
			c.Created++
			c.BytesIn += int64(len(body))
		})
	}
	return err
}

func (s *Store) overwrite(ctx context.Context, key string, body []byte) error {
	s.overwriting.Lock()
	defer s.overwriting.Unlock()
	if err := s.inner.Delete(ctx, key); err != nil {
		return err
	}
	return s.create(ctx, key, body)
}

// Read implements blob.Store.
func (s *Store) Read(ctx context.Context, key string, off, length int64) ([]byte, error) {
	f, err := s.begin(ctx, Read, key)
	if err != nil {
		return nil, err
	}
	body, err := s.inner.Read(ctx, key, off, length)
	if err == nil {
		s.count(func(c *Counts) { c.BytesOut += int64(len(body)) })
		body, err = f.spoil(body)
	}
	if err = f.end(ctx, Read, key, err); err != nil {
		return nil, err
	}
	return body, nil
}

// spoil changes what was read. Bodies are the caller's own, so it may.
func (f Fault) spoil(body []byte) ([]byte, error) {
	switch f.Kind {
	case Truncate:
		n := f.N
		if n <= 0 {
			n = int64(len(body)) / 2
		}
		return body[:min(n, int64(len(body)))], nil
	case CutShort:
		return nil, io.ErrUnexpectedEOF
	case Flip:
		if len(body) > 0 {
			body[uint64(f.N)%uint64(len(body))] ^= 1
		}
	}
	return body, nil
}

// Stat implements blob.Store.
func (s *Store) Stat(ctx context.Context, key string) (blob.Info, error) {
	f, err := s.begin(ctx, Stat, key)
	if err != nil {
		return blob.Info{}, err
	}
	info, err := s.inner.Stat(ctx, key)
	if err = f.end(ctx, Stat, key, err); err != nil {
		return blob.Info{}, err
	}
	return info, nil
}

// List implements blob.Store.
func (s *Store) List(ctx context.Context, prefix, after string, limit int) ([]blob.Info, error) {
	f, err := s.begin(ctx, List, prefix)
	if err != nil {
		return nil, err
	}
	page, err := s.inner.List(ctx, prefix, after, limit)
	if err = f.end(ctx, List, prefix, err); err != nil {
		return nil, err
	}
	return page, nil
}

// Delete implements blob.Store.
func (s *Store) Delete(ctx context.Context, key string) error {
	f, err := s.begin(ctx, Delete, key)
	if err != nil {
		return err
	}
	switch f.Kind {
	case Late:
		s.keep(Delete, key, nil)
		return fmt.Errorf("delete %s: %w", key, f.Err)
	case Twice:
		_ = s.inner.Delete(ctx, key)
	case DuplicateLate:
		s.keep(Delete, key, nil)
	}
	return f.end(ctx, Delete, key, s.inner.Delete(ctx, key))
}

// Replace implements blob.Eraser; errors.ErrUnsupported where the store below is none.
func (s *Store) Replace(ctx context.Context, key string, body []byte) error {
	f, err := s.begin(ctx, Replace, key)
	if err != nil {
		return err
	}
	switch f.Kind {
	case Late:
		s.keep(Replace, key, body)
		return fmt.Errorf("replace %s: %w", key, f.Err)
	case Twice:
		_ = s.replace(ctx, key, body)
	case DuplicateLate:
		s.keep(Replace, key, body)
	}
	return f.end(ctx, Replace, key, s.replace(ctx, key, body))
}

func (s *Store) replace(ctx context.Context, key string, body []byte) error {
	e, ok := s.inner.(blob.Eraser)
	if !ok {
		return fmt.Errorf("replace %s: %w", key, errors.ErrUnsupported)
	}
	return e.Replace(ctx, key, body)
}

// Forget implements blob.Eraser; errors.ErrUnsupported where the store below is none.
func (s *Store) Forget(ctx context.Context, prefix string, deleted bool) error {
	f, err := s.begin(ctx, Forget, prefix)
	if err != nil {
		return err
	}
	e, ok := s.inner.(blob.Eraser)
	if !ok {
		return fmt.Errorf("forget %s: %w", prefix, errors.ErrUnsupported)
	}
	return f.end(ctx, Forget, prefix, e.Forget(ctx, prefix, deleted))
}
