// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package server_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/api/client"
	leatv1 "github.com/leatstream/leat/api/leat/v1"
	"github.com/leatstream/leat/internal/pgtest"
	"github.com/leatstream/leat/internal/s3test"
	"github.com/leatstream/leat/server"
	"github.com/leatstream/leat/shardstore/blob/s3"
)

// How long each thing is measured in a round.
const benchSpell = 3 * time.Second

// warmUps is how many spells are not measured, so that a server has filled its memory of recent records (benchMemory, MiB):
// on a virtual machine the first touch of a page can cost more than all else that is done for the records in it.
const (
	warmUps     = 4
	benchMemory = 256
)

// BenchmarkServePut measures PutRecords of 500 random records, 16 in flight, on PostgreSQL and a real S3 server, in turn with
// bare PUTs of 4 MiB to the same server, four at a time as the log sends them. It prints the median of the rounds' ratios.
// With records of 1 KiB the callers together have 8 MB in flight, two segments of the log; with those of 4 KiB the log has four
// on their way, as the bare PUTs do.
func BenchmarkServePut(b *testing.B) {
	b.Run("1KiB", func(b *testing.B) { benchmarkServePut(b, 1<<10) })
	b.Run("4KiB", func(b *testing.B) { benchmarkServePut(b, 4<<10) })
}

func benchmarkServePut(b *testing.B, record int) {
	bucket := s3test.Start(b)
	o := server.S3{Endpoint: []string{"http://" + bucket.Endpoint}, Bucket: bucket.Bucket(b), Region: bucket.Region, AccessKey: bucket.AccessKey, SecretKey: bucket.SecretKey}
	srv := serve(b, o)
	c, err := client.Dial(srv.GRPCAddr())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = c.Close() })
	makeStream(b, c.Streams)
	bare, err := s3.Open(s3.Options{Endpoint: o.Endpoint[0], Bucket: o.Bucket, Region: o.Region, AccessKey: o.AccessKey, SecretKey: o.SecretKey, Prefix: "bare"})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = bare.Close() })
	var ratios, puts, floors []float64
	barePuts(b, bare, -1)
	for range warmUps {
		leatPuts(b, c, record)
	}
	for b.Loop() {
		for round := range 3 {
			floor := barePuts(b, bare, round)
			rate := leatPuts(b, c, record)
			b.Logf("MB/s: %.0f, bare PUTs %.0f", rate, floor)
			floors, puts, ratios = append(floors, floor), append(puts, rate), append(ratios, rate/floor)
		}
	}
	b.ReportMetric(median(puts), "put-MB/s")
	b.ReportMetric(median(floors), "bare-MB/s")
	b.ReportMetric(median(ratios), "of-bare-PUTs")
}

func median(x []float64) float64 {
	slices.Sort(x)
	return x[len(x)/2]
}

// serve starts a node on a fresh database.
func serve(b *testing.B, o server.S3) *server.Server {
	b.Helper()
	c := server.ServeConfig{
		Common: server.Common{
			HTTPAddr: "127.0.0.1:0", GRPCAddr: "127.0.0.1:0", Region: "us-east-1", ShardLimits: "off",
			PackEvery: time.Minute, Memory: benchMemory, LogLevel: "error", LogFormat: "text",
		},
		Postgres: pgtest.Database(b), Profile: "balanced", S3: o,
	}
	srv, err := server.Serve(b.Context(), c, "bench")
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- srv.Run(ctx) }()
	b.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			b.Error(err)
		}
	})
	if err := srv.WaitReady(b.Context()); err != nil {
		b.Fatal(err)
	}
	return srv
}

func makeStream(b testing.TB, streams leatv1.StreamServiceClient) {
	b.Helper()
	if _, err := streams.CreateStream(b.Context(), &leatv1.CreateStreamRequest{Stream: "s", ShardCount: 4}); err != nil {
		b.Fatal(err)
	}
	for {
		d, err := streams.DescribeStream(b.Context(), &leatv1.DescribeStreamRequest{Stream: "s"})
		if err != nil {
			b.Fatal(err)
		}
		if d.Stream.Status == leatv1.StreamStatus_STREAM_STATUS_ACTIVE {
			return
		}
	}
}

// during calls f from n goroutines for a spell and returns the megabytes a second of what it says it moved.
func during(b *testing.B, n int, f func(ctx context.Context, worker, turn int) (int, error)) float64 {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), benchSpell)
	defer cancel()
	var moved atomic.Int64
	var wg sync.WaitGroup
	began := time.Now()
	for worker := range n {
		wg.Go(func() {
			for turn := 0; ctx.Err() == nil; turn++ {
				size, err := f(context.WithoutCancel(ctx), worker, turn)
				if err != nil {
					b.Error(err)
					return
				}
				moved.Add(int64(size))
			}
		})
	}
	wg.Wait()
	return float64(moved.Load()) / 1e6 / time.Since(began).Seconds()
}

func barePuts(b *testing.B, store *s3.Store, round int) float64 {
	b.Helper()
	body := make([]byte, 4<<20)
	_, _ = rand.Read(body) // never fails
	run := leat.NewID[leat.SessionID](nil)
	return during(b, 4, func(ctx context.Context, worker, turn int) (int, error) {
		return len(body), store.Create(ctx, fmt.Sprintf("%s/%d/%d/%06d", run, round, worker, turn), body)
	})
}

// leatPuts puts batches of 500 records of so many bytes.
func leatPuts(b *testing.B, c *client.Client, record int) float64 {
	b.Helper()
	batches := make([]*leatv1.PutRecordsRequest, 16)
	for i := range batches {
		batches[i] = &leatv1.PutRecordsRequest{Stream: "s"}
		for n := range 500 {
			data := make([]byte, record)
			_, _ = rand.Read(data) // never fails
			batches[i].Records = append(batches[i].Records, &leatv1.PutRecordsRequestEntry{PartitionKey: fmt.Sprintf("%d-%d", i, n), Data: data})
		}
	}
	return during(b, len(batches), func(ctx context.Context, worker, _ int) (int, error) {
		answer, err := c.Records.PutRecords(ctx, batches[worker])
		if err == nil && answer.FailedRecordCount > 0 {
			err = errors.New(answer.Records[0].ErrorMessage)
		}
		return 500 * record, err
	})
}
