// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package billing_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/billing/rating"
	"github.com/leatstream/leat/server/catalog"
	"github.com/leatstream/leat/shardstore"
)

const (
	orders = "111111111111" // the account with stream orders
	clicks = "222222222222"
	temps  = "333333333333"
)

const monthBook = `
book: month
currency: EUR
prices:
  - effective: 2026-01-01
    items: &items
      - {name: shards, meter: shard.hours, unit: hour, price: 0.015}
      - {name: units, meter: put.units, mode: PROVISIONED, unit: thousand, price: 0.01}
      - {name: data, meter: put.bytes, mode: ON_DEMAND, unit: MB, tiers: [{up_to: 100, price: 0.10}, {price: 0.05}]}
      - {name: kept, meter: storage.day, unit: GB-hour, price: 1}
      - {name: kept-longer, meter: storage.week, unit: GB-hour, price: 2}
      - {name: extended, meter: shard.extended_hours, unit: hour, price: 0.001}
      - {name: consumers, meter: consumer.shard_hours, unit: hour, price: 0.002}
      - {name: reads, meter: read.bytes, unit: MB, free: 10, price: 0.01}
      - {name: deliveries, meter: delivery.records, unit: thousand, price: 0.5, minimum: 1}
  - effective: 2026-11-16
    items:
      - {name: shards, meter: shard.hours, unit: hour, price: 0.02}
      - {name: units, meter: put.units, mode: PROVISIONED, unit: thousand, price: 0.01}
      - {name: kept, meter: storage.day, unit: GB-hour, price: 1}
      - {name: kept-longer, meter: storage.week, unit: GB-hour, price: 2}
      - {name: extended, meter: shard.extended_hours, unit: hour, price: 0.001}
      - {name: consumers, meter: consumer.shard_hours, unit: hour, price: 0.002}
`

