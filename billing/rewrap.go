// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package billing

import (
	"context"
	"fmt"

	"github.com/leatstream/leat/internal/sqldb"
)

// Rewrap wraps the secrets of webhooks again that are not under the first master key, so that the others can be taken away. One that
// cannot be opened stays, and is logged: its webhook is told nothing until it is given anew.
func (b *Billing) Rewrap(ctx context.Context) error {
	if b.opts.Sealer == nil {
		return nil
	}
	type sealed struct{ account, name, secret string }
	var all []sealed
	err := b.db.View(ctx, func(tx *sqldb.Tx) error {
		all = nil
		return tx.Each("SELECT account, name, secret FROM billing_budgets WHERE secret <> ''", func(scan sqldb.Scan) error {
			var s sealed
			err := scan(&s.account, &s.name, &s.secret)
			all = append(all, s)
			return err
		})
	})
	if err != nil {
		return err
	}
	for _, s := range all {
		if b.opts.Sealer.Current(s.secret) {
			continue
		}
		plain, err := b.opts.Sealer.Unwrap(budgetPurpose(s.account, s.name), s.secret)
		if err != nil {
			b.opts.Logger.Error("the secret of a budget's webhook cannot be read: set it anew", "account", s.account, "budget", s.name, "error", err)
			continue
		}
		wrapped, err := b.opts.Sealer.Wrap(budgetPurpose(s.account, s.name), plain)
		if err != nil {
			return fmt.Errorf("budget %s of account %s: %w", s.name, s.account, err)
		}
		err = b.db.Tx(ctx, func(tx *sqldb.Tx) error {
			_, err := tx.Exec("UPDATE billing_budgets SET secret = $1 WHERE account = $2 AND name = $3 AND secret = $4", wrapped, s.account, s.name, s.secret)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}
