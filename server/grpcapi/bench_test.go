// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package grpcapi_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/proto"

	leatv1 "github.com/leatstream/leat/api/leat/v1"
)

func batch(n, size int) *leatv1.PutRecordsRequest {
	req := &leatv1.PutRecordsRequest{Stream: "s"}
	for i := range n {
		req.Records = append(req.Records, &leatv1.PutRecordsRequestEntry{PartitionKey: fmt.Sprint("key-", i), Data: make([]byte, size)})
	}
	return req
}

// What it would cost to check a put by the rules of its proto, beside what decoding it costs: the reason why hot leaves
// puts out.
func BenchmarkValidatePutRecords(b *testing.B) {
	req := batch(500, 1000)
	v, err := protovalidate.New(protovalidate.WithMessages(req), protovalidate.WithFailFast())
	if err != nil {
		b.Fatal(err)
	}
	b.Run("validate", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := v.Validate(req); err != nil {
				b.Fatal(err)
			}
		}
	})
	raw, err := proto.Marshal(req)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := proto.Unmarshal(raw, &leatv1.PutRecordsRequest{}); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// Batches of 500 records of 1 KiB from 16 callers, through gRPC to an engine on a store in memory.
func BenchmarkPutRecords(b *testing.B) {
	r := newRig(b, options{})
	r.stream("s", 4)
	req := batch(500, 1000)
	b.SetBytes(500 * 1000)
	b.ReportAllocs()
	b.SetParallelism(8)
	var failed atomic.Int64
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			res, err := r.records.PutRecords(b.Context(), req)
			if err != nil {
				b.Error(err)
				return
			}
			failed.Add(int64(res.GetFailedRecordCount()))
		}
	})
	if failed.Load() > 0 {
		b.Errorf("%d records failed", failed.Load())
	}
}

// Pages of 10,000 records of 1 KiB from memory.
func BenchmarkGetRecords(b *testing.B) {
	r := newRig(b, options{})
	r.stream("s", 1)
	for range 20 {
		_, err := r.records.PutRecords(b.Context(), batch(500, 1000))
		r.must(err)
	}
	it, err := r.records.GetShardIterator(b.Context(), &leatv1.GetShardIteratorRequest{Stream: "s", ShardId: "0", Start: trimHorizon()})
	r.must(err)
	b.SetBytes(20 * 500 * 1000)
	b.ReportAllocs()
	for b.Loop() {
		res, err := r.records.GetRecords(b.Context(), &leatv1.GetRecordsRequest{ShardIterator: it.GetShardIterator()})
		if err != nil || len(res.GetRecords()) != 10_000 {
			b.Fatalf("%d records, %v", len(res.GetRecords()), err)
		}
	}
}
