// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package rating

import (
	"embed"
	"slices"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/leatstream/leat"
)

// Book is a price book: what each meter costs, from when on. ParseBook reads one; it is not changed afterwards.
type Book struct {
	Name     string
	Version  int
	Note     string
	Currency string // ISO 4217
	Zone     *time.Location
	Rounding Rounding
	Prices   []PriceList // sorted by Effective
	Text     string      // the YAML that it was read from
}

// Rounding says how amounts become money.
type Rounding struct {
	Places int32
	Mode   RoundingMode
	Scope  RoundingScope
}

// RoundingMode is what becomes of the rest.
type RoundingMode string

// The modes.
const (
	HalfUp   RoundingMode = "half-up"   // away from zero where it is in the middle
	HalfEven RoundingMode = "half-even" // to the even neighbour where it is in the middle
	Up       RoundingMode = "up"        // away from zero
	Down     RoundingMode = "down"      // towards zero
)

// RoundingScope is what is rounded.
type RoundingScope string

// The scopes.
const (
	RoundLines   RoundingScope = "line"    // each line
	RoundInvoice RoundingScope = "invoice" // the total: lines have exactPlaces, and one line makes up the difference
)

// exactPlaces is how many digits lines have where only the total is rounded, and quantities always.
const exactPlaces = 12

// PriceList is what holds from one date on, until the next one's.
type PriceList struct {
	Effective time.Time // midnight in the book's zone
	Minimum   decimal.Decimal
	Items     []Item
}

// Item is the price of one meter, or of its part in streams of one mode. What is said of a month (Free, Tiers, Minimum) is
// counted for an account over the whole month, over price changes too: items of several lists are the same when their
// names are.
type Item struct {
	Name        string
	Description string
	Meter       Meter
	Mode        leat.StreamMode // of streams; empty: any
	Unit        Unit
	Per         decimal.Decimal // the price is for so many units
	Free        decimal.Decimal // units a month that cost nothing; tiers count what is beyond them
	Minimum     decimal.Decimal // a month, when there is any usage
	Tiers       []Tier          // one at least; the last has no end
}

// Tier is a stretch of a month's units with one price.
type Tier struct {
	UpTo  decimal.Decimal // units; zero: no end
	Price decimal.Decimal
}

// Unit is what prices and quantities are told in.
type Unit struct {
	Name  string
	Base  int64 // base units in one
	Month bool  // times the hours of the month
}

// size is how many base units one unit is in a period.
func (u Unit) size(p Period) decimal.Decimal {
	d := decimal.NewFromInt(u.Base)
	if u.Month {
		d = d.Mul(decimal.NewFromInt(p.Hours()))
	}
	return d
}

// units of each kind of meter.
var units = map[kind][]Unit{
	count: {{"one", 1, false}, {"thousand", 1_000, false}, {"million", 1_000_000, false}},
	bytes: {
		{"byte", 1, false}, {"kB", 1e3, false}, {"MB", 1e6, false}, {"GB", 1e9, false}, {"TB", 1e12, false},
		{"KiB", 1 << 10, false}, {"MiB", 1 << 20, false}, {"GiB", 1 << 30, false}, {"TiB", 1 << 40, false},
	},
	byteHours: {
		{"GB-hour", 1e9, false}, {"GiB-hour", 1 << 30, false}, {"GB-month", 1e9, true}, {"GiB-month", 1 << 30, true},
		{"TB-month", 1e12, true}, {"TiB-month", 1 << 40, true},
	},
	duration: {{"second", 1e6, false}, {"hour", 3600e6, false}, {"month", 3600e6, true}},
}

func unitOf(m Meter, name string) (Unit, bool) {
	all := units[meters[m].kind]
	i := slices.IndexFunc(all, func(u Unit) bool { return u.Name == name })
	return all[max(i, 0)], i >= 0
}

func unitNames(m Meter) string {
	var names []string
	for _, u := range units[meters[m].kind] {
		names = append(names, u.Name)
	}
	return strings.Join(names, ", ")
}

// at is the index of the list that holds at a time; -1 before the first.
func (b *Book) at(micros int64) int {
	for i := len(b.Prices) - 1; i >= 0; i-- {
		if leat.Micros(b.Prices[i].Effective) <= micros {
			return i
		}
	}
	return -1
}

// Month is the period that has t, in the book's zone.
func (b *Book) Month(t time.Time) Period { return MonthOf(t, b.Zone) }

//go:embed presets/*.yaml
var presets embed.FS

// Presets lists the books that come with Leat.
func Presets() []string {
	entries, err := presets.ReadDir("presets")
	if err != nil {
		panic(err) // they are in the program
	}
	var names []string
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e.Name(), ".yaml"))
	}
	return names
}

// PresetText is the YAML of a book that comes with Leat; KindNotFound for other names.
func PresetText(name string) ([]byte, error) {
	text, err := presets.ReadFile("presets/" + name + ".yaml")
	if err != nil || strings.ContainsAny(name, "/.") {
		return nil, leat.Errorf(leat.KindNotFound, "there is no price book named %q: there are %s", name, strings.Join(Presets(), ", "))
	}
	return text, nil
}

// Preset is a book that comes with Leat.
func Preset(name string) (*Book, error) {
	text, err := PresetText(name)
	if err != nil {
		return nil, err
	}
	return ParseBook(text)
}
