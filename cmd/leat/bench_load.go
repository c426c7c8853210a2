// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/api/client"
	leatv1 "github.com/leatstream/leat/api/leat/v1"
)

// putStep measures batches.
func (b *bench) putStep() (*step, error) {
	s := &step{
		mode:  "put",
		about: fmt.Sprintf("PutRecords of %d records of %s, %d in flight, beside bare gRPC and fdatasync", b.Batch, size(float64(b.RecordBytes)), b.InFlight),
		samples: []sample{
			b.appendFile("fdatasync", 1<<20),
			b.putBatches("echo", b.echo.client),
			b.putBatches("leat", b.cl),
		},
	}
	if b.S3.Endpoint != "" {
		floor, err := b.S3.floor(b.InFlight)
		if err != nil {
			return nil, err
		}
		s.samples = append(s.samples, floor)
	}
	s.results = func(m medians) []result {
		name := fmt.Sprintf("put, batches of %d", b.Batch)
		out := []result{
			against(name, m["leat MB/s"], "MB/s", "bare gRPC", m["echo MB/s"]),
			against(name, m["leat MB/s"], "MB/s", "fdatasync, 1 MiB each", m["fdatasync MB/s"]),
		}
		if m["s3 MB/s"] > 0 {
			out = append(out, against(name, m["leat MB/s"], "MB/s", fmt.Sprintf("PUT of 4 MiB, %d at a time", b.InFlight), m["s3 MB/s"]))
		}
		return append(out,
			against(name, m["leat records/s"], "records/s", "bare gRPC", m["echo records/s"]),
			against(name+", p50 of a call", m["leat ms"], "ms", "bare gRPC", m["echo ms"]))
	}
	return s, nil
}

// warmUp puts batches that nobody counts.
func (b *bench) warmUp(ctx context.Context) error {
	if b.WarmUp == 0 {
		return nil
	}
	_, err := b.putBatches("", b.cl)(ctx, b.WarmUp)
	return err
}

// putBatches puts batch after batch; what a server refuses for now does not count.
func (b *bench) putBatches(who string, cl *client.Client) sample {
	requests := make([]*leatv1.PutRecordsRequest, b.InFlight)
	for i := range requests {
		requests[i] = b.request(i)
	}
	return func(ctx context.Context, d time.Duration) (map[string]float64, error) {
		var acked, bytes atomic.Int64
		_, took, latencies, err := crowd(ctx, b.InFlight, d, func(ctx context.Context, caller int) error {
			n, err := putBatch(ctx, cl, requests[caller])
			acked.Add(int64(n))
			bytes.Add(int64(n * b.RecordBytes))
			return err
		})
		return map[string]float64{
			who + " MB/s":      mbs(float64(bytes.Load()), took),
			who + " records/s": float64(acked.Load()) / took.Seconds(),
			who + " ms":        median(latencies),
		}, err
	}
}

// request is a batch, from another place in the records for each caller.
func (b *bench) request(caller int) *leatv1.PutRecordsRequest {
	req := &leatv1.PutRecordsRequest{Stream: b.stream, Records: make([]*leatv1.PutRecordsRequestEntry, b.Batch)}
	for i := range req.Records {
		at := (caller*b.Batch + i) % len(b.keys)
		req.Records[i] = &leatv1.PutRecordsRequestEntry{PartitionKey: b.keys[at], Data: b.data[at]}
	}
	return req
}

// putBatch makes one call and returns how many records were taken; errEnough when none were.
func putBatch(ctx context.Context, cl *client.Client, req *leatv1.PutRecordsRequest) (int, error) {
	res, err := cl.Records.PutRecords(ctx, req)
	if leat.KindOf(err) == leat.KindThroughputExceeded {
		return 0, errEnough
	}
	if err != nil {
		return 0, err
	}
	n := len(req.GetRecords()) - int(res.GetFailedRecordCount())
	if n == 0 {
		return 0, errEnough
	}
	return n, nil
}

// errEnough says that the server refused a call for now: it is made again after a rest, and does not count.
var errEnough = errors.New("the server had enough")

