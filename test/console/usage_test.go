// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package console_test

import (
	"context"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/leatstream/leat/api/client"
	leatv1 "github.com/leatstream/leat/api/leat/v1"
	"github.com/leatstream/leat/internal/sqldb"
	"github.com/leatstream/leat/server"
	"github.com/leatstream/leat/shardstore/wal"
)

// book writes hours of a stream into the ledger, as if the server had run long ago: two days of last month, and what of the
// last three days is in this one: nothing in this month's first hour, which present tells. The server is started anew.
func (w *world) book(t *testing.T, stream string) (id string, present bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	d, err := w.client.Streams.DescribeStreamSummary(ctx, &leatv1.DescribeStreamSummaryRequest{Stream: stream})
	if err != nil {
		t.Fatal(err)
	}
	id = d.GetStream().GetId()
	if err := w.Stop(); err != nil {
		t.Fatal(err)
	}
	local, err := server.OpenLocal(ctx, w.Dir, wal.FilesOptions{})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().UTC().Truncate(time.Hour)
	month := time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, time.UTC)
	var hours []time.Time
	for h := range 48 {
		hours = append(hours, month.AddDate(0, -1, 0).Add(time.Duration(h)*time.Hour))
	}
	for at := now.Add(-72 * time.Hour); at.Before(now); at = at.Add(time.Hour) {
		if !at.Before(month) {
			hours, present = append(hours, at), true
		}
	}
	err = local.DB.Tx(ctx, func(tx *sqldb.Tx) error {
		for i, at := range hours {
			if _, err := tx.Exec(`
INSERT INTO billing_ledger (stream, hour, mode, seq, account, booked, put_records, put_bytes, put_units, storage_day, storage_week, storage_long, shard_hours, shard_extended_hours,
	stream_hours, consumer_hours, consumer_shard_hours, read_records, read_bytes, push_records, push_bytes, delivery_records, delivery_bytes, delivery_rounded_bytes,
	delivery_converted_bytes, delivery_partitioned_bytes, delivery_objects)
VALUES ($1, $2, 'PROVISIONED', 7, '000000000000', $2, $3, $4, $3, 0, 0, 0, $5, 0, $6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)`,
				id, at, int64(1_000_000), int64(1<<30+(i%24)<<24), int64(4*3600*1e6), int64(3600*1e6)); err != nil {
				return err
			}
		}
		_, err := tx.Exec("UPDATE billing_state SET booked = $1 WHERE one = 1", now)
		return err
	})
	if err == nil {
		err = local.Close()
	}
	if err == nil {
		err = w.Restart()
	}
	if err != nil {
		t.Fatal(err)
	}
	if w.client, err = client.Dial(w.Endpoint); err != nil {
		t.Fatal(err)
	}
	cl := w.client
	t.Cleanup(func() { _ = cl.Close() })
	return id, present
}

func lastMonth() string {
	now := time.Now().UTC()
	return time.Date(now.Year(), now.Month()-1, 1, 0, 0, 0, 0, time.UTC).Format("2006-01")
}

