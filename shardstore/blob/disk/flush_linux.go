// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package disk

import (
	"os"

	"golang.org/x/sys/unix"
)

// flushAll makes everything on f's file system durable.
func flushAll(f *os.File) error { return unix.Syncfs(int(f.Fd())) }
