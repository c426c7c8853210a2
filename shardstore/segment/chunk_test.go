// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package segment_test

import (
	"testing"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore/segment"
)

func TestChunkReadsWhatItTook(t *testing.T) {
	c := segment.NewChunk(shardKey(1, 2), 3, 100)
	if got, err := c.Records(nil, 100, 10, 10); err != nil || len(got) != 0 {
		t.Fatalf("an empty chunk has %d records, %v", len(got), err)
	}
	want := []leat.Record{
		seal(c, leat.Record{PartitionKey: "a", Data: []byte("one")}, 5),
		seal(c, leat.Record{PartitionKey: "", Data: nil}, 5),
		seal(c, leat.Record{PartitionKey: "ключ", ExplicitHash: &leat.MaxHashKey, Data: make([]byte, 200<<10)}, 6),
		seal(c, leat.Record{PartitionKey: "b", ExplicitHash: &leat.HashKey{}, Data: []byte{0}}, 1<<50),
	}
	mustMatch(t, all(t, c), want)
	if c.MinTime != 5 || c.MaxTime != 1<<50 || c.Count != 4 || c.End() != 104 {
		t.Errorf("chunk says %d records to %d, times %d to %d", c.Count, c.End(), c.MinTime, c.MaxTime)
	}
	var hash uint64
	var size int64
	for i := range want {
		hash += want[i].Hash()
		size += int64(want[i].Size())
	}
	if c.Hash != hash || c.Bytes != size || c.Units != 1+1+9+1 {
		t.Errorf("chunk says hash %x, %d bytes, %d units; want %x, %d and 12", c.Hash, c.Bytes, c.Units, hash, size)
	}
}

func TestChunkDoesNotKeepTheCallersBytes(t *testing.T) {
	c := segment.NewChunk(shardKey(1, 2), 1, 0)
	data := []byte("before")
	r := leat.Record{PartitionKey: "k", Data: data}
	r.CRC = r.Checksum()
	c.Append(&r)
	copy(data, "after!")
	if got := all(t, c); string(got[0].Data) != "before" {
		t.Fatalf("data became %q", got[0].Data)
	}
}

func TestRecordsKeepsItsLimits(t *testing.T) {
	c := filled(segment.NewChunk(shardKey(1, 2), 1, 50), 1000, 1000, false) // 1005 bytes each
	for _, tc := range []struct {
		from       uint64
		max, bytes int
		want       int
	}{
		{50, 10, 1 << 20, 10}, {50, 5000, 1 << 30, 1000}, {1049, 10, 1 << 20, 1}, {1050, 10, 1 << 20, 0},
		{50, 0, 0, 1}, {777, 1, 1, 1}, {50, 10, 3 * 1005, 3}, {50, 10, 3*1005 - 1, 2}, {123, -1, -1, 1},
	} {
		got, err := c.Records(make([]leat.Record, 2, 3), tc.from, tc.max, tc.bytes)
		if err != nil || len(got) != 2+tc.want {
			t.Errorf("from %d, %d records, %d bytes: %d records, %v; want %d", tc.from, tc.max, tc.bytes, len(got)-2, err, tc.want)
			continue
		}
		for i, r := range got[2:] {
			if r.Offset != tc.from+uint64(i) {
				t.Errorf("from %d: record %d has offset %d", tc.from, i, r.Offset)
			}
		}
	}
	for _, from := range []uint64{0, 49, 1051, ^uint64(0)} {
		_, err := c.Records(nil, from, 1, 1)
		wantKind(t, err, leat.KindInternal)
	}
}

func TestRecordsRefusesAChangedRecord(t *testing.T) {
	c := filled(segment.NewChunk(shardKey(1, 2), 1, 0), 10, 100, false)
	all(t, c)[6].Data[50] ^= 1 // what a fault in memory would do
	got, err := c.Records(nil, 0, 100, 1<<20)
	wantKind(t, err, leat.KindCorrupt)
	if len(got) != 6 {
		t.Errorf("%d records came before the changed one, want 6", len(got))
	}
}

func TestSeekTimeFindsTheFirstRecordNotBefore(t *testing.T) {
	c := segment.NewChunk(shardKey(1, 2), 1, 10)
	var times []int64
	for i := range 3000 { // several blocks, runs of equal times across their borders
		at := int64(i/50) * 10
		seal(c, leat.Record{PartitionKey: "k", Data: make([]byte, 100)}, at)
		times = append(times, at)
	}
	for at := int64(-5); at < 610; at++ {
		want := c.End()
		for i := range times {
			if times[i] >= at {
				want = 10 + uint64(i)
				break
			}
		}
		if got := c.SeekTime(at); got != want {
			t.Fatalf("time %d is at %d, want %d", at, got, want)
		}
	}
}

func TestAppendPanicsOutOfPlace(t *testing.T) {
	for name, r := range map[string]leat.Record{
		"gap":      {Offset: 12, Time: 100},
		"repeated": {Offset: 10, Time: 100},
		"earlier":  {Offset: 11, Time: 99},
	} {
		t.Run(name, func(t *testing.T) {
			c := segment.NewChunk(shardKey(1, 2), 1, 10)
			seal(c, leat.Record{PartitionKey: "k"}, 100)
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			c.Append(&r)
		})
	}
}

func TestMemoryIsNearWhatIsKept(t *testing.T) {
	one := filled(segment.NewChunk(shardKey(1, 2), 1, 0), 1, 100, false)
	if got := one.MemSize(); got > 400 {
		t.Errorf("a chunk with one record of 100 bytes takes %d", got)
	}
	many := filled(segment.NewChunk(shardKey(1, 2), 1, 0), 10_000, 1000, false)
	if got := many.MemSize(); got > int(many.Bytes)*11/10 {
		t.Errorf("a chunk of %d bytes takes %d", many.Bytes, got)
	}
}
