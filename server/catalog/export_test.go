// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"context"

	"github.com/leatstream/leat"
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

// AppendAsOlder writes an entry as a program does that knows nothing of the journal's form.
func (c *Catalog) AppendAsOlder(ctx context.Context) error {
	return c.append(ctx, "UPDATE journal SET n = n + 1 WHERE one = 1 RETURNING n")
}

// AppendAsNewer writes an entry as a program does that knows more of the journal than this one.
func (c *Catalog) AppendAsNewer(ctx context.Context) error {
	return c.append(ctx, "UPDATE journal SET n = n + 1, form_n = n + 1, form = form + 1 WHERE one = 1 RETURNING n")
}

func (c *Catalog) append(ctx context.Context, update string) error {
	return c.db.Tx(ctx, func(tx *sqldb.Tx) error {
		var info ClusterInfo
		if err := readCluster(tx, &info); err != nil {
			return err
		}
		e := &journal.Entry{Nonce: leat.NewID[leat.SessionID](nil), Cluster: info.ID}
		if err := tx.Row(update).Scan(sqldb.U64(&e.N)); err != nil {
			return err
		}
		return c.opts.Journal.Append(ctx, e)
	})
}
