// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package scaler_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/api/client"
	leatv1 "github.com/leatstream/leat/api/leat/v1"
	"github.com/leatstream/leat/api/leattest"
	"github.com/leatstream/leat/server"
	"github.com/leatstream/leat/server/scaler"
)

// quick makes scaling take seconds instead of minutes, under what a busy machine acks too.
func quick() leattest.Option {
	return leattest.WithConfig(func(c *server.DevConfig) {
		c.Scaling = scaler.Params{
			Every: 100 * time.Millisecond, Hot: 0.03, HotFor: 500 * time.Millisecond, Cold: 0.005, ColdFor: 2 * time.Second, Cooldown: 200 * time.Millisecond, MaxShards: 11,
		}
	})
}

// load puts records of many keys from several writers until it is stopped: each writer its own keys, a record of each key
// at a time, so that the records of a key have an order.
type load struct {
	stop context.CancelFunc
	wait sync.WaitGroup
	mu   sync.Mutex
	sent map[string]int // records acked of each key
	err  error
}

const (
	loadWriters = 3
	loadKeys    = 40 // of each writer
)

func startLoad(ctx context.Context, c *client.Client, stream string) *load {
	l := &load{sent: map[string]int{}}
	ctx, l.stop = context.WithCancel(ctx)
	for writer := range loadWriters {
		l.wait.Go(func() {
			if err := l.write(ctx, c, stream, writer); err != nil {
				l.mu.Lock()
				defer l.mu.Unlock()
				l.err = err
			}
		})
	}
	return l
}

func (l *load) write(ctx context.Context, c *client.Client, stream string, writer int) error {
	for n := 0; ctx.Err() == nil; n++ {
		left := make([]*leatv1.PutRecordsRequestEntry, loadKeys)
		for k := range left {
			left[k] = &leatv1.PutRecordsRequestEntry{PartitionKey: fmt.Sprintf("key-%d-%d", writer, k), Data: []byte(strconv.Itoa(n))}
		}
		for tries := 0; len(left) > 0; tries++ {
			// A call that has begun is seen through: whether its records are written must be known.
			answer, err := c.Records.PutRecords(context.WithoutCancel(ctx), &leatv1.PutRecordsRequest{Stream: stream, Records: left})
			if err != nil || tries > 1000 {
				return fmt.Errorf("put %d, try %d: %w", n, tries, err)
			}
			var again []*leatv1.PutRecordsRequestEntry
			for i, r := range answer.Records {
				switch r.ErrorCode {
				case leatv1.PutRecordsErrorCode_PUT_RECORDS_ERROR_CODE_UNSPECIFIED:
				case leatv1.PutRecordsErrorCode_PUT_RECORDS_ERROR_CODE_PROVISIONED_THROUGHPUT_EXCEEDED: // certainly not written
					again = append(again, left[i])
				default:
					return fmt.Errorf("put %d: %s %s", n, r.ErrorCode, r.ErrorMessage)
				}
			}
			left = again
		}
		l.mu.Lock()
		for k := range loadKeys {
			l.sent[fmt.Sprintf("key-%d-%d", writer, k)] = n + 1
		}
		l.mu.Unlock()
	}
	return nil
}

// end stops the load and returns how many records of each key were acked.
func (l *load) end(t *testing.T) map[string]int {
	t.Helper()
	l.stop()
	l.wait.Wait()
	if l.err != nil {
		t.Fatal(l.err)
	}
	return l.sent
}

// TestStreamScalesUnderLoad: a real server splits a stream that takes much, merges it when it rests, and each record is
// where it belongs, once, in order.
func TestStreamScalesUnderLoad(t *testing.T) {
	srv := leattest.Start(t, quick())
	c := dial(t, srv)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	create(ctx, t, c, &leatv1.CreateStreamRequest{Stream: "s"})
	l := startLoad(ctx, c, "s")
	until(ctx, t, c, "s", func(open int) bool { return open == 11 })
	sent := l.end(t)
	until(ctx, t, c, "s", func(open int) bool { return open == leat.DefaultOnDemand })

	shards := map[string]leat.HashKeyRange{}
	parents := 0
	list, err := c.Shards.ListShards(ctx, &leatv1.ListShardsRequest{Stream: "s", PageSize: 10_000})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range list.Shards {
		shards[s.ShardId] = rangeOf(t, s.HashKeyRange)
		if s.ParentShardId != "" {
			parents++
		}
	}
	if parents < 11 {
		t.Errorf("%d shards have parents, of %d: want those of 7 splits and 7 merges", parents, len(shards))
	}
	readBack(ctx, t, c, shards, sent)
	checkEvents(ctx, t, c)
}

