// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package billing

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/shopspring/decimal"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/billing/rating"
	"github.com/leatstream/leat/internal/sqldb"
)

// Invoice is the bill of one account and month.
type Invoice struct {
	rating.Bill
	Number  uint64    // of a closed one; from 1
	Closed  time.Time // zero: a draft
	Through time.Time // of a draft: hours before this time are in it
}

// Status is DRAFT or CLOSED.
func (inv *Invoice) Status() string {
	if inv.Closed.IsZero() {
		return "DRAFT"
	}
	return "CLOSED"
}

// Invoice returns an account's closed invoice of a month, or what it would be as far as hours are booked. shares asks for what each stream's
// part is, as the ledger had it when the invoice was closed.
func (b *Billing) Invoice(ctx context.Context, account string, month string, shares bool) (inv Invoice, err error) {
	err = b.db.View(ctx, func(tx *sqldb.Tx) (err error) {
		inv, err = b.invoice(tx, account, month, shares)
		return err
	})
	return inv, err
}

func (b *Billing) invoice(tx *sqldb.Tx, account, month string, shares bool) (Invoice, error) {
	closed, err := closedInvoice(tx, account, month)
	if err == nil && shares {
		var book *rating.Book
		if book, err = rating.ParseBook([]byte(closed.book)); err == nil {
			var bill rating.Bill
			bill, err = rate(tx, book, account, closed.Period, leat.Micros(closed.Closed), true)
			closed.Shares = bill.Shares
		}
	}
	if err == nil {
		return closed.Invoice, nil
	}
	if !errors.Is(err, sql.ErrNoRows) {
		return Invoice{}, err
	}
	p, err := b.period(tx, account, month)
	if err != nil {
		return Invoice{}, err
	}
	return b.draft(tx, account, p, shares)
}

// draft is what a month that is not closed comes to so far.
func (b *Billing) draft(tx *sqldb.Tx, account string, p rating.Period, shares bool) (inv Invoice, err error) {
	if inv.Bill, err = rate(tx, b.opts.Book, account, p, forever, shares); err != nil {
		return inv, err
	}
	var booked int64
	if err := tx.Row("SELECT booked FROM billing_state WHERE one = 1").Scan(&booked); err != nil {
		return inv, err
	}
	inv.Through = time.UnixMicro(min(booked, leat.Micros(p.End))).UTC()
	if err := b.addCorrections(tx, &inv, p); err != nil {
		return inv, err
	}
	return inv, addEntries(tx, &inv)
}

func (inv *Invoice) put(l rating.Line) {
	inv.Lines = append(inv.Lines, l)
	inv.Total = inv.Total.Add(l.Amount)
}

// addCorrections adds, for each earlier month whose invoice is closed, what its ledger comes to now beyond what was billed: item by item, by
// the prices of then. The first month that is open takes them.
func (b *Billing) addCorrections(tx *sqldb.Tx, inv *Invoice, p rating.Period) error {
	closed, err := closedInvoices(tx, "account = $1 AND began < $2 ORDER BY began", inv.Account, p.Start)
	if err != nil || len(closed) == 0 {
		return err
	}
	if closed[len(closed)-1].Period.End.Before(p.Start) {
		return nil // a month before this one is still to be closed, and takes them
	}
	billed := billedItems(closed)
	for i := range closed {
		c := &closed[i]
		var late int
		err := tx.Row("SELECT count(*) FROM billing_ledger WHERE account = $1 AND hour >= $2 AND hour < $3 AND booked >= $4",
			inv.Account, c.Period.Start, c.Period.End, c.Closed.Add(-clocksApart)).Scan(&late)
		if err != nil {
			return err
		}
		if late == 0 {
			continue
		}
		book, err := rating.ParseBook([]byte(c.book))
		if err != nil {
			return err
		}
		now, err := rate(tx, book, inv.Account, c.Period, forever, false)
		if err != nil {
			return err
		}
		correct(inv, c, &now, billed[c.Period.String()], p)
	}
	return nil
}

// clocksApart is how far apart the clocks of nodes may be for a correction to be seen: beyond it, one could be left out.
const clocksApart = time.Hour

// item is what corrections are told apart by: the lines of an item, and its minimum with them.
func item(l *rating.Line) string { return l.Item }

