// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package client

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"

	leatv1 "github.com/leatstream/leat/api/leat/v1"
	"github.com/leatstream/leat/internal/wiremem"
)

// pageOf is a page of n records of a size.
func pageOf(n, size int) *leatv1.GetRecordsResponse {
	m := &leatv1.GetRecordsResponse{
		MillisBehindLatest: 1500, NextShardIterator: strings.Repeat("it", 100),
		ChildShards: []*leatv1.ChildShard{{ShardId: "shardId-000000000004", ParentShardIds: []string{"shardId-000000000001"}}},
	}
	for i := range n {
		m.Records = append(m.Records, &leatv1.Record{
			SequenceNumber: fmt.Sprintf("4%055d", i), ApproximateArrivalUnixMicros: 1_780_000_000_000_000 + int64(i),
			PartitionKey: fmt.Sprintf("Schlüssel-%d", i/3), Data: bytes.Repeat([]byte{byte(i)}, size),
		})
	}
	return m
}

// cut is a message in buffers of a size, as a connection gives it.
func cut(raw []byte, size int) (s mem.BufferSlice) {
	for size < len(raw) {
		s = append(s, mem.SliceBuffer(raw[:size:size]))
		raw = raw[size:]
	}
	return append(s, mem.SliceBuffer(raw))
}

// Whatever bytes arrive, in whatever buffers, pages are what the generated code makes of them, or refused as it refuses them.
func FuzzReadPage(f *testing.F) {
	for _, m := range []*leatv1.GetRecordsResponse{{}, pageOf(0, 0), pageOf(1, 0), pageOf(3, 10), pageOf(40, 1000), pageOf(2, 100_000)} {
		raw, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		for _, size := range []uint16{1, 7, 16 << 10} {
			f.Add(raw, size)
		}
	}
	for _, raw := range [][]byte{
		{0x0a, 0x00, 0x10, 0x05, 0x10, 0x06},                               // an empty record; the last number counts
		{0x0a, 0x06, 0x22, 0x01, 'a', 0x22, 0x01, 'b', 0x10, 0x01},         // the last data count
		{0x0a, 0x04, 0x1a, 0x02, 'a', 0xff},                                // bad UTF-8
		{0x0a, 0x04, 0x0a, 0x02, 'a', 0xff},                                // in a number too
		{0x0a, 0x03, 0x22, 0x05, 'a', 'b', 'c', 'd', 'e'},                  // data beyond their record
		{0x0a, 0x02, 0x10, 0x80, 0x01},                                     // a number beyond its record
		{0x0a, 0x02, 0x28, 0x01, 0x7a, 0x01, 'x'},                          // unknown fields
		{0x08, 0x01, 0x12, 0x02, 0x08, 0x01},                               // known numbers, other types
		{0x0a, 0x02, 0x12, 0x00},                                           // the same in a record
		{0x0a, 0x02, 0x0b, 0x0c},                                           // a group
		{0x0b, 0x0c},                                                       // outside too
		{0x0d, 1, 2, 3, 4, 0x09, 1, 2, 3, 4, 5, 6, 7, 8},                   // numbers of a fixed size
		{0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 'x'},  // a length beyond the end
		{0x1a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01}, // and beyond what is a length
		{0x02, 0x00},             // field 0
		{0x8a, 0x00, 0x80, 0x00}, // longer than need be
		{0x0a},
	} {
		f.Add(raw, uint16(1))
	}
	c := codec{wiremem.NewCodec(new(wiremem.Pool))}
	f.Fuzz(func(t *testing.T, raw []byte, size uint16) {
		data := cut(raw, max(1, int(size)))
		for _, pair := range [][2]proto.Message{ // what is there already does not stay
			{new(leatv1.GetRecordsResponse), pageOf(3, 3)},
			{new(leatv1.SubscribeToShardResponse), &leatv1.SubscribeToShardResponse{Records: pageOf(3, 3).Records, MillisBehindLatest: 7}},
		} {
			want, got := pair[0], pair[1]
			wantErr, gotErr := proto.Unmarshal(raw, want), c.Unmarshal(data, got)
			if (wantErr == nil) != (gotErr == nil) {
				t.Fatalf("by hand: %v; generated: %v", gotErr, wantErr)
			}
			if wantErr == nil && !proto.Equal(got, want) {
				t.Fatalf("by hand: %v\ngenerated: %v", got, want)
			}
		}
	})
}

// What a server of today sends needs no generated code, and each record is its reader's own: nothing of it changes with the
// buffers that it came in or with its neighbours.
func TestPagesAreReadByHand(t *testing.T) {
	for _, want := range []*leatv1.GetRecordsResponse{pageOf(1, 0), pageOf(2000, 1000), pageOf(3, 9000), pageOf(2, 1<<20)} {
		raw, err := proto.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		records, rest, ok := readRecords(cut(raw, 16<<10))
		if !ok {
			t.Fatalf("%d records were not read", len(want.GetRecords()))
		}
		clear(raw)
		for i, r := range records {
			if !proto.Equal(r, want.Records[i]) {
				t.Fatalf("record %d of %d: %v", i, len(records), r)
			}
			_ = append(r.Data, "what its owner appends"...)
			clear(r.Data)
		}
		var got leatv1.GetRecordsResponse
		if err := proto.Unmarshal(rest, &got); err != nil || got.GetNextShardIterator() != want.GetNextShardIterator() || len(got.GetChildShards()) != 1 || len(got.GetRecords()) > 0 {
			t.Errorf("the rest: %v, %v", &got, err)
		}
	}
}

func BenchmarkReadPage(b *testing.B) {
	raw, err := proto.Marshal(pageOf(2000, 1000))
	if err != nil {
		b.Fatal(err)
	}
	data, c := cut(raw, 16<<10), codec{wiremem.NewCodec(new(wiremem.Pool))}
	for _, way := range []struct {
		name string
		read func(mem.BufferSlice, any) error
	}{{"generated", c.Codec.Unmarshal}, {"by hand", c.Unmarshal}} {
		b.Run(way.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(raw)))
			for b.Loop() {
				if err := way.read(data, &leatv1.GetRecordsResponse{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
