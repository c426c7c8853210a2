// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"context"
	"database/sql"
	"errors"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/sqldb"
)

// expiredShards are closed shards of which nothing is left to read: retention has passed their end since they were
// closed, and no extent and no closed session holds anything of them. A shard does not go before those that it was made of: it would be
// missing among the children of a parent that has records, so that readers at its end would never come to the grandchildren, or too early.
const expiredShards = `
closed > 0 AND horizon >= final
AND closed < $1 - (SELECT s.retention FROM streams s WHERE s.id = shards.stream AND s.status <> 'DELETING')
AND NOT EXISTS (SELECT 1 FROM extents e WHERE e.stream = shards.stream AND e.ordinal = shards.ordinal)
AND NOT EXISTS (SELECT 1 FROM closed_shards c WHERE c.stream = shards.stream AND c.ordinal = shards.ordinal)
AND NOT EXISTS (SELECT 1 FROM shards p WHERE p.stream = shards.stream AND p.ordinal = shards.parent)
AND NOT EXISTS (SELECT 1 FROM shards p WHERE p.stream = shards.stream AND p.ordinal = shards.adjacent)`

// ExpireShards removes closed shards whose records have all expired, as Kinesis forgets such shards, and returns them.
// Their children keep naming them as parents.
func (c *Catalog) ExpireShards(ctx context.Context) (gone []leat.ShardKey, err error) {
	var one int
	err = c.db.View(ctx, func(tx *sqldb.Tx) error {
		return tx.Row("SELECT 1 FROM shards WHERE "+expiredShards+" LIMIT 1", c.now()).Scan(&one)
	})
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	err = c.tx(ctx, func(tx *sqldb.Tx) error {
		gone = nil
		revision, err := bump(tx)
		if err != nil {
			return err
		}
		err = tx.Each("DELETE FROM shards WHERE "+expiredShards+" RETURNING stream, ordinal", func(scan sqldb.Scan) error {
			var k leat.ShardKey
			err := scan(sqldb.ID(&k.Stream), sqldb.U64(&k.Ordinal))
			gone = append(gone, k)
			return err
		}, c.now())
		if err != nil {
			return err
		}
		if len(gone) > 0 {
			tx.Note(droppedShards{gone})
		}
		for _, k := range gone {
			if _, err := tx.Exec("UPDATE streams SET version = $2 WHERE id = $1", k.Stream, revision); err != nil {
				return err
			}
		}
		return nil
	})
	return gone, err
}
