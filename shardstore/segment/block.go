// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package segment

import "hash/crc32"

const (
	// BlockSize is the aim for the raw bytes of a block. A block is larger only when it holds one record.
	BlockSize = 64 << 10
	// BlockHeaderSize is the length of a block's header: what BlockLen needs.
	BlockHeaderSize = blockHeaderSize

	blockHeaderSize = 36
	blockCRC        = blockHeaderSize - 4
	maxBlockRaw     = 16 << 20 // a record of 10 MiB, and room to raise that
	blockSealed     = 1        // AES-256-GCM
)

// blockHeader opens a block.
type blockHeader struct {
	codec  Codec
	sealed bool
	raw    uint32 // bytes before compression
	stored uint32 // bytes that follow the header
	count  uint32 // records
	rel    uint64 // offset of the first record, relative to the extent's first
	base   int64  // time of the first record
}

func (h *blockHeader) put(b []byte) {
	b[0], b[1], b[2], b[3] = byte(h.codec), 0, 0, 0
	if h.sealed {
		b[1] = blockSealed
	}
	le.PutUint32(b[4:], h.raw)
	le.PutUint32(b[8:], h.stored)
	le.PutUint32(b[12:], h.count)
	le.PutUint64(b[16:], h.rel)
	le.PutUint64(b[24:], uint64(h.base))
}

// parseBlockHeader reads the header at the start of b, which has at least blockHeaderSize bytes, and bounds its
// numbers. The CRC is not checked yet: it covers what follows too.
func parseBlockHeader(b []byte) (h blockHeader, err error) {
	h = blockHeader{codec: Codec(b[0]), sealed: b[1] == blockSealed, raw: le.Uint32(b[4:]), stored: le.Uint32(b[8:]), count: le.Uint32(b[12:]), rel: le.Uint64(b[16:]), base: int64(le.Uint64(b[24:]))}
	tag := uint32(0)
	if h.sealed {
		tag = sealTag
	}
	switch {
	case h.codec >= codecEnd:
		return h, unsupported("block with codec %d", h.codec)
	case b[1] > blockSealed || !zero(b[2:4]):
		return h, unsupported("block with reserved bytes in use")
	case h.raw > maxBlockRaw || h.stored < tag || h.stored-tag > h.raw || h.count == 0 || uint64(h.raw) < uint64(h.count)*minRecordSize:
		return h, corrupt("block of %d records in %d bytes, stored as %d", h.count, h.raw, h.stored)
	case h.raw > BlockSize && h.count > 1:
		return h, corrupt("block of %d records has %d bytes, beyond %d", h.count, h.raw, BlockSize)
	}
	return h, nil
}

// blockSum is the CRC-32C of a block, header without CRC and stored bytes, that belongs to the extent of that seed.
func blockSum(seed uint32, b []byte) uint32 {
	return crc32.Update(crc32.Update(seed, castagnoli, b[:blockCRC]), castagnoli, b[blockHeaderSize:])
}

// BlockLen returns the length, header included, of the block that begins at stored, of which BlockHeaderSize bytes are
// enough. It is bounded (about 16 MiB) but not verified. A reader uses it where DecodeBlocks says that stored holds no
// whole block.
func BlockLen(stored []byte) (int, error) {
	if len(stored) < blockHeaderSize {
		return 0, corrupt("block has %d bytes of its header's %d", len(stored), blockHeaderSize)
	}
	h, err := parseBlockHeader(stored)
	if err != nil {
		return 0, err
	}
	return blockHeaderSize + int(h.stored), nil
}