// rest waits a little where the server had enough.
func rest(ctx context.Context) error {
	select {
	case <-time.After(5 * time.Millisecond):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// singleStep measures PutRecord, one at a time and many.
func (b *bench) singleStep() *step {
	s := &step{mode: "put-single", about: fmt.Sprintf("PutRecord, %v callers, beside bare gRPC and fdatasync", b.Callers)}
	s.samples = append(s.samples, b.appendFile("fdatasync", b.RecordBytes))
	for _, n := range b.Callers {
		s.samples = append(s.samples, b.putSingles("echo", b.echo.client, n), b.putSingles("leat", b.cl, n))
	}
	s.results = func(m medians) (out []result) {
		for _, n := range b.Callers {
			name := fmt.Sprintf("single puts, %s", plural(n, "caller"))
			if n == 1 {
				out = append(out, against(name+", p50", m["leat 1 ms"], "ms", "fdatasync + bare gRPC", m["fdatasync ms"]+m["echo 1 ms"]))
			} else {
				out = append(out, against(name+", p50", m[fmt.Sprintf("leat %d ms", n)], "ms", "bare gRPC", m[fmt.Sprintf("echo %d ms", n)]))
			}
			out = append(out, against(name, m[fmt.Sprintf("leat %d puts/s", n)], "puts/s", "bare gRPC", m[fmt.Sprintf("echo %d puts/s", n)]))
			if one := m["leat 1 puts/s"]; n > 1 && one > 0 {
				out = append(out, against(name, m[fmt.Sprintf("leat %d puts/s", n)], "puts/s", "one caller", one))
			}
		}
		return out
	}
	return s
}

// putSingles puts record after record.
func (b *bench) putSingles(who string, cl *client.Client, callers int) sample {
	return func(ctx context.Context, d time.Duration) (map[string]float64, error) {
		n, took, latencies, err := crowd(ctx, callers, d, func(ctx context.Context, caller int) error {
			at := caller % len(b.keys)
			_, err := cl.Records.PutRecord(ctx, &leatv1.PutRecordRequest{Stream: b.stream, PartitionKey: b.keys[at], Data: b.data[at]})
			if leat.KindOf(err) == leat.KindThroughputExceeded {
				return errEnough
			}
			return err
		})
		return map[string]float64{
			fmt.Sprintf("%s %d puts/s", who, callers): float64(n) / took.Seconds(),
			fmt.Sprintf("%s %d ms", who, callers):     median(latencies),
		}, err
	}
}

// getStep measures catch-up reads of the whole stream.
func (b *bench) getStep() *step {
	return &step{
		mode: "get", about: fmt.Sprintf("reading from the trim horizon, %s, beside bare gRPC", plural(int(b.Shards), "shard")),
		before:  b.fill,
		samples: []sample{b.readPages("echo", b.echo.client), b.readPages("leat", b.cl)},
		results: func(m medians) []result {
			return []result{against("catch-up reads", m["leat MB/s"], "MB/s", "bare gRPC", m["echo MB/s"])}
		},
	}
}

// fill puts enough to read.
func (b *bench) fill(ctx context.Context) error {
	var left atomic.Int64
	left.Store(int64(b.ReadMiB) << 20)
	g, ctx := errgroup.WithContext(ctx)
	for i := range b.InFlight {
		req := b.request(i)
		g.Go(func() error {
			for left.Load() > 0 {
				n, err := putBatch(ctx, b.cl, req)
				if errors.Is(err, errEnough) {
					err = rest(ctx)
				}
				if err != nil {
					return err
				}
				left.Add(-int64(n * b.RecordBytes))
			}
			return nil
		})
	}
	return g.Wait()
}

// readPages reads all shards side by side, from their beginning, again and again.
func (b *bench) readPages(who string, cl *client.Client) sample {
	return func(ctx context.Context, d time.Duration) (map[string]float64, error) {
		var bytes atomic.Int64
		began := time.Now()
		_, took, _, err := crowd(ctx, int(min(b.Shards, 64)), d, func(ctx context.Context, caller int) error {
			it, err := cl.Records.GetShardIterator(ctx, &leatv1.GetShardIteratorRequest{
				Stream: b.stream, ShardId: leat.ShardID(uint64(caller)),
				Start: &leatv1.StartingPosition{Type: leatv1.StartingPositionType_STARTING_POSITION_TYPE_TRIM_HORIZON},
			})
			if err != nil {
				return err
			}
			for at := it.GetShardIterator(); at != "" && time.Since(began) < d; {
				res, err := cl.Records.GetRecords(ctx, &leatv1.GetRecordsRequest{ShardIterator: at})
				if leat.KindOf(err) == leat.KindThroughputExceeded {
					if err := rest(ctx); err != nil {
						return err
					}
					continue
				}
				if err != nil {
					return err
				}
				for _, r := range res.GetRecords() {
					bytes.Add(int64(len(r.GetData())))
				}
				if at = res.GetNextShardIterator(); res.GetMillisBehindLatest() == 0 {
					return nil
				}
			}
			return nil
		})
		return map[string]float64{who + " MB/s": mbs(float64(bytes.Load()), took)}, err
	}
}
