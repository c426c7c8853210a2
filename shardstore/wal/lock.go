// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package wal

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/leatstream/leat"
)

// LockDir takes a folder for this process alone, until unlock or the end of the process, however it comes. The lock is
// on a file "lock" of its own, which is never replaced or removed and holds the owner's process id. KindInUse names the
// process that has the folder.
func LockDir(dir string) (unlock func() error, err error) {
	if err := os.MkdirAll(dir, folderMode); err != nil {
		return nil, explain(err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, fileMode)
	if err != nil {
		return nil, explain(err)
	}
	if err := flock(f); err != nil {
		defer func() { _ = f.Close() }()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, leat.Errorf(leat.KindInUse, "another leat (pid %s) uses this folder: %s", owner(f), dir)
		}
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	if err := note(f); err != nil {
		return nil, errors.Join(explain(err), f.Close())
	}
	return f.Close, nil
}

func flock(f *os.File) error {
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// owner reads who holds the lock.
func owner(f *os.File) string {
	b, err := io.ReadAll(io.LimitReader(f, 32))
	pid := strings.TrimSpace(string(b))
	if err != nil || pid == "" {
		return "unknown"
	}
	return pid
}

// note writes this process into the file.
func note(f *os.File) error {
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err := f.WriteAt([]byte(fmt.Sprintf("%d\n", os.Getpid())), 0)
	return err
}
