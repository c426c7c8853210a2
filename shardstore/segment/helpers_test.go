// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package segment_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore/segment"
)

func shardKey(stream byte, ordinal uint64) leat.ShardKey {
	return leat.ShardKey{Stream: leat.StreamID{stream, 1, 2, 3}, Ordinal: ordinal}
}

func header(kind segment.Kind, n uint64) segment.Header {
	return segment.Header{Kind: kind, Version: segment.Version, Cluster: leat.ClusterID{0xc1}, Session: leat.SessionID{0x5e, 0x55},
		N: n, Nonce: [16]byte{0x11, 0x22, 15: 0x33}, Trim: 4, Created: 1_700_000_000_000_001}
}

// seal sets a record's place and checksum and puts it at the end of c.
func seal(c *segment.Chunk, r leat.Record, time int64) leat.Record {
	r.Offset, r.Time = c.End(), time
	r.CRC = r.Checksum()
	c.Append(&r)
	return r
}

// filled appends n records with size bytes of data each, random or alike, one a millisecond from c's last time on.
func filled(c *segment.Chunk, n, size int, random bool) *segment.Chunk {
	rng := rand.New(rand.NewPCG(c.First, uint64(n)))
	for i := range n {
		data := bytes.Repeat([]byte("0123456789abcdef"), size/16+1)[:size]
		for j := 0; random && j+8 <= size; j += 8 {
			binary.LittleEndian.PutUint64(data[j:], rng.Uint64())
		}
		r := leat.Record{PartitionKey: fmt.Sprintf("key-%d", i%7), Data: data}
		if i%5 == 0 {
			r.ExplicitHash = &leat.HashKey{Hi: rng.Uint64(), Lo: uint64(i)}
		}
		seal(c, r, c.MaxTime+1000)
	}
	return c
}

// all decodes every record of a chunk.
func all(t testing.TB, c *segment.Chunk) []leat.Record {
	t.Helper()
	records, err := c.Records(nil, c.First, int(c.Count), int(c.Bytes))
	if err != nil {
		t.Fatal(err)
	}
	if uint64(len(records)) != c.Count {
		t.Fatalf("%d records of %d", len(records), c.Count)
	}
	return records
}

func same(a, b *leat.Record) bool {
	if (a.ExplicitHash == nil) != (b.ExplicitHash == nil) || (a.ExplicitHash != nil && *a.ExplicitHash != *b.ExplicitHash) {
		return false
	}
	return a.PartitionKey == b.PartitionKey && bytes.Equal(a.Data, b.Data) && a.CRC == b.CRC && a.Offset == b.Offset && a.Time == b.Time
}

func mustMatch(t testing.TB, got, want []leat.Record) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d records, want %d", len(got), len(want))
	}
	for i := range got {
		if !same(&got[i], &want[i]) {
			t.Fatalf("record %d is %+v, want %+v", i, got[i], want[i])
		}
	}
}

func encode(t testing.TB, coder *segment.Coder, chunks []*segment.Chunk, controls []segment.Control, o segment.Options) ([]byte, []segment.Extent) {
	t.Helper()
	object, extents, err := coder.Encode(header(segment.KindSegment, 9), chunks, controls, o)
	if err != nil {
		t.Fatal(err)
	}
	return object, extents
}

func wantKind(t testing.TB, err error, kind leat.Kind) {
	t.Helper()
	if err == nil || leat.KindOf(err) != kind {
		t.Fatalf("error %v, want one of kind %v", err, kind)
	}
}

var codecs = []segment.Codec{segment.CodecNone, segment.CodecS2, segment.CodecZstd}
