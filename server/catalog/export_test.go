// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"context"

	"github.com/leatstream/leat/internal/sqldb"
	"github.com/leatstream/leat/server/journal"
)

// Entire is the catalog's whole state as a full entry of the journal has it.
func (c *Catalog) Entire(ctx context.Context) (*journal.Entry, error) {
	e := &journal.Entry{Full: true}
	return e, c.db.View(ctx, func(tx *sqldb.Tx) error {
		var info ClusterInfo
		if err := readCluster(tx, &info); err != nil {
			return err
		}
		e.Cluster = info.ID
		if err := tx.Row("SELECT n FROM journal WHERE one = 1").Scan(sqldb.U64(&e.N)); err != nil {
			return err
		}
		e.Streams, e.Accounts, e.Sessions = nil, nil, nil
		return c.entireState(tx, e)
	})
}

// SetBack makes the catalog one that has forgotten its newest journaled changes, as after a restore.
func (c *Catalog) SetBack(ctx context.Context, entries int) error {
	return c.db.Tx(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Exec("UPDATE journal SET n = n - $1 WHERE one = 1", entries)
		return err
	})
}
