// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package segment

import (
	"math"
	"runtime"
	"testing"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"

	"github.com/leatstream/leat"
)

// signedBlock makes a block whose CRC is right, whatever it claims.
func signedBlock(e *Extent, h blockHeader, stored []byte) []byte {
	b := make([]byte, blockHeaderSize, blockHeaderSize+len(stored))
	h.stored = uint32(len(stored))
	h.put(b)
	b = append(b, stored...)
	le.PutUint32(b[blockCRC:], blockSum(e.seed(), b))
	return b
}

func zeros(t *testing.T, n int) []byte {
	enc, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer enc.Close()
	return enc.EncodeAll(make([]byte, n), nil)
}

// What a compressed block holds beyond its claim is never unpacked, and what it claims is bounded.
func TestBombsAreRefused(t *testing.T) {
	coder := NewCoder()
	e := Extent{Count: 1000, MaxTime: 1, Off: HeaderSize, Len: 1 << 20, Raw: 1 << 29}
	for name, block := range map[string][]byte{
		"zstd, more than claimed":   signedBlock(&e, blockHeader{codec: CodecZstd, raw: 60 << 10, count: 5}, zeros(t, 256<<20)),
		"zstd, less than claimed":   signedBlock(&e, blockHeader{codec: CodecZstd, raw: 60 << 10, count: 5}, zeros(t, 100)),
		"s2, more than claimed":     signedBlock(&e, blockHeader{codec: CodecS2, raw: 60 << 10, count: 5}, s2.Encode(nil, make([]byte, 8<<20))),
		"s2, a length and no bytes": signedBlock(&e, blockHeader{codec: CodecS2, raw: 60 << 10, count: 5}, []byte{0x80, 0xe0, 0x03}),
		"claims beyond the bound":   signedBlock(&e, blockHeader{codec: CodecZstd, raw: maxBlockRaw + 1, count: 1}, zeros(t, maxBlockRaw+1)),
		"many records in a large":   signedBlock(&e, blockHeader{codec: CodecZstd, raw: BlockSize + 1, count: 2}, zeros(t, BlockSize+1)),
		"more records than bytes":   signedBlock(&e, blockHeader{codec: CodecZstd, raw: 100, count: 50}, zeros(t, 100)),
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			c, _, err := coder.DecodeBlocks(e, 0, block)
			runtime.ReadMemStats(&after)
			if err == nil || leat.KindOf(err) != leat.KindCorrupt {
				t.Errorf("chunk %v, error %v", c, err)
			}
			if used := after.TotalAlloc - before.TotalAlloc; used > 8<<20 {
				t.Errorf("%d bytes were allocated for a block of %d", used, len(block))
			}
		})
	}
}

// One call of DecodeBlocks returns a bounded amount, however well the blocks are compressed; the next goes on.
func TestDecodeBlocksStopsAtItsBound(t *testing.T) {
	coder := NewCoder()
	c := NewChunk(leat.ShardKey{Ordinal: 1}, 1, 0)
	for i := range uint64(100) {
		r := leat.Record{PartitionKey: "k", Data: make([]byte, 1<<20), Offset: i}
		r.CRC = r.Checksum()
		c.Append(&r)
	}
	object, extents, err := coder.Encode(Header{Kind: KindPack}, []*Chunk{c}, nil, Options{Codec: CodecZstd})
	if err != nil {
		t.Fatal(err)
	}
	e := extents[0]
	stored, calls := object[e.Off:e.Off+e.Len], 0
	for next := uint64(0); next < e.End(); calls++ {
		part, n, err := coder.DecodeBlocks(e, next, stored)
		if err != nil || part.raw() > maxDecode+2<<20 {
			t.Fatalf("%v: %d bytes at once", err, part.raw())
		}
		stored, next = stored[n:], part.End()
	}
	if calls != 4 || len(stored) != 0 {
		t.Errorf("%d calls, %d bytes left", calls, len(stored))
	}
}

// A run beyond MaxExtentRaw becomes several extents at the borders of chunks.
func TestLongRunsAreDivided(t *testing.T) {
	block64 := make([]byte, 64<<20) // stands for many blocks: only its length is used
	var chunks []*Chunk
	for i := range uint64(40) {
		chunks = append(chunks, &Chunk{First: i, Count: 1, blocks: []block{{raw: block64}}})
	}
	runs, err := runsOf(chunks)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, run := range runs {
		if len(run)*64<<20 > MaxExtentRaw || len(run) == 0 {
			t.Errorf("a run has %d chunks of 64 MiB", len(run))
		}
		for _, c := range run {
			if c.First != uint64(n) {
				t.Errorf("chunk %d stands at %d", c.First, n)
			}
			n++
		}
	}
	if n != len(chunks) || len(runs) != 3 {
		t.Errorf("%d chunks in %d runs", n, len(runs))
	}
	chunks[3].blocks = make([]block, 17)
	for i := range chunks[3].blocks {
		chunks[3].blocks[i].raw = block64
	}
	if _, err := runsOf(chunks); err == nil {
		t.Error("a chunk of more than MaxExtentRaw was taken")
	}
}

func TestParseRecordStaysInside(t *testing.T) {
	r := leat.Record{PartitionKey: "key", ExplicitHash: &leat.HashKey{Hi: 1}, Data: []byte("data")}
	raw := appendRecord(nil, &r, 300)
	for n := range raw {
		if _, ok := parseRecord(raw[:n:n], 0, 0); ok {
			t.Errorf("a record of %d bytes was read from %d", len(raw), n)
		}
	}
	if p, ok := parseRecord(raw, 0, 5); !ok || p.next != len(raw) || p.time != 305 {
		t.Errorf("%+v, %v", p, ok)
	}
	if _, ok := parseRecord(raw, 0, math.MaxInt64-299); ok {
		t.Error("a time beyond the last one was taken")
	}
}
