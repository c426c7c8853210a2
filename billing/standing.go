// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package billing

import (
	"context"
	"time"

	"github.com/shopspring/decimal"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/billing/rating"
)

// Position is where an account stands in the present month.
type Position struct {
	Account  string
	Month    string
	Currency string
	Total    decimal.Decimal // of the draft
	Forecast decimal.Decimal // of the whole month, at the pace of the hours that are booked; rounded to the cent
	Used     rating.Quantities
	Through  time.Time // hours that begin before this time are in it
}

// Positions tells where every account stands that has used anything this month.
func (b *Billing) Positions(ctx context.Context) (all []Position, err error) {
	p := b.opts.Book.Month(b.now())
	accounts, err := b.Accounts(ctx)
	if err != nil {
		return nil, err
	}
	for _, account := range accounts {
		inv, err := b.Invoice(ctx, account, p.String(), false)
		if err != nil {
			return nil, err
		}
		sums, err := b.Sums(ctx, account, inv.Period.Start, inv.Period.End)
		if err != nil {
			return nil, err
		}
		if len(sums) == 0 && len(inv.Lines) == 0 {
			continue
		}
		at := Position{Account: account, Month: p.String(), Currency: inv.Currency, Total: inv.Total, Forecast: forecast(&inv), Through: inv.Through}
		for i := range sums {
			for m, n := range sums[i].Quantities {
				at.Used[m] += n
			}
		}
		all = append(all, at)
	}
	return all, nil
}

// forecast goes on at the pace of the booked hours. Lines that usage does not make, such as credits, stay as they are.
func forecast(inv *Invoice) decimal.Decimal {
	pace, fixed := decimal.Zero, decimal.Zero
	for i := range inv.Lines {
		if l := &inv.Lines[i]; l.Kind == rating.LineUsage {
			pace = pace.Add(l.Amount)
		} else {
			fixed = fixed.Add(l.Amount)
		}
	}
	booked := (leat.Micros(inv.Through) - leat.Micros(inv.Period.Start)) / hourMicros
	if booked <= 0 || !inv.Closed.IsZero() {
		return inv.Total
	}
	return pace.Mul(decimal.NewFromInt(inv.Period.Hours())).DivRound(decimal.NewFromInt(booked), 2).Add(fixed)
}
