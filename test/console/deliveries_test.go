// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package console_test

import (
	"context"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	leatv1 "github.com/leatstream/leat/api/leat/v1"
	"github.com/leatstream/leat/internal/s3test"
)

// deliver makes a delivery stream of a stream into a bucket of a real object store, as JSON lines, a second after its
// records.
func (w *world) deliver(t *testing.T, name, stream string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	store := s3test.Start(t)
	_, err := w.client.Delivery.CreateDelivery(ctx, &leatv1.CreateDeliveryRequest{Delivery: name, Config: &leatv1.DeliveryConfig{
		Source: &leatv1.DeliverySource{Stream: stream}, Buffer: &leatv1.DeliveryBuffer{Bytes: 1 << 20, Seconds: 1},
		Format: &leatv1.DeliveryFormat{Kind: leatv1.DeliveryFormatKind_DELIVERY_FORMAT_KIND_JSON_LINES}, Naming: &leatv1.DeliveryNaming{Prefix: "lake/"},
		S3: &leatv1.DeliveryS3{Bucket: store.Bucket(t), Endpoint: "http://" + store.Endpoint, Region: store.Region, AccessKey: store.AccessKey, SecretKey: store.SecretKey},
	}, Tags: map[string]string{"team": "lake"}})
	if err != nil {
		t.Fatal(err)
	}
}

// stuck makes a delivery stream whose destination does not answer.
func (w *world) stuck(t *testing.T, name, stream string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_, err := w.client.Delivery.CreateDelivery(ctx, &leatv1.CreateDeliveryRequest{Delivery: name, Config: &leatv1.DeliveryConfig{
		Source: &leatv1.DeliverySource{Stream: stream}, Buffer: &leatv1.DeliveryBuffer{Bytes: 1 << 20, Seconds: 1},
		S3: &leatv1.DeliveryS3{Bucket: "nowhere", Endpoint: "http://127.0.0.1:1", AccessKey: "k", SecretKey: "secretsecret"},
	}})
	if err != nil {
		t.Fatal(err)
	}
}

// until asks for a page until it says something.
func (v *visitor) until(path, text string) page {
	v.t.Helper()
	ctx, cancel := context.WithTimeout(v.t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		p := v.get(path)
		if strings.Contains(p.body, text) {
			return p
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			v.t.Fatalf("%s never says %q:\n%.3000s", path, text, p.body)
		}
	}
}

func TestDeliveries(t *testing.T) {
	w := newWorld(t)
	v := newVisitor(t, w.HTTP)
	v.get("/console/deliveries").is(t, 200, "No deliveries yet", "leat delivery create NAME")
	v.get("/console/deliveries/none").is(t, 404, "Delivery stream none under account")
	w.create(t, "orders", 1)
	w.putOne(t, "orders", "k", []byte(`{"a":1}`))
	w.putOne(t, "orders", hostile, []byte(hostile)) // no JSON: it goes to the error prefix
	w.deliver(t, "lake", "orders")
	w.stuck(t, "stuck", "orders")

	const at = "/console/deliveries/lake"
	v.until(at, "what failed").is(t, 200, "lake/", "0 to 2", "team=lake", "json lines", "1.00 MiB", `href="/console/streams/orders"`)
	v.get("/console/deliveries").is(t, 200, `href="/console/deliveries/lake"`, "s3://", `href="/console/deliveries/stuck"`)
	v.until("/console/deliveries/stuck", "shard 0 waits since").is(t, 200, "connection refused", "waiting")
	if got := v.get("/console/deliveries/stuck").body; strings.Contains(got, "secretsecret") {
		t.Error("the page tells a secret")
	}
	v.get(at+"/objects").is(t, 200, "what failed", "records</td>")
	v.get(at+"/errors").is(t, 200, "what failed")
	one := v.get(v.link(at+"/errors", at+"/errors/"))
	one.is(t, 200, "&lt;script&gt;", `href="/console/streams/orders/data/0/`)
	if strings.Contains(one.body, "<script>window") || strings.Contains(one.body, "<img") {
		t.Error("what failed is markup on the page")
	}
	v.get(at+"/errors/1.none.0").is(t, 404, "no such object")
	v.get(at+"/errors/words").is(t, 400, "is no place of an object")
	v.get("/console/deliveries/stuck/errors").is(t, 200, "Nothing failed")

	v.send(at, at+"/state", url.Values{"do": {"pause"}}).is(t, 200, "The delivery is paused", "Resume")
	v.send(at, at+"/state", url.Values{"do": {"resume"}}).is(t, 200, "The delivery goes on", "Pause")
	v.send(at, at+"/verify", url.Values{}).is(t, 200, "clean", "In exactly one object")
	v.send(at, at+"/backfill", url.Values{"from": {hostile}}).is(t, 400, "is no time such as", "&lt;script&gt;")
	v.send(at, at+"/backfill", url.Values{"from": {"2020-01-01"}, "to": {"2019-01-01"}}).is(t, 400, "from must be before to", `value="2019-01-01"`)
	v.send(at, at+"/backfill", url.Values{"from": {"2020-01-01"}, "prefix": {"again/"}}).is(t, 200, "The backfill has begun", "again/")
	id := regexp.MustCompile(`<option value="([0-9a-f]{12})"`).FindStringSubmatch(v.until(at, "2 of 2").body)
	if id == nil {
		t.Fatal("the backfill cannot be verified")
	}
	v.send(at, at+"/verify", url.Values{"backfill": {id[1]}, "deep": {"yes"}}).is(t, 200, "backfill "+id[1], "clean")
}
