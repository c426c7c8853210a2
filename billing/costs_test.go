// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package billing_test

import (
	"testing"

	"github.com/shopspring/decimal"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/sqldb"
)

// priced has a free allowance and tiers, so that a stream's part is not its use times a price.
const priced = `
book: priced
currency: EUR
prices:
  - effective: 2026-01-01
    items:
      - {name: shards, meter: shard.hours, unit: hour, free: 10, tiers: [{up_to: 100, price: 1}, {price: 0.5}]}
`

// ledger books some hours of a stream's shards, as releases did that knew no sums.
func ledger(r *rig, stream leat.StreamID, account, hour string, shards, hours int) {
	r.t.Helper()
	r.must(r.db.Tx(r.t.Context(), func(tx *sqldb.Tx) error { return rows(tx, stream, account, hour, shards, hours, 0) }))
}

// rows writes rows of the ledger; summed is 1 where their sums are written elsewhere.
func rows(tx *sqldb.Tx, stream leat.StreamID, account, hour string, shards, hours, summed int) error {
	_, err := tx.Exec(`
INSERT INTO billing_ledger (stream, hour, mode, seq, account, booked, put_records, put_bytes, put_units, storage_day, storage_week, storage_long, shard_hours, shard_extended_hours,
	stream_hours, consumer_hours, consumer_shard_hours, read_records, read_bytes, push_records, push_bytes, delivery_records, delivery_bytes, delivery_rounded_bytes,
	delivery_converted_bytes, delivery_partitioned_bytes, delivery_objects, summed)
WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < $5)
SELECT $1, $2 + i * 3600000000, 'PROVISIONED', 7, $3, $2, 0, 0, 0, 0, 0, 0, $4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, CAST($6 AS BIGINT) FROM n`,
		stream, leat.Micros(moment(hour)), account, int64(shards)*3600*1e6, hours, summed)
	return err
}

// What streams cost this month are their parts of the draft, and of no other month or account.
func TestCosts(t *testing.T) {
	onBoth(t, priced, func(r *rig) {
		r.at("2026-11-20 00:00")
		one, two := r.stream("111111111111", "one", leat.ModeProvisioned, 1), r.stream("111111111111", "two", leat.ModeProvisioned, 1)
		other := r.stream("222222222222", "one", leat.ModeProvisioned, 1)
		ledger(r, one, "111111111111", "2026-11-01 00:00", 1, 90)
		ledger(r, two, "111111111111", "2026-11-01 00:00", 2, 45)
		ledger(r, two, "111111111111", "2026-10-01 00:00", 2, 45)
		ledger(r, other, "222222222222", "2026-11-01 00:00", 1, 20)
		c, err := r.bill.Costs(t.Context(), "111111111111")
		r.must(err)
		draft, err := r.bill.Invoice(t.Context(), "111111111111", "2026-11", true)
		r.must(err)
		// 180 hours: 10 are free, 100 cost 1, 70 cost 0.50.
		if want := decimal.RequireFromString("135"); !c.Total.Equal(want) || !draft.Total.Equal(want) {
			t.Errorf("the total is %s, and the draft's %s", c.Total, draft.Total)
		}
		half := decimal.RequireFromString("67.5")
		if len(c.Of) != 2 || !c.Of[one].Equal(half) || !c.Of[two].Equal(half) || c.Currency != "EUR" || c.Month != "2026-11" {
			t.Errorf("costs are %+v", c)
		}
		none, err := r.bill.Costs(t.Context(), "333333333333")
		r.must(err)
		if len(none.Of) != 0 || !none.Total.IsZero() || none.Currency != "EUR" {
			t.Errorf("without use: %+v", none)
		}
	})
}
