// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package directio

import "os"

// Open returns nil: there are no direct writes here.
func Open(string, int, os.FileMode) (*os.File, error) { return nil, nil }

// Scattered does nothing: it is for files that are written directly.
func Scattered(*os.File) error { return nil }
