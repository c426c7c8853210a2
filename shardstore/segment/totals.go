// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package segment

import "github.com/leatstream/leat"

// totals are what a run of records adds up to: equal before and after packing (invariant I8).
type totals struct {
	count uint64
	hash  uint64
	bytes int64
	units int64
}

func (t *totals) add(r *leat.Record) {
	t.count++
	t.hash += r.Hash()
	t.bytes += int64(r.Size())
	t.units += units(r.Size())
}

func (t *totals) addChunk(c *Chunk) {
	t.count += c.Count
	t.hash += c.Hash
	t.bytes += c.Bytes
	t.units += c.Units
}
