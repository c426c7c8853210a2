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

func (t *totals) join(o *totals) {
	t.count += o.count
	t.hash += o.hash
	t.bytes += o.bytes
	t.units += o.units
}

func (t *totals) addChunk(c *Chunk) {
	t.count += c.Count
	t.hash += c.Hash
	t.bytes += c.Bytes
	t.units += c.Units
}

// verifier goes over the records of blocks and sums them up.
type verifier struct {
	content bool // check also that each record has the bytes that its CRC was taken of
	sum     totals
	record  leat.Record // here, since a checksum makes a record escape
	hash    leat.HashKey
}

// walk verifies that the records of b, in a chunk or extent that begins at offset first, fill it, and that their times
// do not fall. It sets b.last.
func (v *verifier) walk(b *block, first uint64) error {
	at, t, r := 0, b.base, &v.record
	for n := range b.count {
		p, ok := parseRecord(b.raw, at, t)
		if !ok || (n == 0 && p.time != b.base) {
			return corrupt("record %d is not whole", first+b.rel+n)
		}
		at, t = p.next, p.time
		p.fill(r, b.raw, first+b.rel+n, &v.hash)
		if v.content && r.Checksum() != r.CRC {
			return corrupt("record %d has CRC %08x, its bytes %08x", r.Offset, r.CRC, r.Checksum())
		}
		v.sum.add(r)
	}
	if at != len(b.raw) {
		return corrupt("%d records from %d fill %d of their block's %d bytes", b.count, first+b.rel, at, len(b.raw))
	}
	b.last = t
	return nil
}
