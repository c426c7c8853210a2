// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"math"
	"math/bits"
	"sync/atomic"

	"github.com/leatstream/leat"
)

// mapCells is a power of two: a shard's range fills more than half of the cells, whatever its width.
const mapCells = 128

// recordWeight is what a record weighs in a load map beside its bytes: a shard takes as many records a second as its
// bytes a second hold of this.
const recordWeight = leat.ShardBytesIn / leat.ShardRecordsIn

// loadMap tells where in its range of hash keys a shard's load falls: equal cells, each with the weight of the records
// that were put there lately. What is older counts half with each halving.
type loadMap struct {
	hashes leat.HashKeyRange
	shift  uint // a cell is 2^shift keys wide
	cells  [mapCells]atomic.Uint64
}

func (m *loadMap) init(r leat.HashKeyRange) {
	m.hashes = r
	width := minus(r.End, r.Start)
	length := bits.Len64(width.Lo)
	if width.Hi != 0 {
		length = 64 + bits.Len64(width.Hi)
	}
	if spare := length - bits.Len64(mapCells-1); spare > 0 {
		m.shift = uint(spare)
	}
}

// add counts a record of the shard; it does not allocate.
func (m *loadMap) add(h leat.HashKey, size int) {
	cell := right(minus(h, m.hashes.Start), m.shift).Lo
	m.cells[cell%mapCells].Add(uint64(size) + recordWeight)
}

// halve makes everything so far count half, n times. Records that are counted at this very moment may be missed.
func (m *loadMap) halve(n int64) {
	for i := range m.cells {
		m.cells[i].Store(m.cells[i].Load() >> min(n, 63))
	}
}

// Balance is where a split divides a shard's load best.
type Balance struct {
	At    leat.HashKey // where the upper part begins: SplitShard takes it, unless the range has too few keys for a split
	Below float64      // share of the load that lies below it, 0 to 1
}

// balance returns the boundary of two cells whose larger part is smallest; the middle where nothing was counted. Of
// boundaries that are equal in this it is the one nearest to the middle, or, where they leave the parts uneven, the one that
// leaves the larger part the narrowest: what cannot be halved is at least closed in on.
func (m *loadMap) balance() Balance {
	middle := m.hashes.Middle()
	var cells [mapCells]uint64
	var total uint64
	for i := range cells {
		cells[i] = m.cells[i].Load()
		total += cells[i]
	}
	if total == 0 {
		return Balance{At: middle, Below: 0.5}
	}
	best := Balance{At: middle, Below: 0.5}
	var below uint64
	larger, worth := uint64(math.MaxUint64), leat.MaxHashKey
	for i := range mapCells - 1 {
		below += cells[i]
		at := plus(m.hashes.Start, left(leat.HashKey{Lo: uint64(i) + 1}, m.shift))
		if !inside(m.hashes, at) {
			continue // of a narrow range: too near to its ends for a split
		}
		part, less := max(below, total-below), m.width(at, middle, below, total-below)
		if part < larger || part == larger && less.Compare(worth) < 0 {
			larger, worth = part, less
			best = Balance{At: at, Below: float64(below) / float64(total)}
		}
	}
	return best
}

// width is how wide the larger of the parts at a boundary is; of equal parts how far the boundary is from the middle.
func (m *loadMap) width(at, middle leat.HashKey, below, above uint64) leat.HashKey {
	switch {
	case below > above:
		return minus(at, m.hashes.Start)
	case below < above:
		return minus(m.hashes.End, at)
	case at.Compare(middle) < 0:
		return minus(middle, at)
	}
	return minus(at, middle)
}

// inside is the rule of Kinesis for splits: above the second key and below the last.
func inside(r leat.HashKeyRange, at leat.HashKey) bool {
	return r.Start != leat.MaxHashKey && at.Compare(r.Start.Next()) > 0 && at.Compare(r.End) < 0
}

func minus(a, b leat.HashKey) leat.HashKey {
	lo, borrow := bits.Sub64(a.Lo, b.Lo, 0)
	return leat.HashKey{Hi: a.Hi - b.Hi - borrow, Lo: lo}
}

func plus(a, b leat.HashKey) leat.HashKey {
	lo, carry := bits.Add64(a.Lo, b.Lo, 0)
	return leat.HashKey{Hi: a.Hi + b.Hi + carry, Lo: lo}
}

func left(k leat.HashKey, n uint) leat.HashKey {
	return leat.HashKey{Hi: k.Hi<<n | k.Lo>>(64-n) | k.Lo<<(n-64), Lo: k.Lo << n}
}

func right(k leat.HashKey, n uint) leat.HashKey {
	return leat.HashKey{Hi: k.Hi >> n, Lo: k.Lo>>n | k.Hi<<(64-n) | k.Hi>>(n-64)}
}
