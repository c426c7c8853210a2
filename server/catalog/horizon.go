// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/sqldb"
	"github.com/leatstream/leat/shardstore"
)

// AdvanceHorizon moves a shard's horizon forward and drops the extents below it; see shardstore.Index. For a shard that
// does not exist any more there is nothing to do.
func (c *Catalog) AdvanceHorizon(ctx context.Context, shard leat.ShardKey, epoch, horizon uint64, notBefore int64) error {
	return c.settle(ctx, func(tx *sqldb.Tx) error {
		n, err := tx.Exec(`
UPDATE shards SET horizon = CASE WHEN horizon < $4 THEN $4 ELSE horizon END
WHERE stream = $1 AND ordinal = $2 AND epoch = $3`, shard.Stream, shard.Ordinal, epoch, horizon)
		if err != nil {
			return err
		}
		if n == 0 {
			return otherEpoch(tx, shard, epoch)
		}
		return dropBelow(tx, shard, horizon, notBefore)
	})
}

func otherEpoch(tx *sqldb.Tx, shard leat.ShardKey, epoch uint64) error {
	var now uint64
	err := tx.Row("SELECT epoch FROM shards WHERE stream = $1 AND ordinal = $2", shard.Stream, shard.Ordinal).Scan(sqldb.U64(&now))
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	return fmt.Errorf("shard %s has epoch %d, not %d: %w", shard, now, epoch, shardstore.ErrFenced)
}

// dropBelow takes away the extents that end at or below the horizon. The shard's row is locked: nobody else changes its
// extents meanwhile.
func dropBelow(tx *sqldb.Tx, shard leat.ShardKey, horizon uint64, notBefore int64) error {
	const below = "stream = $1 AND ordinal = $2 AND first_offset < $3 AND first_offset + records <= $3"
	var objects []string
	err := tx.Each("SELECT DISTINCT object FROM extents WHERE "+below, func(scan sqldb.Scan) error {
		var key string
		err := scan(&key)
		objects = append(objects, key)
		return err
	}, shard.Stream, shard.Ordinal, horizon)
	if err != nil || len(objects) == 0 {
		return err
	}
	slices.Sort(objects)
	if err := holdObjects(tx, objects); err != nil {
		return err
	}
	if _, err := tx.Exec("DELETE FROM extents WHERE "+below, shard.Stream, shard.Ordinal, horizon); err != nil {
		return err
	}
	return releaseObjects(tx, objects, notBefore)
}
