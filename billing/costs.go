// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package billing

import (
	"context"

	"github.com/shopspring/decimal"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/sqldb"
)

// Costs is what an account's streams cost in the present month, as far as hours are booked.
type Costs struct {
	Month    string
	Currency string
	// Of is what each stream's use comes to; delivery streams are among them. Minimums, rounding, corrections and credits are the account's.
	Of    map[leat.StreamID]decimal.Decimal
	Total decimal.Decimal // of all of them
}

// Costs rates the present month of an account, stream by stream, with one statement for each price list that held in it.
func (b *Billing) Costs(ctx context.Context, account string) (c Costs, err error) {
	c = Costs{Month: b.opts.Book.Month(b.now()).String(), Currency: b.opts.Book.Currency, Of: map[leat.StreamID]decimal.Decimal{}}
	err = b.db.View(ctx, func(tx *sqldb.Tx) error {
		p, err := b.period(tx, account, c.Month)
		if err != nil {
			return err
		}
		bill, err := rate(tx, b.opts.Book, account, p, forever, true)
		if err != nil {
			return err
		}
		clear(c.Of)
		c.Total = decimal.Zero
		for i := range bill.Shares {
			s := &bill.Shares[i]
			c.Of[s.Stream] = c.Of[s.Stream].Add(s.Amount)
			c.Total = c.Total.Add(s.Amount)
		}
		return nil
	})
	return c, err
}
