// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package wal

import "os"

// dataSync makes what was written to f durable. On macOS os.File.Sync is F_FULLFSYNC, which empties the drive's cache.
func dataSync(f *os.File) error { return f.Sync() }

// allocate gives f its size; its space comes when it is filled with zeros.
func allocate(f *os.File, size int64) error { return f.Truncate(size) }
