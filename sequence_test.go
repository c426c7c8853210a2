// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package leat_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/leatstream/leat"
)

// Places are written as formatting writes them, and read back.
func TestSequenceNumbersAndShardIDs(t *testing.T) {
	offsets := []uint64{0, 1, 9, 10, 99, 100, 101, 999_999, 1 << 32, math.MaxInt64, math.MaxUint64 - 1, math.MaxUint64}
	ordinals := []uint64{0, 1, 9, 10, 99, 100, 12345, leat.MaxOrdinal - 1, leat.MaxOrdinal}
	for range 1000 {
		n := rand.Uint64() >> rand.IntN(64)
		offsets, ordinals = append(offsets, n), append(ordinals, n%(leat.MaxOrdinal+1))
	}
	for i, offset := range offsets {
		ordinal := ordinals[i%len(ordinals)]
		k := leat.ShardKey{Stream: leat.StreamID{byte(i), 7}, Ordinal: ordinal}
		s := leat.SequenceNumber(k, offset)
		if want := fmt.Sprintf("4%012d%020d000", ordinal, offset); len(s) != 56 || s[:36] != want {
			t.Errorf("offset %d of shard %d is %q; want %s and 20 digits", offset, ordinal, s, want)
		}
		all := leat.NewSequenceNumbers(k)
		for _, other := range []uint64{offset + 1, offset / 7, offset} {
			if got := string(all.Append([]byte("x"), other)); got != "x"+leat.SequenceNumber(k, other) {
				t.Errorf("offset %d of shard %d among others is %q", other, ordinal, got)
			}
		}
		if back, err := leat.ParseSequenceNumber(k, s); err != nil || back != offset {
			t.Errorf("%s is read as %d: %v", s, back, err)
		}
		if got, want := leat.ShardID(ordinal), fmt.Sprintf("shardId-%012d", ordinal); got != want {
			t.Errorf("shard %d is %q", ordinal, got)
		}
	}
	if got := leat.ShardID(math.MaxUint64); got != fmt.Sprintf("shardId-%d", uint64(math.MaxUint64)) {
		t.Errorf("a shard that cannot be is %q", got)
	}
}

func BenchmarkSequenceNumbers(b *testing.B) {
	n := leat.NewSequenceNumbers(leat.ShardKey{Stream: leat.StreamID{1, 2, 3}, Ordinal: 17})
	var buf [64]byte
	offset := uint64(123_456_789)
	for b.Loop() {
		n.Append(buf[:0], offset)
		offset++
	}
}

func BenchmarkAppendSequenceNumber(b *testing.B) {
	var buf [64]byte
	k := leat.ShardKey{Stream: leat.StreamID{1, 2, 3}, Ordinal: 3}
	for i := uint64(0); b.Loop(); i++ {
		leat.AppendSequenceNumber(buf[:0], k, 1_000_000+i)
	}
}
