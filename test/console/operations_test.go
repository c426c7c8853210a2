// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package console_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	leatv1 "github.com/leatstream/leat/api/leat/v1"
)

func TestConsumers(t *testing.T) {
	w := newWorld(t)
	w.create(t, "orders", 1)
	v := newVisitor(t, w.HTTP)
	const at = "/console/streams/orders/consumers"
	v.get(at).is(t, 200, "No consumers")
	v.send(at, at, url.Values{"name": {"no good"}}).is(t, 400, "consumer name")
	v.send(at, at, url.Values{"name": {"billing"}}).is(t, 200, "The consumer is registered", "billing", "No subscription was made since the nodes started")

	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for i := range 5 {
		w.putOne(t, "orders", "k", fmt.Appendf(nil, "%d", i))
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for { // a new consumer is CREATING for a moment
		sub, err := w.client.Records.SubscribeToShard(ctx, &leatv1.SubscribeToShardRequest{
			Stream: "orders", Consumer: "billing", ShardId: "0", Start: &leatv1.StartingPosition{Type: leatv1.StartingPositionType_STARTING_POSITION_TYPE_TRIM_HORIZON},
		})
		if err == nil {
			if _, err = sub.Recv(); err == nil {
				break
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal(err)
		}
	}
	v.get(at).is(t, 200, "By shard", "Until records are lost", "24 h")
	for !strings.Contains(v.get(at).body, "<b>1</b>") { // the subscription is open; it is known after its first event
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal("the subscription is not shown")
		}
	}
	v.send(at, at, url.Values{"remove": {"billing"}}).is(t, 200, "The consumer is gone", "No consumers")
}

// readBehind reads one record of a stream that has more.
func (w *world) readBehind(t *testing.T, stream string) {
	t.Helper()
	for range 3 {
		w.putOne(t, stream, "k", []byte("x"))
	}
	it, err := w.client.Records.GetShardIterator(t.Context(), &leatv1.GetShardIteratorRequest{
		Stream: stream, ShardId: "0", Start: &leatv1.StartingPosition{Type: leatv1.StartingPositionType_STARTING_POSITION_TYPE_TRIM_HORIZON},
	})
	if err == nil {
		_, err = w.client.Records.GetRecords(t.Context(), &leatv1.GetRecordsRequest{ShardIterator: it.GetShardIterator(), Limit: 1})
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestNodesAndKeys(t *testing.T) {
	w := newWorld(t)
	v := newVisitor(t, w.HTTP)
	v.get("/console/nodes").is(t, 200, "dev", "live", "leader")
	w.create(t, "orders", 1)
	w.putOne(t, "orders", "k", []byte("x"))
	v.get("/console/health").is(t, 200, "Records put are acknowledged", "100.000 %", "Log flush", "Reads are answered within 1 s", "delivered before they expire", "Nobody is behind")
	// What a node takes in is what its session tells with its heartbeats.
	took := regexp.MustCompile(`<td class="n">[1-9][0-9.,]* (?:[KM]i)?B/s</td><td class="n">[1-9][0-9.,]*/s</td>`)
	limit := time.Now().Add(patience)
	for !took.MatchString(v.get("/console/nodes").body) {
		if time.Now().After(limit) {
			t.Fatalf("records flow, and the node says that it takes nothing:\n%s", v.get("/console/nodes").body)
		}
		if err := w.put(t.Context(), "orders", 200); err != nil {
			t.Fatal(err)
		}
	}
	// To look at old records is not to read: nobody is behind for it, and nothing went out.
	v.get("/console/streams/orders/data?from=oldest").is(t, 200, "looked at")
	v.get("/console/health").is(t, 200, "Nobody is behind")
	v.get("/console/streams/orders/shards/0").is(t, 200, "dev, session", "<span>Bytes out</span><b>0 B/s</b>")
	w.readBehind(t, "orders")
	v.get("/console/health").is(t, 200, "readers of", "orders, shard 0", "Time until records are lost")
	const at = "/console/keys"
	v.get(at).is(t, 200, "No access keys")
	made := v.send(at, at, url.Values{"do": {"create"}, "name": {"orders-writer"}})
	made.is(t, 200, "The secret is shown this once", "AWS_SECRET_ACCESS_KEY=", "orders-writer")
	id := regexp.MustCompile(`AWS_ACCESS_KEY_ID=([A-Z0-9]+)`).FindStringSubmatch(made.body)[1]
	if again := v.get(at); strings.Contains(again.body, "SECRET_ACCESS_KEY=") || !strings.Contains(again.body, id) {
		t.Error("the page has a secret a second time, or not the key")
	}
	v.send(at, at, url.Values{"do": {"create"}, "name": {hostile}}).is(t, 400, "&lt;script&gt;")
	v.send(at, at, url.Values{"do": {"disable"}, "id": {id}}).is(t, 200, "disabled", "for good")
	v.send(at, at, url.Values{"do": {"delete"}, "id": {id}}).is(t, 400, "Tick")
	v.send(at, at, url.Values{"do": {"enable"}, "id": {id}}).is(t, 200, "active")
	v.send(at, at, url.Values{"do": {"delete"}, "id": {id}, "confirm": {"yes"}}).is(t, 200, "No access keys")
}

func TestShards(t *testing.T) {
	w := newWorld(t)
	w.create(t, "orders", 2)
	v := newVisitor(t, w.HTTP)
	const at = "/console/streams/orders/shards"
	v.get(at).is(t, 200, "2 open shards by hash range", "shardId-000000000001")
	v.send(at+"/0", at+"/0/split", url.Values{"at": {"1"}}).is(t, 400, `class="problem"`, `value="1"`)
	v.send(at+"/0", at+"/0/split", url.Values{"at": {"words"}}).is(t, 400, "is not a decimal number")
	v.send(at+"/0", at+"/0/split", url.Values{"at": {"1000000"}}).is(t, 200, "The split is under way")
	w.active(t, "orders")
	v.get(at+"/2").is(t, 200, "shardId-000000000000", "999999")
	v.get(at+"/0").is(t, 200, "closed", "shardId-000000000002", "shardId-000000000003")
	v.get(at+"/99").is(t, 404, "does not exist")
	v.send(at+"/3", at+"/3/merge", url.Values{"side": {"above"}, "with": {"2"}}).is(t, 400, `class="problem"`)
	v.send(at+"/3", at+"/3/merge", url.Values{"side": {"below"}, "with": {"2"}}).is(t, 200, "The merge is under way")
	w.active(t, "orders")
	v.get(at+"?state=open").is(t, 200, "shard 2 + shard 3")
}

// What the console promises of its speed: docs/performance.md.
func TestFast(t *testing.T) {
	w := newWorld(t)
	for i := range 60 {
		w.create(t, fmt.Sprintf("stream-%02d", i), 2)
	}
	w.create(t, "wide", 5000)
	v := newVisitor(t, w.HTTP)
	fastest := func(path string) time.Duration {
		best := time.Hour
		for range 10 {
			began := time.Now()
			v.get(path).is(t, 200)
			best = min(best, time.Since(began))
		}
		return best
	}
	if took := fastest("/console/streams"); took > 100*time.Millisecond {
		t.Errorf("the first page takes %s", took)
	} else {
		t.Logf("the first page, of 61 streams, takes %s", took)
	}
	if took := fastest("/console/streams/wide/shards"); took > time.Second {
		t.Errorf("5,000 shards take %s", took)
	} else {
		t.Logf("5,000 shards take %s", took)
	}
	// Over the wire, with everything that the page loads, as a browser asks for it.
	wire := func(path string) int {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.HTTP+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Accept-Encoding", "gzip")
		res, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		n, err := io.Copy(io.Discard, res.Body)
		if err != nil || res.StatusCode != 200 {
			t.Fatalf("%s: %v %v", path, res.Status, err)
		}
		return int(n)
	}
	const first = "/console/streams"
	total := wire(first)
	loads := regexp.MustCompile(`(?:href|src)="(/console/static/[^"]+)"`)
	seen := map[string]bool{}
	for _, m := range loads.FindAllStringSubmatch(v.get(first).body, -1) {
		if !seen[m[1]] {
			seen[m[1]] = true
			total += wire(m[1])
		}
	}
	t.Logf("the first page and its %d files are %d bytes", len(seen), total)
	if total > 150_000 || len(seen) < 4 {
		t.Errorf("the first page and its %d files are %d bytes", len(seen), total)
	}
	t.Logf("the page of 5,000 shards is %d bytes", wire("/console/streams/wide/shards"))
}
