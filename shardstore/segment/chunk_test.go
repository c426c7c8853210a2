// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package segment_test

import (
	"encoding/binary"
	"testing"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore/segment"
)

func shardKey(stream byte, ordinal uint64) leat.ShardKey {
	return leat.ShardKey{Stream: leat.StreamID{stream, 1, 2, 3}, Ordinal: ordinal}
}

// fill appends n records of about size bytes of data that are not alike.
func fill(c *segment.Chunk, n, size int, start int64) *segment.Chunk {
	data := make([]byte, size)
	for i := range n {
		for j := 0; j+8 <= len(data); j += 8 {
			binary.LittleEndian.PutUint64(data[j:], uint64(i*j)*0x9e3779b97f4a7c15)
		}
		r := leat.Record{PartitionKey: "key", Data: data, Offset: c.End(), Time: start + int64(i)}
		r.CRC = r.Checksum()
		c.Append(&r)
	}
	return c
}

func TestObjectRoundTrip(t *testing.T) {
	coder := segment.NewCoder()
	for _, codec := range []segment.Codec{segment.CodecNone, segment.CodecS2, segment.CodecZstd} {
		chunks := []*segment.Chunk{
			fill(segment.NewChunk(shardKey(1, 0), 1, 5), 3000, 1000, 100),
			fill(segment.NewChunk(shardKey(1, 0), 1, 3005), 10, 10, 1e9),
			fill(segment.NewChunk(shardKey(2, 7), 3, 0), 1, 0, 100),
		}
		object, extents, err := coder.Encode(segment.Header{Kind: segment.KindSegment, N: 9}, chunks, nil, segment.Options{Codec: codec})
		if err != nil {
			t.Fatal(err)
		}
		f, back, err := coder.DecodeObject(object)
		if err != nil {
			t.Fatal(err)
		}
		if len(f.Extents) != 2 || len(extents) != 2 || f.Extents[0] != extents[0] || f.Extents[1] != extents[1] {
			t.Fatalf("extents %+v, in the footer %+v", extents, f.Extents)
		}
		records, err := back[0].Records(nil, 5, 5000, 1<<30)
		if err != nil || len(records) != 3010 {
			t.Fatalf("%v: %d records, %v", codec, len(records), err)
		}
	}
}

func BenchmarkAppend(b *testing.B) {
	c := segment.NewChunk(shardKey(1, 0), 1, 0)
	r := leat.Record{PartitionKey: "a-partition-key", Data: make([]byte, 1024)}
	r.CRC = r.Checksum()
	b.SetBytes(1024)
	b.ReportAllocs()
	for b.Loop() {
		if c.Count == 4096 {
			c = segment.NewChunk(shardKey(1, 0), 1, 0)
		}
		r.Offset, r.Time = c.End(), int64(c.Count)
		c.Append(&r)
	}
}

func BenchmarkRecords(b *testing.B) {
	c := fill(segment.NewChunk(shardKey(1, 0), 1, 0), 1000, 1024, 0)
	b.SetBytes(c.Bytes)
	b.ReportAllocs()
	var dst []leat.Record
	for b.Loop() {
		var err error
		if dst, err = c.Records(dst[:0], 0, 10000, 10<<20); err != nil || len(dst) != 1000 {
			b.Fatal(len(dst), err)
		}
	}
}
