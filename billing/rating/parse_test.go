// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package rating_test

import (
	"strings"
	"testing"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/billing/rating"
)

func TestPresets(t *testing.T) {
	names := rating.Presets()
	if len(names) != 5 {
		t.Errorf("presets %v", names)
	}
	for _, name := range names {
		b, err := rating.Preset(name)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if b.Name != name || b.Note == "" {
			t.Errorf("preset %s calls itself %q and says %q", name, b.Name, b.Note)
		}
	}
	if _, err := rating.Preset("../book"); leat.KindOf(err) != leat.KindNotFound {
		t.Errorf("a preset that is not there: %v", err)
	}
}

// Whatever is wrong with a book is told with its line and field.
func TestBadBooks(t *testing.T) {
	const good = `book: test
currency: EUR
rounding: {places: 2}
prices:
  - effective: 2026-01-01
    items:
      - name: puts
        meter: put.records
        unit: one
        price: 0.1
`
	if _, err := rating.ParseBook([]byte(good)); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ old, new, want string }{
		{"book: test", "book: A b", `line 1: book: is "A b"`},
		{"book: test\n", "", "line 1: book: is missing"},
		{"currency: EUR", "currency: eur", `line 2: currency: is "eur"`},
		{"currency: EUR", "currency: EUR\ntimezone: Berlin", `line 3: timezone: "Berlin" is not known`},
		{"places: 2", "places: 13", `line 3: rounding.places: is "13"`},
		{"places: 2", "mode: bankers", `line 3: rounding.mode: is "bankers"`},
		{"places: 2", "digits: 2", "line 3: rounding.digits: is not known here"},
		{"2026-01-01", "2026-02-30", `line 5: prices[0].effective: "2026-02-30" is not a date`},
		{"meter: put.records", "meter: put.record", `line 8: prices[0].items[0].meter: "put.record" is not known`},
		{"unit: one", "unit: GB", `line 9: prices[0].items[0].unit: put.records cannot be priced by "GB"`},
		{"price: 0.1", "price: -0.1", `line 10: prices[0].items[0].price: is "-0.1"`},
		{"price: 0.1", "price: 1e-3", `line 10: prices[0].items[0].price: is "1e-3"`},
		{"price: 0.1", "price: .inf", `line 10: prices[0].items[0].price: is ".inf"`},
		{"price: 0.1", "cost: 0.1", "line 10: prices[0].items[0].cost: is not known here"},
		{"price: 0.1", "price: [1]", "line 10: prices[0].items[0].price: must be a single value"},
		{"price: 0.1", "price: 0.1\n        price: 0.2", "line 11: prices[0].items[0].price: is given twice"},
		{"price: 0.1", "price: 0.1\n        per: 0", "line 11: prices[0].items[0].per: must be above 0"},
		{"price: 0.1", "price: 0.1\n        mode: ondemand", `line 11: prices[0].items[0].mode: is "ondemand"`},
		{"price: 0.1", "tiers: []", "line 10: prices[0].items[0].tiers: must be a list"},
		{"price: 0.1", "tiers: [{up_to: 5, price: 1}]", "line 10: prices[0].items[0].tiers[0].up_to: the last tier has no end"},
		{"price: 0.1", "tiers: [{price: 1}, {price: 2}]", "tiers[0].up_to: is missing"},
		{"price: 0.1", "tiers: [{up_to: 5, price: 1}, {up_to: 5, price: 1}, {price: 2}]", "tiers[1].up_to: must be above"},
		{"price: 0.1", "tiers: [{up_to: 5}, {price: 2}]", "tiers[0].price: is missing"},
		{"prices:", "prices: 5\nother:", "line 4: prices: must be a list"},
		{"    items:", "    minimum: x\n    items:", `line 6: prices[0].minimum: is "x"`},
		{"price: 0.1\n", "price: 0.1\n      - {name: puts, meter: put.bytes, unit: GB, price: 1}\n", `line 11: prices[0].items[1].name: "puts" is there twice`},
		{"price: 0.1\n", "price: 0.1\n  - effective: 2026-01-01\n    items: [{name: a, meter: put.bytes, unit: GB, price: 1}]\n", "line 11: prices[1].effective: must be after"},
		{"price: 0.1\n", "price: 0.1\n  - effective: 2026-02-01\n    items: [{name: puts, meter: put.bytes, unit: GB, price: 1}]\n", `line 11: prices[1].items[0]: "puts" has another meter`},
		{good, "", "the book is empty"},
		{good, "- 5", "line 1: must have fields"},
		{good, "a: [", "line 1"},
	} {
		_, err := rating.ParseBook([]byte(strings.Replace(good, tc.old, tc.new, 1)))
		if leat.KindOf(err) != leat.KindInvalidArgument || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("with %q: got %v, want %q", tc.new, err, tc.want)
		}
	}
	_, err := rating.ParseBook([]byte("book: X\ncurrency: y\nprices: []\n"))
	for _, want := range []string{"line 1: book", "line 2: currency", "line 3: prices"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("all that is wrong at once: %v lacks %q", err, want)
		}
	}
}
