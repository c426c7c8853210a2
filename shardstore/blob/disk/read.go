// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package disk

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/leatstream/leat/shardstore/blob"
)

// Read implements blob.Store.
func (s *Store) Read(ctx context.Context, key string, off, length int64) ([]byte, error) {
	if err := s.begin(ctx, key); err != nil {
		return nil, err
	}
	f, info, err := s.open(key)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", key, err)
	}
	defer func() { _ = f.Close() }() // nothing was written
	from, to := blob.Span(info.Size(), off, length)
	body := make([]byte, to-from)
	// Objects do not shrink, so an end before `to` is an error like any other.
	if _, err := f.ReadAt(body, from); err != nil {
		return nil, fmt.Errorf("read %s: %w", key, explain(err))
	}
	return body, nil
}

// Stat implements blob.Store.
func (s *Store) Stat(ctx context.Context, key string) (blob.Info, error) {
	if err := s.begin(ctx, key); err != nil {
		return blob.Info{}, err
	}
	info, err := os.Lstat(s.path(key))
	if err == nil && !info.Mode().IsRegular() {
		err = fs.ErrNotExist
	}
	if err != nil {
		return blob.Info{}, fmt.Errorf("stat %s: %w", key, s.missing(err))
	}
	return blob.Info{Key: key, Size: info.Size(), Modified: info.ModTime()}, nil
}

// Delete implements blob.Store. Its effect need not survive a crash of the
// machine: an object may come back, and is then deleted again by whoever wanted
// it gone.
func (s *Store) Delete(ctx context.Context, key string) error {
	if err := s.begin(ctx, key); err != nil {
		return err
	}
	path := s.path(key)
	info, err := os.Lstat(path)
	if err == nil && !info.Mode().IsRegular() {
		return nil
	}
	if err == nil {
		err = os.Remove(path)
	}
	if err != nil {
		if err = s.missing(err); errors.Is(err, blob.ErrNotFound) {
			return nil
		}
		return fmt.Errorf("delete %s: %w", key, err)
	}
	s.prune(filepath.Dir(path))
	return nil
}

// prune removes folders that became empty, upwards, so that dead sessions leave
// none. It lets be when a Create is under way, which may be about to use them.
func (s *Store) prune(folder string) {
	if !s.folders.TryLock() {
		return
	}
	defer s.folders.Unlock()
	for ; folder != s.objects; folder = filepath.Dir(folder) {
		if os.Remove(folder) != nil { // not empty
			return
		}
		s.mu.Lock()
		delete(s.durable, folder)
		s.mu.Unlock()
	}
}

func (s *Store) begin(ctx context.Context, key string) error {
	if err := blob.CheckKey(key); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return s.check()
}

// open opens an object's file.
func (s *Store) open(key string) (*os.File, fs.FileInfo, error) {
	f, err := os.Open(s.path(key))
	if err != nil {
		return nil, nil, s.missing(err)
	}
	info, err := f.Stat()
	if err != nil {
		return nil, nil, errors.Join(explain(err), f.Close())
	}
	if !info.Mode().IsRegular() {
		return nil, nil, errors.Join(s.missing(fs.ErrNotExist), f.Close())
	}
	return f, info, nil
}

// missing turns "no such file" into ErrNotFound if the store itself is there.
func (s *Store) missing(err error) error {
	if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR) {
		return explain(err)
	}
	if err := s.here(); err != nil {
		return explain(err)
	}
	return blob.ErrNotFound
}
