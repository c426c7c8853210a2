// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package billing_test

import (
	"os"
	"testing"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/billing"
	"github.com/leatstream/leat/internal/sqldb"
)

// TestDeliveriesAtAWS is a month of one delivery stream by Firehose's prices. Each hour of November's first ten days, 240 of them, one plan
// of 10 million records of 3 KB, 30 GB, is committed: 50 GB and more when each record is rounded up to 5 KiB, 51,200,000,000 bytes. All
// of it is converted and partitioned, into 5,000 objects.
//
// Ingestion: 240 × 51,200,000,000 bytes = 12,288,000,000,000 = 11.1758708953857421875 TiB at 29.696 = 331.8786... = 331.88.
// Conversion: 7,200,000,000,000 bytes = 6705.5225372314453125 GiB at 0.018 = 120.6994... = 120.70. Partitioning: the same at 0.020 = 134.1104... = 134.11.
// Objects: 1,200 thousand at 0.005 = 6.00. In all 592.69.
func TestDeliveriesAtAWS(t *testing.T) {
	book, err := os.ReadFile("rating/presets/aws-firehose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	onBoth(t, string(book), func(r *rig) {
		id := leat.NewID[leat.StreamID](nil)
		r.stream(orders, "any", leat.ModeProvisioned, 1) // booking begins with the first stream
		hour := moment("2026-11-01 00:00")
		for range 240 {
			r.clock.mu.Lock()
			r.clock.now = hour
			r.clock.mu.Unlock()
			hour = hour.Add(time.Hour)
			r.must(r.db.Tx(t.Context(), func(tx *sqldb.Tx) error {
				return r.bill.CountDelivered(tx, &billing.Delivered{
					Delivery: id, Account: orders, Name: "lake", Records: 10_000_000, Bytes: 30_000_000_000, Rounded: 51_200_000_000, Converted: 30_000_000_000,
					Partitioned: 30_000_000_000, Objects: 5000,
				})
			}))
		}
		r.at("2026-11-12 00:20")
		r.book()
		inv, err := r.bill.Invoice(t.Context(), orders, "2026-11", true)
		r.must(err)
		r.want(inv, `
usage ingestion tier 1 11.175870895386 TiB at 29.696 = 331.88
usage format-conversion 6705.522537231445 GiB at 0.018 = 120.7
usage partitioned-data 6705.522537231445 GiB at 0.02 = 134.11
usage objects 1200 thousand at 0.005 = 6
DRAFT 592.69 USD
`)
		names, err := r.bill.StreamNames(t.Context(), orders)
		r.must(err)
		for i := range inv.Shares {
			if s := &inv.Shares[i]; s.Stream != id || names[s.Stream] != "lake" {
				t.Errorf("a share is of %q", names[s.Stream])
			}
		}
		if len(inv.Shares) != 4 {
			t.Errorf("%d shares", len(inv.Shares))
		}
	})
}

// TestHiddenStreamsHaveNoBill: what an account puts directly into its delivery streams is billed as deliveries; the streams that keep it
// meanwhile belong to nobody who is sent a bill.
func TestHiddenStreamsHaveNoBill(t *testing.T) {
	onBoth(t, budgetBook, func(r *rig) {
		id := r.stream("."+orders, "hose", leat.ModeProvisioned, 2)
		r.put(id, 0, "2026-11-01 00:30", 1000, 1000, 1000)
		r.at("2026-11-01 10:20")
		r.book()
		all, err := r.bill.Accounts(t.Context())
		r.must(err)
		if len(all) != 0 {
			t.Errorf("accounts %v", all)
		}
	})
}
