// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package main

import "os"

// syncData makes the data of a file durable; on macOS Sync is F_FULLFSYNC.
func syncData(f *os.File) error { return f.Sync() }
