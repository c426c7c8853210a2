// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package leat

import (
	"hash/crc32"
)

// Record is one message of a stream. Its bytes are never changed once it is put.
type Record struct {
	PartitionKey string   // 1 to 256 unicode characters
	ExplicitHash *HashKey // overrides the MD5 of the partition key; nil when absent
	Data         []byte   // may be empty
	CRC          uint32   // Checksum, computed where the record enters and checked where it leaves

	Offset uint64 // dense from 0 in the shard; set by the shard's owner
	Time   int64  // approximate arrival, microseconds since 1970; never falls within a shard; set by the owner
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Checksum is the CRC-32C over key length, key, explicit hash and data: everything that a producer gave.
func (r *Record) Checksum() uint32 {
	c := ^uint32(0)
	n := uint64(len(r.PartitionKey))
	for ; n >= 0x80; n >>= 7 {
		c = castagnoli[byte(c)^(byte(n)|0x80)] ^ c>>8
	}
	c = castagnoli[byte(c)^byte(n)] ^ c>>8
	if r.ExplicitHash != nil {
		for _, b := range r.ExplicitHash.Bytes() {
			c = castagnoli[byte(c)^b] ^ c>>8
		}
	}
	c = crc32.Update(^c, castagnoli, unsafeBytes(r.PartitionKey))
	return crc32.Update(c, castagnoli, r.Data)
}

// Hash is what a record adds to its extent's additive hash: it binds place, time and content, so that a sum over a run
// of records changes when one is lost, doubled, altered or moved (invariant I8).
func (r *Record) Hash() uint64 {
	return mix64(mix64(r.Offset) ^ mix64(uint64(r.Time)) ^ uint64(r.CRC)<<1 ^ uint64(r.Size())<<33)
}

// HashKey is the point of the hash space that decides the record's shard.
func (r *Record) HashKey() HashKey {
	if r.ExplicitHash != nil {
		return *r.ExplicitHash
	}
	return HashPartitionKey(r.PartitionKey)
}

// Size is what limits count: bytes of data and partition key.
func (r *Record) Size() int { return len(r.PartitionKey) + len(r.Data) }
