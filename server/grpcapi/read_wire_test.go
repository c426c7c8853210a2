// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package grpcapi

import (
	"bytes"
	"math"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/leatstream/leat"
	leatv1 "github.com/leatstream/leat/api/leat/v1"
	"github.com/leatstream/leat/internal/wiremem"
)

// generatedRecords are the records as messages.
func generatedRecords(shard leat.ShardKey, records []leat.Record) (out []*leatv1.Record) {
	for i := range records {
		r := &records[i]
		out = append(out, &leatv1.Record{
			SequenceNumber: leat.SequenceNumber(shard, r.Offset), ApproximateArrivalUnixMicros: r.Time, PartitionKey: r.PartitionKey, Data: r.Data,
		})
	}
	return out
}

// The answers by hand are, byte for byte, what the generated code makes of the same records, also in memory that has held
// another answer.
func FuzzReadAnswer(f *testing.F) {
	f.Add("key", []byte("data"), int64(1_700_000_000_000_000), uint64(0), uint8(3), "next", int64(5))
	f.Add("", []byte(nil), int64(0), uint64(math.MaxUint64), uint8(1), "", int64(0))
	f.Add("ключ", bytes.Repeat([]byte{1}, 127), int64(-1), uint64(7), uint8(2), "n", int64(math.MaxInt64))
	f.Add("k", bytes.Repeat([]byte{2}, 20_000), int64(1), uint64(7), uint8(200), "n", int64(1))
	f.Add("none", []byte("x"), int64(1), uint64(7), uint8(0), "n", int64(1))
	memory := new(wiremem.Pool)
	f.Fuzz(func(t *testing.T, key string, data []byte, time int64, offset uint64, n uint8, next string, behind int64) {
		shard := leat.ShardKey{Stream: leat.StreamID{7}, Ordinal: offset % (leat.MaxOrdinal + 1)}
		records := make([]leat.Record, n)
		for i := range records {
			records[i] = leat.Record{PartitionKey: key[:len(key)*i%(len(key)+1)], Data: data[:len(data)*(i+1)%(len(data)+1)], Time: time - int64(i), Offset: offset + uint64(i)}
			if i%2 == 0 {
				records[i].PartitionKey, records[i].Data = key, data
			}
		}
		children := childrenOf([]leat.Shard{{Key: shard}})
		page := &leatv1.GetRecordsResponse{MillisBehindLatest: behind, NextShardIterator: next, ChildShards: children}
		event := &leatv1.SubscribeToShardResponse{MillisBehindLatest: behind, ContinuationSequenceNumber: next, ChildShards: children}
		for _, rest := range []proto.Message{page, event} {
			got, err := newReadAnswer(shard, records, rest)
			page.Records, event.Records = generatedRecords(shard, records), generatedRecords(shard, records)
			want, wantErr := proto.MarshalOptions{Deterministic: true}.Marshal(rest)
			page.Records, event.Records = nil, nil
			if err != nil || wantErr != nil { // text that is not UTF-8: keys are checked where they enter
				continue
			}
			wire := got.MarshalWire(memory)
			if !bytes.Equal(wire.Materialize(), want) {
				t.Fatalf("by hand:   %x\ngenerated: %x", wire.Materialize(), want)
			}
			wire.Free()
		}
	})
}

// A page of 5,000 records of 1 KiB, by hand and by the generated code.
func BenchmarkReadAnswer(b *testing.B) {
	shard := leat.ShardKey{Stream: leat.StreamID{7}, Ordinal: 3}
	records := make([]leat.Record, 5000)
	for i := range records {
		records[i] = leat.Record{PartitionKey: "key-17", Data: bytes.Repeat([]byte{byte(i)}, 1024), Time: 1_700_000_000_000_000, Offset: uint64(i)}
	}
	memory := new(wiremem.Pool)
	rest := &leatv1.GetRecordsResponse{MillisBehindLatest: 1, NextShardIterator: "next"}
	b.Run("generated", func(b *testing.B) {
		b.SetBytes(5000 << 10)
		b.ReportAllocs()
		for b.Loop() {
			rest.Records = generatedRecords(shard, records)
			wire, err := wiremem.NewCodec(memory).Marshal(rest)
			if err != nil {
				b.Fatal(err)
			}
			wire.Free()
		}
		rest.Records = nil
	})
	b.Run("by hand", func(b *testing.B) {
		b.SetBytes(5000 << 10)
		b.ReportAllocs()
		for b.Loop() {
			a, err := newReadAnswer(shard, records, rest)
			if err != nil {
				b.Fatal(err)
			}
			wire := a.MarshalWire(memory)
			wire.Free()
		}
	})
}
