// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package disk

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// tmpFolder is a locked folder for temporary files. The lock tells a folder in
// use from one that a dead process left.
type tmpFolder struct {
	path string
	lock *os.File // the folder itself
}

// openTmp makes a folder of our own below parent and sweeps dead ones.
func openTmp(parent string, random io.Reader) (*tmpFolder, error) {
	if err := sweep(parent); err != nil {
		return nil, err
	}
	for {
		name, err := tmpName(random)
		if err != nil {
			return nil, err
		}
		t := &tmpFolder{path: filepath.Join(parent, name)}
		if err := os.Mkdir(t.path, folderMode); err != nil {
			return nil, err
		}
		if t.lock, err = lockFolder(t.path); err == nil {
			return t, nil
		}
		// A sweep by another process may take a folder in the instant before it
		// is locked. Then we make another one.
		if !errors.Is(err, errTaken) && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
}

func (t *tmpFolder) close() error {
	err := os.RemoveAll(t.path)
	return errors.Join(err, t.lock.Close())
}

// sweep removes the folders under parent that nobody locks.
func sweep(parent string) error {
	entries, err := os.ReadDir(parent)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := sweepOne(filepath.Join(parent, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// sweepOne removes one folder of a dead process. If files are left in it, that
// process died in a Create, perhaps after the link and before the folder's
// fsync: its object can be read but is not durable. One flush of the file system
// makes true what readers are about to rely on.
func sweepOne(path string) error {
	lock, err := lockFolder(path)
	if errors.Is(err, errTaken) || errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return nil
	}
	if err != nil {
		return err
	}
	left, err := lock.Readdirnames(1)
	if err != nil && !errors.Is(err, io.EOF) {
		return errors.Join(err, lock.Close())
	}
	if len(left) > 0 {
		err = flushAll(lock)
	} else {
		err = nil
	}
	if err == nil {
		err = os.RemoveAll(path)
	}
	return errors.Join(err, lock.Close())
}

// errTaken says that a folder is locked, or was removed while we locked it.
var errTaken = errors.New("folder is in use")

// lockFolder opens and locks a folder without waiting.
func lockFolder(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_DIRECTORY, 0)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = errTaken
		}
		return nil, errors.Join(err, f.Close())
	}
	ours, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	now, err := os.Stat(path)
	if err != nil || !os.SameFile(ours, now) {
		return nil, errors.Join(errTaken, f.Close())
	}
	return f, nil
}
