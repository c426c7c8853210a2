// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package rating_test

import (
	"fmt"
	"iter"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/billing/rating"
)

const (
	alice = "111111111111"
	bob   = "222222222222"
)

var streamA, streamB, streamC = leat.StreamID{1}, leat.StreamID{2}, leat.StreamID{3}

func at(s string) int64 {
	t, err := time.Parse("2006-01-02T15", s)
	if err != nil {
		panic(err)
	}
	return leat.Micros(t)
}

// use is one row of usage.
func use(hour string, stream leat.StreamID, meter rating.Meter, n int64) rating.Usage {
	u := rating.Usage{Account: alice, Stream: stream, Mode: leat.ModeProvisioned, Hour: at(hour)}
	u.Quantities[meter] = n
	return u
}

func rows(all ...rating.Usage) iter.Seq2[*rating.Usage, error] {
	return func(yield func(*rating.Usage, error) bool) {
		for i := range all {
			if !yield(&all[i], nil) {
				return
			}
		}
	}
}

func book(t testing.TB, text string) *rating.Book {
	t.Helper()
	b, err := rating.ParseBook([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func month(t testing.TB, b *rating.Book, s string) rating.Period {
	t.Helper()
	p, err := rating.ParseMonth(s, b.Zone)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// told is a bill as text: one line a line.
func told(b *rating.Bill) string {
	var s strings.Builder
	for _, l := range b.Lines {
		fmt.Fprintf(&s, "%s %s", l.Kind, l.Item)
		if l.Tier > 0 {
			fmt.Fprintf(&s, " tier %d", l.Tier)
		}
		if l.Unit != "" {
			fmt.Fprintf(&s, " %s %s at %s", l.Quantity, l.Unit, l.Price)
		}
		fmt.Fprintf(&s, " = %s\n", l.Amount)
	}
	fmt.Fprintf(&s, "total %s %s\n", b.Total, b.Currency)
	return s.String()
}

// rated rates rows of one account and compares.
func rated(t *testing.T, text, in, want string, all ...rating.Usage) rating.Bill {
	t.Helper()
	b := book(t, text)
	bills, err := rating.Rate(b, month(t, b, in), rows(all...), rating.Options{Shares: true})
	if err != nil {
		t.Fatal(err)
	}
	if len(bills) != 1 {
		t.Fatalf("%d bills", len(bills))
	}
	if got, want := told(&bills[0]), strings.TrimLeft(want, "\n"); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	sum := decimal.Zero
	for _, l := range bills[0].Lines {
		sum = sum.Add(l.Amount)
	}
	if !sum.Equal(bills[0].Total) {
		t.Errorf("lines add up to %s, the total is %s", sum, bills[0].Total)
	}
	return bills[0]
}

const tiered = `
book: test
currency: EUR
prices:
  - effective: 2026-01-01
    items:
      - name: data
        meter: put.bytes
        unit: GB
        tiers:
          - {up_to: 10, price: 0.30}
          - {up_to: 50, price: 0.20}
          - {price: 0.10}
`

// Tier borders. 10 GB are 3.00 and not a cent of the second tier; one byte more is the second tier's, and costs 0.0000000002, which
// rounds to nothing; 60 GB are 10 × 0.30 + 40 × 0.20 + 10 × 0.10 = 3 + 8 + 1 = 12.
func TestTiers(t *testing.T) {
	const gb = 1_000_000_000
	rated(t, tiered, "2026-11", `
usage data tier 1 10 GB at 0.3 = 3
total 3 EUR
`, use("2026-11-03T10", streamA, rating.PutBytes, 10*gb))
	rated(t, tiered, "2026-11", `
usage data tier 1 10 GB at 0.3 = 3
usage data tier 2 0.000000001 GB at 0.2 = 0
total 3 EUR
`, use("2026-11-03T10", streamA, rating.PutBytes, 10*gb+1))
	rated(t, tiered, "2026-11", `
usage data tier 1 10 GB at 0.3 = 3
usage data tier 2 40 GB at 0.2 = 8
usage data tier 3 10 GB at 0.1 = 1
total 12 EUR
`, use("2026-11-03T10", streamA, rating.PutBytes, 25*gb), use("2026-11-30T23", streamB, rating.PutBytes, 35*gb))
	// A month whose corrections are more than its usage is owed back at the first tier's price.
	rated(t, tiered, "2026-11", `
usage data tier 1 -2 GB at 0.3 = -0.6
total -0.6 EUR
`, use("2026-11-03T10", streamA, rating.PutBytes, 3*gb), use("2026-11-03T10", streamA, rating.PutBytes, -5*gb))
}

// Months end where the book's zone says: in Berlin, October 2026 has 745 hours (the clocks go back on the 25th) and begins at 22:00 UTC on 30
// September. A shard open all month is 745 hours, at 0.10: 74.50. 2 GB kept all month are 2 GB-months whatever its length: 2 × 745 byte-hours over 745.
func TestMonthsEndInTheBooksZone(t *testing.T) {
	const text = `
book: test
currency: EUR
timezone: Europe/Berlin
prices:
  - effective: 2026-01-01
    items:
      - {name: shards, meter: shard.hours, unit: hour, price: 0.10}
      - {name: kept, meter: storage.day, unit: GB-month, price: 1}
`
	b := book(t, text)
	p := month(t, b, "2026-10")
	if p.Hours() != 745 || p.Start.UTC().Format(time.RFC3339) != "2026-09-30T22:00:00Z" {
		t.Errorf("October is %d hours from %s", p.Hours(), p.Start.UTC())
	}
	var all []rating.Usage
	for h := p.Start; h.Before(p.End); h = h.Add(time.Hour) {
		u := rating.Usage{Account: alice, Stream: streamA, Hour: leat.Micros(h), Mode: leat.ModeProvisioned}
		u.Quantities[rating.ShardHours], u.Quantities[rating.StorageDay] = time.Hour.Microseconds(), 2e9
		all = append(all, u)
	}
	rated(t, text, "2026-10", `
usage shards 745 hour at 0.1 = 74.5
usage kept 2 GB-month at 1 = 2
total 76.5 EUR
`, all...)
	// The hour before, and the first of November, belong to other months.
	for _, hour := range []string{"2026-09-30T21", "2026-10-31T23"} {
		if _, err := rating.Rate(b, p, rows(use(hour, streamA, rating.ShardHours, 1)), rating.Options{}); err == nil {
			t.Errorf("usage at %s was taken for October", hour)
		}
	}
}

// February has 696 hours in 2028, a leap year, and 672 in 2027: a GB kept for 336 hours is 336/696 of a GB-month there (1000 × 0.482758… = 482.76) and
// half of one here (500).
func TestLeapDays(t *testing.T) {
	const text = `
book: test
currency: EUR
prices:
  - effective: 2026-01-01
    items:
      - {name: kept, meter: storage.week, unit: GB-month, price: 1000}
`
	rated(t, text, "2028-02", `
usage kept 0.48275862069 GB-month at 1000 = 482.76
total 482.76 EUR
`, use("2028-02-29T23", streamA, rating.StorageWeek, 336e9))
	rated(t, text, "2027-02", `
usage kept 0.5 GB-month at 1000 = 500
total 500 EUR
`, use("2027-02-28T23", streamA, rating.StorageWeek, 336e9))
}

// Prices change on 16 November. The allowance of 5 GB and the first tier's 10 GB are the month's, not the list's.
//
// First half: 12 GB, 5 of them free, 7 at 0.30 = 2.10. Second half: 20 GB: no allowance is left (6 GB would be free from then on, and
// 12 were used already); 3 more in the first tier at 0.33 = 0.99, 17 in the second at 0.22 = 3.74. Together 6.83.
func TestPricesChangeInMidMonth(t *testing.T) {
	const text = `
book: test
currency: EUR
prices:
  - effective: 2026-01-01
    items:
      - {name: data, meter: put.bytes, unit: GB, free: 5, tiers: [{up_to: 10, price: 0.30}, {price: 0.20}]}
  - effective: 2026-11-16
    items:
      - {name: data, meter: put.bytes, unit: GB, free: 6, tiers: [{up_to: 10, price: 0.33}, {price: 0.22}]}
`
	b := rated(t, text, "2026-11", `
free data 5 GB at 0 = 0
usage data tier 1 7 GB at 0.3 = 2.1
usage data tier 1 3 GB at 0.33 = 0.99
usage data tier 2 17 GB at 0.22 = 3.74
total 6.83 EUR
`, use("2026-11-16T00", streamA, rating.PutBytes, 20e9), use("2026-11-15T23", streamA, rating.PutBytes, 12e9))
	if l := b.Lines[1]; l.From.Format(time.DateOnly) != "2026-11-01" || l.To.Format(time.DateOnly) != "2026-11-16" {
		t.Errorf("the old price holds from %s to %s", l.From, l.To)
	}
	if l := b.Lines[3]; l.From.Format(time.DateOnly) != "2026-11-16" || l.To.Format(time.DateOnly) != "2026-12-01" {
		t.Errorf("the new price holds from %s to %s", l.From, l.To)
	}
	// A price list that begins in another month is not asked.
	rated(t, text, "2026-12", `
free data 6 GB at 0 = 0
usage data tier 1 4 GB at 0.33 = 1.32
total 1.32 EUR
`, use("2026-12-01T00", streamA, rating.PutBytes, 10e9))
}

// Minimums. 3 records cost 0.03, and the item's minimum is 1: 0.97 more. The month's minimum is 5: 4 more. An item without
// usage has no minimum.
func TestMinimums(t *testing.T) {
	rated(t, `
book: test
currency: EUR
prices:
  - effective: 2026-01-01
    minimum: 5
    items:
      - {name: records, meter: put.records, unit: one, price: 0.01, minimum: 1}
      - {name: reads, meter: read.records, unit: one, price: 0.01, minimum: 1}
`, "2026-11", `
usage records 3 one at 0.01 = 0.03
minimum records = 0.97
minimum  = 4
total 5 EUR
`, use("2026-11-01T00", streamA, rating.PutRecords, 3))
}

// Rounding. Each item's amount is 0.125 (125 records at 0.001), where the middle is: 0.13 half up, 0.12 half even, 0.13 up, 0.12 down. By line, two are
// 0.26 half up; rounded once, as the invoice says, 0.25.
func TestRounding(t *testing.T) {
	const text = `
book: test
currency: EUR
rounding: {places: 2, mode: %s, scope: %s}
prices:
  - effective: 2026-01-01
    items:
      - {name: puts, meter: put.records, unit: one, price: 0.001}
      - {name: reads, meter: read.records, unit: one, price: 0.001}
`
	u := []rating.Usage{use("2026-11-01T00", streamA, rating.PutRecords, 125), use("2026-11-01T00", streamA, rating.ReadRecords, 125)}
	for mode, amount := range map[string]string{"half-up": "0.13", "half-even": "0.12", "up": "0.13", "down": "0.12"} {
		total := decimal.RequireFromString(amount).Mul(decimal.NewFromInt(2))
		rated(t, fmt.Sprintf(text, mode, "line"), "2026-11", fmt.Sprintf("usage puts 125 one at 0.001 = %s\nusage reads 125 one at 0.001 = %[1]s\ntotal %s EUR\n", amount, total), u...)
	}
	rated(t, fmt.Sprintf(text, "half-up", "invoice"), "2026-11", `
usage puts 125 one at 0.001 = 0.125
usage reads 125 one at 0.001 = 0.125
total 0.25 EUR
`, u...)
	// 0.25 + 0.001 = 0.251, to 0.25 by a line of its own.
	rated(t, fmt.Sprintf(text, "half-up", "invoice"), "2026-11", `
usage puts 126 one at 0.001 = 0.126
usage reads 125 one at 0.001 = 0.125
rounding  = -0.001
total 0.25 EUR
`, append(u, use("2026-11-01T00", streamA, rating.PutRecords, 1))...)
}

// Three streams put a third each of something that costs 1.00: 0.33 each and the last cent to one of them, so that nothing is lost.
func TestSharesAddUp(t *testing.T) {
	b := rated(t, `
book: test
currency: EUR
prices:
  - effective: 2026-01-01
    items:
      - {name: puts, meter: put.records, unit: one, per: 3, price: 1}
`, "2026-11", `
usage puts 3 one at 1 = 1
total 1 EUR
`, use("2026-11-01T00", streamC, rating.PutRecords, 1), use("2026-11-02T00", streamA, rating.PutRecords, 1), use("2026-11-03T00", streamB, rating.PutRecords, 1))
	var got []string
	for _, s := range b.Shares {
		got = append(got, fmt.Sprintf("%d:%s", s.Stream[0], s.Amount))
	}
	if want := "1:0.34 2:0.33 3:0.33"; strings.Join(got, " ") != want {
		t.Errorf("shares %v, want %s", got, want)
	}
}

// Modes are priced apart, accounts are billed apart, and the order of rows does not matter.
func TestModesAndAccounts(t *testing.T) {
	b, err := rating.Preset("aws-kinesis")
	if err != nil {
		t.Fatal(err)
	}
	const hour = 3600e6
	var all []rating.Usage
	for h := range 720 { // November 2026: 2 shards open, and an on-demand stream
		u := rating.Usage{Account: alice, Stream: streamA, Mode: leat.ModeProvisioned, Hour: at("2026-11-01T00") + int64(h)*hour}
		u.Quantities[rating.ShardHours], u.Quantities[rating.StreamHours], u.Quantities[rating.PutUnits] = 2*hour, hour, 100_000
		o := rating.Usage{Account: bob, Stream: streamB, Mode: leat.ModeOnDemand, Hour: u.Hour}
		o.Quantities[rating.ShardHours], o.Quantities[rating.StreamHours], o.Quantities[rating.PutBytes] = 4*hour, hour, 1<<30
		all = append(all, u, o)
	}
	// Alice: 1,440 shard-hours at 0.015 = 21.60; 72 million units at 0.014 = 1.008 → 1.01.
	// Bob: 720 stream-hours at 0.04 = 28.80; 720 GiB at 0.08 = 57.60; his shards cost nothing.
	want := `usage shard-hours 1440 hour at 0.015 = 21.6
usage put-payload-units 72 million at 0.014 = 1.01
total 22.61 USD
usage on-demand-stream-hours 720 hour at 0.04 = 28.8
usage on-demand-data-in 720 GiB at 0.08 = 57.6
total 86.4 USD
`
	for range 2 {
		bills, err := rating.Rate(b, month(t, b, "2026-11"), rows(all...), rating.Options{})
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for i := range bills {
			got += told(&bills[i])
		}
		if got != want {
			t.Errorf("got\n%swant\n%s", got, want)
		}
		slices.Reverse(all)
	}
}

// Sums above 63 bits: 20 × 2^62 byte-hours, and negative pieces in between.
func TestLargeSums(t *testing.T) {
	var all []rating.Usage
	for range 20 {
		all = append(all, use("2026-11-01T00", streamA, rating.StorageDay, 1<<62), use("2026-11-01T00", streamA, rating.StorageDay, -1))
	}
	// 20 × 4,611,686,018,427,387,904 − 20 = 92,233,720,368,547,758,060
	rated(t, `
book: test
currency: EUR
prices:
  - {effective: 2026-01-01, items: [{name: kept, meter: storage.day, unit: GB-hour, price: 0.000000001}]}
`, "2026-11", `
usage kept 92233720368.54775806 GB-hour at 0.000000001 = 92.23
total 92.23 EUR
`, all...)
}

func TestUsageBeforeTheBook(t *testing.T) {
	b := book(t, tiered)
	_, err := rating.Rate(b, month(t, b, "2025-12"), rows(use("2025-12-31T23", streamA, rating.PutBytes, 1)), rating.Options{})
	if leat.KindOf(err) != leat.KindInvalidArgument || !strings.Contains(err.Error(), "no prices before 2026-01-01") {
		t.Errorf("usage before the first prices: %v", err)
	}
}

// large yields streams × hours rows without keeping them.
func large(streams, hours int, each func()) iter.Seq2[*rating.Usage, error] {
	return func(yield func(*rating.Usage, error) bool) {
		var u rating.Usage
		for h := range hours {
			each()
			for s := range streams {
				u = rating.Usage{Account: fmt100[s%100], Mode: leat.ModeProvisioned, Hour: at0 + int64(h)*3600e6}
				u.Stream[0], u.Stream[1] = byte(s), byte(s>>8)
				for m := range rating.Meters {
					u.Quantities[m] = int64(s+1) * int64(m+1)
				}
				if !yield(&u, nil) {
					return
				}
			}
		}
	}
}

var (
	at0    = at("2026-10-01T00")
	fmt100 = func() (names [100]string) {
		for i := range names {
			names[i] = fmt.Sprintf("%012d", i)
		}
		return names
	}()
)

// Memory is bounded by streams, not hours: while 744 hours of 2,000 streams are rated the heap never holds more than it did after 24 of them, but for
// 4 MiB. All rows would be 300 MB.
func TestMemoryIsBounded(t *testing.T) {
	b, err := rating.Preset("aws-kinesis-provisioned")
	if err != nil {
		t.Fatal(err)
	}
	hour, early, most := 0, uint64(0), uint64(0)
	live := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	usage := large(2000, 744, func() {
		if hour++; hour == 24 {
			early = live()
		} else if hour%120 == 0 {
			most = max(most, live())
		}
	})
	bills, err := rating.Rate(b, month(t, b, "2026-10"), usage, rating.Options{Shares: true})
	if err != nil || len(bills) != 100 {
		t.Fatal(len(bills), err)
	}
	if most > early+4<<20 {
		t.Errorf("%d KiB live at first, %d KiB later", early>>10, most>>10)
	}
}

// BenchmarkRate rates a month of 10,000 streams.
func BenchmarkRate(b *testing.B) {
	book, err := rating.Preset("aws-kinesis-provisioned")
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		bills, err := rating.Rate(book, month(b, book, "2026-10"), large(10_000, 744, func() {}), rating.Options{Shares: true})
		if err != nil || len(bills) != 100 {
			b.Fatal(len(bills), err)
		}
	}
}
