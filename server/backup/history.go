// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package backup

import (
	"context"
	"math"
	"slices"
	"strconv"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/sqldb"
	"github.com/leatstream/leat/server/catalog"
	"github.com/leatstream/leat/server/delivery"
	"github.com/leatstream/leat/server/journal"
	"github.com/leatstream/leat/shardstore/blob"
)

// Empty returns nil when a database holds nothing of a Leat that ran with it, whether it has tables or not. KindInUse otherwise.
func Empty(ctx context.Context, db *sqldb.DB) error {
	return db.View(ctx, func(tx *sqldb.Tx) error {
		there, err := tx.Tables()
		if err != nil {
			return err
		}
		for _, table := range slices.Concat([]string{"streams", "sessions", "access_keys"}, history) {
			if !slices.Contains(there, table) || slices.Contains(seeded, table) {
				continue
			}
			var rows int
			if err := tx.Row("SELECT count(*) FROM (SELECT 1 FROM " + table + " LIMIT 1) AS r").Scan(&rows); err != nil {
				return err
			}
			if rows > 0 {
				return leat.Errorf(leat.KindInUse, "the database is not empty (table %s has rows): restore into an empty one, and keep this one until you have seen that nothing is missing", table)
			}
		}
		return nil
	})
}

// Migrate makes the tables of a restored database.
func Migrate(ctx context.Context, db *sqldb.DB) error {
	for _, s := range schemas() {
		if err := db.Migrate(ctx, s.Name, s.Files); err != nil {
			return err
		}
	}
	return nil
}

// everything is beyond all offsets of a shard.
const everything = math.MaxUint64

// Counted tells up to which offset the usage in the backup has each shard's records: all of those that were registered. Shards that had
// expired by then are counted whole; others that the backup does not know are not counted. It MUST be asked before Replay.
func (b *Backup) Counted(ctx context.Context) (counted map[leat.ShardKey]uint64, err error) {
	err = b.db.View(ctx, func(tx *sqldb.Tx) error {
		counted = map[leat.ShardKey]uint64{}
		err := tx.Each("SELECT stream, name FROM spans WHERE kind = 'shard'", func(scan sqldb.Scan) error {
			var k leat.ShardKey
			var ordinal string
			if err := scan(sqldb.ID(&k.Stream), &ordinal); err != nil {
				return err
			}
			n, err := strconv.ParseUint(ordinal, 10, 64)
			k.Ordinal = n
			counted[k] = everything
			return err
		})
		if err != nil {
			return err
		}
		return tx.Each("SELECT stream, ordinal, next_offset FROM shards", func(scan sqldb.Scan) error {
			var k leat.ShardKey
			var next uint64
			err := scan(sqldb.ID(&k.Stream), sqldb.U64(&k.Ordinal), sqldb.U64(&next))
			counted[k] = next
			return err
		})
	})
	return counted, err
}

// Ended are the sessions that were over: they have registered nothing since.
func (b *Backup) Ended(ctx context.Context) (ended map[leat.SessionID]bool, err error) {
	err = b.db.View(ctx, func(tx *sqldb.Tx) error {
		ended = map[leat.SessionID]bool{}
		return tx.Each("SELECT id FROM sessions WHERE state = $1", func(scan sqldb.Scan) error {
			var id leat.SessionID
			err := scan(sqldb.ID(&id))
			ended[id] = true
			return err
		}, string(catalog.SessionClosed))
	})
	return ended, err
}

// Replay takes in the entry of the journal that follows the last one, as of the time at which it was written: so what is computed from
// when streams, shards and consumers were there has them as the lost database had.
func (b *Backup) Replay(ctx context.Context, e *journal.Entry) error {
	return catalog.New(b.db, catalog.Options{Deliveries: delivery.Journaled{}}).Replay(ctx, e)
}

// Write writes the history into an empty database, in the caller's transaction.
func (b *Backup) Write(ctx context.Context, into *sqldb.Tx) error {
	return b.db.View(ctx, func(tx *sqldb.Tx) error {
		for _, table := range history {
			if _, err := into.Exec("DELETE FROM " + table); err != nil { // rows that a new database begins with
				return err
			}
			var rows *sqldb.Loader
			err := tx.ReadTable(table, func(columns []string) error {
				rows = into.Load(table, columns)
				return nil
			}, func(values []any) error { return rows.Add(values) })
			if err != nil {
				return err
			}
			if err := rows.Flush(); err != nil {
				return err
			}
		}
		return nil
	})
}

// Deliveries is delivery.Ledger with what the backup knows: plans that it has as committed are not carried out again.
func (b *Backup) Deliveries(ctx context.Context, blobs blob.Store) (catalog.Delivered, error) {
	return delivery.LedgerAfter(ctx, blobs, b.db)
}
