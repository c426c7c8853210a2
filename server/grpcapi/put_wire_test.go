// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package grpcapi

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"reflect"
	"strings"
	"testing"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"

	"github.com/leatstream/leat"
	leatv1 "github.com/leatstream/leat/api/leat/v1"
	"github.com/leatstream/leat/internal/wiremem"
	"github.com/leatstream/leat/server/broker"
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

// Whatever bytes arrive, the decoder by hand reads what the generated one reads, or refuses what that refuses, also in
// memory that has held another batch.
func FuzzDecodePutRecords(f *testing.F) {
	for _, n := range []int{0, 1, 3, 500, 501} {
		raw, err := proto.Marshal(sample(n, 20))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Add([]byte{0x0a, 0x01, 's', 0x0a, 0x01, 't'})                                // the last one counts
	f.Add([]byte{0x12, 0x04, 0x12, 0x02, 'a', 'b', 0x12, 0x00})                    // an empty record
	f.Add([]byte{0x12, 0x06, 0x1a, 0x01, 'x', 0x1a, 0x01, '7'})                    // two explicit hash keys
	f.Add([]byte{0x12, 0x03, 0x1a, 0x01, 'x', 0x12, 0x03, 0x1a, 0x01, 'y'})        // bad ones
	f.Add([]byte{0x08, 0x01, 0x10, 0x02})                                          // known numbers, other types
	f.Add([]byte{0x0b, 0x0c})                                                      // a group
	f.Add([]byte{0x7a, 0x01, 'x', 0x12, 0x03, 0x0a, 0x01, 0xff})                   // unknown field, bad UTF-8
	f.Add([]byte{0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 'x'}) // a length beyond the end
	before, err := proto.Marshal(sample(7, 30))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var calls putCalls
		got := calls.get()
		if err := got.read(before); err != nil {
			t.Fatal(err)
		}
		calls.put(got)
		got = calls.get() // the same one, more often than not
		var want leatv1.PutRecordsRequest
		wantErr, gotErr := proto.Unmarshal(raw, &want), got.read(bytes.Clone(raw))
		if len(want.GetRecords()) > leat.MaxPutRecords {
			if got.records <= leat.MaxPutRecords && gotErr == nil {
				t.Fatalf("%d records of %d were seen", got.records, len(want.GetRecords()))
			}
			return // it is read no further
		}
		if (wantErr == nil) != (gotErr == nil) {
			t.Fatalf("by hand: %v; generated: %v", gotErr, wantErr)
		}
		if wantErr == nil {
			compare(t, got, &want)
		}
	})
}

func compare(t *testing.T, got *putCall, want *leatv1.PutRecordsRequest) {
	t.Helper()
	if got.stream != want.GetStream() || got.records != len(want.GetRecords()) || len(got.puts) != got.records {
		t.Fatalf("by hand: %d records to %q; generated: %v", len(got.puts), got.stream, want)
	}
	var refused error
	for i, e := range want.GetRecords() {
		r := leat.Record{PartitionKey: e.GetPartitionKey(), Data: e.GetData()}
		if err := explicitHash(&r, e.GetExplicitHashKey()); err != nil && refused == nil {
			refused = inEntry(i, err)
		}
		p := &got.puts[i]
		if p.Record.PartitionKey != r.PartitionKey || !bytes.Equal(p.Record.Data, r.Data) || !reflect.DeepEqual(p.Record.ExplicitHash, r.ExplicitHash) ||
			p.Err != nil || p.Shard != (leat.ShardKey{}) {
			t.Fatalf("record %d by hand: %+v; generated: %v", i, p, e)
		}
	}
	if fmt.Sprint(refused) != fmt.Sprint(got.refused) {
		t.Fatalf("refused by hand: %v; generated: %v", got.refused, refused)
	}
}

