// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package billing

import (
	"context"
	"errors"
	"time"
)

// roundEvery is how often the leader looks what is due.
const roundEvery = 15 * time.Second

// Run does what is due while leads says so, until ctx ends: it books hours, moves manifests into the bucket and closes months. Two nodes that
// both believe to lead do no harm.
func (b *Billing) Run(ctx context.Context, leads func() bool) error {
	for {
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
	return errors.Join(err, moved, closed)
}
