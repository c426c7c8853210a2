// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package leat

import (
	"crypto/md5"
	"encoding/binary"
	"math/big"
	"math/bits"
)

// HashKey is a point of the 128-bit hash space, 0 to 2^128-1.
type HashKey struct{ Hi, Lo uint64 }

// MaxHashKey is 2^128-1.
var MaxHashKey = HashKey{^uint64(0), ^uint64(0)}

// HashPartitionKey is the MD5 of the key as a big-endian number, as Kinesis documents for PutRecord.
func HashPartitionKey(key string) HashKey {
	sum := md5.Sum([]byte(key))
	return HashKey{binary.BigEndian.Uint64(sum[:8]), binary.BigEndian.Uint64(sum[8:])}
}

// ParseHashKey reads a decimal of up to 39 digits, with no sign and no leading zero but for 0 itself.
func ParseHashKey(s string) (HashKey, error) {
	if s == "" || len(s) > 39 || (len(s) > 1 && s[0] == '0') {
		return HashKey{}, badHashKey(s)
	}
	var k HashKey
	for i := 0; i < len(s); i++ {
		d := s[i] - '0'
		if d > 9 {
			return HashKey{}, badHashKey(s)
		}
		hh, hl := bits.Mul64(k.Hi, 10)
		lh, ll := bits.Mul64(k.Lo, 10)
		lo, c1 := bits.Add64(ll, uint64(d), 0)
		hi, c2 := bits.Add64(hl, lh, c1)
		if hh != 0 || c2 != 0 {
			return HashKey{}, badHashKey(s)
		}
		k = HashKey{hi, lo}
	}
	return k, nil
}

func badHashKey(s string) *Error {
	if len(s) > 64 {
		s = s[:64] + "…"
	}
	return Invalid("explicit_hash_key", "Invalid ExplicitHashKey. ExplicitHashKey must be in the range: [0, 2^128-1]. Specified value was %s", s)
}

// String returns the decimal.
func (k HashKey) String() string { return k.big().String() }

// Bytes returns the key as 16 big-endian bytes, so that byte order is number order.
func (k HashKey) Bytes() (b [16]byte) {
	binary.BigEndian.PutUint64(b[:8], k.Hi)
	binary.BigEndian.PutUint64(b[8:], k.Lo)
	return b
}

// HashKeyFromBytes undoes Bytes.
func HashKeyFromBytes(b [16]byte) HashKey {
	return HashKey{binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])}
}

// Compare returns -1, 0 or 1.
func (k HashKey) Compare(o HashKey) int {
	switch {
	case k.Hi < o.Hi || (k.Hi == o.Hi && k.Lo < o.Lo):
		return -1
	case k == o:
		return 0
	}
	return 1
}

// Next returns k+1; at the top of the space it wraps to 0.
func (k HashKey) Next() HashKey {
	lo, c := bits.Add64(k.Lo, 1, 0)
	return HashKey{k.Hi + c, lo}
}

// Prev returns k-1; at 0 it wraps to the top.
func (k HashKey) Prev() HashKey {
	lo, b := bits.Sub64(k.Lo, 1, 0)
	return HashKey{k.Hi - b, lo}
}

func (k HashKey) big() *big.Int {
	b := k.Bytes()
	return new(big.Int).SetBytes(b[:])
}

func hashKeyFromBig(n *big.Int) HashKey {
	var b [16]byte
	n.FillBytes(b[:])
	return HashKeyFromBytes(b)
}

// HashKeyRange is a closed interval of hash keys: both ends belong to it.
type HashKeyRange struct{ Start, End HashKey }

// FullRange is the whole hash space.
var FullRange = HashKeyRange{End: MaxHashKey}

// Contains tells whether k lies in the range.
func (r HashKeyRange) Contains(k HashKey) bool {
	return r.Start.Compare(k) <= 0 && k.Compare(r.End) <= 0
}

// ContainsRange tells whether o lies wholly in the range.
func (r HashKeyRange) ContainsRange(o HashKeyRange) bool {
	return r.Contains(o.Start) && r.Contains(o.End)
}

// Adjacent tells whether o begins where r ends.
func (r HashKeyRange) Adjacent(o HashKeyRange) bool {
	return r.End != MaxHashKey && r.End.Next() == o.Start
}

// Middle returns the first key of the upper half: the natural place for a split.
func (r HashKeyRange) Middle() HashKey {
	sum := new(big.Int).Add(r.Start.big(), r.End.big())
	sum.Add(sum, big.NewInt(1))
	return hashKeyFromBig(sum.Rsh(sum, 1))
}

// SplitEvenly cuts the whole hash space into n ranges of floor(2^128/n) keys; the last takes the remainder, as AWS
// does for a new stream.
func SplitEvenly(n int) []HashKeyRange {
	step := new(big.Int).Div(new(big.Int).Lsh(big.NewInt(1), 128), big.NewInt(int64(n)))
	out := make([]HashKeyRange, n)
	start := new(big.Int)
	for i := range out {
		out[i].Start = hashKeyFromBig(start)
		start = new(big.Int).Add(start, step)
		if i < n-1 {
			out[i].End = hashKeyFromBig(new(big.Int).Sub(start, big.NewInt(1)))
		} else {
			out[i].End = MaxHashKey
		}
	}
	return out
}
