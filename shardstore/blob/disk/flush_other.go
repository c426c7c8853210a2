// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package disk

import (
	"os"

	"golang.org/x/sys/unix"
)

// flushAll makes everything on f's file system durable: sync(2) hands it to the
// drive, and the fsync of f (on macOS F_FULLFSYNC) empties the drive's cache,
// which holds one queue for all files.
func flushAll(f *os.File) error {
	if err := unix.Sync(); err != nil {
		return err
	}
	return f.Sync()
}
