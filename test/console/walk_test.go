// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package console_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/url"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

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
	w.book(t, "orders")
	w.roles(t, "orders")
	w.deliver(t, "lake", "orders")
	w.stuck(t, "stuck", "clicks")
	w.putOne(t, "orders", hostile, []byte(hostile)) // no JSON: the delivery fails on it
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
	v := newVisitor(t, w.HTTP)
	v.send("/console/streams/orders/consumers", "/console/streams/orders/consumers", url.Values{"name": {"billing"}}).is(t, 200)
	v.send("/console/keys", "/console/keys", url.Values{"do": {"create"}, "name": {"orders-writer"}}).is(t, 200)
	// What was delivered, and what failed; a budget, and what the log has of it.
	v.until("/console/deliveries/lake/errors", "what failed")
	v.send("/console/deliveries/lake", "/console/deliveries/lake/backfill", url.Values{"from": {"2020-01-01"}, "prefix": {"again/"}}).is(t, 200)
	failed := v.link("/console/deliveries/lake/errors", "/console/deliveries/lake/errors/")
	v.send("/console/usage", "/console/usage/budgets", url.Values{"name": {"all"}, "amount": {"20000"}, "thresholds": {"80"}}).is(t, 200)
	event := v.link("/console/audit?operation=PutBudget", "/console/audit/events/")
	later := map[string]bool{"deliveries": true, "delivery": true, "delivery-errors": true, "usage": true, "invoice": true, "audit": true, "audit-event": true, "access": true, "roles": true}
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
			{"data", "/console/streams/orders/data", []string{"customer-", "JSON", "looked at"}},
			{"data-filtered", "/console/streams/orders/data?from=oldest&key=customer-042&jq=.total+%3E+100", []string{"customer-042", "left out"}},
			{"tail", "/console/streams/orders/tail", []string{"A sample of up to 20 records a second"}},
			{"consumers", "/console/streams/orders/consumers", []string{"billing", "Until records are lost"}},
			{"health", "/console/health", []string{"Error budget used", "Log flush", "99 % within"}},
			{"nodes", "/console/nodes", []string{"dev", "leader"}},
			{"keys", "/console/keys", []string{"orders-writer", "active"}},
			{"scaling", "/console/streams/orders/scaling", []string{"Nothing was scaled yet"}},
			{"settings", "/console/streams/orders/settings", []string{"Encryption at rest", "Delete this stream"}},
			{"delete", "/console/streams/orders/delete", []string{"Delete orders?", "Nobody can bring them back"}},
			{"search", "/console/search?q=or", []string{"orders"}},
			{"error", "/console/streams/no-such-stream", []string{"404", "Not found", "no-such-stream"}},
			{"deliveries", "/console/deliveries", []string{"lake", "stuck", "waiting", "s3://"}},
			{"delivery", "/console/deliveries/lake", []string{"Last objects", "Backfills", "Verify", "again/"}},
			{"delivery-errors", failed, []string{"not JSON", "window.pwned=1"}},
			{"usage", "/console/usage?month=" + lastMonth(), []string{"56.6 GiB", "The same use at AWS", "Budgets", "20,000.00 credits"}},
			{"invoice", "/console/usage/invoices/" + lastMonth(), []string{"62.72 credits", "What each stream made"}},
			{"audit", "/console/audit?changes=yes", []string{"PutResourcePolicy", "stream/orders", "Save as JSON lines"}},
			{"audit-event", event, []string{"What it changed", "Before", "20000"}},
			{"access", "/console/streams/orders/access", []string{"Who can read, write and subscribe to this?", "PutRecord alone", "222222222222"}},
			{"roles", "/console/roles", []string{"reader", "a putter"}},
		} {
			if later[p.name] && suffix != "light-1440" && suffix != "dark-390" {
				continue // each width and each theme once is enough for what is the same in both
			}
			b.open(p.path)
			if p.name == "tail" {
				b.until("records arrive", `document.querySelectorAll("#tail-rows tr").length > 3`)
			}
			if p.name == "usage" {
				b.until("the chart is drawn", `document.querySelector(".chart canvas") !== null`)
			}
			b.wants(p.wants...)
			b.fits()
			b.accessible()
			b.shot(p.name + "-" + suffix)
			b.quiet("status of 404")
		}
	})
}

// What people put can be anything. None of it runs, in any page that shows it.
func TestNothingRuns(t *testing.T) {
	w := newWorld(t)
	w.create(t, "orders", 1)
	w.putOne(t, "orders", hostile, []byte(hostile))
	b := newBrowser(t, w.HTTP)
	b.view(1440, "light")
	link := ""
	for _, path := range []string{
		"/console/streams/orders/data", "record", "/console/streams/orders/shards", "/console/streams/orders/shards/0",
		"/console/streams/orders/data?jq=" + url.QueryEscape(hostile), "/console/search?q=" + url.QueryEscape(hostile), "/console/streams?q=" + url.QueryEscape(hostile),
		"/console/streams/orders/data?key=" + url.QueryEscape(hostile), "/console/" + url.PathEscape(hostile), "/console/streams/orders?done=" + url.QueryEscape(hostile),
	} {
		if path == "record" {
			path = link
		}
		b.open(path)
		if path == "/console/streams/orders/data" {
			b.wants("window.pwned=1")
			link = b.script(`new URL(document.querySelector(".records a").href).pathname`)
		}
		if b.script("typeof window.pwned") != "undefined" {
			t.Errorf("%s runs what was put", path)
		}
		if n := b.script(`document.querySelectorAll("main script, main img").length`); n != "0" {
			t.Errorf("%s has %s elements that were put", path, n)
		}
	}
	// In a live tail too.
	b.open("/console/streams/orders/tail")
	b.until("it follows", `document.querySelector("#tail-state") !== null`)
	w.flow(t, "orders", 1, 200*time.Millisecond)
	b.until("records arrive", `document.querySelectorAll("#tail-rows tr").length > 0`)
	w.putOne(t, "orders", hostile, []byte(hostile))
	b.until("the hostile one arrives", `document.querySelector("#tail-rows").innerText.includes("pwned")`)
	if b.script("typeof window.pwned") != "undefined" || b.script(`document.querySelectorAll("#tail-rows script, #tail-rows img").length`) != "0" {
		t.Error("the live tail runs what was put")
	}
	b.quiet("status of 404", "status of 400")
}

// Keys do what the mouse does.
func TestKeys(t *testing.T) {
	w := newWorld(t)
	w.create(t, "alpha", 1)
	w.create(t, "beta", 1)
	b := newBrowser(t, w.HTTP)
	b.view(1440, "dark")
	b.open("/console/streams")
	b.do("down", chromedp.KeyEvent("j"), chromedp.KeyEvent("j"))
	if got := b.script("document.activeElement.innerText"); got != "beta" {
		t.Errorf("after two steps down %q has the focus", got)
	}
	b.do("search", chromedp.KeyEvent("/"))
	if got := b.script("document.activeElement.name"); got != "q" {
		t.Errorf("a slash goes to %q", got)
	}
	b.do("palette", chromedp.KeyEvent("k", chromedp.KeyModifiers(chromedp.ModifierCtrl)))
	b.until("the palette opens", `document.querySelector("#palette").open`)
	b.do("type", chromedp.KeyEvent("bet"))
	b.until("it finds", `document.querySelector("#hits a.on")?.innerText.includes("beta")`)
	b.accessible()
	b.shot("palette")
	b.do("go", chromedp.KeyEvent("\r"))
	b.until("the stream's page", `location.pathname === "/console/streams/beta"`)
	b.quiet()
}
