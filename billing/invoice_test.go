// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package billing_test

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/billing"
	"github.com/leatstream/leat/billing/rating"
	"github.com/leatstream/leat/server/catalog"
)

const shortBook = `
book: short
currency: EUR
prices:
  - effective: 2026-01-01
    items:
      - {name: units, meter: put.units, unit: one, tiers: [{up_to: 15, price: 1}, {price: 0.5}]}
      - {name: shards, meter: shard.hours, unit: hour, price: 0.01}
`

// An invoice is closed once, after its time of grace, and never changes. What comes to light of its month afterwards is a line of the next open
// invoice, by tier and price of the month it belongs to, once.
//
// November: a shard for 720 hours, 7.20. 10 units on the 5th, 10.00. Closed: 17.20. Then 8 more units of the 5th are registered: 5 of them complete
// the first tier of 15 and 3 are the second's: 5 + 1.5 = 6.50 on December's invoice; 4 units more after that: 2.00, on the same one while it is open. December: a
// shard for 744 hours, 7.44; a credit of 3.
func TestCloseAndCorrect(t *testing.T) {
	onBoth(t, shortBook, func(r *rig) {
		ctx := r.t.Context()
		id := r.stream(orders, "orders", leat.ModeProvisioned, 1)
		r.put(id, 0, "2026-11-05 10:00", 10, 100, 10)
		r.at("2026-12-01 00:20")
		r.book()
		closes := func(month string, early bool, kind leat.Kind) {
			r.t.Helper()
			if _, err := r.bill.Close(ctx, orders, month, early); leat.KindOf(err) != kind {
				r.t.Errorf("close %s: %v", month, err)
			}
		}
		closes("2026-11", false, leat.KindInUse) // the time of grace
		closes("2026-12", true, leat.KindInUse)  // not over
		if n, err := r.bill.CloseDue(ctx); n != 0 || err != nil {
			r.t.Errorf("%d closed: %v", n, err)
		}
		r.at("2026-12-04 00:01")
		r.book()
		r.lose = true
		if _, err := r.bill.Close(ctx, orders, "2026-11", false); err == nil {
			r.t.Error("a lost answer was none")
		}
		if n, err := r.bill.CloseDue(ctx); n != 0 || err != nil {
			r.t.Errorf("%d closed again: %v", n, err)
		}
		const november = `
usage units tier 1 10 one at 1 = 10
usage shards 720 hour at 0.01 = 7.2
CLOSED 17.2 EUR
`
		r.want(r.invoice(orders, "2026-11"), november)
		entry := billing.Entry{ID: "a", Account: orders, Month: "2026-12", Amount: decimal.NewFromInt(-3), Reason: "sorry", Author: "me"}
		for range 2 {
			r.must(r.bill.Enter(ctx, entry))
		}
		entry.ID, entry.Month = "b", "2026-11"
		if err := r.bill.Enter(ctx, entry); leat.KindOf(err) != leat.KindInUse {
			r.t.Errorf("a credit on a closed invoice: %v", err)
		}

		late := func(at string, units int64) {
			r.at(at)
			r.register(r.pack(r.extent(id, 0, "2026-11-05 10:30", 1, 100, units)))
		}
		late("2026-12-05 09:00", 8)
		r.book()
		r.want(r.invoice(orders, "2026-11"), november)
		if inv := r.invoice(orders, "2026-12"); len(inv.Lines) != 3 || inv.Lines[1].Kind != rating.LineCorrection || inv.Lines[1].Amount.String() != "6.5" {
			r.t.Errorf("December so far:\n%s", told(&inv))
		}
		late("2026-12-06 09:00", 4)
		r.book()
		r.book()
		r.at("2027-01-04 00:01")
		r.book()
		if n, err := r.bill.CloseDue(ctx); n != 1 || err != nil {
			r.t.Errorf("%d closed: %v", n, err)
		}
		const december = `
usage shards 744 hour at 0.01 = 7.44
correction units (2026-11) = 8.5
credit  (sorry) = -3
CLOSED 12.94 EUR
`
		r.want(r.invoice(orders, "2026-12"), december)
		// What was corrected is not corrected again.
		r.want(r.invoice(orders, "2027-01"), `
usage shards 71 hour at 0.01 = 0.71
DRAFT 0.71 EUR
`)
		late("2027-01-05 09:00", 2)
		r.book()
		r.want(r.invoice(orders, "2026-12"), december)
		r.want(r.invoice(orders, "2027-01"), `
usage shards 104 hour at 0.01 = 1.04
correction units (2026-11) = 1
DRAFT 2.04 EUR
`)
		all, err := r.bill.Invoices(ctx, orders)
		if err != nil || len(all) != 2 || all[0].Number != 1 || all[1].Number != 2 {
			r.t.Errorf("invoices %+v %v", all, err)
		}
	})
}

