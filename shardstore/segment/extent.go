// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package segment

import "github.com/leatstream/leat"

// Extent is a contiguous run of one shard's records in one object: the only way the system says where data is.
type Extent struct {
	Shard   leat.ShardKey
	Epoch   uint64 // of the owner that gave the offsets
	First   uint64 // offset of the first record
	Count   uint64 // number of records
	MinTime int64  // microseconds since 1970
	MaxTime int64
	Object  string // key of the segment or pack; not part of the footer, which is in that very object
	Off     int64  // first byte of the blocks in the object
	Len     int64  // bytes of all its blocks, headers included
	Raw     int64  // bytes of the encoded records before compression
	Bytes   int64  // bytes of data and partition keys, what limits and bills count
	Units   int64  // 25 KiB put payload units of the records, what bills count
	Codec   Codec  // the densest codec among its blocks
	CRC     uint32 // CRC-32C of the stored bytes [Off, Off+Len)
	Hash    uint64 // sum of the records' hashes modulo 2^64 (invariant I8)
	Level   uint8  // 0 segment, 1 pack, 2 and above merged packs
}

// End is the offset after the last record.
func (e *Extent) End() uint64 { return e.First + e.Count }

// Codec says how a block is stored.
type Codec uint8

// The codecs of blocks.
const (
	CodecNone Codec = 0
	CodecS2   Codec = 1
	CodecZstd Codec = 2
)
