// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package segment

import (
	"hash/crc32"
	"math"

	"github.com/leatstream/leat"
)

// Extent is a contiguous run of one shard's records in one object: the only way the system says where data is.
type Extent struct {
	Shard    leat.ShardKey
	Epoch    uint64 // of the owner that gave the offsets
	First    uint64 // offset of the first record
	Count    uint64 // number of records, at least 1
	MinTime  int64  // microseconds since 1970, of the first record
	MaxTime  int64  // of the last record
	Object   string // key of the segment or pack; not part of the footer, which is in that very object
	Off      int64  // first byte of the blocks in the object
	Len      int64  // bytes of all its blocks, headers included
	IndexLen int64  // bytes of its block index, which begins at Off+Len; 0 when it has none (Len of 1 MiB or less)
	Raw      int64  // bytes of the encoded records before compression
	Bytes    int64  // bytes of data and partition keys, what limits and bills count
	Units    int64  // 25 KiB put payload units of the records, what bills count
	Codec    Codec  // the densest codec among its blocks
	CRC      uint32 // CRC-32C of the stored bytes [Off, Off+Len)
	Hash     uint64 // sum of the records' hashes modulo 2^64 (invariant I8)
	Level    uint8  // 0 segment, 1 pack, 2 and above merged packs

	Key   leat.KeyID `json:",omitzero"` // seals the blocks; zero: they are not encrypted
	Nonce Nonce      `json:",omitzero"` // of this encoding, when they are
}

// End is the offset after the last record.
func (e *Extent) End() uint64 { return e.First + e.Count }

// Codec says how a block is stored. A higher number is denser.
type Codec uint8

// The codecs of blocks.
const (
	CodecNone Codec = 0
	CodecS2   Codec = 1
	CodecZstd Codec = 2

	codecEnd Codec = 3
)

// String returns none, s2 or zstd.
func (c Codec) String() string {
	switch c {
	case CodecNone:
		return "none"
	case CodecS2:
		return "s2"
	case CodecZstd:
		return "zstd"
	}
	return "unknown"
}

// MaxExtentRaw bounds the encoded records of one extent, in bytes. A longer run becomes several extents.
const MaxExtentRaw = 1 << 30

// check refuses numbers that no encoder wrote, so that what follows may trust the arithmetic on them.
func (e *Extent) check() error {
	switch {
	case e.Count == 0 || e.Count > math.MaxUint32 || e.First+e.Count < e.First:
		return corrupt("extent of %v has %d records from %d", e.Shard, e.Count, e.First)
	case e.MinTime > e.MaxTime:
		return corrupt("extent of %v at %d ends before it begins", e.Shard, e.First)
	case e.Raw <= 0 || e.Raw > MaxExtentRaw || uint64(e.Raw) < e.Count*minRecordSize:
		return corrupt("extent of %v at %d has %d raw bytes for %d records", e.Shard, e.First, e.Raw, e.Count)
	case e.Off < HeaderSize || e.Len <= blockHeaderSize || e.Len > math.MaxUint32 || e.IndexLen < 0 || e.IndexLen > math.MaxUint32:
		return corrupt("extent of %v at %d lies at %d+%d+%d", e.Shard, e.First, e.Off, e.Len, e.IndexLen)
	case !e.Sealed() && !e.Nonce.IsZero():
		return corrupt("extent of %v at %d has a nonce and no key", e.Shard, e.First)
	case e.Codec >= codecEnd:
		return unsupported("extent of %v at %d has codec %d", e.Shard, e.First, e.Codec)
	}
	return nil
}

// seed begins the checksums of an extent's blocks and index: a block of another shard, epoch or place fails its CRC.
func (e *Extent) seed() uint32 {
	return crc32.Checksum(appendIdentity(make([]byte, 0, 40), e), castagnoli)
}

// appendIdentity appends what tells an extent from all others of the same time.
func appendIdentity(b []byte, e *Extent) []byte {
	b = append(b, e.Shard.Stream[:]...)
	b = le.AppendUint64(b, e.Shard.Ordinal)
	b = le.AppendUint64(b, e.Epoch)
	return le.AppendUint64(b, e.First)
}
