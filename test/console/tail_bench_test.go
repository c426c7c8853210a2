// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package console_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/leatstream/leat/api/client"
	leatv1 "github.com/leatstream/leat/api/leat/v1"
	"github.com/leatstream/leat/api/leattest"
)

const (
	tailedEvery  = 10 * time.Millisecond // a call
	tailedRecord = 1000                  // bytes
	tailedWindow = 2 * time.Second       // with the tail, and as long without it
)

// BenchmarkLiveTail measures what a live tail in the console costs a node while records are put into the stream: the processor time of the process a
// second with the tail less that without it, window beside window, in per cent of one core. The records' producer and the tail's reader are in the
// same process. One iteration is two windows. A tail has no more to do with 50 MB/s than with 2, where more is put than it shows too, and what it costs
// shows better: the rest of the process does less.
func BenchmarkLiveTail(b *testing.B) {
	for _, c := range []struct {
		name, query string
		shards      int32
		perCall     int // records
	}{
		{"2MB,shards=8", "", 8, 20}, {"2MB,shards=64", "", 64, 20}, {"2MB,shards=8,jq", "jq=" + url.QueryEscape(".total > 10"), 8, 20}, {"50MB,shards=8", "", 8, 500},
	} {
		b.Run(c.name, func(b *testing.B) {
			srv := leattest.Start(b)
			cl, err := client.Dial(srv.Endpoint)
			if err != nil {
				b.Fatal(err)
			}
			defer cl.Close()
			if _, err := cl.Streams.CreateStream(b.Context(), &leatv1.CreateStreamRequest{Stream: "s", ShardCount: c.shards}); err != nil {
				b.Fatal(err)
			}
			for tick := time.NewTicker(10 * time.Millisecond); ; <-tick.C {
				d, err := cl.Streams.DescribeStreamSummary(b.Context(), &leatv1.DescribeStreamSummaryRequest{Stream: "s"})
				if err != nil {
					b.Fatal(err)
				}
				if d.GetStream().GetStatus() == leatv1.StreamStatus_STREAM_STATUS_ACTIVE {
					tick.Stop()
					break
				}
			}
			load := newTailedLoad(b, cl, c.perCall)
			defer load.stop()
			load.measure() // until it is warm
			var with, without []float64
			var shown, skipped uint64
			for b.Loop() {
				without = append(without, load.measure())
				stop := follow(b, srv.HTTP+"/console/streams/s/tail/events?"+c.query)
				load.measure()
				with = append(with, load.measure())
				records, passed := stop()
				shown, skipped = shown+records, skipped+passed
			}
			if shown == 0 {
				b.Error("the tail has shown nothing")
			}
			mean, deviation := differences(with, without)
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(average(without), "%cpu-without")
			b.ReportMetric(average(with), "%cpu-with")
			b.ReportMetric(mean, "%cpu-tail")
			b.ReportMetric(deviation, "%cpu-error")
			b.ReportMetric(float64(shown)/float64(shown+skipped)*100, "%shown")
			b.ReportMetric(load.rate()/1e6, "MB/s")
		})
	}
}

// differences are what is between two series on average, and its standard error.
func differences(a, b []float64) (mean, deviation float64) {
	var d []float64
	for i := range a {
		d = append(d, a[i]-b[i])
	}
	mean = average(d)
	for _, v := range d {
		deviation += (v - mean) * (v - mean)
	}
	return mean, math.Sqrt(deviation / float64(max(len(d)-1, 1)) / float64(len(d)))
}

func average(all []float64) (sum float64) {
	for _, v := range all {
		sum += v
	}
	return sum / float64(len(all))
}

// tailedLoad puts records at an even pace.
type tailedLoad struct {
	b     *testing.B
	end   context.CancelFunc
	done  sync.WaitGroup
	bytes atomic.Int64
	began time.Time
}

func newTailedLoad(b *testing.B, c *client.Client, perCall int) *tailedLoad {
	ctx, cancel := context.WithCancel(context.Background())
	l := &tailedLoad{b: b, end: cancel, began: time.Now()}
	req := &leatv1.PutRecordsRequest{Stream: "s"}
	for i := range perCall {
		data := fmt.Appendf(nil, `{"order":"ord_%08d","status":"paid","total":%d,"note":"`, i, i%400)
		data = append(append(data, strings.Repeat("x", tailedRecord-len(data)-2)...), `"}`...)
		req.Records = append(req.Records, &leatv1.PutRecordsRequestEntry{PartitionKey: fmt.Sprintf("customer-%04d", i*37), Data: data})
	}
	ticks := make(chan struct{}, 64)
	l.done.Go(func() {
		defer close(ticks)
		tick := time.NewTicker(tailedEvery)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				ticks <- struct{}{}
			case <-ctx.Done():
				return
			}
		}
	})
	for range 4 {
		l.done.Go(func() {
			for range ticks {
				if _, err := c.Records.PutRecords(ctx, req); err == nil {
					l.bytes.Add(int64(perCall * tailedRecord))
				} else if ctx.Err() == nil {
					b.Error(err)
				}
			}
		})
	}
	return l
}

func (l *tailedLoad) stop() {
	l.end()
	l.done.Wait()
}

func (l *tailedLoad) rate() float64 { return float64(l.bytes.Load()) / time.Since(l.began).Seconds() }

// measure is the processor time of this process in a window, in per cent of one core.
func (l *tailedLoad) measure() float64 {
	l.b.Helper()
	began, used := time.Now(), processorTime(l.b)
	<-time.After(tailedWindow)
	return 100 * float64(processorTime(l.b)-used) / float64(time.Since(began))
}

func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// follow reads a tail until stop is called, which tells how many records it has shown and passed over.
func follow(b *testing.B, address string) (stop func() (shown, skipped uint64)) {
	b.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		b.Fatal(err)
	}
	res, err := new(http.Client).Do(r) // it follows until it is told to stop
	if err != nil {
		b.Fatal(err)
	}
	var shown, skipped uint64
	var done sync.WaitGroup
	done.Go(func() {
		defer res.Body.Close()
		lines := bufio.NewScanner(res.Body)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			text, ok := bytes.CutPrefix(lines.Bytes(), []byte("data: "))
			if !ok {
				continue
			}
			var e struct {
				Records []json.RawMessage
				Skipped uint64
			}
			if err := json.Unmarshal(text, &e); err != nil {
				b.Error(err)
				return
			}
			shown, skipped = shown+uint64(len(e.Records)), skipped+e.Skipped
		}
		if err := lines.Err(); err != nil && !errors.Is(err, context.Canceled) {
			b.Error(err)
		}
	})
	return func() (uint64, uint64) {
		cancel()
		done.Wait()
		return shown, skipped
	}
}
