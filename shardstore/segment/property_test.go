// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package segment_test

import (
	"sort"
	"testing"

	"pgregory.net/rapid"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore/segment"
)

// drawRecord makes a record; most are small, some are larger than a block.
func drawRecord(t *rapid.T) leat.Record {
	r := leat.Record{PartitionKey: rapid.StringN(0, 80, 256).Draw(t, "key")}
	size := rapid.IntRange(0, 300).Draw(t, "size")
	if rapid.IntRange(0, 60).Draw(t, "large") == 0 {
		size = rapid.IntRange(20<<10, 150<<10).Draw(t, "large size")
	}
	r.Data = make([]byte, size)
	if rapid.Bool().Draw(t, "random") {
		x := rapid.Uint64().Draw(t, "seed") | 1
		for i := range r.Data {
			x ^= x << 13
			x ^= x >> 7
			x ^= x << 17
			r.Data[i] = byte(x)
		}
	}
	if rapid.IntRange(0, 3).Draw(t, "explicit") == 0 {
		r.ExplicitHash = &leat.HashKey{Hi: rapid.Uint64().Draw(t, "hi"), Lo: rapid.Uint64().Draw(t, "lo")}
	}
	return r
}

// drawChunks makes sorted chunks of a few shards, with and without gaps, and the records of each shard.
func drawChunks(t *rapid.T) (chunks []*segment.Chunk, want map[leat.ShardKey][]leat.Record) {
	want = map[leat.ShardKey][]leat.Record{}
	for s := range uint64(rapid.IntRange(0, 4).Draw(t, "shards")) {
		k := shardKey(byte(s/2), s)
		epoch, next := rapid.Uint64Range(1, 9).Draw(t, "epoch"), rapid.Uint64Range(0, 1<<40).Draw(t, "first")
		time := rapid.Int64Range(-5, 1<<51).Draw(t, "time")
		for range rapid.IntRange(1, 5).Draw(t, "chunks") {
			c := segment.NewChunk(k, epoch, next)
			for range rapid.IntRange(1, 60).Draw(t, "records") {
				time += rapid.Int64Range(0, 3).Draw(t, "step") * rapid.Int64Range(0, 1<<30).Draw(t, "scale")
				want[k] = append(want[k], seal(c, drawRecord(t), time))
			}
			chunks, next = append(chunks, c), c.End()
			if rapid.IntRange(0, 3).Draw(t, "gap") == 0 {
				next += rapid.Uint64Range(0, 5).Draw(t, "by")
				epoch++
			}
		}
	}
	return chunks, want
}

// Whatever goes in comes out: the same records, places, times and sums, whole or in parts.
func TestObjectsKeepTheirRecords(t *testing.T) {
	coder := segment.NewCoder().WithKeys(ring)
	rapid.Check(t, func(t *rapid.T) {
		chunks, want := drawChunks(t)
		o := segment.Options{Codec: rapid.SampledFrom(codecs).Draw(t, "codec"), Level: byte(rapid.IntRange(0, 3).Draw(t, "level")), Key: drawKeys(t)}
		object, extents, err := coder.Encode(header(segment.KindPack, 3), chunks, nil, o)
		if err != nil {
			t.Fatal(err)
		}
		f, back, err := coder.DecodeObject(object)
		if err != nil {
			t.Fatal(err)
		}
		var in, out uint64
		for _, c := range chunks {
			in += c.Hash
		}
		got := map[leat.ShardKey][]leat.Record{}
		for i, c := range back {
			if o.Key == nil && extents[i].Sealed() || o.Key != nil && extents[i].Key != o.Key(c.Shard).ID {
				t.Fatalf("extent %+v is sealed with another key", extents[i])
			}
			if err := segment.VerifyExtent(extents[i], object[extents[i].Off:extents[i].Off+extents[i].Len]); err != nil {
				t.Fatal(err)
			}
			if f.Extents[i] != extents[i] || c.First != extents[i].First || c.End() != extents[i].End() {
				t.Fatalf("extent %+v, in the footer %+v, chunk from %d to %d", extents[i], f.Extents[i], c.First, c.End())
			}
			out += extents[i].Hash
			records, err := c.Records(nil, c.First, int(c.Count), int(c.Bytes))
			if err != nil {
				t.Fatal(err)
			}
			got[c.Shard] = append(got[c.Shard], records...)
		}
		if in != out {
			t.Fatalf("hashes %x in, %x out", in, out)
		}
		compare(t, got, want)
		compare(t, readInParts(t, coder, object, extents), want)
	})
}

