// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package client

import (
	"fmt"
	"strings"
	"testing"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"

	leatv1 "github.com/leatstream/leat/api/leat/v1"
	"github.com/leatstream/leat/internal/wiremem"
)

func putAnswer(n int) *leatv1.PutRecordsResponse {
	m := &leatv1.PutRecordsResponse{}
	for i := range n {
		e := &leatv1.PutRecordsResponseEntry{ShardId: fmt.Sprintf("shardId-%012d", i%4), SequenceNumber: fmt.Sprintf("4%055d", i)}
		if i%7 == 6 {
			e = &leatv1.PutRecordsResponseEntry{ErrorCode: 2, ErrorMessage: "das ging schief: " + strings.Repeat("ü", i%9)}
			m.FailedRecordCount++
		}
		m.Records = append(m.Records, e)
	}
	return m
}

// Whatever bytes arrive, answers are what the generated code makes of them, or refused as it refuses them.
func FuzzReadPutAnswer(f *testing.F) {
	for _, n := range []int{0, 1, 6, 7, 500} {
		raw, err := proto.Marshal(putAnswer(n))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Add([]byte{0x12, 0x00, 0x08, 0x05, 0x08, 0x06})                                           // an empty entry; the last count counts
	f.Add([]byte{0x12, 0x06, 0x0a, 0x01, 'a', 0x0a, 0x01, 'b'})                                 // the last shard counts
	f.Add([]byte{0x12, 0x04, 0x0a, 0x02, 'a', 0xff})                                            // bad UTF-8
	f.Add([]byte{0x12, 0x03, 0x0a, 0x05, 'a', 'b', 'c', 'd', 'e'})                              // a text beyond its entry
	f.Add([]byte{0x12, 0x02, 0x18, 0x80, 0x01})                                                 // a number beyond its entry
	f.Add([]byte{0x12, 0x0b, 0x18, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01}) // a negative code
	f.Add([]byte{0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0x12, 0x00})
	f.Add([]byte{0x12, 0x02, 0x28, 0x01, 0x7a, 0x01, 'x'})                         // unknown fields
	f.Add([]byte{0x10, 0x01, 0x12, 0x02, 0x08, 0x01})                              // known numbers, other types
	f.Add([]byte{0x12, 0x02, 0x0b, 0x0c})                                          // a group
	f.Add([]byte{0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 'x'}) // a length beyond the end
	c := codec{wiremem.NewCodec(new(wiremem.Pool))}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var want leatv1.PutRecordsResponse
		wantErr := proto.Unmarshal(raw, &want)
		got := putAnswer(3) // what is there already does not stay
		half := len(raw) / 2
		gotErr := c.Unmarshal(mem.BufferSlice{mem.SliceBuffer(raw[:half]), mem.SliceBuffer(raw[half:])}, got)
		if (wantErr == nil) != (gotErr == nil) {
			t.Fatalf("by hand: %v; generated: %v", gotErr, wantErr)
		}
		if wantErr == nil && !proto.Equal(got, &want) {
			t.Fatalf("by hand: %v\ngenerated: %v", got, &want)
		}
	})
}

// Answers of servers of today need no generated code.
func TestPutAnswersAreReadByHand(t *testing.T) {
	for _, n := range []int{1, 500} {
		want := putAnswer(n)
		raw, err := proto.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var got leatv1.PutRecordsResponse
		if !readPutAnswer(raw, &got) || !proto.Equal(&got, want) {
			t.Errorf("%d records: %v", n, &got)
		}
	}
}

func BenchmarkReadPutAnswer(b *testing.B) {
	raw, err := proto.Marshal(putAnswer(500))
	if err != nil {
		b.Fatal(err)
	}
	b.Run("generated", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := proto.Unmarshal(raw, &leatv1.PutRecordsResponse{}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("by hand", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if !readPutAnswer(raw, &leatv1.PutRecordsResponse{}) {
				b.Fatal("not read")
			}
		}
	})
}
