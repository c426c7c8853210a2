// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"context"

	"github.com/leatstream/leat/internal/sqldb"
)

// CountConsumers returns how many consumers all streams of an account have.
func (c *Catalog) CountConsumers(ctx context.Context, account string) (n int64, err error) {
	err = c.db.View(ctx, func(tx *sqldb.Tx) error {
		return tx.Row("SELECT count(*) FROM consumers WHERE stream IN (SELECT id FROM streams WHERE account = $1)", account).Scan(&n)
	})
	return n, err
}

// StoredBytes returns how many bytes of data and partition keys an account has in registered packs.
func (c *Catalog) StoredBytes(ctx context.Context, account string) (n int64, err error) {
	err = c.db.View(ctx, func(tx *sqldb.Tx) error {
		return tx.Row("SELECT CAST(COALESCE(sum(bytes), 0) AS BIGINT) FROM extents WHERE stream IN (SELECT id FROM streams WHERE account = $1)", account).Scan(&n)
	})
	return n, err
}
