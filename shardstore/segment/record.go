// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package segment

import (
	"encoding/binary"
	"math"
	"math/bits"
	"unsafe"

	"github.com/leatstream/leat"
)

const (
	minRecordSize = 1 + 1 + 1 + 4 // Δtime, flags and key length, data length, CRC
	payloadUnit   = 25 << 10      // bytes of a put payload unit, as Kinesis bills
)

// units is the number of put payload units of a record; even an empty one counts.
func units(size int) int64 { return max(1, int64(size+payloadUnit-1)/payloadUnit) }

func uvarintLen(v uint64) int { return (bits.Len64(v|1) + 6) / 7 }

// recordSize is the number of bytes that appendRecord adds.
func recordSize(r *leat.Record, dt uint64) int {
	n := uvarintLen(dt) + uvarintLen(uint64(len(r.PartitionKey))<<1) + len(r.PartitionKey) + uvarintLen(uint64(len(r.Data))) + len(r.Data) + 4
	if r.ExplicitHash != nil {
		n += 16
	}
	return n
}

// appendRecord encodes r as the record that comes dt microseconds after the one before it in its block.
func appendRecord(b []byte, r *leat.Record, dt uint64) []byte {
	b = binary.AppendUvarint(b, dt)
	head := uint64(len(r.PartitionKey)) << 1
	if r.ExplicitHash != nil {
		head |= 1
	}
	b = binary.AppendUvarint(b, head)
	b = append(b, r.PartitionKey...)
	if r.ExplicitHash != nil {
		h := r.ExplicitHash.Bytes()
		b = append(b, h[:]...)
	}
	b = binary.AppendUvarint(b, uint64(len(r.Data)))
	b = append(b, r.Data...)
	return le.AppendUint32(b, r.CRC)
}

// place is where the parts of one record lie in a block's raw bytes.
type place struct {
	time            int64
	key, hash, data int // where each begins; hash is 0 when the record has none
	keyEnd, end     int // end is the end of data; the CRC follows
	crc             uint32
	next            int // where the next record begins
}

// parseRecord finds the parts of the record that begins at raw[at:]; prev is the time of the one before it. It reads
// nothing outside raw whatever raw holds; ok is false when raw holds no whole record there.
func parseRecord(raw []byte, at int, prev int64) (p place, ok bool) {
	dt, i := uvarint(raw, at)
	if i < 0 || dt > math.MaxInt64 || prev > math.MaxInt64-int64(dt) {
		return p, false
	}
	p.time = prev + int64(dt)
	head, i := uvarint(raw, i)
	if i < 0 || head>>1 > uint64(len(raw)-i) {
		return p, false
	}
	p.key, p.keyEnd = i, i+int(head>>1)
	i = p.keyEnd
	if head&1 != 0 {
		p.hash = i
		i += 16
	}
	if i > len(raw) {
		return p, false
	}
	size, i := uvarint(raw, i)
	if i < 0 || size > uint64(len(raw)-i) || len(raw)-i-int(size) < 4 {
		return p, false
	}
	p.data, p.end = i, i+int(size)
	p.crc, p.next = le.Uint32(raw[p.end:]), p.end+4
	return p, true
}

// uvarint reads the number at b[at:] and tells where it ends; -1 when there is none.
func uvarint(b []byte, at int) (v uint64, next int) {
	if at < len(b) && b[at] < 0x80 {
		return uint64(b[at]), at + 1
	}
	v, n := binary.Uvarint(b[at:])
	if n <= 0 {
		return 0, -1
	}
	return v, at + n
}

// size is what leat.Record.Size would say.
func (p *place) size() int { return p.keyEnd - p.key + p.end - p.data }

// fill sets r to the record at p. Key and data alias raw; an explicit hash key goes to hash, or to new memory when nil.
func (p *place) fill(r *leat.Record, raw []byte, offset uint64, hash *leat.HashKey) {
	r.PartitionKey = ""
	if p.keyEnd > p.key {
		r.PartitionKey = unsafe.String(&raw[p.key], p.keyEnd-p.key)
	}
	r.ExplicitHash = nil
	if p.hash > 0 {
		if hash == nil {
			hash = new(leat.HashKey)
		}
		*hash = leat.HashKeyFromBytes([16]byte(raw[p.hash : p.hash+16]))
		r.ExplicitHash = hash
	}
	r.Data = raw[p.data:p.end:p.end]
	r.CRC, r.Offset, r.Time = p.crc, offset, p.time
}
