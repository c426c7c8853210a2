// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"context"
	"iter"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/sqldb"
	"github.com/leatstream/leat/shardstore"
)

// walkPage is how many rows one question of a walk reads.
const walkPage = 1000

// AllShards walks over every shard of every stream, sorted, whoever owns it. Each page is one snapshot; shards that are
// made or removed meanwhile may or may not come. It ends with the first error.
func (c *Catalog) AllShards(ctx context.Context) iter.Seq2[Taken, error] {
	return walk(func(after *Taken) (page []Taken, err error) {
		query := "SELECT " + takenColumns + " FROM shards"
		args := []any{walkPage}
		if after != nil {
			query += " WHERE (stream, ordinal) > ($2, $3)"
			args = append(args, after.Shard.Stream, after.Shard.Ordinal)
		}
		err = c.db.View(ctx, func(tx *sqldb.Tx) error {
			page = nil
			err := tx.Each(query+" ORDER BY stream, ordinal LIMIT $1", func(scan sqldb.Scan) error {
				t, err := scanTaken(scan)
				page = append(page, t)
				return err
			}, args...)
			if err != nil {
				return err
			}
			return completeTaken(tx, page)
		})
		return page, err
	})
}

// AllExtents walks over every registered extent, sorted by shard and first offset, also those of shards that are being
// removed. Pages are as in AllShards.
func (c *Catalog) AllExtents(ctx context.Context) iter.Seq2[shardstore.Extent, error] {
	return walk(func(after *shardstore.Extent) (page []shardstore.Extent, err error) {
		query := "SELECT " + selectedExtent + " FROM extents e"
		args := []any{walkPage}
		if after != nil {
			query += " WHERE (e.stream, e.ordinal, e.first_offset) > ($2, $3, $4)"
			args = append(args, after.Shard.Stream, after.Shard.Ordinal, after.First)
		}
		err = c.db.View(ctx, func(tx *sqldb.Tx) error {
			page = nil
			return tx.Each(query+" ORDER BY e.stream, e.ordinal, e.first_offset LIMIT $1", func(scan sqldb.Scan) error {
				e, err := scanExtent(scan)
				page = append(page, e)
				return err
			}, args...)
		})
		return page, err
	})
}

// AllDeletions walks over the deletion queue, sorted by key.
func (c *Catalog) AllDeletions(ctx context.Context) iter.Seq2[string, error] {
	return walk(func(after *string) (page []string, err error) {
		from := ""
		if after != nil {
			from = *after
		}
		err = c.db.View(ctx, func(tx *sqldb.Tx) error {
			page = nil
			return tx.Each("SELECT key FROM deletions WHERE key > $1 ORDER BY key LIMIT $2", func(scan sqldb.Scan) error {
				var key string
				err := scan(&key)
				page = append(page, key)
				return err
			}, from, walkPage)
		})
		return page, err
	})
}

// ClosedShards lists which closed sessions still hold records of which shards (data-plane.md, rule 12).
func (c *Catalog) ClosedShards(ctx context.Context) (held map[leat.SessionID][]leat.ShardKey, err error) {
	err = c.db.View(ctx, func(tx *sqldb.Tx) error {
		held = map[leat.SessionID][]leat.ShardKey{}
		return tx.Each("SELECT session, stream, ordinal FROM closed_shards ORDER BY session, stream, ordinal", func(scan sqldb.Scan) error {
			var s leat.SessionID
			var k leat.ShardKey
			err := scan(sqldb.ID(&s), sqldb.ID(&k.Stream), sqldb.U64(&k.Ordinal))
			held[s] = append(held[s], k)
			return err
		})
	})
	return held, err
}

// walk yields page after page.
func walk[T any](next func(after *T) ([]T, error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var after *T
		for {
			page, err := next(after)
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			for i := range page {
				if !yield(page[i], nil) {
					return
				}
			}
			if len(page) == 0 {
				return
			}
			after = &page[len(page)-1]
		}
	}
}
