// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package wal

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// AppendFrame is appendFrame, for tests that write log files by hand.
var AppendFrame = appendFrame

// FramePage and FrameHead are the layout's, for tests that damage log files.
const (
	FramePage = framePage
	FrameHead = frameHead
)

// FileOp is one call of Files to the disk.
type FileOp struct {
	Name string // write, allocate, datasync, sync, syncdir, opendirect
	Path string
	Off  int64
	Size int64
}

// Spy has every call to the disk asked about first: an error is its result. A short count stands for a write that was
// cut off there.
func (d *Files) Spy(ask func(FileOp) (short int, err error)) {
	under := d.io
	d.io = fileIO{
		read: under.read,
		write: func(f *os.File, b []byte, off int64) (int, error) {
			short, err := ask(FileOp{"write", f.Name(), off, int64(len(b))})
			if err != nil {
				return cutOff(f.Name(), b[:min(short, len(b))], off, err)
			}
			return under.write(f, b, off)
		},
		allocate: func(f *os.File, size int64) error {
			if _, err := ask(FileOp{"allocate", f.Name(), 0, size}); err != nil {
				return err
			}
			return under.allocate(f, size)
		},
		dataSync: func(f *os.File) error {
			return asked(ask, "datasync", f.Name(), func() error { return under.dataSync(f) })
		},
		sync:    func(f *os.File) error { return asked(ask, "sync", f.Name(), func() error { return under.sync(f) }) },
		syncDir: func(dir string) error { return asked(ask, "syncdir", dir, func() error { return under.syncDir(dir) }) },
		openDirect: func(name string) (*os.File, error) {
			if _, err := ask(FileOp{Name: "opendirect", Path: name}); err != nil {
				return nil, err
			}
			return under.openDirect(name)
		},
	}
}

// BadSectors has the disk not give back some pages.
func (d *Files) BadSectors(bad func(path string, page int64) bool) {
	d.io.read = func(f *os.File, b []byte, off int64) (int, error) {
		for page := off / framePage; page*framePage < off+int64(len(b)); page++ {
			if bad(f.Name(), page) {
				return 0, &os.PathError{Op: "read", Path: f.Name(), Err: syscall.EIO}
			}
		}
		return f.ReadAt(b, off)
	}
}

// cutOff writes the beginning of what should have been written. A count that is no multiple of a page needs a handle
// of its own.
func cutOff(name string, b []byte, off int64, reason error) (n int, err error) {
	f, err := os.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		return 0, err
	}
	if n, err = f.WriteAt(b, off); err == nil {
		err = reason
	}
	return n, errors.Join(err, f.Close())
}

func asked(ask func(FileOp) (int, error), name, path string, do func() error) error {
	if _, err := ask(FileOp{Name: name, Path: path}); err != nil {
		return err
	}
	return do()
}

// Hasty leaves syncs out, for tests that damage a folder a thousand times.
func (d *Files) Hasty() {
	none := func(*os.File) error { return nil }
	d.io.dataSync, d.io.sync, d.io.syncDir = none, none, func(string) error { return nil }
}

// DataSync is what a commit ends with, for the floor that benchmarks compare with.
func DataSync(f *os.File) error { return dataSync(f) }

// Direct tells whether the file system of t's folders has direct writes.
func Direct(t *testing.T) bool {
	name := filepath.Join(t.TempDir(), "direct")
	if err := os.WriteFile(name, nil, fileMode); err != nil {
		t.Fatal(err)
	}
	f, err := openDirect(name)
	if err != nil {
		t.Fatal(err)
	}
	if f == nil {
		return false
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return true
}
