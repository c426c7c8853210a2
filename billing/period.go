// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package billing

import (
	"database/sql"
	"errors"
	"time"

	"github.com/leatstream/leat/billing/rating"
	"github.com/leatstream/leat/internal/sqldb"
)

// An account's invoices follow one another without gap or overlap, whatever the price book's time zone becomes: the month after the last closed
// one begins where that one ended, and ends with the calendar of the present zone. So the first invoice after a change of zone is some
// hours longer or shorter than its month, and each hour is on exactly one.

// chain is where an account's invoices begin, and how far they go.
type chain struct {
	used  sql.NullInt64 // the first hour in the ledger
	began sql.NullInt64 // of the first closed invoice
	ended sql.NullInt64 // of the last one
}

func chainOf(tx *sqldb.Tx, account string) (c chain, err error) {
	err = tx.Row(`
SELECT (SELECT MIN(hour) FROM billing_ledger WHERE account = $1),
	(SELECT MIN(began) FROM billing_invoices WHERE account = $1), (SELECT MAX(ended) FROM billing_invoices WHERE account = $1)`, account).Scan(&c.used, &c.began, &c.ended)
	return c, err
}

// oldest is the oldest month that is open; false when there is nothing to bill.
func (c *chain) oldest(zone *time.Location) (p rating.Period, ok bool) {
	switch {
	case c.ended.Valid:
		return c.next(zone), true
	case c.used.Valid:
		return rating.MonthOf(time.UnixMicro(c.used.Int64), zone), true
	}
	return p, false
}

// next is the month after the last closed one. That one ended where a month does in the zone of then, less than two days from where it does
// in this one: half a month later it is the next one in each.
func (c *chain) next(zone *time.Location) rating.Period {
	const half = 15 * 24 * time.Hour
	ended := time.UnixMicro(c.ended.Int64).In(zone)
	return rating.Period{Start: ended, End: rating.MonthOf(ended.Add(half), zone).End}
}

// of is a calendar month as it is billed, where it is not closed.
func (c *chain) of(p rating.Period, zone *time.Location) rating.Period {
	if !c.ended.Valid {
		return p
	}
	next := c.next(zone)
	if p.String() == next.String() {
		return next
	}
	if began := time.UnixMicro(c.began.Int64).In(zone); p.Start.Before(began) && p.End.After(began) {
		p.End = began // a month before the first invoice
	}
	return p
}

// period is the time that an account's invoice of a month has, or will have.
func (b *Billing) period(tx *sqldb.Tx, account, month string) (p rating.Period, err error) {
	zone := b.opts.Book.Zone
	if p, err = rating.ParseMonth(month, zone); err != nil {
		return p, err
	}
	var began, ended int64
	err = tx.Row("SELECT began, ended FROM billing_invoices WHERE account = $1 AND month = $2", account, month).Scan(&began, &ended)
	if err == nil {
		return rating.Period{Start: time.UnixMicro(began).In(zone), End: time.UnixMicro(ended).In(zone)}, nil
	}
	if !errors.Is(err, sql.ErrNoRows) {
		return p, err
	}
	c, err := chainOf(tx, account)
	return c.of(p, zone), err
}
