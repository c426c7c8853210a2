// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package billing

import (
	"context"
	"database/sql"
	"errors"
	"regexp"
	"time"

	"github.com/shopspring/decimal"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/billing/rating"
	"github.com/leatstream/leat/internal/sqldb"
)

// Entry is a credit or an adjustment: a line that an operator puts on an invoice that is not closed.
type Entry struct {
	ID      string // of the request: one that is sent again is known by it
	Account string
	Month   string // YYYY-MM
	Amount  decimal.Decimal
	Reason  string
	Author  string
}

var entryID = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// Enter puts a line on an account's month: a credit where the amount is negative, an adjustment otherwise. A second call with the same id changes
// nothing. KindInUse when the month is closed.
func (b *Billing) Enter(ctx context.Context, e Entry) error {
	p, err := rating.ParseMonth(e.Month, b.opts.Book.Zone)
	switch {
	case err != nil:
		return err
	case !entryID.MatchString(e.ID):
		return leat.Invalid("id", "must be 1 to 64 letters, digits, dots, dashes or underscores")
	case e.Amount.IsZero() || e.Amount.Exponent() < -12 || e.Amount.Abs().GreaterThan(decimal.New(1, 15)):
		return leat.Invalid("amount", "must not be 0, nor have more than 12 digits behind the point, nor exceed 10^15")
	case e.Reason == "" || len(e.Reason) > 500:
		return leat.Invalid("reason", "must have 1 to 500 characters: it stands on the invoice")
	}
	kind := rating.LineAdjustment
	if e.Amount.IsNegative() {
		kind = rating.LineCredit
	}
	return b.db.Tx(ctx, func(tx *sqldb.Tx) error {
		if _, err := b.lockBooked(tx); err != nil { // nobody closes the month meanwhile
			return err
		}
		if _, err := closedInvoice(tx, e.Account, p.String()); !errors.Is(err, sql.ErrNoRows) {
			if err == nil {
				err = leat.Errorf(leat.KindInUse, "the invoice of %s is closed: enter it in an open month", p)
			}
			return err
		}
		n, err := tx.Exec(`
INSERT INTO billing_entries (id, account, month, kind, amount, currency, reason, author, created) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT (id) DO NOTHING`, e.ID, e.Account, p.String(), string(kind), e.Amount.String(), b.opts.Book.Currency, e.Reason, e.Author, b.now())
		if err != nil || n == 1 {
			return err
		}
		var account, month, amount string
		err = tx.Row("SELECT account, month, amount FROM billing_entries WHERE id = $1", e.ID).Scan(&account, &month, &amount)
		if err == nil && (account != e.Account || month != p.String() || amount != e.Amount.String()) {
			err = leat.Errorf(leat.KindInUse, "there is another entry with the id %s", e.ID)
		}
		return err
	})
}

// addEntries adds a month's credits and adjustments to its draft.
func addEntries(tx *sqldb.Tx, inv *Invoice) error {
	return tx.Each("SELECT kind, amount, reason, created FROM billing_entries WHERE account = $1 AND month = $2 ORDER BY created, id", func(scan sqldb.Scan) error {
		l := rating.Line{From: inv.Period.Start, To: inv.Period.End}
		var amount string
		var created time.Time
		if err := scan(&l.Kind, &amount, &l.Reason, sqldb.Time(&created)); err != nil {
			return err
		}
		l.Description = l.Reason
		var err error
		l.Amount, err = decimal.NewFromString(amount)
		inv.put(l)
		return err
	}, inv.Account, inv.Period.String())
}
