// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package billing

import (
	"context"
	"strings"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/sqldb"
)

// throttleEvery is how often a node looks which budgets refuse puts. Puts themselves ask memory alone; while the database is away what was
// known goes on holding, to the end of its month.
const throttleEvery = 30 * time.Second

// throttle is a budget that refuses puts.
type throttle struct {
	name, month, spent, amount string
	stream                     leat.StreamID // zero: of all streams
	ends                       time.Time     // the month
}

// loadThrottles reads which budgets refuse puts.
func (b *Billing) loadThrottles(ctx context.Context) error {
	all := map[string][]throttle{}
	err := b.db.View(ctx, func(tx *sqldb.Tx) error {
		clear(all)
		return tx.Each(`
SELECT b.account, b.name, b.amount, b.stream, m.month, m.spent, m.ends FROM billing_budgets b
JOIN billing_budget_months m ON m.account = b.account AND m.name = b.name
WHERE b.throttle = 1 AND m.exceeded = 1 AND m.ends > $1`, func(scan sqldb.Scan) error {
			var t throttle
			var account, stream string
			err := scan(&account, &t.name, &t.amount, &stream, &t.month, &t.spent, sqldb.Time(&t.ends))
			if err == nil && stream != "" {
				t.stream, err = leat.ParseID[leat.StreamID](stream)
			}
			all[account] = append(all[account], t)
			return err
		}, b.now())
	})
	if err == nil {
		b.throttles.Store(&all)
	}
	return err
}

// Admit refuses puts into a stream of an account that has spent more than a budget that throttles. It asks memory alone.
func (b *Billing) Admit(account string, stream leat.StreamID) error {
	all := b.throttles.Load()
	if all == nil || len(*all) == 0 {
		return nil
	}
	account = strings.TrimPrefix(account, ".") // direct puts of deliveries
	for i := range (*all)[account] {
		t := &(*all)[account][i]
		if (t.stream.IsZero() || t.stream == stream) && b.now().Before(t.ends) {
			return leat.Errorf(leat.KindLimitExceeded, "Puts are refused: account %s has spent %s %s in %s, of %s that its budget %s allows. Raise the budget, or wait for the next month.",
				account, t.spent, b.opts.Book.Currency, t.month, t.amount, t.name)
		}
	}
	return nil
}
