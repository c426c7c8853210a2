// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package segment

import (
	"hash/crc32"

	"github.com/leatstream/leat"
)

// maxDecode bounds the raw bytes that one DecodeBlocks returns: what compresses very well would fill the memory.
const maxDecode = 32 << 20

// DecodeExtent decodes a whole extent: stored is the object's bytes [Off, Off+Len). It checks everything that the
// extent and its blocks say, but for the records' own checksums, which Chunk.Records checks. The chunk may alias stored.
func (c *Coder) DecodeExtent(e Extent, stored []byte) (*Chunk, error) {
	if err := e.check(); err != nil {
		return nil, err
	}
	if int64(len(stored)) != e.Len {
		return nil, corrupt("extent of %v at %d has %d bytes of %d", e.Shard, e.First, len(stored), e.Len)
	}
	if got := crc32.Checksum(stored, castagnoli); got != e.CRC {
		return nil, corrupt("extent of %v at %d has CRC %08x, its bytes %08x", e.Shard, e.First, e.CRC, got)
	}
	chunk, n, err := c.decode(&e, e.First, stored, e.Raw)
	if err != nil {
		return nil, err
	}
	switch {
	case n != len(stored) || chunk == nil || chunk.Count != e.Count || chunk.raw() != e.Raw:
		return nil, corrupt("blocks of %v at %d do not make up their extent", e.Shard, e.First)
	case chunk.MinTime != e.MinTime || chunk.MaxTime != e.MaxTime:
		return nil, corrupt("extent of %v at %d has times %d to %d, its records %d to %d", e.Shard, e.First, e.MinTime, e.MaxTime, chunk.MinTime, chunk.MaxTime)
	case chunk.Hash != e.Hash || chunk.Bytes != e.Bytes || chunk.Units != e.Units:
		return nil, corrupt("extent of %v at %d has hash %016x over %d bytes, its records %016x over %d", e.Shard, e.First, e.Hash, e.Bytes, chunk.Hash, chunk.Bytes)
	}
	return chunk, nil
}

// DecodeBlocks decodes as many whole blocks as stored holds, up to the extent's end or about 32 MiB of raw bytes. The
// stored bytes begin at a block of the extent whose first record has the offset first: at Off for e.First, at an entry
// of the Index, or where an earlier call stopped. consumed is the length of the blocks that were decoded. A nil chunk
// without an error means that stored holds no whole block: BlockLen tells how long it is.
func (c *Coder) DecodeBlocks(e Extent, first uint64, stored []byte) (chunk *Chunk, consumed int, err error) {
	if err := e.check(); err != nil {
		return nil, 0, err
	}
	if first < e.First || first >= e.End() {
		return nil, 0, broken("offset %d is not in the extent of %v from %d to %d", first, e.Shard, e.First, e.End())
	}
	return c.decode(&e, first, stored, maxDecode)
}

// decode reads blocks from stored until it ends, the extent ends, or budget raw bytes are reached.
func (c *Coder) decode(e *Extent, first uint64, stored []byte, budget int64) (*Chunk, int, error) {
	chunk := NewChunk(e.Shard, e.Epoch, first)
	seed := e.seed()
	consumed := 0
	var v verifier
	var raw int64
	for chunk.End() < e.End() && raw < budget && len(stored)-consumed >= blockHeaderSize {
		b, n, err := c.decodeBlock(e, chunk, seed, stored[consumed:], &v)
		if err != nil {
			return nil, 0, inExtent(err, e, chunk.End())
		}
		if n == 0 {
			break
		}
		consumed += n
		raw += int64(len(b.raw))
		if chunk.Count == 0 {
			chunk.MinTime = b.base
		}
		chunk.MaxTime = b.last
		chunk.Count = v.sum.count
		chunk.blocks = append(chunk.blocks, b)
	}
	if chunk.Count == 0 {
		return nil, 0, nil
	}
	chunk.Hash, chunk.Bytes, chunk.Units = v.sum.hash, v.sum.bytes, v.sum.units
	return chunk, consumed, nil
}

// decodeBlock reads the block that must follow what the chunk has; n is its stored length, 0 when it is not whole.
func (c *Coder) decodeBlock(e *Extent, chunk *Chunk, seed uint32, stored []byte, v *verifier) (b block, n int, err error) {
	h, err := parseBlockHeader(stored)
	if err != nil {
		return b, 0, err
	}
	n = blockHeaderSize + int(h.stored)
	if n > len(stored) {
		return b, 0, nil
	}
	stored = stored[:n]
	if got, want := blockSum(seed, stored), le.Uint32(stored[blockCRC:]); got != want {
		return b, 0, corrupt("block has CRC %08x, its bytes %08x", want, got)
	}
	rel := chunk.End() - e.First
	if h.rel != rel || uint64(h.count) > e.Count-rel {
		return b, 0, corrupt("block has %d records from %d of %d, wanted from %d", h.count, h.rel, e.Count, rel)
	}
	if h.base < e.MinTime || (chunk.Count > 0 && h.base < chunk.MaxTime) {
		return b, 0, corrupt("block begins at %d µs, before what it follows", h.base)
	}
	b = block{rel: chunk.Count, count: uint64(h.count), base: h.base}
	if b.raw, err = c.expand(&h, stored[blockHeaderSize:]); err != nil {
		return b, 0, err
	}
	if err := v.walk(&b, chunk.First); err != nil {
		return b, 0, err
	}
	if b.last > e.MaxTime {
		return b, 0, corrupt("block ends at %d µs, after its extent's %d", b.last, e.MaxTime)
	}
	return b, n, nil
}

// inExtent says where a block is wrong.
func inExtent(err error, e *Extent, offset uint64) error {
	return leat.Errorf(leat.KindOf(err), "%w (block of %v at offset %d)", err, e.Shard, offset)
}

// DecodeObject decodes a whole object and checks everything in it but the records' own checksums, which Chunk.Records
// checks: its header is its footer's copy, and every extent and index is right. Chunks come in the order of the extents.
func (c *Coder) DecodeObject(object []byte) (*Footer, []*Chunk, error) {
	h, err := ParseHeader(object)
	if err != nil {
		return nil, nil, err
	}
	f, _, err := ParseFooter(object, int64(len(object)))
	if err != nil {
		return nil, nil, err
	}
	if f.Header != h {
		return nil, nil, corrupt("header and footer are of different objects")
	}
	chunks := make([]*Chunk, len(f.Extents))
	for i, e := range f.Extents {
		blocks, index := e.Off+e.Len, e.Off+e.Len+e.IndexLen
		if chunks[i], err = c.DecodeExtent(e, object[e.Off:blocks]); err != nil {
			return nil, nil, err
		}
		if _, err := ParseIndex(e, object[blocks:index]); err != nil {
			return nil, nil, err
		}
	}
	return f, chunks, nil
}