// billedItems is what was billed of each month so far: by its own invoice, and by corrections in later ones.
func billedItems(closed []closedOne) map[string]map[string]decimal.Decimal {
	billed := map[string]map[string]decimal.Decimal{}
	add := func(month string, l *rating.Line) {
		if billed[month] == nil {
			billed[month] = map[string]decimal.Decimal{}
		}
		billed[month][item(l)] = billed[month][item(l)].Add(l.Amount)
	}
	for i := range closed {
		for j := range closed[i].Lines {
			switch l := &closed[i].Lines[j]; l.Kind {
			case rating.LineCredit, rating.LineAdjustment:
			case rating.LineCorrection:
				add(l.Reason, l)
			default:
				add(closed[i].Period.String(), l)
			}
		}
	}
	return billed
}

func correct(inv *Invoice, c *closedOne, now *rating.Bill, billed map[string]decimal.Decimal, p rating.Period) {
	is := map[string]decimal.Decimal{}
	var names []string
	for i := range now.Lines {
		l := &now.Lines[i]
		is[item(l)] = is[item(l)].Add(l.Amount)
		names = append(names, item(l))
	}
	for name := range billed {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		if diff := is[name].Sub(billed[name]); !diff.IsZero() {
			inv.put(rating.Line{
				Kind: rating.LineCorrection, Item: name, Description: "Correction of " + c.Period.String(), Reason: c.Period.String(),
				From: p.Start, To: p.End, Amount: diff,
			})
		}
	}
}

// Close closes an account's month and returns its invoice; a second call returns the same one. KindInUse while the month, or an hour of it,
// is not over, or an earlier month with usage is open. early closes before the time of grace is over.
func (b *Billing) Close(ctx context.Context, account, month string, early bool) (Invoice, error) {
	inv, _, err := b.closeMonth(ctx, account, month, early)
	return inv, err
}

// closeMonth is Close, and tells whether it was this call that closed.
func (b *Billing) closeMonth(ctx context.Context, account, month string, early bool) (inv Invoice, did bool, err error) {
	err = b.db.Tx(ctx, func(tx *sqldb.Tx) error {
		did = false
		booked, err := b.lockBooked(tx)
		if err != nil {
			return err
		}
		there, err := closedInvoice(tx, account, month)
		if err == nil {
			inv = there.Invoice
			return nil
		}
		if !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		p, err := b.period(tx, account, month)
		if err != nil {
			return err
		}
		if err := b.closable(tx, account, p, booked, early); err != nil {
			return err
		}
		if inv, err = b.draft(tx, account, p, false); err != nil {
			return err
		}
		did = true
		return b.writeInvoice(tx, &inv)
	})
	return inv, did, err
}

func (b *Billing) closable(tx *sqldb.Tx, account string, p rating.Period, booked int64, early bool) error {
	due := p.End
	if !early {
		due = due.Add(b.opts.Grace)
	}
	if now := b.now(); now.Before(due) || booked < leat.Micros(p.End) {
		return leat.Errorf(leat.KindInUse, "%s is not over: it can be closed from %s on, when its last hour is booked", p, due.UTC().Format(time.RFC3339))
	}
	c, err := chainOf(tx, account)
	if err != nil {
		return err
	}
	oldest, ok := c.oldest(b.opts.Book.Zone)
	if ok && oldest.Start.Before(p.Start) {
		return leat.Errorf(leat.KindInUse, "%s is open: close earlier months first", oldest)
	}
	if c.ended.Valid && oldest.Start.After(p.Start) {
		return leat.Errorf(leat.KindInUse, "months up to %s are closed: %s cannot be any more", oldest.Start.UTC().Format(time.RFC3339), p)
	}
	return nil
}

