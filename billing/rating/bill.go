// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package rating

import (
	"time"

	"github.com/shopspring/decimal"

	"github.com/leatstream/leat"
)

// Bill is what an account's usage of a period comes to.
type Bill struct {
	Account  string
	Book     string
	Version  int
	Currency string
	Period   Period
	Lines    []Line
	Total    decimal.Decimal // the sum of the lines' amounts
	Shares   []Share         // only where they were asked for
}

// LineKind says what a line is.
type LineKind string

// The kinds. The last three are put on invoices by package billing.
const (
	LineUsage      LineKind = "usage"
	LineFree       LineKind = "free"     // within an allowance; its amount is 0
	LineMinimum    LineKind = "minimum"  // what is missing to one
	LineRounding   LineKind = "rounding" // from the sum of exact lines to money
	LineCorrection LineKind = "correction"
	LineCredit     LineKind = "credit"
	LineAdjustment LineKind = "adjustment"
)

// Line is one line of a bill.
type Line struct {
	Kind        LineKind
	Item        string
	Description string
	Meter       Meter           // of usage and free lines
	Mode        leat.StreamMode // of streams; empty: any
	From, To    time.Time       // the part of the period in which its price held
	Tier        int             // from 1; 0: no tiers
	Base        decimal.Decimal // base units of the meter, exact
	Quantity    decimal.Decimal // the same in Unit, to 12 digits
	Unit        string
	Per         decimal.Decimal
	Price       decimal.Decimal
	Amount      decimal.Decimal
	Reason      string // of corrections, credits and adjustments
}

// Share is a stream's part in an item's lines of one price list. Shares add up to their lines' amounts, to the last digit;
// minimums and rounding are the account's.
type Share struct {
	Item   string
	Meter  Meter
	From   time.Time
	Stream leat.StreamID
	Base   decimal.Decimal
	Amount decimal.Decimal

	Quantity decimal.Decimal // Base in Unit, to 12 digits
	Unit     string
}

func (b *Bill) add(l Line) {
	b.Lines = append(b.Lines, l)
	b.Total = b.Total.Add(l.Amount)
}
