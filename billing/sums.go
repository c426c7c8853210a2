// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package billing

import (
	"context"
	"database/sql"
	"errors"
	"strings"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/billing/rating"
	"github.com/leatstream/leat/internal/sqldb"
)

// What a month comes to needs each stream's sums alone, not its hours: allowances and tiers count the month's use, and prices change at known
// times. So the ledger is summed up for each stretch between two such times, in the transactions that write it. A stretch that is not
// summed up, or not wholly, is added up from the ledger by whoever asks: the sums make answers fast, never different.

// stretches are the parts of a period in which one price list of a book holds. An hour has the prices of when it begins.
func stretches(book *rating.Book, p rating.Period) (all []window) {
	from, end := leat.Micros(p.Start), leat.Micros(p.End)
	for _, l := range book.Prices {
		if at := leat.Micros(l.Effective); at > from && at < end {
			all = append(all, window{from, at})
			from = at
		}
	}
	return append(all, window{from, end})
}

// unmarkedIn counts the rows of hours in [from, to) that programs wrote which know no sums. A row of the ledger is never changed or deleted: as long
// as their number is the same, they are.
func unmarkedIn(tx *sqldb.Tx, from, to int64) (n int64, err error) {
	err = tx.Row("SELECT count(*) FROM billing_ledger WHERE summed = 0 AND hour >= $1 AND hour < $2", from, to).Scan(&n)
	return n, err
}

// summed tells whether the sums of a stretch have all of its rows.
func summed(tx *sqldb.Tx, w window) (bool, error) {
	var through, unmarked int64
	err := tx.Row("SELECT through, unmarked FROM billing_stretches WHERE began = $1 AND ended = $2", w.from, w.to).Scan(&through, &unmarked)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	if err != nil || through < w.to {
		return false, err
	}
	n, err := unmarkedIn(tx, w.from, w.to)
	return err == nil && n == unmarked, err
}

// eachSum tells what an account's streams used in a stretch, as far as it was booked until then, stream by stream and mode by mode. Hour is 0.
func eachSum(tx *sqldb.Tx, account string, w window, until int64, tell func(*rating.Usage) error) error {
	query := "SELECT stream, mode, " + columns("") + " FROM billing_sums WHERE account = $1 AND began = $2 AND ended = $3 ORDER BY stream, mode"
	args := []any{account, w.from, w.to}
	whole := false
	if until == forever {
		var err error
		if whole, err = summed(tx, w); err != nil {
			return err
		}
	}
	if !whole {
		query = "SELECT stream, mode, " + columns("SUM") + ` FROM billing_ledger
WHERE account = $1 AND hour >= $2 AND hour < $3 AND booked <= $4 GROUP BY stream, mode ORDER BY stream, mode`
		args = append(args, until)
	}
	return tx.Each(query, func(scan sqldb.Scan) error {
		u := rating.Usage{Account: account}
		if err := scan(append([]any{sqldb.ID(&u.Stream), &u.Mode}, scanInto(&u.Quantities)...)...); err != nil {
			return err
		}
		return tell(&u)
	}, args...)
}

// addSums adds rows that are being written into the ledger to the sums of every stretch that has their hour. rows are (account, stream, mode)
// and the quantities.
func addSums(tx *sqldb.Tx, hour int64, rows *sqldb.Rows) error {
	_, err := tx.ExecRows(`
WITH v (account, stream, mode, `+columns("")+`) AS (VALUES $rows)
INSERT INTO billing_sums (account, began, ended, stream, mode, `+columns("")+`)
SELECT v.account, s.began, s.ended, v.stream, v.mode, `+columns("")+` FROM v JOIN billing_stretches s ON s.began <= $1 AND s.through > $1
WHERE true ON CONFLICT (account, began, ended, stream, mode) DO UPDATE SET `+added(), rows, hour)
	return err
}

// added is the part of a statement that adds a row's quantities to those that are there.
func added() string {
	var add []string
	for m := range rating.Meters {
		add = append(add, m.Column()+" = billing_sums."+m.Column()+" + excluded."+m.Column())
	}
	return strings.Join(add, ", ")
}

// sumUp sees to it that the present month is summed up: when it begins, after an upgrade, after a node of an older release has booked, and under a
// book whose prices change at other times. Where all is summed up it only looks.
func (b *Billing) sumUp(ctx context.Context) error {
	for _, w := range stretches(b.opts.Book, b.opts.Book.Month(b.now())) {
		for whole := false; !whole; {
			err := b.db.View(ctx, func(tx *sqldb.Tx) (err error) {
				whole, err = summed(tx, w)
				return err
			})
			if err == nil && !whole {
				err = b.db.Tx(ctx, func(tx *sqldb.Tx) error {
					if _, err := b.lockBooked(tx); err != nil { // nobody books meanwhile
						return err
					}
					return sumOn(tx, w)
				})
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// sumOn sums up one more day of a stretch, so that no transaction is long, and passes over what has no rows; from the beginning again where the
// sums lack something. No hour is booked meanwhile.
func sumOn(tx *sqldb.Tx, w window) error {
	_, err := tx.Exec("INSERT INTO billing_stretches (began, ended, through, unmarked) VALUES ($1, $2, $1, 0) ON CONFLICT (began, ended) DO NOTHING", w.from, w.to)
	if err != nil {
		return err
	}
	var through, unmarked int64
	err = tx.Row("SELECT through, unmarked FROM billing_stretches WHERE began = $1 AND ended = $2", w.from, w.to).Scan(&through, &unmarked)
	if err != nil {
		return err
	}
	n, err := unmarkedIn(tx, w.from, through)
	if err != nil {
		return err
	}
	if n != unmarked {
		if _, err := tx.Exec("DELETE FROM billing_sums WHERE began = $1 AND ended = $2", w.from, w.to); err != nil {
			return err
		}
		through = w.from
	}
	var next sql.NullInt64
	if err := tx.Row("SELECT MIN(hour) FROM billing_ledger WHERE hour >= $1 AND hour < $2", through, w.to).Scan(&next); err != nil {
		return err
	}
	to := w.to
	if next.Valid {
		to = min(next.Int64+day, w.to)
	}
	_, err = tx.Exec(`
INSERT INTO billing_sums (account, began, ended, stream, mode, `+columns("")+`)
SELECT account, CAST($1 AS BIGINT), CAST($2 AS BIGINT), stream, mode, `+columns("SUM")+` FROM billing_ledger
WHERE hour >= $3 AND hour < $4 GROUP BY account, stream, mode
ON CONFLICT (account, began, ended, stream, mode) DO UPDATE SET `+added(), w.from, w.to, through, to)
	if err != nil {
		return err
	}
	if n, err = unmarkedIn(tx, w.from, to); err != nil {
		return err
	}
	_, err = tx.Exec("UPDATE billing_stretches SET through = $3, unmarked = $4 WHERE began = $1 AND ended = $2", w.from, w.to, to, n)
	return err
}
