// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package billing

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/billing/rating"
	"github.com/leatstream/leat/internal/sqldb"
)

// Usage returns what the ledger has of an account in hours that begin in [from, to), corrections included, by hour and stream; of one
// stream where one is named.
func (b *Billing) Usage(ctx context.Context, account string, from, to time.Time, stream leat.StreamID) (all []rating.Usage, err error) {
	query := "SELECT stream, mode, hour, " + columns("SUM") + " FROM billing_ledger WHERE account = $1 AND hour >= $2 AND hour < $3"
	args := []any{account, from, to}
	if stream != (leat.StreamID{}) {
		query += " AND stream = $4"
		args = append(args, stream)
	}
	err = b.db.View(ctx, func(tx *sqldb.Tx) error {
		all = nil
		return tx.Each(query+" GROUP BY stream, mode, hour ORDER BY hour, stream, mode", func(scan sqldb.Scan) error {
			u := rating.Usage{Account: account}
			err := scan(append([]any{sqldb.ID(&u.Stream), &u.Mode, &u.Hour}, scanInto(&u.Quantities)...)...)
			all = append(all, u)
			return err
		}, args...)
	})
	return all, err
}

// rate prices what the ledger has of a month, as far as it was booked until then.
func rate(tx *sqldb.Tx, book *rating.Book, account string, p rating.Period, until int64, shares bool) (rating.Bill, error) {
	enough := errors.New("nobody wants more")
	rows := func(yield func(*rating.Usage, error) bool) {
		for _, w := range stretches(book, p) {
			err := eachSum(tx, account, w, until, func(u *rating.Usage) error {
				u.Hour = w.from
				if !yield(u, nil) {
					return enough
				}
				return nil
			})
			if errors.Is(err, enough) || err != nil && !yield(nil, err) {
				return
			}
		}
	}
	bills, err := rating.Rate(book, p, iter.Seq2[*rating.Usage, error](rows), rating.Options{Shares: shares})
	if err != nil || len(bills) == 0 {
		return rating.Bill{Account: account, Book: book.Name, Version: book.Version, Currency: book.Currency, Period: p}, err
	}
	return bills[0], nil
}

// Sums is Usage summed up for each stream and mode; Hour is 0.
func (b *Billing) Sums(ctx context.Context, account string, from, to time.Time) (all []rating.Usage, err error) {
	err = b.db.View(ctx, func(tx *sqldb.Tx) error {
		all = nil
		return eachSum(tx, account, window{leat.Micros(from), leat.Micros(to)}, forever, func(u *rating.Usage) error {
			all = append(all, *u)
			return nil
		})
	})
	return all, err
}

// Accounts lists the accounts that the ledger has anything of.
func (b *Billing) Accounts(ctx context.Context) (all []string, err error) {
	err = b.db.View(ctx, func(tx *sqldb.Tx) error {
		all = nil
		return tx.Each("SELECT DISTINCT account FROM billing_ledger WHERE account NOT LIKE '.%' ORDER BY account", func(scan sqldb.Scan) error {
			var a string
			err := scan(&a)
			all = append(all, a)
			return err
		})
	})
	return all, err
}

// StreamNames tells the names of streams of an account, of those that are gone too.
func (b *Billing) StreamNames(ctx context.Context, account string) (map[leat.StreamID]string, error) {
	names := map[leat.StreamID]string{}
	err := b.db.View(ctx, func(tx *sqldb.Tx) error {
		return tx.Each("SELECT stream, name FROM spans WHERE account = $1 AND kind = 'stream' UNION ALL SELECT id, name FROM billing_deliveries WHERE account = $1", func(scan sqldb.Scan) error {
			var id leat.StreamID
			var name string
			err := scan(sqldb.ID(&id), &name)
			names[id] = name
			return err
		}, account)
	})
	return names, err
}