// A month of three accounts, November 2026 (720 hours), with prices that change on the 16th (hour 360).
//
// # orders: provisioned
//
// Shards. Two from the first hour on; shard 0 is split on the 11th at 06:30, after 246.5 hours. Before the 16th: shard 1 has 360 hours, shard 0 246.5,
// its two children 2 × (360 − 246.5) = 227: 833.5 hours at 0.015 = 12.5025 → 12.50. After it: 3 shards × 360 hours = 1,080 at 0.02 = 21.60.
//
// Puts. Each day at 10:05 a pack of 1,000 records, 1,000 units and 2 MB: 15 thousand units in each half at 0.01 = 0.15 and 0.15. The pack of
// the 25th is registered on the 27th only, by the session that takes over from one that died; that of the 8th is registered twice, and its
// first answer is lost.
//
// Kept. What is put at 10:05 is kept in the 24 hours from 11:00 on: 2 MB × 24 = 0.048 GB-hours a day. Days 1 to 14 are over before the 16th, 14 × 0.048 = 0.672; of
// day 15 the hours from 11 to 23 are, 13 × 0.002 = 0.026: 0.698 → 0.70. After it: the other 11 hours of day 15, 0.022; days 16 to 29, 0.672; of day 30
// 13 hours, 0.026: 0.720 → 0.72.
//
// Retention is 48 hours from the 21st at 12:00 to the 23rd at 00:00. Shards: 36 hours × 3 = 108 at 0.001 = 0.108 → 0.11. Kept longer: what was put on the 20th
// had expired when retention was raised; what was put on the 21st is older than a day from the 22nd at 11:00 to the 23rd at 00:00: 13 × 0.002 = 0.026
// at 2 = 0.052 → 0.05.
//
// A consumer from the 2nd at 00:00 to the 3rd at 12:00, 36 hours × 2 shards = 72 at 0.002 = 0.144 → 0.14. Reads of 15 MB on the 5th: 10 are free, 5 at 0.01 =
// 0.05; the answer of that flush is lost, and it is sent again.
//
// Total 12.50 + 21.60 + 0.15 + 0.15 + 0.70 + 0.72 + 0.05 + 0.11 + 0.14 + 0.05 = 36.17.
//
// # clicks: on-demand until the 10th at 12:20, provisioned from then on
//
// 4 shards: 1,440 hours at 0.015 = 21.60, and 1,440 at 0.02 = 28.80. Puts of 20 MB each day from the 1st to the 10th at 09:00, and of 20 MB on the 10th at
// 12:10: 220 MB on demand, 100 at 0.10 = 10.00 and 120 at 0.05 = 6.00. On the 10th at 12:30, 5 MB in 5,000 units, provisioned: 0.05; they are in
// the same pack. Kept: 225 MB × 24 hours = 5.4 GB-hours = 5.40.
// Total 21.60 + 28.80 + 0.05 + 10 + 6 + 5.40 = 71.85.
//
// # temps
//
// A stream of one shard lives on the 5th from 06:00 to 18:45: 12.75 hours at 0.015 = 0.19125 → 0.19. Another is made on the 20th at 00:00 with two shards, which are
// merged at 15:00: 30 hours, and one shard for 9 + 240 hours: 279 at 0.02 = 5.58. 500 records delivered on the 5th: 0.25, and 0.75 to the minimum of
// 1. Total 0.19 + 5.58 + 0.25 + 0.75 = 6.77.
func TestMonth(t *testing.T) {
	onBoth(t, monthBook, func(r *rig) {
		ctx := r.t.Context()
		node := r.bill.NewMeter()

		o := r.stream(orders, "orders", leat.ModeProvisioned, 2)
		c := r.stream(clicks, "clicks", leat.ModeOnDemand, 4)
		var tmp leat.StreamID
		var late shardstore.Extent
		days := map[int]func(){
			2: func() {
				r.at("2026-11-02 00:00")
				_, err := r.cat.RegisterConsumer(ctx, catalog.NewConsumer{Stream: o, Name: "c1", Active: moment("2026-11-02 00:00")})
				r.must(err)
			},
			3: func() {
				r.at("2026-11-03 12:00")
				r.must(r.cat.DeregisterConsumer(ctx, o, "c1", 0))
			},
			5: func() {
				r.at("2026-11-05 06:00")
				tmp = r.stream(temps, "tmp", leat.ModeProvisioned, 1)
				node.Count(orders, o, leat.ModeProvisioned, rating.ReadBytes, 15e6)
				r.lose = true
				if err := node.Flush(ctx); err == nil {
					r.t.Error("a flush whose answer was lost went well")
				}
				r.must(node.Flush(ctx))
				node.Count(temps, tmp, leat.ModeProvisioned, rating.DeliveryRecords, 500)
				r.must(node.Flush(ctx))
				r.must(node.Flush(ctx))
				r.at("2026-11-05 18:45")
				r.must(r.cat.BeginDelete(ctx, tmp, false))
				r.at("2026-11-05 18:46")
				r.must(r.cat.RemoveStream(ctx, tmp))
			},
			10: func() {
				r.update(c, "2026-11-10 12:20", catalog.StreamUpdate{Mode: ptr(leat.ModeProvisioned)})
				before, after := r.extent(c, 0, "2026-11-10 12:10", 5000, 20e6, 5000), r.extent(c, 1, "2026-11-10 12:30", 5000, 5e6, 5000)
				r.at("2026-11-10 12:31")
				r.register(r.pack(before, after))
			},
			11: func() { r.reshard(o, "2026-11-11 06:30", catalog.Split(0, leat.SplitEvenly(4)[1].Start)) },
			20: func() {
				r.at("2026-11-20 00:00")
				keep := r.stream(temps, "keep", leat.ModeProvisioned, 2)
				r.reshard(keep, "2026-11-20 15:00", catalog.Merge(0, 1))
			},
			21: func() { r.update(o, "2026-11-21 12:00", catalog.StreamUpdate{Retention: ptr(48 * time.Hour)}) },
			23: func() { r.update(o, "2026-11-23 00:00", catalog.StreamUpdate{Retention: ptr(24 * time.Hour)}) },
			27: func() {
				// The session died on the 25th with a pack in its segments: the next one adopts it.
				r.at("2026-11-27 08:00")
				dead := r.session
				trim, err := r.cat.BeginFencing(ctx, dead)
				r.must(err)
				late.Object = fmt.Sprintf("wal/%s/%020d", dead, trim)
				r.must(r.cat.CloseSession(ctx, shardstore.Closing{Session: dead, Trim: trim, Fence: trim + 1, Shards: []shardstore.ClosedShard{
					{Shard: late.Shard, Epoch: late.Epoch, Final: late.End(), Extents: []shardstore.Extent{late}},
				}}, false))
				r.live()
				reg := r.pack(late)
				reg.TrimFrom, reg.TrimTo, reg.Adopts, reg.AdoptShards = 0, 0, dead, []leat.ShardKey{late.Shard}
				r.trim = 0
				r.register(reg)
				r.register(reg)
			},
		}
		for day := 1; day <= 30; day++ {
			at := func(clock string) string { return fmt.Sprintf("2026-11-%02d %s", day, clock) }
			early := map[int]bool{2: true, 5: true, 11: true, 20: true, 23: true, 27: true}
			if early[day] {
				days[day]()
			}
			if day <= 10 {
				r.put(c, 0, at("09:00"), 5000, 20e6, 5000)
			}
			switch day {
			case 8:
				r.at(at("10:06"))
				reg := r.pack(r.extent(o, 1, at("10:05"), 1000, 2e6, 1000))
				r.lose = true
				r.register(reg)
				r.register(reg)
			case 25:
				late = r.extent(o, 1, at("10:05"), 1000, 2e6, 1000)
			case 26:
				// Nobody serves: what is put then comes with the take-over.
			default:
				r.put(o, 1, at("10:05"), 1000, 2e6, 1000)
			}
			if do := days[day]; do != nil && !early[day] {
				do()
			}
			if day%3 == 0 { // a leader that is away for days books what it missed
				r.at(at("23:59"))
				r.book()
			}
			if day == 27 {
				// What was put on the 26th comes with the take-over.
				r.at(at("23:59"))
				r.register(r.pack(r.extent(o, 1, "2026-11-26 10:05", 1000, 2e6, 1000)))
				r.register(r.pack())
			}
		}
		r.at("2026-12-01 00:20")
		r.book()
		r.book()

		wantOrders := `
usage shards 833.5 hour at 0.015 = 12.5
usage shards 1080 hour at 0.02 = 21.6
usage units 15 thousand at 0.01 = 0.15
usage units 15 thousand at 0.01 = 0.15
usage kept 0.698 GB-hour at 1 = 0.7
usage kept 0.72 GB-hour at 1 = 0.72
usage kept-longer 0.026 GB-hour at 2 = 0.05
usage extended 108 hour at 0.001 = 0.11
usage consumers 72 hour at 0.002 = 0.14
free reads 10 MB at 0 = 0
usage reads 5 MB at 0.01 = 0.05
`
		r.want(r.invoice(orders, "2026-11"), wantOrders+"DRAFT 36.17 EUR\n")
		r.want(r.invoice(clicks, "2026-11"), `
usage shards 1440 hour at 0.015 = 21.6
usage shards 1440 hour at 0.02 = 28.8
usage units 5 thousand at 0.01 = 0.05
usage data tier 1 100 MB at 0.1 = 10
usage data tier 2 120 MB at 0.05 = 6
usage kept 5.4 GB-hour at 1 = 5.4
DRAFT 71.85 EUR
`)
		r.want(r.invoice(temps, "2026-11"), `
usage shards 12.75 hour at 0.015 = 0.19
usage shards 279 hour at 0.02 = 5.58
usage deliveries 0.5 thousand at 0.5 = 0.25
minimum deliveries = 0.75
DRAFT 6.77 EUR
`)
		r.proved()

		// The sum of the stream-hours behind each line is the line.
		usage, err := r.bill.Usage(ctx, orders, moment("2026-11-01 00:00"), moment("2026-12-01 00:00"), o)
		r.must(err)
		var units int64
		for _, u := range usage {
			units += u.Quantities[rating.PutUnits]
		}
		if units != 30_000 {
			r.t.Errorf("%d units in stream-hours, want 30000", units)
		}
		// And so is that of its days.
		each, err := r.bill.Days(ctx, orders, moment("2026-11-01 00:00"), moment("2026-12-01 00:00"))
		r.must(err)
		var byDay, before int64
		for _, d := range each {
			if d.Hour < before || (d.Hour-leat.Micros(moment("2026-11-01 00:00")))%(24*time.Hour).Microseconds() != 0 {
				r.t.Errorf("a day begins at %d, after %d", d.Hour, before)
			}
			if before = d.Hour; d.Stream == o {
				byDay += d.Quantities[rating.PutUnits]
			}
		}
		if byDay != 30_000 {
			r.t.Errorf("%d units in days, want 30000", byDay)
		}
		// By another book the same usage is another bill.
		aws, err := rating.Preset("aws-kinesis")
		r.must(err)
		bill, err := r.bill.Compare(ctx, orders, "2026-11", aws)
		r.must(err)
		if bill.Book != "aws-kinesis" || bill.Currency != "USD" || !bill.Total.IsPositive() {
			r.t.Errorf("compared: %+v", bill)
		}
	})
}

// proved verifies the month from what is in the bucket: before and after manifests have moved there. Orders put 30 × 1,000 records of 2 MB in 1,000
// units; clicks 11 × 5,000 of 20 MB and 5,000 of 5 MB, in as many units as records.
func (r *rig) proved() {
	r.t.Helper()
	check := func(manifests int) {
		r.t.Helper()
		v, err := r.bill.Verify(r.t.Context(), moment("2026-11-01 00:00"), moment("2026-12-01 00:00"))
		r.must(err)
		if len(v.Problems) > 0 || v.Records != 90_000 || v.Bytes != 285e6 || v.Units != 90_000 || v.Manifests != manifests {
			r.t.Errorf("verified %+v", v)
		}
	}
	// One pack for each of 30 days of orders and 10 of clicks, and one for the two of the 10th at noon.
	check(41)
	n, err := r.bill.WriteManifests(r.t.Context())
	r.must(err)
	if n != 41 {
		r.t.Errorf("%d manifests moved", n)
	}
	check(41)
}

func ptr[T any](v T) *T { return &v }
