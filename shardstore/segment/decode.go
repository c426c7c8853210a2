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
	if err := wholeExtent(&e, stored); err != nil {
		return nil, err
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

// wholeExtent checks an extent's numbers and its bytes as one.
func wholeExtent(e *Extent, stored []byte) error {
	if err := e.check(); err != nil {
		return err
	}
	if int64(len(stored)) != e.Len {
		return corrupt("extent of %v at %d has %d bytes of %d", e.Shard, e.First, len(stored), e.Len)
	}
	if got := crc32.Checksum(stored, castagnoli); got != e.CRC {
		return corrupt("extent of %v at %d has CRC %08x, its bytes %08x", e.Shard, e.First, e.CRC, got)
	}
	return nil
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
	open, err := c.opener(e)
	if err != nil {
		return nil, 0, err
	}
	chunk := NewChunk(e.Shard, e.Epoch, first)
	seed := e.seed()
	consumed := 0
	var v verifier
	var raw int64
	for chunk.End() < e.End() && raw < budget && len(stored)-consumed >= blockHeaderSize {
		b, n, err := c.decodeBlock(e, open, chunk, seed, stored[consumed:], &v)
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
func (c *Coder) decodeBlock(e *Extent, open *sealer, chunk *Chunk, seed uint32, stored []byte, v *verifier) (b block, n int, err error) {
	h, n, err := soundBlock(e, chunk.End()-e.First, seed, stored)
	if err != nil || n == 0 {
		return b, 0, err
	}
	stored = stored[:n]
	if h.base < e.MinTime || (chunk.Count > 0 && h.base < chunk.MaxTime) {
		return b, 0, corrupt("block begins at %d µs, before what it follows", h.base)
	}
	b = block{rel: chunk.Count, count: uint64(h.count), base: h.base}
	body := stored[blockHeaderSize:]
	if open != nil {
		if body, err = open.open(stored, h.rel, h.codec != CodecNone); err != nil {
			return b, 0, err
		}
	}
	if b.raw, err = c.expand(&h, body); err != nil {
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

// soundBlock checks what can be checked of the block that has the extent's record rel as its first, without opening it.
// n is its stored length, 0 when it is not whole.
func soundBlock(e *Extent, rel uint64, seed uint32, stored []byte) (h blockHeader, n int, err error) {
	if h, err = parseBlockHeader(stored); err != nil {
		return h, 0, err
	}
	n = blockHeaderSize + int(h.stored)
	if n > len(stored) {
		return h, 0, nil
	}
	if got, want := blockSum(seed, stored[:n]), le.Uint32(stored[blockCRC:]); got != want {
		return h, 0, corrupt("block has CRC %08x, its bytes %08x", want, got)
	}
	if h.rel != rel || uint64(h.count) > e.Count-rel {
		return h, 0, corrupt("block has %d records from %d of %d, wanted from %d", h.count, h.rel, e.Count, rel)
	}
	if h.sealed != e.Sealed() {
		return h, 0, corrupt("block sealed: %v, its extent: %v", h.sealed, e.Sealed())
	}
	return h, n, nil
}

// VerifyExtent checks a whole extent without opening it, as far as that goes: no key is needed. Of one that is not
// sealed DecodeExtent finds out more.
func VerifyExtent(e Extent, stored []byte) error {
	if err := wholeExtent(&e, stored); err != nil {
		return err
	}
	rel, raw, last := uint64(0), int64(0), e.MinTime
	for at, seed := 0, e.seed(); rel < e.Count; {
		if len(stored)-at < blockHeaderSize {
			return corrupt("blocks of %v at %d end at record %d of %d", e.Shard, e.First, rel, e.Count)
		}
		h, n, err := soundBlock(&e, rel, seed, stored[at:])
		switch {
		case err != nil:
			return inExtent(err, &e, e.First+rel)
		case n == 0 || h.base < last || h.base > e.MaxTime || rel == 0 && h.base != e.MinTime:
			return corrupt("block of %v at offset %d is cut, or out of its time", e.Shard, e.First+rel)
		}
		at, rel, raw, last = at+n, rel+uint64(h.count), raw+int64(h.raw), h.base
		if rel == e.Count && (at != len(stored) || raw != e.Raw) {
			return corrupt("blocks of %v at %d do not make up their extent", e.Shard, e.First)
		}
	}
	return nil
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
