// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package billing

import (
	"context"
	"errors"
	"time"

	"github.com/leatstream/leat/internal/sqldb"
)

// roundEvery is how often the leader looks what is due.
const roundEvery = 15 * time.Second

// Run does what is due while leads says so, until ctx ends: it books hours, moves manifests into the bucket, closes months, looks at budgets and
// tells of them. Two nodes that both believe to lead do no harm. Every node learns whose puts budgets refuse.
func (b *Billing) Run(ctx context.Context, leads func() bool) error {
	loaded := time.Time{}
	for {
		if now := b.now(); now.Sub(loaded) >= throttleEvery {
			loaded = now
			if err := b.loadThrottles(ctx); err != nil && ctx.Err() == nil {
				b.opts.Logger.Warn("budgets hold as they were known", "error", err)
			}
		}
		c, stop := b.opts.Clock.NewTimer(roundEvery)
		select {
		case <-c:
			if !leads() {
				continue
			}
			if err := b.Round(ctx); err != nil && ctx.Err() == nil {
				b.opts.Logger.Warn("billing waits", "error", err)
			}
		case <-ctx.Done():
			stop()
			return nil
		}
	}
}

// Round does once what is due.
func (b *Billing) Round(ctx context.Context) error {
	err := b.Book(ctx)
	_, moved := b.WriteManifests(ctx)
	n, closed := b.CloseDue(ctx)
	if n > 0 {
		b.opts.Logger.Info("invoices closed", "invoices", n)
	}
	return errors.Join(err, moved, closed, b.budgetRound(ctx))
}

// budgetsEvery is how often budgets are looked at though no hour was booked: credits change what is spent, and a month begins.
const budgetsEvery = 10 * time.Minute

// budgetRound looks at budgets when an hour was booked, and sends what is due.
func (b *Billing) budgetRound(ctx context.Context) error {
	var booked int64
	err := b.db.View(ctx, func(tx *sqldb.Tx) error {
		return tx.Row("SELECT booked FROM billing_state WHERE one = 1").Scan(&booked)
	})
	if err != nil {
		return err
	}
	now := b.now()
	b.looking.Lock()
	defer b.looking.Unlock()
	if booked != b.lookedBooked || now.Sub(b.lookedAt) >= budgetsEvery || now.Before(b.lookedAt) {
		if err := b.LookAtBudgets(ctx); err != nil {
			return err
		}
		b.lookedBooked, b.lookedAt = booked, now
	}
	return b.SendAlerts(ctx)
}
