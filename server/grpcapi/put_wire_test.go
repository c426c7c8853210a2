// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package grpcapi

import (
	"bytes"
	"fmt"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/leatstream/leat"
	leatv1 "github.com/leatstream/leat/api/leat/v1"
)

func sample(n, size int) *leatv1.PutRecordsRequest {
	req := &leatv1.PutRecordsRequest{Stream: "s"}
	for i := range n {
		e := &leatv1.PutRecordsRequestEntry{PartitionKey: fmt.Sprint("ключ-", i), Data: bytes.Repeat([]byte{byte(i)}, size)}
		if i%3 == 0 {
			e.ExplicitHashKey = fmt.Sprint(i)
		}
		req.Records = append(req.Records, e)
	}
	return req
}

// Whatever bytes arrive, the decoder by hand reads what the generated one reads, or refuses what that refuses.
func FuzzDecodePutRecords(f *testing.F) {
	for _, n := range []int{0, 1, 3, 500} {
		raw, err := proto.Marshal(sample(n, 20))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Add([]byte{0x0a, 0x01, 's', 0x0a, 0x01, 't'})                                // the last one counts
	f.Add([]byte{0x12, 0x04, 0x12, 0x02, 'a', 'b', 0x12, 0x00})                    // an empty record
	f.Add([]byte{0x08, 0x01, 0x10, 0x02})                                          // known numbers, other types
	f.Add([]byte{0x0b, 0x0c})                                                      // a group
	f.Add([]byte{0x7a, 0x01, 'x', 0x12, 0x03, 0x0a, 0x01, 0xff})                   // unknown field, bad UTF-8
	f.Add([]byte{0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 'x'}) // a length beyond the end
	f.Fuzz(func(t *testing.T, raw []byte) {
		var want, got leatv1.PutRecordsRequest
		wantErr, gotErr := proto.Unmarshal(raw, &want), decodePutRecords(bytes.Clone(raw), &got)
		if (wantErr == nil) != (gotErr == nil) {
			t.Fatalf("by hand: %v; generated: %v", gotErr, wantErr)
		}
		if wantErr != nil || len(want.GetRecords()) > leat.MaxPutRecords {
			return
		}
		forget(want.ProtoReflect())
		for _, e := range want.GetRecords() {
			forget(e.ProtoReflect())
		}
		if !proto.Equal(&want, &got) {
			t.Fatalf("by hand: %v\ngenerated: %v", &got, &want)
		}
	})
}

// forget drops the fields that are not known: the decoder by hand does not keep them.
func forget(m protoreflect.Message) { m.SetUnknown(nil) }

func TestDecodeReadsNoFurtherThanAllowed(t *testing.T) {
	raw, err := proto.Marshal(sample(2000, 1))
	if err != nil {
		t.Fatal(err)
	}
	var got leatv1.PutRecordsRequest
	if err := decodePutRecords(raw, &got); err != nil {
		t.Fatal(err)
	}
	if n := len(got.GetRecords()); n != leat.MaxPutRecords+1 {
		t.Errorf("%d records were read", n)
	}
}

func BenchmarkDecodePutRecords(b *testing.B) {
	raw, err := proto.Marshal(sample(500, 1000))
	if err != nil {
		b.Fatal(err)
	}
	b.Run("generated", func(b *testing.B) {
		b.SetBytes(int64(len(raw)))
		b.ReportAllocs()
		for b.Loop() {
			if err := proto.Unmarshal(raw, &leatv1.PutRecordsRequest{}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("by hand", func(b *testing.B) {
		b.SetBytes(int64(len(raw)))
		b.ReportAllocs()
		for b.Loop() { // with the copy that Unmarshal makes
			if err := decodePutRecords(bytes.Clone(raw), &leatv1.PutRecordsRequest{}); err != nil {
				b.Fatal(err)
			}
		}
	})
}
