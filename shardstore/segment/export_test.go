// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package segment

// Resign sets right the CRC of every block that stored seems to have.
func Resign(e Extent, stored []byte) { resign(&e, stored) }

// SetHalvesFrom sets from how many raw bytes on two goroutines encode an object; 0 for never.
func (c *Coder) SetHalvesFrom(n int) { c.halvesFrom = n }