// checkEvents reads the log of why, page by page.
func checkEvents(ctx context.Context, t *testing.T, c *client.Client) {
	t.Helper()
	count := map[leatv1.ScaleAction]int{}
	var last time.Time
	req := &leatv1.ListScaleEventsRequest{Stream: "s", PageSize: 4}
	for more := true; more; more = req.PageToken != "" {
		res, err := c.Streams.ListScaleEvents(ctx, req)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range res.Events {
			count[e.Action]++
			if !last.IsZero() && e.Time.AsTime().After(last) || len(e.ShardIds) == 0 || e.Reason == "" {
				t.Errorf("event %v after %v", e, last)
			}
			last = e.Time.AsTime()
		}
		req.PageToken = res.NextPageToken
	}
	splits, merges := count[leatv1.ScaleAction_SCALE_ACTION_SPLIT], count[leatv1.ScaleAction_SCALE_ACTION_MERGE]
	if splits < 7 || merges < 7 || splits != merges {
		t.Errorf("the log has %d splits and %d merges, of a stream that went from 4 shards to 11 and back", splits, merges)
	}
}

// readBack reads the whole stream through parents and children.
func readBack(ctx context.Context, t *testing.T, c *client.Client, shards map[string]leat.HashKeyRange, sent map[string]int) {
	t.Helper()
	r, err := client.NewReader(c, "s", client.TrimHorizon(), client.ReaderOptions{ToPresent: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	got := map[string]int{}
	for rec, err := range r.All(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		if hashes := shards[rec.ShardID]; !hashes.Contains(leat.HashPartitionKey(rec.PartitionKey)) {
			t.Fatalf("record %s of key %s does not belong into %s with %v", rec.Data, rec.PartitionKey, rec.ShardID, hashes)
		}
		if want := strconv.Itoa(got[rec.PartitionKey]); string(rec.Data) != want {
			t.Fatalf("key %s: record %s in %s where %s was to come", rec.PartitionKey, rec.Data, rec.ShardID, want)
		}
		got[rec.PartitionKey]++
	}
	total := 0
	for key, n := range sent {
		if got[key] != n {
			t.Errorf("key %s: %d records were read of %d acked", key, got[key], n)
		}
		total += n
	}
	if len(got) != len(sent) || total == 0 {
		t.Errorf("%d keys were read of %d, %d records", len(got), len(sent), total)
	}
	t.Logf("%d records through %d shards", total, len(shards))
}

// TestScalingOff: with --on-demand-scaling off a stream keeps its shards.
func TestScalingOff(t *testing.T) {
	srv := leattest.Start(t, quick(), leattest.WithConfig(func(c *server.DevConfig) { c.OnDemand = "off" }))
	c := dial(t, srv)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	create(ctx, t, c, &leatv1.CreateStreamRequest{Stream: "s", ShardCount: 1, Mode: leatv1.StreamMode_STREAM_MODE_ON_DEMAND})
	l := startLoad(ctx, c, "s")
	defer l.end(t)
	for end := time.Now().Add(3 * time.Second); time.Now().Before(end); {
		until(ctx, t, c, "s", func(open int) bool {
			if open != 1 {
				t.Fatalf("%d shards are open", open)
			}
			return true
		})
	}
}

// TestProvisionedStreamIsLeftAlone, and follows its load once its mode is changed.
func TestProvisionedStreamIsLeftAlone(t *testing.T) {
	srv := leattest.Start(t, quick())
	c := dial(t, srv)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	create(ctx, t, c, &leatv1.CreateStreamRequest{Stream: "s", ShardCount: 1})
	l := startLoad(ctx, c, "s")
	defer l.end(t)
	for end := time.Now().Add(2 * time.Second); time.Now().Before(end); {
		until(ctx, t, c, "s", func(open int) bool {
			if open != 1 {
				t.Fatalf("%d shards are open", open)
			}
			return true
		})
	}
	if _, err := c.Streams.UpdateStream(ctx, &leatv1.UpdateStreamRequest{Stream: "s", Settings: &leatv1.StreamSettings{Mode: leatv1.StreamMode_STREAM_MODE_ON_DEMAND}}); err != nil {
		t.Fatal(err)
	}
	until(ctx, t, c, "s", func(open int) bool { return open > 1 })
}

// TestMonitoredStreamOnMetrics: /metrics has the series that a stream has chosen, and no others.
func TestMonitoredStreamOnMetrics(t *testing.T) {
	srv := leattest.Start(t)
	c := dial(t, srv)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for _, name := range []string{"watched", "other"} {
		create(ctx, t, c, &leatv1.CreateStreamRequest{Stream: name, ShardCount: 2})
		for i := range 10 {
			if _, err := c.Records.PutRecord(ctx, &leatv1.PutRecordRequest{Stream: name, PartitionKey: "k", Data: make([]byte, 9+i)}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if text := metrics(ctx, t, srv); strings.Contains(text, `stream="`) {
		t.Errorf("nobody asked for series:\n%s", text)
	}
	set := func(r *leatv1.SetStreamMonitoringRequest) {
		t.Helper()
		r.Stream = "watched"
		if _, err := c.Streams.SetStreamMonitoring(ctx, r); err != nil {
			t.Fatal(err)
		}
	}
	chosen := []leatv1.ShardMetric{leatv1.ShardMetric_SHARD_METRIC_INCOMING_BYTES, leatv1.ShardMetric_SHARD_METRIC_INCOMING_RECORDS}
	set(&leatv1.SetStreamMonitoringRequest{Enable: chosen})
	it, err := c.Shards.ListShards(ctx, &leatv1.ListShardsRequest{Stream: "watched"})
	if err != nil {
		t.Fatal(err)
	}
	home, empty := it.Shards[0].ShardId, it.Shards[1].ShardId
	if !rangeOf(t, it.Shards[0].HashKeyRange).Contains(leat.HashPartitionKey("k")) {
		home, empty = empty, home
	}
	text := metrics(ctx, t, srv)
	for _, line := range []string{
		`leat_shard_incoming_bytes_total{account="000000000000",shard="` + home + `",stream="watched"} 145`,
		`leat_shard_incoming_records_total{account="000000000000",shard="` + home + `",stream="watched"} 10`,
		`leat_shard_incoming_records_total{account="000000000000",shard="` + empty + `",stream="watched"} 0`,
		`leat_stream_incoming_bytes_total{account="000000000000",stream="watched"} 145`,
		`leat_stream_incoming_records_total{account="000000000000",stream="watched"} 10`,
	} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("/metrics has no line %s", line)
		}
	}
	for _, not := range []string{`stream="other"`, "leat_shard_outgoing", "leat_stream_outgoing", "iterator_age", "leat_shard_write_throttled", "leat_shard_read_throttled"} {
		if strings.Contains(text, not) {
			t.Errorf("/metrics has %s, which nobody asked for", not)
		}
	}
	set(&leatv1.SetStreamMonitoringRequest{Disable: chosen, Enable: []leatv1.ShardMetric{leatv1.ShardMetric_SHARD_METRIC_ITERATOR_AGE_MILLISECONDS}})
	if text := metrics(ctx, t, srv); strings.Contains(text, "incoming") || !strings.Contains(text, `leat_shard_iterator_age_seconds{account="000000000000",shard="`+home+`",stream="watched"} 0`) {
		t.Errorf("want the iterator's age alone:\n%s", text)
	}
}

func metrics(ctx context.Context, t *testing.T, srv *leattest.Server) string {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, srv.HTTP+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := (&http.Client{Timeout: 10 * time.Second}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatal(res.Status, err)
	}
	return string(text)
}

func dial(t *testing.T, srv *leattest.Server) *client.Client {
	t.Helper()
	c, err := client.Dial(srv.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// create makes a stream and waits until it is ACTIVE.
func create(ctx context.Context, t *testing.T, c *client.Client, req *leatv1.CreateStreamRequest) {
	t.Helper()
	if _, err := c.Streams.CreateStream(ctx, req); err != nil {
		t.Fatal(err)
	}
	until(ctx, t, c, req.Stream, func(int) bool { return true })
}

// until waits until a stream is ACTIVE with a number of open shards.
func until(ctx context.Context, t *testing.T, c *client.Client, stream string, there func(open int) bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		d, err := c.Streams.DescribeStreamSummary(ctx, &leatv1.DescribeStreamSummaryRequest{Stream: stream})
		if err != nil {
			t.Fatal(err)
		}
		if d.Stream.Status == leatv1.StreamStatus_STREAM_STATUS_ACTIVE && there(int(d.Stream.OpenShardCount)) {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("stream %s stays %s with %d open shards", stream, d.Stream.Status, d.Stream.OpenShardCount)
		}
	}
}

func rangeOf(t *testing.T, r *leatv1.HashKeyRange) leat.HashKeyRange {
	t.Helper()
	start, err := leat.ParseHashKey(r.StartingHashKey)
	if err != nil {
		t.Fatal(err)
	}
	end, err := leat.ParseHashKey(r.EndingHashKey)
	if err != nil {
		t.Fatal(err)
	}
	return leat.HashKeyRange{Start: start, End: end}
}
