// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package leat

import "unsafe"

// unsafeBytes views a string as bytes that MUST NOT be written.
func unsafeBytes(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }
