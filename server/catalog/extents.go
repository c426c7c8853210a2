// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"context"
	"encoding/hex"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/sqldb"
	"github.com/leatstream/leat/shardstore"
)

const extentColumns = 19

const insertExtents = `
INSERT INTO extents (stream, ordinal, first_offset, records, epoch, min_time, max_time, object, place, length,
	index_length, raw, bytes, units, codec, crc, hash, level, seal)
VALUES $rows`

func addExtent(rows *sqldb.Rows, e *shardstore.Extent) {
	rows.Add(e.Shard.Stream, e.Shard.Ordinal, e.First, e.Count, e.Epoch, e.MinTime, e.MaxTime, e.Object, e.Off, e.Len,
		e.IndexLen, e.Raw, e.Bytes, e.Units, uint8(e.Codec), e.CRC, e.Hash, e.Level, sealOf(e))
}

// sealOf is what the column seal has.
func sealOf(e *shardstore.Extent) string {
	if !e.Sealed() {
		return ""
	}
	return hex.EncodeToString(append(e.Key[:], e.Nonce[:]...))
}

// setSeal undoes sealOf.
func setSeal(e *shardstore.Extent, seal string) error {
	if seal == "" {
		return nil
	}
	b, err := hex.DecodeString(seal)
	if err != nil || len(b) != len(e.Key)+len(e.Nonce) {
		return leat.Errorf(leat.KindCorrupt, "the extent of %v at %d has the seal %q", e.Shard, e.First, seal)
	}
	copy(e.Nonce[:], b[copy(e.Key[:], b):])
	return nil
}

// selectedExtent are the columns that scanExtent reads, of the table e.
const selectedExtent = `e.stream, e.ordinal, e.first_offset, e.records, e.epoch, e.min_time, e.max_time, e.object, e.place,
	e.length, e.index_length, e.raw, e.bytes, e.units, e.codec, e.crc, e.hash, e.level, e.seal`

func scanExtent(scan sqldb.Scan, more ...any) (e shardstore.Extent, err error) {
	var seal string
	err = scan(append([]any{
		sqldb.ID(&e.Shard.Stream), sqldb.U64(&e.Shard.Ordinal), sqldb.U64(&e.First), sqldb.U64(&e.Count), sqldb.U64(&e.Epoch),
		&e.MinTime, &e.MaxTime, &e.Object, &e.Off, &e.Len, &e.IndexLen, &e.Raw, &e.Bytes, &e.Units, &e.Codec, &e.CRC,
		sqldb.U64(&e.Hash), &e.Level, &seal,
	}, more...)...)
	if err != nil {
		return e, err
	}
	return e, setSeal(&e, seal)
}

// shardRows lists shards for a WITH clause.
func shardRows(keys []leat.ShardKey) *sqldb.Rows {
	rows := sqldb.NewRows(2, len(keys))
	for _, k := range keys {
		rows.Add(k.Stream, k.Ordinal)
	}
	return rows
}

// Extents returns the registered extents of shards; see shardstore.Index.
func (c *Catalog) Extents(ctx context.Context, shards []leat.ShardKey) (out []shardstore.ShardExtents, err error) {
	at := make(map[leat.ShardKey]int, len(shards))
	for i, k := range shards {
		at[k] = i
	}
	keys := shardRows(shards)
	err = c.db.View(ctx, func(tx *sqldb.Tx) error {
		out = make([]shardstore.ShardExtents, len(shards))
		for i, k := range shards {
			out[i].Shard = k
		}
		err := tx.EachRows(`
WITH v (stream, ordinal) AS (VALUES $rows)
SELECT s.stream, s.ordinal, s.horizon FROM v JOIN shards s ON s.stream = v.stream AND s.ordinal = v.ordinal`,
			keys, func(scan sqldb.Scan) error {
				var k leat.ShardKey
				var horizon uint64
				err := scan(sqldb.ID(&k.Stream), sqldb.U64(&k.Ordinal), sqldb.U64(&horizon))
				out[at[k]].Horizon = horizon
				return err
			})
		if err != nil {
			return err
		}
		// A shard whose stream is being removed has no row any more, and its extents do not count.
		return tx.EachRows(`
SELECT `+selectedExtent+`
FROM extents e
WHERE (e.stream, e.ordinal) IN (VALUES $rows)
	AND EXISTS (SELECT 1 FROM shards s WHERE s.stream = e.stream AND s.ordinal = e.ordinal)
ORDER BY e.stream, e.ordinal, e.first_offset`, keys, func(scan sqldb.Scan) error {
			e, err := scanExtent(scan)
			if err == nil {
				x := &out[at[e.Shard]]
				x.Extents = append(x.Extents, e)
			}
			return err
		})
	})
	return out, err
}
