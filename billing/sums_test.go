// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package billing_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/billing"
	"github.com/leatstream/leat/billing/rating"
	"github.com/leatstream/leat/internal/pgtest"
	"github.com/leatstream/leat/internal/sqldb"
	"github.com/leatstream/leat/server/catalog"
)

// What streams cost and what invoices say is the same to the last digit whether the sums are used or the ledger's hours are added up: while
// hours are booked, with corrections that come late, after an older program has booked, and from a month to the next.
func TestSumsAreTheLedgers(t *testing.T) {
	onBoth(t, monthBook, func(r *rig) {
		r.at("2026-11-01 00:00")
		one, two := r.stream(orders, "orders", leat.ModeProvisioned, 2), r.stream(orders, "more", leat.ModeOnDemand, 3)
		other := r.stream(clicks, "clicks", leat.ModeProvisioned, 1)
		r.put(one, 0, "2026-11-02 10:05", 1000, 2_000_000, 1001)
		r.put(two, 1, "2026-11-02 10:06", 777, 123_456_789, 5003)
		r.put(other, 0, "2026-11-02 10:07", 7, 123, 7)
		r.at("2026-11-05 00:20")
		r.book()
		r.sameBySums("when the first hours are booked", "2026-11")

		mode := leat.ModeProvisioned
		r.update(two, "2026-11-06 07:31", catalog.StreamUpdate{Mode: &mode})
		r.put(two, 2, "2026-11-17 11:00", 13, 31_000_001, 1301)
		r.at("2026-11-20 00:20")
		r.book()
		r.sameBySums("over a change of prices", "2026-11")

		// A pack of the 3rd, before the change, and one of the 18th, after it, are registered on the 21st.
		r.at("2026-11-21 12:00")
		r.register(r.pack(r.extent(one, 1, "2026-11-03 09:59", 333, 999_999, 334)))
		r.register(r.pack(r.extent(two, 0, "2026-11-18 09:59", 333, 999_999, 334)))
		r.book()
		r.sameBySums("with late corrections", "2026-11")

		// A node of an older release books: what it adds is told at once, and summed up with the next round.
		ledger(r, one, orders, "2026-11-07 00:00", 3, 5)
		if r.stretches() == 2 {
			t.Error("sums are used that lack something")
		}
		r.book()
		r.sameBySums("after an older release", "2026-11")
		ledger(r, two, orders, "2026-11-20 00:00", 1, 2)
		r.book()
		r.sameBySums("after an older release once more", "2026-11")

		r.at("2026-12-01 03:20")
		r.book()
		r.sameBySums("in the next month", "2026-12")
		r.at("2026-12-02 01:20")
		r.register(r.pack(r.extent(one, 1, "2026-11-29 09:59", 5, 50_001, 6)))
		r.book()
		r.sameBySums("with a correction of the month before", "2026-12")
		r.sameBySums("in the month before", "2026-11")
	})
}

// stretches counts the stretches whose sums are used, with the condition that the program has.
func (r *rig) stretches() (n int) {
	r.t.Helper()
	r.must(r.db.View(r.t.Context(), func(tx *sqldb.Tx) error {
		return tx.Row(`
SELECT count(*) FROM billing_stretches s WHERE s.through = s.ended
AND s.unmarked = (SELECT count(*) FROM billing_ledger l WHERE l.summed = 0 AND l.hour >= s.began AND l.hour < s.ended)`).Scan(&n)
	}))
	return n
}

// bills is all that is made of an account's sums, as text.
func (r *rig) bills(month string) string {
	r.t.Helper()
	var s strings.Builder
	for _, account := range []string{orders, clicks, temps} {
		inv, err := r.bill.Invoice(r.t.Context(), account, month, true)
		r.must(err)
		s.WriteString(told(&inv))
		for _, sh := range inv.Shares {
			fmt.Fprintf(&s, "%s %s %s %s %s\n", sh.Item, sh.From, sh.Stream, sh.Base, sh.Amount)
		}
		p, err := rating.ParseMonth(month, time.UTC)
		r.must(err)
		sums, err := r.bill.Sums(r.t.Context(), account, p.Start, p.End)
		r.must(err)
		fmt.Fprintf(&s, "%v\n", sums)
		c, err := r.bill.Costs(r.t.Context(), account)
		r.must(err)
		fmt.Fprintf(&s, "%s %s %v\n", c.Month, c.Total, c.Of)
	}
	return s.String()
}

