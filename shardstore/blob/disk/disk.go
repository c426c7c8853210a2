// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package disk

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/leatstream/leat/shardstore/blob"
)

// Objects hold other people's records: nobody but the owner reads them.
const (
	folderMode = 0o700
	fileMode   = 0o600
)

// Options configure Open. The zero value is right.
type Options struct {
	Rand io.Reader // of the name of the folder for temporary files; crypto/rand if nil
}

// Store is a blob.Store in a folder. Close it to let go of its lock.
type Store struct {
	objects string      // <root>/objects
	opened  os.FileInfo // of objects, when it was opened
	tmp     *tmpFolder
	serial  atomic.Uint64 // of temporary files
	io      fileIO

	// folders guards the making (shared) and removing (alone) of folders.
	folders sync.RWMutex

	mu      sync.Mutex
	durable map[string]bool // folders whose entries, up to objects, were fsynced
	failed  error           // of the first fsync of a folder that failed
	closed  bool
}

var _ blob.Eraser = (*Store)(nil)

// fileIO are the calls that tests make fail.
type fileIO struct {
	write      func(*os.File, []byte) (int, error)
	syncFile   func(*os.File) error
	syncFolder func(*os.File) error
}

// Open opens the store in folder root, which it makes if need be. It removes
// what Stores that no longer live left half written.
func Open(root string, opts Options) (*Store, error) {
	if opts.Rand == nil {
		opts.Rand = rand.Reader
	}
	root, err := filepath.Abs(root)
	if err != nil {
		return nil, fmt.Errorf("disk: %w", err)
	}
	s := &Store{
		objects: filepath.Join(root, "objects"),
		durable: make(map[string]bool),
		io: fileIO{
			write: (*os.File).Write,
			// On macOS File.Sync is F_FULLFSYNC: it empties the drive's cache too.
			syncFile:   (*os.File).Sync,
			syncFolder: (*os.File).Sync,
		},
	}
	if err := s.makeRoot(root); err != nil {
		return nil, explain(err)
	}
	if err := s.look(); err != nil {
		return nil, explain(err)
	}
	if s.tmp, err = openTmp(filepath.Join(root, "tmp"), opts.Rand); err != nil {
		return nil, explain(err)
	}
	return s, nil
}

// makeRoot makes root and objects durable, and every missing folder above.
func (s *Store) makeRoot(root string) error {
	if err := os.MkdirAll(root, folderMode); err != nil {
		return err
	}
	for _, folder := range []string{s.objects, filepath.Join(root, "tmp")} {
		if err := os.Mkdir(folder, folderMode); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	if err := s.sync(root); err != nil {
		return err
	}
	// The folder above may belong to somebody else and not be readable.
	if err := s.sync(filepath.Dir(root)); err != nil && !errors.Is(err, fs.ErrPermission) {
		return err
	}
	return nil
}

// look remembers which folder objects is, and that it can be read.
func (s *Store) look() error {
	f, err := os.Open(s.objects)
	if err != nil {
		return err
	}
	s.opened, err = f.Stat()
	return errors.Join(err, f.Close())
}

// Close removes the folder for temporary files. Calls that begin later fail. It
// may be called twice.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	return s.tmp.close()
}

// check says why no call may begin.
func (s *Store) check() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return fs.ErrClosed
	}
	return nil
}

// here proves that the objects folder is the one that was opened. Without it an
// unmounted disk would look like a store without objects.
func (s *Store) here() error {
	info, err := os.Stat(s.objects)
	if err != nil {
		return fmt.Errorf("the folder of the store is gone: %w", hideMissing(err))
	}
	if !os.SameFile(info, s.opened) {
		return fmt.Errorf("the folder of the store, %s, is another one than was opened (a mount that came or went?)", s.objects)
	}
	return nil
}

// path is where key's object lies.
func (s *Store) path(key string) string {
	return filepath.Join(s.objects, filepath.FromSlash(key))
}

// tmpName returns a random name.
func tmpName(from io.Reader) (string, error) {
	var id [16]byte
	if _, err := io.ReadFull(from, id[:]); err != nil {
		return "", fmt.Errorf("no randomness: %w", err)
	}
	return hex.EncodeToString(id[:]), nil
}

// explain adds what to do to the errors that people can mend.
func explain(err error) error {
	var hint string
	switch {
	case errors.Is(err, syscall.ENOSPC):
		hint = "the disk is full"
	case errors.Is(err, syscall.EDQUOT):
		hint = "the disk quota is used up"
	case errors.Is(err, syscall.EROFS):
		hint = "the file system is read-only"
	case errors.Is(err, fs.ErrPermission):
		hint = "this user may not write or read there"
	case errors.Is(err, syscall.EIO):
		hint = "the disk reports an error"
	default:
		return fmt.Errorf("disk: %w", err)
	}
	return fmt.Errorf("disk: %s: %w", hint, err)
}

// hideMissing keeps the text of fs.ErrNotExist and hides its kind, which callers
// could take for a missing object.
func hideMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return errors.New(err.Error())
	}
	return err
}
