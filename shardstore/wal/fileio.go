// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package wal

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// fileIO are the calls that tests make fail.
type fileIO struct {
	read     func(f *os.File, b []byte, off int64) (int, error) // of logs that are over
	write    func(f *os.File, b []byte, off int64) (int, error)
	allocate func(f *os.File, size int64) error
	dataSync func(f *os.File) error // of the contents
	sync     func(f *os.File) error // of everything
	syncDir  func(dir string) error

	openDirect func(name string) (*os.File, error) // nil where the file system has no such thing
}

func systemIO() fileIO {
	return fileIO{
		read:     (*os.File).ReadAt,
		write:    (*os.File).WriteAt,
		allocate: allocate,
		dataSync: dataSync,
		sync:     (*os.File).Sync, // F_FULLFSYNC on macOS
		syncDir:  syncDir,

		openDirect: openDirect,
	}
}

// syncDir makes the names in a folder durable.
func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// passes tells whether a failed write may succeed later without anything having been lost.
func passes(err error) bool {
	for _, e := range []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EINTR, syscall.EAGAIN, syscall.ENOMEM, syscall.EMFILE, syscall.ENFILE} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// explain adds what to do to the errors that people can mend.
func explain(err error) error {
	if err == nil {
		return nil
	}
	hint := ""
	switch {
	case errors.Is(err, syscall.ENOSPC):
		hint = "the disk is full (free 200 MiB or more, Leat goes on by itself): "
	case errors.Is(err, syscall.EDQUOT):
		hint = "the disk quota is used up: "
	case errors.Is(err, syscall.EROFS):
		hint = "the file system is read-only: "
	case errors.Is(err, fs.ErrPermission):
		hint = "this user may not write or read there: "
	case errors.Is(err, syscall.EIO):
		hint = "the disk reports an error: "
	}
	return fmt.Errorf("session log: %s%w", hint, err)
}
