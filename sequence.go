// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package leat

import (
	"encoding/binary"
	"strconv"
)

// A sequence number is a decimal string of exactly 56 digits, so that text order and number order agree:
//
//	4 oooooooooooo ffffffffffffffffffff 000 cccccccccccccccccccc
//	│ │            │                    │   └ 20 check digits over stream, ordinal and offset
//	│ │            │                    └ reserved, zero
//	│ │            └ the offset in the shard, 20 digits
//	│ └ the shard's ordinal in its stream, 12 digits: children sort above their parents
//	└ never zero
//
// The check digits bind the number to its stream: one taken from another shard or stream, or mistyped, is refused and
// never misread.
const sequenceDigits = 56

// MaxOrdinal is the highest shard ordinal: twelve digits.
const MaxOrdinal = 999_999_999_999

// SequenceNumber returns the sequence number of the record at an offset of a shard.
func SequenceNumber(k ShardKey, offset uint64) string {
	var b [sequenceDigits]byte
	return string(AppendSequenceNumber(b[:0], k, offset))
}

// AppendSequenceNumber appends what SequenceNumber returns.
func AppendSequenceNumber(to []byte, k ShardKey, offset uint64) []byte {
	n := NewSequenceNumbers(k)
	return n.Append(to, offset)
}

// SequenceNumbers writes many sequence numbers of one shard: what they have in common is worked out once.
type SequenceNumbers struct {
	form  [sequenceDigits]byte
	check uint64 // of the shard
}

// NewSequenceNumbers begins the sequence numbers of a shard.
func NewSequenceNumbers(k ShardKey) (n SequenceNumbers) {
	n.form[0] = '4'
	digits(n.form[1:13], k.Ordinal)
	n.form[33], n.form[34], n.form[35] = '0', '0', '0'
	n.check = shardCheck(k)
	return n
}

// Append appends what SequenceNumber returns.
func (n *SequenceNumbers) Append(to []byte, offset uint64) []byte {
	digits(n.form[13:33], offset)
	digits(n.form[36:56], mix64(n.check^offset))
	return append(to, n.form[:]...)
}

// ParseSequenceNumber reads back the offset of a record of shard k. Anything that SequenceNumber did not return for
// this very shard is refused with InvalidArgument.
func ParseSequenceNumber(k ShardKey, s string) (offset uint64, err error) {
	if len(s) != sequenceDigits || s[0] != '4' || s[33:36] != "000" {
		return 0, Invalid("sequence_number", "sequence number %.80q is not one: it must be the 56 digits that a put or a read returned", s)
	}
	ordinal, err1 := strconv.ParseUint(s[1:13], 10, 64)
	offset, err2 := strconv.ParseUint(s[13:33], 10, 64)
	check, err3 := strconv.ParseUint(s[36:], 10, 64)
	if err1 != nil || err2 != nil || err3 != nil || !allDigits(s) {
		return 0, Invalid("sequence_number", "sequence number %.80q is not one: it must be the 56 digits that a put or a read returned", s)
	}
	if ordinal != k.Ordinal || check != sequenceCheck(k, offset) {
		return 0, Invalid("sequence_number", "sequence number %s does not belong to %s of this stream", s, ShardID(k.Ordinal))
	}
	return offset, nil
}

func allDigits(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

// digits writes the last digits of n, with zeros before it: 12 or 20 of them, four and then eight by eight.
func digits(b []byte, n uint64) {
	const eight = 100_000_000
	at := len(b) - 8
	for ; at > 4; at -= 8 {
		binary.LittleEndian.PutUint64(b[at:], eightDigits(n%eight))
		n /= eight
	}
	binary.LittleEndian.PutUint64(b[at:], eightDigits(n%eight))
	binary.LittleEndian.PutUint32(b, uint32(eightDigits(n/eight%10_000)>>32))
}

// eightDigits returns the digits of n, below 10^8, in the bytes of a word, the first in the lowest. It halves the number
// three times, each time both halves at once: a division by ten for each digit waits for the one before it.
func eightDigits(n uint64) uint64 {
	x := n/10_000 | n%10_000<<32                       // two numbers of four digits
	hundreds := x * 10_486 >> 20 & 0x0000007f_0000007f // 10486/2^20 is 1/100 for what has four digits
	x = hundreds | (x-100*hundreds)<<16                // four of two digits
	tens := x * 103 >> 10 & 0x000f_000f_000f_000f      // 103/2^10 is 1/10 for what has two digits
	return tens | (x-10*tens)<<8 | 0x30303030_30303030 // eight of one, as text
}

// sequenceCheck mixes the identity of a place in the log to 64 bits. It guards against mistakes, not against forgers:
// a forged number names at most a record that its caller may read anyhow.
func sequenceCheck(k ShardKey, offset uint64) uint64 { return mix64(shardCheck(k) ^ offset) }

func shardCheck(k ShardKey) uint64 {
	h := mix64(binary.BigEndian.Uint64(k.Stream[:8]))
	h = mix64(h ^ binary.BigEndian.Uint64(k.Stream[8:]))
	return mix64(h ^ k.Ordinal)
}

// mix64 is the finalizer of SplitMix64.
func mix64(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
