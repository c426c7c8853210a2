// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/leatstream/leat"
)

func anyShard(t *rapid.T) leat.ShardKey {
	return leat.ShardKey{
		Stream:  leat.StreamID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "stream")),
		Ordinal: rapid.Uint64Range(0, leat.MaxOrdinal).Draw(t, "ordinal"),
	}
}

// A continuation before offset n resumes at n with AT_ and AFTER_ alike, and sorts between records n-1 and n.
func TestContinuationResumesWithoutLossOrDoubling(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := anyShard(t)
		n := rapid.OneOf(rapid.Uint64Range(0, 3), rapid.Uint64Range(0, 1<<63)).Draw(t, "offset")
		c := continuation(k, n)
		if len(c) != sequenceLen {
			t.Fatalf("%q has %d digits", c, len(c))
		}
		at, err1 := startAt(k, c)
		after, err2 := startAfter(k, c)
		if err1 != nil || err2 != nil || at != n || after != n {
			t.Fatalf("continuation before %d resumes AT %d (%v), AFTER %d (%v)", n, at, err1, after, err2)
		}
		if c >= leat.SequenceNumber(k, n) || (n > 0 && c <= leat.SequenceNumber(k, n-1)) {
			t.Fatalf("continuation before %d does not sort there: %s", n, c)
		}
		if c >= continuation(k, n+1) {
			t.Fatalf("continuations do not rise at %d", n)
		}
		other := k
		other.Ordinal = (k.Ordinal + 1) % leat.MaxOrdinal
		if _, err := startAfter(other, c); leat.KindOf(err) != leat.KindInvalidArgument {
			t.Fatalf("a continuation of another shard gave %v", err)
		}
	})
}

func TestRecordNumbersStartAtAndAfterTheirRecord(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := anyShard(t)
		n := rapid.Uint64Range(0, 1<<63).Draw(t, "offset")
		s := leat.SequenceNumber(k, n)
		at, err1 := startAt(k, s)
		after, err2 := startAfter(k, s)
		if err1 != nil || err2 != nil || at != n || after != n+1 {
			t.Fatalf("record %d: AT %d (%v), AFTER %d (%v)", n, at, err1, after, err2)
		}
	})
}

func TestChangedDigitsAreRefused(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := anyShard(t)
		n := rapid.Uint64Range(0, 1<<40).Draw(t, "offset")
		c := []byte(continuation(k, n))
		i := rapid.IntRange(0, len(c)-1).Draw(t, "digit")
		c[i] = '0' + (c[i]-'0'+byte(rapid.IntRange(1, 9).Draw(t, "by")))%10
		if n > 0 && string(c) == leat.SequenceNumber(k, n-1) {
			return // one digit away from the record before the gap, which is as good a place
		}
		if at, err := startAt(k, string(c)); leat.KindOf(err) != leat.KindInvalidArgument {
			t.Fatalf("%s was read as offset %d, %v", c, at, err)
		}
	})
}

// A shard's starting number is below those of its records: AT it and AFTER it a reader begins with the first one.
func TestSequenceRangeStartsBeforeTheFirstRecord(t *testing.T) {
	s := leat.Shard{Key: leat.ShardKey{Stream: leat.StreamID{1, 2, 3}, Ordinal: 7}}
	first, _ := SequenceRange(&s)
	if record := leat.SequenceNumber(s.Key, 0); first >= record {
		t.Errorf("%s is not below %s", first, record)
	}
	for about, start := range map[string]func(leat.ShardKey, string) (uint64, error){"at": startAt, "after": startAfter} {
		if offset, err := start(s.Key, first); offset != 0 || err != nil {
			t.Errorf("%s the starting number: offset %d, %v", about, offset, err)
		}
	}
}
