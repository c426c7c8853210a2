// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"context"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/sqldb"
	"github.com/leatstream/leat/server/journal"
)

// Deliveries are the tables of delivery streams, which are in the catalog's database and not the catalog's own, as the
// journal sees them.
type Deliveries interface {
	// All reads every delivery stream.
	All(tx *sqldb.Tx) ([]journal.Delivery, error)
	// Apply makes the tables what a change says. Applying it twice does no harm.
	Apply(tx *sqldb.Tx, d *journal.Delivery) error
}

// ChangedDelivery is noted by a transaction that changes what a rebuilt catalog must have of a delivery stream.
type ChangedDelivery struct{ journal.Delivery }

// Fill writes something into an empty catalog.
type Fill = func(tx *sqldb.Tx) error

// Delivered writes how far deliveries are.
type Delivered = Fill

// Change runs a transaction of another package's tables, and writes what it notes to the journal before it commits.
func (c *Catalog) Change(ctx context.Context, fn func(tx *sqldb.Tx) error) error {
	return c.tx(ctx, fn)
}

func (c *Catalog) applyDelivery(tx *sqldb.Tx, d *journal.Delivery) error {
	if c.opts.Deliveries == nil {
		return leat.Errorf(leat.KindInternal, "the journal has delivery stream %s, and this program was started without deliveries", d.ID)
	}
	return c.opts.Deliveries.Apply(tx, d)
}