func TestUsage(t *testing.T) {
	w := newWorld(t)
	w.create(t, "orders", 4)
	v := newVisitor(t, w.HTTP)
	v.get("/console/usage").is(t, 200, "Nothing of this is booked", "0.00 credits", "No budgets")
	early := url.Values{"name": {"early"}, "amount": {"1"}, "stream": {"orders"}}
	v.send("/console/usage", "/console/usage/budgets", early).is(t, 200, "Nothing of this is booked", "<td>orders</td>")
	v.send("/console/usage", "/console/usage/budgets", url.Values{"delete": {"early"}}).is(t, 200, "No budgets")
	id, present := w.book(t, "orders")
	v = newVisitor(t, w.HTTP)
	month := lastMonth()
	at := "/console/usage?month=" + month

	// Two days of 24 GiB and (0+…+23)·16 MiB each; shard hours at 0.01 and GB at 1.
	v.get(at).is(t, 200, month, "56.6 GiB", "By stream", "orders", `data-v="30400315392"`, "aws-kinesis: PUT payload units", "credits")
	v.get(at+"&meter=shard.hours").is(t, 200, "192 h", `data-v="96"`)
	v.get(at+"&meter=put.records&stream="+id).is(t, 200, "48,000,000", `data-v="24000000"`)
	v.get(at+"&stream="+strings.Repeat("0", 31)+"1").is(t, 200, "Nothing of this is booked")
	v.get(at+"&meter=nothing").is(t, 400, "There is no dimension")
	v.get("/console/usage?month="+url.QueryEscape(hostile)).is(t, 400, "&lt;script&gt;", "is not a month")
	v.get("/console/usage?stream="+url.QueryEscape(hostile)).is(t, 400, "is no id of a stream")
	v.get("/console/usage/hours/"+id+"?month="+month).is(t, 200, "In all", "Shard hours", "192 h", month+"-01 00:00:00")

	// At 0.01 a shard hour and 1 a GB of what was put: 1.92 + 60.80 credits.
	v.get("/console/usage/invoices/"+month).is(t, 200, "62.72 credits", "What each stream made", "orders", "Open shards", "shards</td>")
	for format, begins := range map[string]string{"pdf": "%PDF-1.", "csv": "account,month,", "focus": "BilledCost,", "json": "{\n"} {
		p := v.get("/console/usage/invoices/" + month + "/file?format=" + format)
		p.is(t, 200)
		if !strings.HasPrefix(p.body, begins) || !strings.HasPrefix(p.Header.Get("Content-Disposition"), "attachment") {
			t.Errorf("%s begins %.40q, %s", format, p.body, p.Header.Get("Content-Disposition"))
		}
	}
	v.get("/console/usage/invoices/"+month+"/file?format=exe").is(t, 400, "is not known")

	if present {
		w.costs(t, v, id)
	} else {
		v.get("/console/usage").is(t, 200, "Nothing of this is booked")
	}

	const budgets = "/console/usage/budgets"
	form := func(name, amount string) url.Values {
		return url.Values{"name": {name}, "amount": {amount}, "thresholds": {"50, 100"}, "forecasts": {"100"}, "throttle": {"yes"}, "stream": {"orders"}}
	}
	v.send("/console/usage", budgets, form(hostile, "1")).is(t, 400, "must be 1 to 64 letters", "&lt;script&gt;")
	v.send("/console/usage", budgets, form("b", "words")).is(t, 400, "is no amount", `value="words"`)
	v.send("/console/usage", budgets, form("b", "1000000")).is(t, 200, "The budget is made", "1,000,000.00 credits", "50, 100 %, forecast 100 %", "orders", "refused")
	v.send("/console/usage", budgets, form("b", "2")).is(t, 409, "There is a budget b already")
	v.send("/console/usage", budgets, url.Values{"delete": {"b"}}).is(t, 200, "The budget is gone", "No budgets")
	v.send("/console/usage", budgets, url.Values{"delete": {"none"}}).is(t, 404, "not found")

	// Two shards for a month of 30 or 31 days, and nothing else.
	e := v.get("/console/estimate?mode=PROVISIONED&shards=2&retention=24&rate=0&size=1024")
	now := time.Now().UTC()
	days := time.Date(now.Year(), now.Month()+1, 0, 0, 0, 0, 0, time.UTC).Day()
	e.is(t, 200, fmt.Sprintf("%.2f credits", float64(days*24*2)*0.01), fmt.Sprintf("%.2f USD", float64(days*24*2)*0.015))
	v.get("/console/estimate?rate="+url.QueryEscape(hostile)).is(t, 400, "is not a whole number", "&lt;script&gt;")
	part := v.get("/console/estimate?mode=ON_DEMAND&rate=5000&size=1000", header("HX-Request", "true"), header("HX-Target", "estimate"))
	part.is(t, 200, "6 shards as the load needs")
	if strings.Contains(part.body, "<html") {
		t.Error("a part of a page is a whole page")
	}
	v.get("/console/streams/new").is(t, 200, "What it would cost")
}

// costs shows that the list of streams has what this month's page has of orders.
func (w *world) costs(t *testing.T, v *visitor, id string) {
	t.Helper()
	cost := regexp.MustCompile(`>orders</a></th>.*?<td class="n">([0-9.,]+ credits)</td>`).FindStringSubmatch(v.get("/console/usage").body)
	if cost == nil {
		t.Fatalf("this month has no cost of orders:\n%s", v.get("/console/usage").body)
	}
	v.until("/console/streams", ">"+cost[1]+"</a>").is(t, 200, "Cost this month", "Most cost", "/console/usage?stream="+id)
	w.create(t, "alpha", 1)
	if list := v.get("/console/streams?sort=cost").body; strings.Index(list, "/streams/orders") > strings.Index(list, "/streams/alpha") {
		t.Error("a stream without cost comes before one that has some")
	}
}
