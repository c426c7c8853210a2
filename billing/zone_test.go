// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package billing_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/billing"
	"github.com/leatstream/leat/billing/rating"
)

func inZone(book, zone string) string {
	return strings.Replace(book, "currency: EUR", "currency: EUR\ntimezone: "+zone, 1)
}

func onSQLite(t *testing.T, book string, test func(r *rig)) { test(newRig(t, sqliteIn(t), book)) }

// November is closed in one zone, what follows in another: each hour is on one invoice, and none is left out. A shard is open from November 1st, 12:00 UTC
// on, an hour of it is 0.01; in the hour before December in UTC, which is December's first in Berlin, 3 units are put, 3.00.
func TestZoneChanges(t *testing.T) {
	for name, c := range map[string]struct {
		before, after               string
		november, december, january string
		run                         func(t *testing.T, book string, test func(r *rig))
	}{
		"westward": {"Europe/Berlin", "UTC", "7.07 to 2026-11-30T23:00", "10.45 to 2027-01-01T00:00", "7.44 to 2027-02-01T00:00", onBoth},
		"eastward": {"UTC", "Europe/Berlin", "10.08 to 2026-12-01T00:00", "7.43 to 2026-12-31T23:00", "7.44 to 2027-01-31T23:00", onBoth},
		"farthest": {"Pacific/Kiritimati", "Pacific/Pago_Pago", "6.94 to 2026-11-30T10:00", "10.69 to 2027-01-01T11:00", "7.44 to 2027-02-01T11:00", onSQLite},
		"and back": {"Pacific/Pago_Pago", "Pacific/Kiritimati", "10.19 to 2026-12-01T11:00", "7.19 to 2026-12-31T10:00", "7.44 to 2027-01-31T10:00", onSQLite},
	} {
		t.Run(name, func(t *testing.T) {
			c.run(t, inZone(shortBook, c.before), func(r *rig) {
				ctx, cancel := context.WithTimeout(r.t.Context(), time.Minute)
				defer cancel()
				var log bytes.Buffer
				r.at("2026-11-01 12:00")
				id := r.stream(orders, "orders", leat.ModeProvisioned, 1)
				r.put(id, 0, "2026-11-30 23:30", 3, 100, 3)
				due := func(at string, want int) {
					r.t.Helper()
					r.at(at)
					r.book()
					if n, err := r.bill.CloseDue(ctx); n != want || err != nil {
						r.t.Fatalf("%s: %d closed: %v", at, n, err)
					}
				}
				due("2026-12-05 00:01", 1)
				r.restart(inZone(shortBook, c.after), slog.New(slog.NewTextHandler(&log, nil)))
				due("2026-12-05 00:02", 0)
				draft := r.invoice(orders, "2026-12")
				all, err := r.bill.Positions(ctx)
				r.must(err)
				costs, err := r.bill.Costs(ctx, orders)
				r.must(err)
				same, err := r.bill.Compare(ctx, orders, "2026-12", r.bill.Prices())
				r.must(err)
				if len(all) != 1 || !all[0].Total.Equal(draft.Total) || !costs.Total.Equal(draft.Total) || !same.Total.Equal(draft.Total) {
					r.t.Errorf("the draft is %s, other ways to ask say %+v, %s and %s", draft.Total, all, costs.Total, same.Total)
				}
				r.must(r.bill.Enter(ctx, billing.Entry{ID: "a", Account: orders, Month: "2027-01", Amount: decimal.NewFromInt(1), Reason: "late", Author: "me"}))
				due("2027-01-05 00:01", 1)
				due("2027-02-05 00:01", 1)

				closed, err := r.bill.Invoices(ctx, orders)
				r.must(err)
				var got []string
				for i, inv := range closed {
					if i > 0 && !inv.Period.Start.Equal(closed[i-1].Period.End) {
						r.t.Errorf("%s begins at %s, and the one before ends at %s", inv.Period, inv.Period.Start.UTC(), closed[i-1].Period.End.UTC())
					}
					total := inv.Total
					for _, l := range inv.Lines {
						if l.Kind == rating.LineAdjustment {
							total = total.Sub(l.Amount)
						}
					}
					got = append(got, inv.Period.String()+" "+total.String()+" to "+inv.Period.End.UTC().Format("2006-01-02T15:04"))
				}
				want := []string{"2026-11 " + c.november, "2026-12 " + c.december, "2027-01 " + c.january}
				if strings.Join(got, "; ") != strings.Join(want, "; ") {
					r.t.Errorf("got\n%q, want\n%q", got, want)
				}
				if lines := closed[2].Lines; lines[len(lines)-1].Kind != rating.LineAdjustment {
					r.t.Errorf("January lacks its adjustment: %+v", lines)
				}
				if log.Len() > 0 {
					r.t.Errorf("logged %s", &log)
				}
			})
		})
	}
}

// What comes to light of a month that was closed in another zone is corrected in the next one, once, and by the hours of then.
func TestZoneChangesAndCorrections(t *testing.T) {
	onBoth(t, inZone(shortBook, "Europe/Berlin"), func(r *rig) {
		ctx := r.t.Context()
		id := r.stream(orders, "orders", leat.ModeProvisioned, 1)
		r.at("2026-12-05 00:01")
		r.book()
		_, err := r.bill.CloseDue(ctx)
		r.must(err)
		r.restart(inZone(shortBook, "UTC"), slog.New(slog.DiscardHandler))
		late := func(at, of string, units int64) {
			r.at(at)
			r.register(r.pack(r.extent(id, 0, of, 1, 100, units)))
			r.book()
		}
		late("2026-12-06 09:00", "2026-11-30 22:30", 2)
		late("2026-12-06 10:00", "2026-11-30 23:30", 4)
		r.at("2027-01-04 00:01")
		r.book()
		if n, err := r.bill.CloseDue(ctx); n != 1 || err != nil {
			r.t.Errorf("%d closed: %v", n, err)
		}
		r.want(r.invoice(orders, "2026-12"), `
usage units tier 1 4 one at 1 = 4
usage shards 745 hour at 0.01 = 7.45
correction units (2026-11) = 2
CLOSED 13.45 EUR
`)
		r.want(r.invoice(orders, "2026-10"), "DRAFT 0 EUR\n")
		r.want(r.invoice(orders, "2026-11"), "usage shards 719 hour at 0.01 = 7.19\nCLOSED 7.19 EUR\n")
	})
}

// An invoice that is due and cannot be closed is told of once.
func TestUnclosedIsLogged(t *testing.T) {
	onBoth(t, shortBook, func(r *rig) {
		var log bytes.Buffer
		r.restart(shortBook, slog.New(slog.NewTextHandler(&log, nil)))
		r.stream(orders, "orders", leat.ModeProvisioned, 1)
		r.at("2026-11-30 12:00")
		r.book()
		r.at("2026-12-05 00:01") // and nothing of the last hours is booked
		for range 3 {
			if n, err := r.bill.CloseDue(r.t.Context()); n != 0 || err != nil {
				r.t.Errorf("%d closed: %v", n, err)
			}
		}
		if n := strings.Count(log.String(), "\n"); n != 1 || !strings.Contains(log.String(), "month=2026-11") {
			r.t.Errorf("%d lines were logged:\n%s", n, &log)
		}
	})
}
