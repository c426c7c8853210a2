// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package wal

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// dataSync makes what was written to f durable.
func dataSync(f *os.File) error {
	for {
		err := unix.Fdatasync(int(f.Fd()))
		// EINTR says that the call did not begin, unlike every other error.
		if !errors.Is(err, unix.EINTR) {
			return os.NewSyscallError("fdatasync", err)
		}
	}
}

// allocate gives f its size and, where the file system can, its space.
func allocate(f *os.File, size int64) error {
	err := unix.Fallocate(int(f.Fd()), 0, 0, size)
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EINTR) {
		return f.Truncate(size)
	}
	return os.NewSyscallError("fallocate", err)
}
