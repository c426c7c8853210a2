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
	"strconv"
	"syscall"

	"github.com/leatstream/leat/internal/directio"
	"github.com/leatstream/leat/shardstore/blob"
)

// Create implements blob.Store. Errors that matter to people (a full disk, a
// folder that may not be written) say so and keep their errno for errors.Is.
func (s *Store) Create(ctx context.Context, key string, body []byte) error {
	if err := blob.CheckKey(key); err != nil {
		return err
	}
	if err := s.create(ctx, key, body); err != nil {
		if errors.Is(err, blob.ErrExists) || ctx.Err() != nil {
			return fmt.Errorf("disk: create %s: %w", key, err)
		}
		return fmt.Errorf("create %s: %w", key, explain(err))
	}
	return nil
}

func (s *Store) create(ctx context.Context, key string, body []byte) error {
	if err := s.mayCreate(ctx); err != nil {
		return err
	}
	tmp := filepath.Join(s.tmp.path, strconv.FormatUint(s.serial.Add(1), 10))
	if err := s.writeTmp(tmp, body); err != nil {
		// Nothing was linked. What cannot be removed is swept at the next Open.
		_ = os.Remove(tmp)
		return err
	}
	err := s.publish(ctx, tmp, key)
	// Removed only now: a file that a crash leaves tells the next Open that a
	// folder may not have been fsynced.
	_ = os.Remove(tmp)
	return err
}

// Link makes an object of a file on the same file system, whose contents are durable: it gets a second name, and no byte
// is copied. Nobody may change the file afterwards. ErrExists as in Create.
func (s *Store) Link(ctx context.Context, key, file string) error {
	err := blob.CheckKey(key)
	if err == nil {
		err = s.mayCreate(ctx)
	}
	if err == nil {
		err = s.publish(ctx, file, key)
	}
	if err == nil || errors.Is(err, blob.ErrExists) || ctx.Err() != nil {
		return err
	}
	return fmt.Errorf("link %s: %w", key, explain(err))
}

// Replace implements blob.Eraser: the new file takes the name of the old one.
func (s *Store) Replace(ctx context.Context, key string, body []byte) error {
	if err := blob.CheckKey(key); err != nil {
		return err
	}
	if err := s.replace(ctx, key, body); err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("disk: replace %s: %w", key, err)
		}
		return fmt.Errorf("replace %s: %w", key, explain(err))
	}
	return nil
}

func (s *Store) replace(ctx context.Context, key string, body []byte) error {
	if err := s.mayCreate(ctx); err != nil {
		return err
	}
	tmp := filepath.Join(s.tmp.path, strconv.FormatUint(s.serial.Add(1), 10))
	err := s.writeTmp(tmp, body)
	if err == nil {
		err = s.rename(ctx, tmp, key)
	}
	if err != nil {
		_ = os.Remove(tmp) // what cannot be removed is swept at the next Open
	}
	return err
}

func (s *Store) rename(ctx context.Context, tmp, key string) error {
	s.folders.RLock()
	defer s.folders.RUnlock()
	path := s.path(key)
	if err := s.makeFolder(filepath.Dir(path)); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := os.Rename(tmp, path); err != nil {
		return err
	}
	return s.sync(filepath.Dir(path))
}

// Forget implements blob.Eraser: a folder keeps no versions. What the disk keeps of files that are gone is not ours.
func (s *Store) Forget(ctx context.Context, prefix string, _ bool) error {
	if err := blob.CheckList(prefix, ""); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return s.check()
}

// mayCreate refuses after Close, and after the failed fsync of a folder.
func (s *Store) mayCreate(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := s.check(); err != nil {
		return err
	}
	s.mu.Lock()
	failed := s.failed
	s.mu.Unlock()
	if failed != nil {
		return fmt.Errorf("no objects can be created until the store is opened again, because an fsync failed: %w", failed)
	}
	return s.here()
}

// writeTmp writes a new file and makes its contents durable: a large one around the page cache, where the file system can.
func (s *Store) writeTmp(path string, body []byte) error {
	if len(body) >= directFrom {
		switch done, err := s.writeDirect(path, body); {
		case done || err != nil:
			return err
		}
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return err
	}
	if _, err := s.io.write(f, body); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := s.io.syncFile(f); err != nil {
		return errors.Join(err, f.Close())
	}
	return f.Close()
}

// directFrom is the size of objects that are written around the page cache, directChunk how much of them at a time.
const (
	directFrom  = 1 << 20
	directChunk = 1 << 20
)

// writeDirect is writeTmp around the page cache; done is false where the file system has no such thing.
func (s *Store) writeDirect(path string, body []byte) (done bool, err error) {
	f, err := directio.Open(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	if f == nil || err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	chunk := directio.Buffer(directChunk)
	for rest := body; len(rest) > 0; {
		n := min(len(rest), directChunk)
		chunk = append(chunk[:0], rest[:n]...)
		rest = rest[n:]
		for len(chunk)%directio.Page != 0 {
			chunk = append(chunk, 0)
		}
		_, err := s.io.write(f, chunk)
		if errors.Is(err, syscall.EINVAL) {
			return false, nil // larger pages are wanted
		}
		if err != nil {
			return false, err
		}
	}
	if err := f.Truncate(int64(len(body))); err != nil {
		return false, err
	}
	return true, s.io.syncFile(f)
}

// publish links tmp to its final name and makes the name durable.
func (s *Store) publish(ctx context.Context, tmp, key string) error {
	s.folders.RLock()
	defer s.folders.RUnlock()
	path := s.path(key)
	folder := filepath.Dir(path)
	if err := s.makeFolder(folder); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	linked := os.Link(tmp, path)
	if linked != nil && !errors.Is(linked, fs.ErrExist) {
		return linked
	}
	// Also when the name was taken: its owner may not have fsynced yet, and
	// whoever hears ErrExists may rely on what stands there.
	if err := s.sync(folder); err != nil {
		return err
	}
	if linked == nil {
		return nil
	}
	if info, err := os.Lstat(path); err == nil && info.IsDir() {
		return fmt.Errorf("a folder of other objects has this name")
	}
	return blob.ErrExists
}

// makeFolder makes a folder below objects, with the folders above it, and makes
// its entry durable, once for each folder in a Store's life.
func (s *Store) makeFolder(folder string) error {
	if folder == s.objects || s.isDurable(folder) {
		return nil
	}
	above := filepath.Dir(folder)
	if err := s.makeFolder(above); err != nil {
		return err
	}
	if err := os.Mkdir(folder, folderMode); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	// Made by us or by another: either way its entry may not be on disk yet.
	if err := s.sync(above); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.durable[folder] = true
	return nil
}

func (s *Store) isDurable(folder string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.durable[folder]
}

// sync fsyncs a folder; a failure is kept and ends the creation of objects.
func (s *Store) sync(folder string) error {
	f, err := os.Open(folder)
	if err != nil {
		return err
	}
	if err := s.io.syncFolder(f); err != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.failed == nil {
			s.failed = err
		}
		return errors.Join(err, f.Close())
	}
	return f.Close()
}
