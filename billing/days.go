// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package billing

import (
	"context"
	"time"

	"github.com/shopspring/decimal"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/billing/rating"
	"github.com/leatstream/leat/internal/sqldb"
)

// Days is Usage summed up for each stream and day; a day is 24 hours, counted from the first one. Hour is where it begins. Modes
// are added up.
func (b *Billing) Days(ctx context.Context, account string, from, to time.Time) (all []rating.Usage, err error) {
	err = b.db.View(ctx, func(tx *sqldb.Tx) error {
		all = nil
		return tx.Each("SELECT (hour - $2) / 86400000000, stream, "+columns("SUM")+` FROM billing_ledger
WHERE account = $1 AND hour >= $2 AND hour < $3 GROUP BY 1, 2 ORDER BY 1, 2`, func(scan sqldb.Scan) error {
			u := rating.Usage{Account: account}
			err := scan(append([]any{&u.Hour, sqldb.ID(&u.Stream)}, scanInto(&u.Quantities)...)...)
			u.Hour = leat.Micros(from) + u.Hour*(24*hourMicros)
			all = append(all, u)
			return err
		}, account, from, to)
	})
	return all, err
}

// Compare is what an account's usage of a month, as far as hours are booked, comes to by another book.
func (b *Billing) Compare(ctx context.Context, account, month string, book *rating.Book) (bill rating.Bill, err error) {
	err = b.db.View(ctx, func(tx *sqldb.Tx) error {
		p, err := b.period(tx, account, month)
		if err != nil {
			return err
		}
		bill, err = rate(tx, book, account, p, forever, false)
		return err
	})
	return bill, err
}

// Forecast is what an invoice comes to at the month's end at the pace of the hours that are booked; of a closed one its total.
func (inv *Invoice) Forecast() decimal.Decimal { return forecast(inv) }