func TestDecodeReadsNoFurtherThanAllowed(t *testing.T) {
	raw, err := proto.Marshal(sample(2000, 1))
	if err != nil {
		t.Fatal(err)
	}
	got := new(putCalls).get()
	if err := got.read(raw); err != nil {
		t.Fatal(err)
	}
	if len(got.puts) != leat.MaxPutRecords || got.records != 2000 {
		t.Errorf("%d records were read of %d", len(got.puts), got.records)
	}
}

// The answer by hand is, byte for byte, what the generated code makes of the same outcomes.
func FuzzPutAnswer(f *testing.F) {
	f.Add(uint64(0), uint64(0), "", uint8(0), uint8(1))
	f.Add(uint64(1<<63), uint64(leat.MaxOrdinal), "Rate exceeded", uint8(1), uint8(3))
	f.Add(uint64(7), uint64(math.MaxUint64), "\xff", uint8(2), uint8(200))
	f.Add(uint64(7), uint64(128), strings.Repeat("long", 1000), uint8(255), uint8(255))
	f.Fuzz(func(t *testing.T, offset, ordinal uint64, text string, which, n uint8) {
		kinds := []error{
			nil,
			&leat.Error{Kind: leat.KindThroughputExceeded, Message: text},
			&leat.Error{Kind: leat.KindUnavailable, Message: text},
			&leat.Error{Kind: leat.KindUnknownOutcome, Message: text},
			errors.New(text),
		}
		puts := make([]broker.Put, n)
		failed := 0
		for i := range puts {
			puts[i].Record.Offset = offset + uint64(i)
			puts[i].Shard = leat.ShardKey{Stream: leat.StreamID{byte(i)}, Ordinal: ordinal + uint64(i%3)}
			if puts[i].Err = kinds[(int(which)*i)%len(kinds)]; puts[i].Err != nil {
				failed++
			}
		}
		s := &Server{memory: new(wiremem.Pool), log: slog.New(slog.DiscardHandler)}
		got := s.answer(t.Context(), failed, puts).MarshalWire(nil)
		defer got.Free()
		if want := generatedAnswer(t, s, failed, puts); !bytes.Equal(got.Materialize(), want) {
			t.Fatalf("by hand:   %x\ngenerated: %x", got.Materialize(), want)
		}
	})
}

func generatedAnswer(t testing.TB, s *Server, failed int, puts []broker.Put) []byte {
	t.Helper()
	res := &leatv1.PutRecordsResponse{FailedRecordCount: int32(failed)}
	for i := range puts {
		e := &leatv1.PutRecordsResponseEntry{}
		if puts[i].Err == nil {
			e.ShardId = fmt.Sprintf("shardId-%012d", puts[i].Shard.Ordinal)
			e.SequenceNumber = leat.SequenceNumber(puts[i].Shard, puts[i].Record.Offset)
		} else {
			e.ErrorCode, e.ErrorMessage = s.failure(t.Context(), puts[i].Err)
			e.ErrorMessage = strings.ToValidUTF8(e.GetErrorMessage(), "\ufffd") // the generated code refuses to write others
		}
		res.Records = append(res.Records, e)
	}
	raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(res)
	if err != nil {
		t.Fatal(err)
	}
	return raw
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
		var calls putCalls
		memory := new(wiremem.Pool)
		data := mem.BufferSlice{mem.SliceBuffer(raw[:1000]), mem.SliceBuffer(raw[1000:])}
		for b.Loop() {
			c := calls.get()
			if err := c.UnmarshalWire(data, memory); err != nil {
				b.Fatal(err)
			}
			calls.put(c)
		}
	})
}

func BenchmarkPutAnswer(b *testing.B) {
	s := &Server{memory: new(wiremem.Pool), log: slog.New(slog.DiscardHandler)}
	puts := make([]broker.Put, 500)
	for i := range puts {
		puts[i].Record.Offset = uint64(i)
	}
	b.Run("generated", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			generatedAnswer(b, s, 0, puts)
		}
	})
	b.Run("by hand", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			s.answer(b.Context(), 0, puts).MarshalWire(nil).Free()
		}
	})
}
