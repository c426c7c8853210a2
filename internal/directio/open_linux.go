// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package directio

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// Open is os.OpenFile for direct writes. It returns nil where the file system has no such thing; a file that was to be
// made may stand there then.
func Open(name string, flag int, mode os.FileMode) (*os.File, error) {
	f, err := os.OpenFile(name, flag|unix.O_DIRECT, mode)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EOPNOTSUPP) {
		return nil, nil
	}
	return f, err
}

// Scattered keeps reads of f from bringing more of it into the page cache than they ask for: for a file that is written
// around the cache meanwhile, since not every file system takes stale pages out.
func Scattered(f *os.File) error {
	return os.NewSyscallError("fadvise", unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_RANDOM))
}
