// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package segment

// Resign sets right the CRC of every block that stored seems to have.
func Resign(e Extent, stored []byte) { resign(&e, stored) }