// The charges of FOCUS add up to the invoice, and so do the streams' shares, of a closed invoice too when its ledger has grown since.
func TestExports(t *testing.T) {
	onBoth(t, shortBook, func(r *rig) {
		ctx := r.t.Context()
		a, b := r.stream(orders, "orders", leat.ModeProvisioned, 1), r.stream(orders, "=cmd()", leat.ModeProvisioned, 2)
		r.put(a, 0, "2026-11-05 10:00", 10, 100, 10)
		r.put(b, 0, "2026-11-05 10:00", 10, 100, 20)
		r.must(r.bill.Enter(ctx, billing.Entry{ID: "a", Account: orders, Month: "2026-11", Amount: decimal.RequireFromString("-0.05"), Reason: "=sorry", Author: "me"}))
		r.at("2026-12-04 00:01")
		r.book()
		_, err := r.bill.CloseDue(ctx)
		r.must(err)
		r.at("2026-12-05 00:01")
		r.register(r.pack(r.extent(a, 0, "2026-11-05 10:30", 1, 100, 7)))
		r.book()

		inv, err := r.bill.Invoice(ctx, orders, "2026-11", true)
		r.must(err)
		names, err := r.bill.StreamNames(ctx, orders)
		r.must(err)
		// 30 units: 15 + 7.5; 3 shards for 720 hours: 21.6; less 0.05: 44.05. orders has a third of the units, 7.5, and of the shards, 7.2.
		if inv.Total.String() != "44.05" {
			r.t.Errorf("total %s", inv.Total)
		}
		shares := map[string]string{}
		for _, s := range inv.Shares {
			shares[names[s.Stream]+" "+s.Item] = s.Amount.String()
		}
		if got, want := fmt.Sprint(shares), "map[=cmd() shards:14.4 =cmd() units:15 orders shards:7.2 orders units:7.5]"; got != want {
			r.t.Errorf("shares %s, want %s", got, want)
		}
		f, err := billing.Export(&inv, billing.FormatFOCUS, names)
		r.must(err)
		rows, err := csv.NewReader(bytes.NewReader(f.Content)).ReadAll()
		r.must(err)
		sum, column := decimal.Zero, map[string]int{}
		for i, name := range rows[0] {
			column[name] = i
		}
		for _, row := range rows[1:] {
			sum = sum.Add(decimal.RequireFromString(row[column["BilledCost"]]))
			if row[column["BillingPeriodStart"]] != "2026-11-01T00:00:00Z" || row[column["BillingPeriodEnd"]] != "2026-12-01T00:00:00Z" {
				r.t.Errorf("row %q", row)
			}
			if strings.HasPrefix(row[column["ResourceName"]], "=") || strings.HasPrefix(row[column["ChargeDescription"]], "=") {
				r.t.Errorf("a spreadsheet would run %q", row)
			}
		}
		if len(rows) != 6 || !sum.Equal(inv.Total) {
			r.t.Errorf("%d rows of %s in all", len(rows), sum)
		}
		for _, format := range []billing.Format{billing.FormatJSON, billing.FormatCSV, billing.FormatPDF} {
			one, err := billing.Export(&inv, format, names)
			r.must(err)
			two, err := billing.Export(&inv, format, names)
			r.must(err)
			if !bytes.Equal(one.Content, two.Content) || len(one.Content) < 200 {
				r.t.Errorf("%s: %d bytes and %d, not the same", format, len(one.Content), len(two.Content))
			}
			if format == billing.FormatJSON && !strings.Contains(string(one.Content), `"total": "44.05"`) {
				r.t.Errorf("%s", one.Content)
			}
		}
	})
}

