// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package console_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/leatstream/leat/api/client"
	leatv1 "github.com/leatstream/leat/api/leat/v1"
	"github.com/leatstream/leat/api/leattest"
)

// world is a server with streams in all states and traffic on some of them.
type world struct {
	*leattest.Server
	client *client.Client
}

func newWorld(t *testing.T) *world {
	t.Helper()
	srv := leattest.Start(t)
	c, err := client.Dial(srv.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return &world{srv, c}
}

func (w *world) create(t *testing.T, name string, shards int32) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, err := w.client.Streams.CreateStream(ctx, &leatv1.CreateStreamRequest{Stream: name, ShardCount: shards, Tags: map[string]string{"team": "payments", "env": "prod"}}); err != nil {
		t.Fatal(err)
	}
	w.active(t, name)
}

func (w *world) active(t *testing.T, name string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		res, err := w.client.Streams.DescribeStreamSummary(ctx, &leatv1.DescribeStreamSummaryRequest{Stream: name})
		if err != nil {
			t.Fatal(err)
		}
		if res.GetStream().GetStatus() == leatv1.StreamStatus_STREAM_STATUS_ACTIVE {
			return
		}
		<-tick.C
	}
}

// put puts n records at once.
func (w *world) put(ctx context.Context, stream string, n int) error {
	req := &leatv1.PutRecordsRequest{Stream: stream}
	for range n {
		key := fmt.Sprintf("customer-%03d", rand.IntN(300))
		if rand.IntN(4) == 0 {
			key = "customer-042"
		}
		req.Records = append(req.Records, &leatv1.PutRecordsRequestEntry{PartitionKey: key,
			Data: fmt.Appendf(nil, `{"order":"ord_%08x","customer":%q,"status":"paid","total":%d.%02d,"currency":"EUR","items":[{"sku":"SKU-%04d","quantity":%d}]}`, rand.Uint32(), key, rand.IntN(400), rand.IntN(100), rand.IntN(2000), 1+rand.IntN(4))})
	}
	_, err := w.client.Records.PutRecords(ctx, req)
	return err
}

// flow puts records until the test ends.
func (w *world) flow(t *testing.T, stream string, n int, every time.Duration) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				if err := w.put(ctx, stream, n+rand.IntN(n)); err != nil && ctx.Err() == nil {
					t.Errorf("put into %s: %v", stream, err)
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	t.Cleanup(func() { cancel(); <-done })
}

func TestEmptyConsole(t *testing.T) {
	w := newWorld(t)
	b := newBrowser(t, w.HTTP)
	each(t, func(t *testing.T, width int64, theme, suffix string) {
		b.t = t
		b.view(width, theme)
		b.open("/console")
		b.wants("No streams yet", "Start a sample stream")
		b.fits()
		b.accessible()
		b.shot("empty-" + suffix)
		b.quiet()
	})
	b.t = t
	b.press("form[action='/console/sample'] button")
	b.wants("sample-orders", "active", "The sample stream was created")
	b.until("the load is shown", `!document.querySelector(".tiles b").innerText.startsWith("0")`)
	b.quiet()
}

func TestWalk(t *testing.T) {
	w := newWorld(t)
	for name, shards := range map[string]int32{"orders": 4, "clicks": 8, "payments.eu": 2, "audit-log": 1, "iot-telemetry": 6} {
		w.create(t, name, shards)
	}
	w.flow(t, "orders", 40, 100*time.Millisecond)
	w.flow(t, "clicks", 120, 100*time.Millisecond)
	w.flow(t, "iot-telemetry", 15, 150*time.Millisecond)
	b := newBrowser(t, w.HTTP)
	// Split two shards of clicks and merge two, as people do.
	for _, shard := range []string{"2", "5"} {
		b.open("/console/streams/clicks/shards/" + shard)
		b.press("#split button")
		b.wants("The split is under way")
		w.active(t, "clicks")
	}
	b.open("/console/streams/clicks/shards/1")
	b.press("button[name=with]")
	b.wants("The merge is under way")
	w.active(t, "clicks")
	b.open("/console/streams/orders")
	b.until("a step of load is over", `Array.from(document.querySelectorAll("#load td:nth-child(2)")).some(e => Number(e.dataset.v) > 0)`)

	each(t, func(t *testing.T, width int64, theme, suffix string) {
		b.t = t
		b.view(width, theme)
		for _, p := range []struct {
			name, path string
			wants      []string
		}{
			{"streams", "/console/streams", []string{"orders", "clicks", "payments.eu", "5 streams", "22 open shards"}},
			{"no-match", "/console/streams?q=nothing", []string{"Nothing is called that"}},
			{"new-stream", "/console/streams/new", []string{"On demand", "Provisioned", "Create stream"}},
			{"overview", "/console/streams/orders", []string{"Records in", "arn:aws:kinesis", "team=payments", "4 open shards"}},
			{"shards", "/console/streams/orders/shards", []string{"4 open shards by hash range", "Splits and merges", "customer-042", "shardId-000000000003"}},
			{"shards-resharded", "/console/streams/clicks/shards?heat=records", []string{"Splits and merges", "closed"}},
			{"shard", "/console/streams/orders/shards/0", []string{"Hash range", "Split this shard", "epoch 1"}},
			{"scaling", "/console/streams/orders/scaling", []string{"Nothing was scaled yet"}},
			{"settings", "/console/streams/orders/settings", []string{"Encryption at rest", "Delete this stream"}},
			{"delete", "/console/streams/orders/delete", []string{"Delete orders?", "Nobody can bring them back"}},
			{"search", "/console/search?q=or", []string{"orders"}},
			{"error", "/console/streams/no-such-stream", []string{"404", "Not found", "no-such-stream"}},
		} {
			b.open(p.path)
			b.wants(p.wants...)
			b.fits()
			b.accessible()
			b.shot(p.name + "-" + suffix)
			b.quiet("status of 404")
		}
	})
}
