// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

// Package segment is the form of Leat's objects: bytes only. It encodes, decodes and checks segments, packs and fences.
// It does no I/O, reads no clock, and knows neither the keys of objects nor the catalog. What it promises:
//
//   - A decoder never panics, reads past its input, or allocates beyond what the limits here allow, whatever it is given.
//   - No changed bit and no cut goes unseen. A record whose bytes differ from those put is an error, never an answer.
//   - Encode counts and sums what it wrote before it returns: a pack holds what its chunks held (invariant I8).
//   - The same input gives the same bytes, as long as the compressors are the same.
//
// # The format, version 1
//
// Integers are little-endian and unsigned unless said otherwise; times are signed microseconds since 1970; hash keys
// are big-endian; every CRC is CRC-32C. Reserved bytes are zero, and a reader refuses others: a later version uses them.
//
//	object   header · extents · footer · trailer
//	extent   blocks, then an index if the blocks take more than 1 MiB
//	fence    header · footer without extents · trailer
//
// Header, 128 bytes. Its nonce tells two writers of one key apart (data-plane.md, rule 2).
//
//	 0  8  magic "leatobj\n"            48  8  n: number of the segment or pack
//	 8  2  version, 1                   56 16  nonce
//	10  1  kind: 1 segment, 2 pack,     72  8  trim
//	       3 fence                      80  8  created
//	11  5  reserved                     88 36  reserved
//	16 16  cluster                     124  4  CRC of bytes 0 to 123
//	32 16  session
//
// Block, 36 bytes and what it stores. An extent's blocks follow one another in the order of offsets.
//
//	 0  1  codec: 0 none, 1 s2, 2 zstd  16  8  offset of the first record - first offset of the extent
//	 1  1  seal: 0 none, 1 AES-256-GCM  24  8  time of the first record
//	 2  2  reserved                     32  4  CRC, begun with the extent's identity (below), of bytes 0 to 31 and
//	 4  4  raw length                          of the stored bytes
//	 8  4  stored length                36  …  stored bytes
//	12  4  number of records
//
// A block has 64 KiB of raw bytes at most, or one record. It is compressed only if that saves an eighth. The identity
// is the CRC of {stream 16, ordinal 8, epoch 8, first offset 8}: a sound block of another shard or place does not pass.
//
// Record, inside a block's raw bytes. Offsets are implicit: the next record has the next one.
//
//	uvarint  Δtime: microseconds since the record before it in the block; 0 for the first
//	uvarint  length of the partition key × 2, + 1 when there is an explicit hash key
//	…        partition key
//	16       explicit hash key, if any
//	uvarint  length of the data
//	…        data
//	4        CRC of what the producer gave: leat.Record.Checksum
//
// Index, right after the blocks: a row for the first block and for each block that begins 256 KiB or more after the
// last row's. A seek into any extent costs two reads: the index, then a range.
//
//	rows of 24: 8 place of the block - place of the extent · 8 offset of its first record - first of the extent · 8 time of it
//	 4  CRC, begun with the extent's identity, of the rows
//
// Footer: the header again, 124 bytes an extent, control records. A reader needs no other part to know what is where.
// Extents are sorted by shard and first offset. They lie end to end: the first at byte 128, each next one after the
// blocks and index of the one before, the footer after the last.
//
//	 0 16  stream                       72  4  length of the index, 0 when none
//	16  8  ordinal of the shard         76  4  raw length of the blocks
//	24  8  epoch                        80  4  bytes of data and keys
//	32  8  first offset                 84  4  put payload units
//	40  8  time of the first record     88  4  CRC of the blocks
//	48  8  time of the last record      92  1  densest codec
//	56  8  sum of leat.Record.Hash      93  1  level
//	64  4  number of records            94  2  reserved
//	68  4  length of the blocks         96 16  key id; zero: not sealed
//	                                   112 12  nonce of the seal; zero where there is none
//
// Control record:
//
//	1 kind: 1 OPEN, 2 CLOSE, 3 RELEASE, 4 RESHARD · 16 stream · 8 ordinal · 8 epoch · 8 final offset
//	RESHARD goes on: 2 length of the id · id · 8 time
//	  2 number of parents, each 16 stream · 8 ordinal · 8 epoch · 8 final offset
//	  2 number of children, each 16 stream · 8 ordinal · 16 first hash key · 16 last hash key
//
// Trailer, 40 bytes. Since it names the footer's place, an object that was cut or joined to another does not pass.
//
//	 0  8  place of the footer          20  4  reserved
//	 8  4  length of the footer         24  4  CRC of the footer
//	12  4  number of extents            28  4  CRC of bytes 0 to 27
//	16  4  number of control records    32  8  magic "leatend\n"
//
// One read of the last 64 KiB gives some 520 extents.
//
// # Encryption at rest
//
// An extent is sealed whole or not at all: its row names the key of its stream and has a nonce, and its blocks say so.
// Readers of before this was written refuse such rows and blocks by name, so that the version stays 1. Other extents of
// the object may be plain, or sealed with other keys.
//
//	extent key   HKDF-SHA256-Expand(stream key 32, "leat extent 1" · nonce 12 · stream 16 · ordinal 8 · epoch 8 ·
//	             first offset 8 · sum of hashes 8), 32 bytes
//	block        AES-256-GCM(extent key, nonce: 4 zero bytes · relative first offset 8, additional data: bytes 0 to 31 of
//	             the block's header); the tag of 16 bytes comes last, and the stored length counts it
//
// A block is compressed first. Its relative first offset is unique in its extent and stands in its header, so that ranged
// reads and seeks need the extent's row and nothing else. The nonce of an extent is the first 12 bytes of its object's
// nonce, which is random and drawn anew for each Encode: what is encoded again, under the same number or another, has
// other keys. Two extents that met with one nonce would still be of other places; one place encoded twice with one
// nonce, as by two copies of one virtual machine, would still differ in the sum, unless the records are the same. So no
// key seals two things with one nonce.
//
// CRCs are over the stored bytes: VerifyExtent and fsck need no keys. Who has no key sees of a sealed extent what its row
// and index say: shard, offsets, times, lengths before and after compression, and the sum of hashes.
package segment
