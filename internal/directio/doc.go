// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

// Package directio opens files for writes that go around the page cache (O_DIRECT).
//
// What Leat writes in bulk is in its own memory too, and is seldom read back soon. Around the cache a write costs no page
// each 4 KiB, and an fsync nearby does not wait for it. Measured on ext4 of a virtual machine, 4 MiB written and synced into
// a sparse file took 2.2 ms so and 12 ms through the cache; into one filled before 1.4 and 1.3 ms.
//
// Such a write MUST begin at a multiple of Page in the file and in memory, and be as many bytes long. A file system that
// wants larger pages answers EINVAL to the write; callers go on through the cache then.
package directio

import "unsafe"

// Page is what places and lengths are multiples of.
const Page = 4096

// Buffer returns an empty slice with room for n bytes, which begins at a multiple of Page in memory.
func Buffer(n int64) []byte {
	b := make([]byte, n+Page)
	skip := -uintptr(unsafe.Pointer(unsafe.SliceData(b))) % Page
	return b[skip : skip : int64(skip)+n]
}
