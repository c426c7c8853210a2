// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package segment_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore/segment"
)

func BenchmarkAppend(b *testing.B) {
	for _, size := range []int{100, 1024, 64 << 10} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			c := segment.NewChunk(shardKey(1, 0), 1, 0)
			r := leat.Record{PartitionKey: "a-partition-key", Data: make([]byte, size)}
			r.CRC = r.Checksum()
			b.SetBytes(int64(r.Size()))
			b.ReportAllocs()
			for b.Loop() {
				if c.Bytes > 4<<20 {
					c = segment.NewChunk(shardKey(1, 0), 1, 0)
				}
				r.Offset, r.Time = c.End(), int64(c.Count)
				c.Append(&r)
			}
		})
	}
}

// logLines makes a chunk of 4 MiB of text that looks like a log's.
func logLines() *segment.Chunk {
	c := segment.NewChunk(shardKey(1, 0), 1, 0)
	for i := 0; c.Bytes < 4<<20; i++ {
		x := uint64(i) * 0x9e3779b97f4a7c15
		var line strings.Builder
		for line.Len() < 1000 {
			fmt.Fprintf(&line, `{"time":"2026-01-02T03:%02d:%02d","level":"info","user":"%08x","path":"/v1/%s","ms":%d} `, i/60%60, i%60, x>>32, []string{"streams", "records", "shards"}[i%3], x%1000)
			x = x*6364136223846793005 + 1
		}
		seal(c, leat.Record{PartitionKey: fmt.Sprintf("user-%08x", x>>32), Data: []byte(line.String())}, int64(i))
	}
	return c
}

func BenchmarkEncode(b *testing.B) {
	random := filled(segment.NewChunk(shardKey(1, 0), 1, 0), 4096, 1024, true)
	for name, c := range map[string]*segment.Chunk{"text": logLines(), "random": random} {
		for _, codec := range codecs {
			b.Run(name+"/"+codec.String(), func(b *testing.B) { benchEncode(b, c, segment.Options{Codec: codec}) })
			b.Run(name+"/"+codec.String()+"/sealed", func(b *testing.B) { benchEncode(b, c, segment.Options{Codec: codec, Key: everyStream}) })
		}
	}
}

func benchEncode(b *testing.B, c *segment.Chunk, o segment.Options) {
	coder := segment.NewCoder()
	b.SetBytes(c.Bytes)
	b.ReportAllocs()
	for b.Loop() {
		object, _, err := coder.Encode(header(segment.KindSegment, 1), []*segment.Chunk{c}, nil, o)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(len(object))/float64(c.Bytes), "stored/raw")
	}
}

// BenchmarkSealRatio encodes and decodes the same records plain and sealed, in turn, and tells the medians of the ratios
// of their speeds: 1 is as fast, 0.5 takes twice as long.
func BenchmarkSealRatio(b *testing.B) {
	coder := segment.NewCoder().WithKeys(ring)
	random := filled(segment.NewChunk(shardKey(1, 0), 1, 0), 4096, 1024, true)
	for name, c := range map[string]*segment.Chunk{"text": logLines(), "random": random} {
		for _, codec := range codecs {
			b.Run(name+"/"+codec.String(), func(b *testing.B) {
				var in, out []float64
				for b.Loop() {
					var t [2][2]time.Duration
					for i, key := range []func(leat.ShardKey) segment.Key{nil, everyStream} {
						began := time.Now()
						object, extents := encode(b, coder, []*segment.Chunk{c}, nil, segment.Options{Codec: codec, Key: key})
						t[i][0] = time.Since(began)
						began = time.Now()
						if _, err := coder.DecodeExtent(extents[0], object[extents[0].Off:][:extents[0].Len]); err != nil {
							b.Fatal(err)
						}
						t[i][1] = time.Since(began)
					}
					in, out = append(in, t[0][0].Seconds()/t[1][0].Seconds()), append(out, t[0][1].Seconds()/t[1][1].Seconds())
				}
				slices.Sort(in)
				slices.Sort(out)
				b.ReportMetric(in[len(in)/2], "encode-ratio")
				b.ReportMetric(out[len(out)/2], "decode-ratio")
			})
		}
	}
}

// BenchmarkPackJoin packs what 5,000 shards left in 12 segments each: one record of 200 bytes.
func BenchmarkPackJoin(b *testing.B) {
	coder := segment.NewCoder()
	var chunks []*segment.Chunk
	var size int64
	for s := range uint64(5000) {
		for i := range uint64(12) {
			c := segment.NewChunk(shardKey(1, s), 1, i)
			c.MaxTime = int64(i) * 1e6
			chunks = append(chunks, filled(c, 1, 200, false))
			size += c.Bytes
		}
	}
	b.SetBytes(size)
	b.ReportAllocs()
	for b.Loop() {
		_, extents, err := coder.Encode(header(segment.KindPack, 1), chunks, nil, segment.Options{Codec: segment.CodecZstd, Level: 1})
		if err != nil || len(extents) != 5000 {
			b.Fatal(len(extents), err)
		}
	}
}

func BenchmarkDecodeExtent(b *testing.B) {
	c := logLines()
	for _, codec := range codecs {
		b.Run(codec.String(), func(b *testing.B) { benchDecode(b, c, segment.Options{Codec: codec}) })
		b.Run(codec.String()+"/sealed", func(b *testing.B) { benchDecode(b, c, segment.Options{Codec: codec, Key: everyStream}) })
	}
}

func benchDecode(b *testing.B, c *segment.Chunk, o segment.Options) {
	coder := segment.NewCoder().WithKeys(ring)
	object, extents := encode(b, coder, []*segment.Chunk{c}, nil, o)
	e := extents[0]
	b.SetBytes(c.Bytes)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := coder.DecodeExtent(e, object[e.Off:e.Off+e.Len]); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRecords(b *testing.B) {
	for _, size := range []int{100, 1024} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			c := segment.NewChunk(shardKey(1, 0), 1, 0)
			for range 5000 {
				seal(c, leat.Record{PartitionKey: "a-partition-key", Data: make([]byte, size)}, 1)
			}
			b.SetBytes(c.Bytes)
			b.ReportAllocs()
			var dst []leat.Record
			for b.Loop() {
				var err error
				if dst, err = c.Records(dst[:0], 0, 10_000, 10<<20); err != nil || len(dst) != 5000 {
					b.Fatal(len(dst), err)
				}
			}
		})
	}
}