func (b *Billing) writeInvoice(tx *sqldb.Tx, inv *Invoice) error {
	inv.Closed, inv.Through = b.now().UTC().Truncate(time.Microsecond), time.Time{}
	if err := tx.Row("UPDATE billing_state SET number = number + 1 WHERE one = 1 RETURNING number").Scan(sqldb.U64(&inv.Number)); err != nil {
		return err
	}
	lines, err := json.Marshal(inv.Lines)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`
INSERT INTO billing_invoices (number, account, month, began, ended, closed, currency, total, lines, book)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
		inv.Number, inv.Account, inv.Period.String(), inv.Period.Start, inv.Period.End, inv.Closed, inv.Currency, inv.Total.String(), string(lines), b.opts.Book.Text)
	return err
}

// closedOne is a closed invoice with its book.
type closedOne struct {
	Invoice
	book string
}

func closedInvoice(tx *sqldb.Tx, account, month string) (closedOne, error) {
	all, err := closedInvoices(tx, "account = $1 AND month = $2", account, month)
	if err != nil {
		return closedOne{}, err
	}
	if len(all) == 0 {
		return closedOne{}, sql.ErrNoRows
	}
	return all[0], nil
}

func closedInvoices(tx *sqldb.Tx, where string, args ...any) (all []closedOne, err error) {
	err = tx.Each("SELECT number, account, began, ended, closed, currency, total, lines, book FROM billing_invoices WHERE "+where, func(scan sqldb.Scan) error {
		var c closedOne
		var total, lines string
		err := scan(sqldb.U64(&c.Number), &c.Account, sqldb.Time(&c.Period.Start), sqldb.Time(&c.Period.End), sqldb.Time(&c.Closed), &c.Currency, &total, &lines, &c.book)
		if err != nil {
			return err
		}
		book, err := rating.ParseBook([]byte(c.book))
		if err != nil {
			return err
		}
		c.Book, c.Version = book.Name, book.Version
		c.Period.Start, c.Period.End = c.Period.Start.In(book.Zone), c.Period.End.In(book.Zone)
		if c.Total, err = decimal.NewFromString(total); err != nil {
			return err
		}
		all = append(all, c)
		return json.Unmarshal([]byte(lines), &all[len(all)-1].Lines)
	}, args...)
	return all, err
}

// Invoices lists an account's closed invoices, oldest first.
func (b *Billing) Invoices(ctx context.Context, account string) (all []Invoice, err error) {
	err = b.db.View(ctx, func(tx *sqldb.Tx) error {
		closed, err := closedInvoices(tx, "account = $1 ORDER BY began", account)
		all = make([]Invoice, 0, len(closed))
		for i := range closed {
			all = append(all, closed[i].Invoice)
		}
		return err
	})
	return all, err
}

// CloseDue closes every account's months whose time of grace is over, oldest first, and returns how many. Why one that is due is not closed is
// logged once.
func (b *Billing) CloseDue(ctx context.Context) (n int, err error) {
	accounts, err := b.Accounts(ctx)
	if err != nil {
		return 0, err
	}
	for _, account := range accounts {
		closed, err := b.closeDueOf(ctx, account)
		n += closed
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

func (b *Billing) closeDueOf(ctx context.Context, account string) (n int, err error) {
	for last := ""; ; {
		month, due, err := b.oldestOpen(ctx, account)
		if err != nil || !due {
			return n, err
		}
		if month == last {
			b.unclosed(account, month, "it is closed, and still the oldest open one")
			return n, nil
		}
		_, did, err := b.closeMonth(ctx, account, month, false)
		if leat.KindOf(err) == leat.KindInUse {
			b.unclosed(account, month, err.Error())
			return n, nil
		}
		if err != nil {
			return n, err
		}
		if did {
			n++
		}
		last = month
	}
}

// unclosed logs why an invoice that is due is not closed, unless that was the last thing logged of the account.
func (b *Billing) unclosed(account, month, why string) {
	b.hindering.Lock()
	defer b.hindering.Unlock()
	if told := month + why; b.hindered[account] != told {
		b.hindered[account] = told
		b.opts.Logger.Warn("an invoice that is due is not closed", "account", account, "month", month, "reason", why)
	}
}

// oldestOpen is the oldest month that an account has not closed, and whether it is due.
func (b *Billing) oldestOpen(ctx context.Context, account string) (month string, due bool, err error) {
	err = b.db.View(ctx, func(tx *sqldb.Tx) error {
		c, err := chainOf(tx, account)
		if p, ok := c.oldest(b.opts.Book.Zone); ok {
			month, due = p.String(), !b.now().Before(p.End.Add(b.opts.Grace))
		}
		return err
	})
	return month, due, err
}
