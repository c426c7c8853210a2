// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package segment_test

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore/segment"
)

// TestTwoWritersWriteWhatOneWrites: an object that two goroutines encode has the very bytes and extents of one that a
// single goroutine encodes, wherever the cut falls: in a run, between runs, after the last block.
func TestTwoWritersWriteWhatOneWrites(t *testing.T) {
	one, two := segment.NewCoder(), segment.NewCoder()
	one.SetHalvesFrom(0)
	two.SetHalvesFrom(1)
	rapid.Check(t, func(t *rapid.T) {
		chunks, _ := drawChunks(t)
		sameObjects(t, one, two, chunks, rapid.SampledFrom(codecs).Draw(t, "codec"))
	})
	// Larger than what is drawn: with an index, over 64 KiB a block.
	shapes := map[string][]*segment.Chunk{
		"one run of 5 MiB":    {filled(segment.NewChunk(shardKey(1, 0), 1, 7), 5000, 1024, true)},
		"text":                {logLines()},
		"a large record":      {filled(segment.NewChunk(shardKey(1, 0), 1, 0), 2, 10, false), filled(segment.NewChunk(shardKey(1, 1), 1, 0), 1, 9<<20, true)},
		"the large one first": {filled(segment.NewChunk(shardKey(1, 0), 1, 0), 1, 9<<20, true), filled(segment.NewChunk(shardKey(1, 1), 1, 0), 2, 10, false)},
	}
	var many []*segment.Chunk
	for s := range uint64(300) {
		many = append(many, filled(segment.NewChunk(shardKey(1, s), 1, s), int(s%17)+1, 500, s%2 == 0))
	}
	shapes["300 shards"] = many
	var joined []*segment.Chunk
	first := uint64(0)
	for i := range 200 {
		c := segment.NewChunk(shardKey(1, 0), 1, first)
		c.MaxTime = int64(i) * 1e9
		joined = append(joined, filled(c, 30, 700, i%3 == 0))
		first = c.End()
	}
	shapes["a run of many chunks"] = joined
	for name, chunks := range shapes {
		for _, codec := range codecs {
			t.Run(name+"/"+codec.String(), func(t *testing.T) { sameObjects(t, one, two, chunks, codec) })
		}
	}
}

func sameObjects(t rapid.TB, one, two *segment.Coder, chunks []*segment.Chunk, codec segment.Codec) {
	t.Helper()
	o := segment.Options{Codec: codec, Level: 1, Key: func(s leat.ShardKey) (k segment.Key) {
		if s.Ordinal%2 == 0 { // half of them sealed
			k = segment.Key{ID: leat.KeyID{7}, Secret: bytes.Repeat([]byte{9}, segment.KeyBytes)}
		}
		return k
	}}
	want, wantExtents, err := one.Encode(header(segment.KindPack, 9), chunks, nil, o)
	if err != nil {
		t.Fatal(err)
	}
	got, extents, err := two.Encode(header(segment.KindPack, 9), chunks, nil, o)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Fatalf("two writers: %d bytes that differ from the %d of one", len(got), len(want))
	}
	if len(extents) != len(wantExtents) {
		t.Fatalf("%d extents, want %d", len(extents), len(wantExtents))
	}
	for i := range extents {
		if extents[i] != wantExtents[i] {
			t.Errorf("extent %d = %+v, want %+v", i, extents[i], wantExtents[i])
		}
	}
	o.Into = bytes.Repeat([]byte{0xa5}, len(want)+len(want)/4+1<<16)
	again, _, err := one.Encode(header(segment.KindPack, 9), chunks, nil, o)
	if err != nil || !bytes.Equal(again, want) {
		t.Fatalf("into memory that was used before: %d bytes that differ from the %d before (%v)", len(again), len(want), err)
	}
	if cap(o.Into) >= cap(want) && &again[0] != &o.Into[0] {
		t.Error("memory that is enough is not used")
	}
	o.Into = o.Into[:0:1]
	if again, _, err = one.Encode(header(segment.KindPack, 9), chunks, nil, o); err != nil || !bytes.Equal(again, want) {
		t.Fatalf("into memory that is too small: %d bytes that differ from the %d before (%v)", len(again), len(want), err)
	}
}
