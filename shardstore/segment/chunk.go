// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package segment

import (
	"fmt"
	"slices"
	"sort"
	"unsafe"

	"github.com/leatstream/leat"
)

// Chunk is a contiguous run of one shard's records in memory, encoded in blocks: what a shard's tail keeps, what
// segments and packs are made of, and what reading gives back.
//
// While Append may still be called a chunk belongs to one goroutine. After that nothing changes, and any number may read.
type Chunk struct {
	Shard   leat.ShardKey
	Epoch   uint64
	First   uint64 // offset of the first record
	Count   uint64 // number of records
	MinTime int64  // of the first record, microseconds since 1970; 0 when empty
	MaxTime int64  // of the last record
	Hash    uint64 // sum of the records' hashes modulo 2^64
	Bytes   int64  // of data and partition keys
	Units   int64  // put payload units of 25 KiB

	blocks []block
}

// block is a part of a chunk that is compressed as one. Its first record is encoded with a Δtime of 0.
type block struct {
	raw   []byte
	rel   uint64 // offset of the first record, relative to the chunk's first
	count uint64
	base  int64 // time of the first record
	last  int64 // time of the last record
}

// NewChunk begins an empty run at offset first.
func NewChunk(shard leat.ShardKey, epoch, first uint64) *Chunk {
	return &Chunk{Shard: shard, Epoch: epoch, First: first}
}

// Append copies a record to the end. Offset MUST be End(), Time no earlier than the last, and CRC the record's
// Checksum; it panics where the first two are broken, since an acked record would have two places or a wrong one.
func (c *Chunk) Append(r *leat.Record) {
	if r.Offset != c.First+c.Count || (c.Count > 0 && r.Time < c.MaxTime) {
		panic(fmt.Sprintf("segment: record %d at %d µs cannot follow %d at %d µs in %v", r.Offset, r.Time, c.End(), c.MaxTime, c.Shard))
	}
	b, dt := c.room(r)
	b.raw = appendRecord(b.raw, r, dt)
	b.count++
	b.last = r.Time
	if c.Count == 0 {
		c.MinTime = r.Time
	}
	c.MaxTime = r.Time
	c.Count++
	c.Hash += r.Hash()
	c.Bytes += int64(r.Size())
	c.Units += units(r.Size())
}

// room returns a block with capacity for r, and r's Δtime in it. A block is a buffer of its own, so that growing never
// copies more than one block's bytes.
func (c *Chunk) room(r *leat.Record) (b *block, dt uint64) {
	if n := len(c.blocks); n > 0 {
		b = &c.blocks[n-1]
		dt = uint64(r.Time - b.last)
		need := len(b.raw) + recordSize(r, dt)
		if need <= cap(b.raw) {
			return b, dt
		}
		if need <= BlockSize {
			raw := make([]byte, len(b.raw), min(BlockSize, max(need, 2*cap(b.raw))))
			copy(raw, b.raw)
			b.raw = raw
			return b, dt
		}
	}
	size := recordSize(r, 0)
	if len(c.blocks) > 0 {
		size = max(size, BlockSize) // a busy shard: the next block will fill too
	}
	c.blocks = append(c.blocks, block{raw: make([]byte, 0, size), rel: c.Count, base: r.Time, last: r.Time})
	return &c.blocks[len(c.blocks)-1], 0
}

// End is the offset after the last record.
func (c *Chunk) End() uint64 { return c.First + c.Count }

// MemSize is the memory that the chunk holds, in bytes.
func (c *Chunk) MemSize() int {
	n := int(unsafe.Sizeof(*c)) + cap(c.blocks)*int(unsafe.Sizeof(block{}))
	for i := range c.blocks {
		n += cap(c.blocks[i].raw)
	}
	return n
}

// Records appends to dst the records from offset from on: at most maxRecords with at most maxBytes of data and keys,
// but at least one where there is one; none when from is End. Keys and data alias the chunk and MUST NOT be changed.
// Each record's checksum is verified: KindCorrupt, with the records before it, when one is wrong.
func (c *Chunk) Records(dst []leat.Record, from uint64, maxRecords, maxBytes int) ([]leat.Record, error) {
	if from < c.First || from > c.End() {
		return dst, broken("offset %d asked of %v from %d to %d", from, c.Shard, c.First, c.End())
	}
	if from == c.End() {
		return dst, nil
	}
	dst = slices.Grow(dst, c.estimate(from, maxRecords, maxBytes))
	for i, taken := c.blockOf(from), 0; i < len(c.blocks); i++ {
		b := &c.blocks[i]
		at, t := 0, b.base
		for offset, end := c.First+b.rel, c.First+b.rel+b.count; offset < end; offset++ {
			p, ok := parseRecord(b.raw, at, t)
			if !ok {
				return dst, corrupt("record %d of %v is not whole", offset, c.Shard)
			}
			at, t = p.next, p.time
			if offset < from {
				continue
			}
			if taken > 0 && (taken >= maxRecords || p.size() > maxBytes) {
				return dst, nil
			}
			dst = append(dst, leat.Record{})
			r := &dst[len(dst)-1]
			p.fill(r, b.raw, offset, nil)
			if r.Checksum() != r.CRC {
				return dst[:len(dst)-1], corrupt("record %d of %v has CRC %08x, its bytes %08x", offset, c.Shard, r.CRC, r.Checksum())
			}
			taken++
			maxBytes -= r.Size()
		}
	}
	return dst, nil
}

// estimate guesses how many records Records will return, so that dst grows once.
func (c *Chunk) estimate(from uint64, maxRecords, maxBytes int) int {
	mean := max(1, uint64(c.Bytes)/c.Count)
	return int(min(c.End()-from, uint64(max(1, maxRecords)), uint64(max(0, maxBytes))/mean+1))
}

// blockOf is the index of the block that holds an offset of the chunk.
func (c *Chunk) blockOf(offset uint64) int {
	rel := offset - c.First
	return sort.Search(len(c.blocks), func(i int) bool { return c.blocks[i].rel > rel }) - 1
}

// SeekTime returns the offset of the first record whose time is t or later; End when there is none.
func (c *Chunk) SeekTime(t int64) (offset uint64) {
	i := sort.Search(len(c.blocks), func(i int) bool { return c.blocks[i].last >= t })
	if i == len(c.blocks) {
		return c.End()
	}
	b := &c.blocks[i]
	at, prev := 0, b.base
	for n := range b.count {
		p, ok := parseRecord(b.raw, at, prev)
		if !ok || p.time >= t { // damaged memory: Records will say so
			return c.First + b.rel + n
		}
		at, prev = p.next, p.time
	}
	return c.First + b.rel + b.count
}