// 1,000 records of 30 KB a second on 32 shards, kept for 48 hours, with 2 consumers, in November (720 hours), at the prices of AWS:
//
//	shards      32 × 720 = 23,040 hours at 0.015                                      345.60
//	put units   2 a record: 1,000 × 3,600 × 720 × 2 = 5,184 million at 0.014           72.576 → 72.58
//	retention   23,040 hours at 0.020                                                 460.80
//	consumers   2 × 23,040 hours at 0.015                                             691.20
//	fan-out     2 × 1,000 × 30,000 × 2,592,000 bytes = 144,839.286… GiB at 0.013     1,882.910… → 1,882.91
func TestEstimate(t *testing.T) {
	r := newRig(t, sqliteIn(t), shortBook)
	book, err := rating.Preset("aws-kinesis-provisioned")
	r.must(err)
	inv, err := r.bill.Estimate(book, orders, billing.Load{
		Mode: leat.ModeProvisioned, Shards: 32, RecordsPerSecond: 1000, RecordBytes: 30_000, Retention: 48 * time.Hour, Consumers: 2,
	})
	r.must(err)
	want := map[string]string{"shard-hours": "345.6", "put-payload-units": "72.58", "extended-retention": "460.8", "fan-out-consumer-hours": "691.2", "fan-out-data": "1882.91"}
	for _, l := range inv.Lines {
		if l.Amount.String() != want[l.Item] {
			t.Errorf("%s: %s, want %s", l.Item, l.Amount, want[l.Item])
		}
		delete(want, l.Item)
	}
	if len(want) > 0 || inv.Total.String() != "3453.09" {
		t.Errorf("without %v: %s", want, inv.Total)
	}
}

// In the 7 days before the 10th: idle was not used, at two shards 14.40 a month; busy has 8 shards, and its busiest hour of 7,200,000 records needs 2 of them,
// 4 with the headroom: 4 spare ones, 28.80; its consumer got nothing, and costs nothing by this book. young was made on the 9th and is left alone, od is
// on-demand, where shards are not its owner's.
func TestSavings(t *testing.T) {
	onBoth(t, shortBook, func(r *rig) {
		ctx := r.t.Context()
		r.stream(orders, "idle", leat.ModeProvisioned, 2)
		busy, od := r.stream(orders, "busy", leat.ModeProvisioned, 8), r.stream(orders, "od", leat.ModeOnDemand, 4)
		r.stream(clicks, "others", leat.ModeProvisioned, 2)
		_, err := r.cat.RegisterConsumer(ctx, catalog.NewConsumer{Stream: busy, Name: "c", Active: moment("2026-11-01 00:00")})
		r.must(err)
		r.put(od, 0, "2026-11-05 10:00", 10, 100, 10)
		r.put(busy, 0, "2026-11-05 10:00", 7_200_000, 100, 10)
		r.put(busy, 0, "2026-11-06 10:00", 7_100_000, 100, 10)
		r.at("2026-11-09 00:00")
		r.stream(orders, "young", leat.ModeProvisioned, 2)
		r.at("2026-11-10 00:20")
		r.book()
		found, from, to, err := r.bill.Savings(ctx, orders)
		r.must(err)
		var got []string
		for _, s := range found {
			got = append(got, fmt.Sprintf("%s %s%s %d/%d %s", s.Kind, s.Name, s.Consumer, s.Needed, s.Shards, s.Monthly))
		}
		want := "spare-shards busy 4/8 28.8; idle-stream idle 0/2 14.4; orphaned-consumer busyc 0/0 0"
		if strings.Join(got, "; ") != want || !from.Equal(moment("2026-11-03 00:00")) || !to.Equal(moment("2026-11-10 00:00")) {
			r.t.Errorf("from %s to %s:\n%q, want\n%q", from, to, strings.Join(got, "; "), want)
		}
	})
}

// Half of November is booked, 360 hours: a shard, 3.60, and 10 units, 10.00. At that pace the month comes to 27.20, and a credit of 1 is one credit: 26.20.
func TestPositions(t *testing.T) {
	onBoth(t, shortBook, func(r *rig) {
		id := r.stream(orders, "orders", leat.ModeProvisioned, 1)
		r.put(id, 0, "2026-11-05 10:00", 10, 100, 10)
		r.at("2026-11-16 00:20")
		r.must(r.bill.Enter(r.t.Context(), billing.Entry{ID: "a", Account: orders, Month: "2026-11", Amount: decimal.NewFromInt(-1), Reason: "sorry", Author: "me"}))
		r.book()
		all, err := r.bill.Positions(r.t.Context())
		r.must(err)
		if len(all) != 1 || all[0].Total.String() != "12.6" || all[0].Forecast.String() != "26.2" || all[0].Used[rating.PutUnits] != 10 || !all[0].Through.Equal(moment("2026-11-16 00:00")) {
			r.t.Errorf("%+v", all)
		}
	})
}