func compare(t *rapid.T, got, want map[leat.ShardKey][]leat.Record) {
	if len(got) != len(want) {
		t.Fatalf("%d shards, want %d", len(got), len(want))
	}
	for k := range want {
		if len(got[k]) != len(want[k]) {
			t.Fatalf("%v has %d records, want %d", k, len(got[k]), len(want[k]))
		}
		for i := range want[k] {
			if !same(&got[k][i], &want[k][i]) {
				t.Fatalf("%v: record %d is %+v, want %+v", k, i, got[k][i], want[k][i])
			}
		}
	}
}

// readInParts reads every extent through windows of random length, as a catch-up reader with ranged GETs does.
func readInParts(t *rapid.T, coder *segment.Coder, object []byte, extents []segment.Extent) map[leat.ShardKey][]leat.Record {
	got := map[leat.ShardKey][]leat.Record{}
	for _, e := range extents {
		for at, next := e.Off, e.First; next < e.End(); {
			window := object[at:min(at+rapid.Int64Range(0, 200<<10).Draw(t, "window"), int64(len(object)))]
			c, n, err := coder.DecodeBlocks(e, next, window)
			if err != nil {
				t.Fatal(err)
			}
			if c == nil && n == 0 {
				length, err := segment.BlockLen(object[at : at+segment.BlockHeaderSize])
				if err != nil || length <= len(window) {
					t.Fatalf("a block of %d bytes was not decoded from %d, %v", length, len(window), err)
				}
				if c, n, err = coder.DecodeBlocks(e, next, object[at:at+int64(length)]); err != nil || n != length {
					t.Fatalf("a block of %d bytes: %d consumed, %v", length, n, err)
				}
			}
			if c.First != next {
				t.Fatalf("blocks from %d gave a chunk from %d", next, c.First)
			}
			records, err := c.Records(nil, next, int(c.Count), int(c.Bytes))
			if err != nil {
				t.Fatal(err)
			}
			got[e.Shard] = append(got[e.Shard], records...)
			at, next = at+int64(n), c.End()
		}
	}
	return got
}

// A page is what its limits say, from any offset; a time is found where a search over all records finds it.
func TestPagesAndTimesMatchASlowSearch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		chunks, want := drawChunks(t)
		for _, c := range chunks {
			records := want[c.Shard]
			i := sort.Search(len(records), func(i int) bool { return records[i].Offset >= c.First })
			records = records[i : i+int(c.Count)]
			from := rapid.Uint64Range(c.First, c.End()).Draw(t, "from")
			most, size := rapid.IntRange(-1, 100).Draw(t, "most"), rapid.IntRange(-1, 30_000).Draw(t, "bytes")
			got, err := c.Records(nil, from, most, size)
			if err != nil {
				t.Fatal(err)
			}
			if n := slowPage(records[from-c.First:], most, size); n != len(got) || (n > 0 && got[0].Offset != from) {
				t.Fatalf("a page from %d of %d records or %d bytes has %d, want %d", from, most, size, len(got), n)
			}
			at := rapid.Int64Range(c.MinTime-1, c.MaxTime+1).Draw(t, "at")
			n := sort.Search(len(records), func(i int) bool { return records[i].Time >= at })
			if got := c.SeekTime(at); got != c.First+uint64(n) {
				t.Fatalf("time %d is at %d, want %d", at, got, c.First+uint64(n))
			}
		}
	})
}

func slowPage(records []leat.Record, most, size int) (n int) {
	for i := range records {
		size -= records[i].Size()
		if n > 0 && (n >= most || size < 0) {
			break
		}
		n++
	}
	return n
}

// Every bit that differs is found, wherever it is, in objects of all shapes.
func TestRandomDamageIsFound(t *testing.T) {
	coder := segment.NewCoder().WithKeys(ring)
	rapid.Check(t, func(t *rapid.T) {
		chunks, _ := drawChunks(t)
		o := segment.Options{Codec: rapid.SampledFrom(codecs).Draw(t, "codec"), Key: drawKeys(t)}
		object, _, err := coder.Encode(header(segment.KindSegment, 3), chunks, someControls(), o)
		if err != nil {
			t.Fatal(err)
		}
		for range 20 {
			i, bit := rapid.IntRange(0, len(object)-1).Draw(t, "byte"), rapid.IntRange(0, 7).Draw(t, "bit")
			object[i] ^= 1 << bit
			if _, _, err := coder.DecodeObject(object); err == nil {
				t.Fatalf("bit %d of byte %d of %d was flipped, and nobody saw", bit, i, len(object))
			}
			object[i] ^= 1 << bit
		}
	})
}