// sameBySums fails unless bills are the same with the sums and without them, and the sums those of the ledger.
func (r *rig) sameBySums(when, month string) {
	r.t.Helper()
	if n := r.stretches(); n < 2 {
		r.t.Errorf("%s: %d stretches are summed up", when, n)
	}
	with := r.bills(month)
	exec := func(query string) {
		r.t.Helper()
		r.must(r.db.Tx(r.t.Context(), func(tx *sqldb.Tx) error {
			_, err := tx.Exec(query)
			return err
		}))
	}
	exec("UPDATE billing_stretches SET through = through - 1")
	without := r.bills(month)
	exec("UPDATE billing_stretches SET through = through + 1")
	if with != without {
		r.t.Errorf("%s: by the sums\n%sby the ledger\n%s", when, with, without)
	}
	if strings.Count(with, "usage ") == 0 {
		r.t.Errorf("%s there is nothing to compare:\n%s", when, with)
	}
	// The sums are what is asked.
	exec("UPDATE billing_sums SET shard_hours = shard_hours + 36000000000")
	if r.bills(month) == with {
		r.t.Errorf("%s: bills are not made of the sums", when)
	}
	exec("UPDATE billing_sums SET shard_hours = shard_hours - 36000000000")
	// What streams cost is their parts of the invoice.
	c, err := r.bill.Costs(r.t.Context(), orders)
	r.must(err)
	inv, err := r.bill.Invoice(r.t.Context(), orders, c.Month, true)
	r.must(err)
	lines := billing.Costs{}
	for _, l := range inv.Lines {
		if l.Kind == rating.LineUsage {
			lines.Total = lines.Total.Add(l.Amount)
		}
	}
	if !lines.Total.Equal(c.Total) {
		r.t.Errorf("%s: streams cost %s, the invoice has %s of usage", when, c.Total, lines.Total)
	}
}

// What an account without prices in a month has used is an error, and no more than that.
func TestUsageBeforeAnyPrice(t *testing.T) {
	onBoth(t, strings.Replace(shortBook, "2026-01-01", "2026-11-16", 1), func(r *rig) {
		id := r.stream(orders, "orders", leat.ModeProvisioned, 1)
		r.put(id, 0, "2026-11-05 10:00", 10, 100, 10)
		r.at("2026-11-06 00:20")
		r.book()
		if _, err := r.bill.Costs(r.t.Context(), orders); leat.KindOf(err) != leat.KindInvalidArgument {
			r.t.Errorf("costs before any price: %v", err)
		}
	})
}

// BenchmarkCosts counts a whole month of 1,000 streams, and tells how many times as long it takes to add up the ledger's hours.
func BenchmarkCosts(b *testing.B) {
	b.Run("sqlite", func(b *testing.B) { benchmarkCosts(b, sqliteIn(b)) })
	b.Run("postgres", func(b *testing.B) { benchmarkCosts(b, sqldb.Config{Postgres: pgtest.Database(b)}) })
}

func benchmarkCosts(b *testing.B, cfg sqldb.Config) {
	cfg.TxTimeout = 10 * time.Minute // the ledger's hours take long on a busy machine
	cfg.StatementTimeout = cfg.TxTimeout
	r := newRig(b, cfg, priced)
	r.at("2026-11-30 23:00")
	for i := 0; i < 1000; i += 20 {
		r.must(r.db.Tx(b.Context(), func(tx *sqldb.Tx) error {
			for j := range 20 {
				id := leat.StreamID{15: byte(i + j), 14: byte((i + j) >> 8)}
				if err := rows(tx, id, orders, "2026-11-01 00:00", 4, 719, 1); err != nil {
					return err
				}
			}
			return nil
		}))
	}
	count := func() time.Duration {
		began := time.Now()
		c, err := r.bill.Costs(b.Context(), orders)
		r.must(err)
		if len(c.Of) != 1000 {
			b.Fatalf("%d streams", len(c.Of))
		}
		return time.Since(began)
	}
	hours := count()
	began := time.Now()
	r.book() // sums up
	b.ReportMetric(time.Since(began).Seconds(), "s/summing-up")
	fastest := hours
	for b.Loop() {
		fastest = min(fastest, count())
	}
	b.ReportMetric(float64(hours.Milliseconds()), "ms/by-hours")
	b.ReportMetric(float64(fastest.Microseconds())/1000, "ms/fastest")
	b.ReportMetric(float64(hours)/float64(fastest), "hours/sums")
}
