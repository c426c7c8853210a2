// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"context"
	"database/sql"
	"errors"
	"slices"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/sqldb"
)

// Taken is a shard that a session owns, with what its engine must know of it.
type Taken struct {
	Shard    leat.ShardKey
	Epoch    uint64
	Horizon  uint64
	Next     uint64 // the offset after the last registered extent
	LastTime int64  // of the last registered record, or of the reshard that made the shard; microseconds since 1970
	Closed   bool   // by a reshard: it takes no records, but is read, merged and retained
	Final    uint64 // once closed: records ever put
	Extents  int    // registered ones
	// Sessions are the closed sessions whose segments still hold records of the shard, in the order in which they owned
	// it. Their closings say which (data-plane.md, rule 12).
	Sessions []leat.SessionID
}

// takenColumns are what scanTaken reads, of the table shards.
const takenColumns = `shards.stream, shards.ordinal, shards.epoch, shards.horizon, shards.next_offset, shards.last_time,
	CASE WHEN shards.closed = 0 THEN 0 ELSE 1 END, shards.final`

func scanTaken(scan sqldb.Scan, more ...any) (t Taken, err error) {
	err = scan(append([]any{
		sqldb.ID(&t.Shard.Stream), sqldb.U64(&t.Shard.Ordinal), sqldb.U64(&t.Epoch), sqldb.U64(&t.Horizon), sqldb.U64(&t.Next),
		&t.LastTime, sqldb.Bool(&t.Closed), sqldb.U64(&t.Final),
	}, more...)...)
	return t, err
}

// ownable keeps shards of streams that are being deleted from new owners: nothing of them is served or packed any more,
// and what their last owner left out of its packs must not be missed.
const ownable = "NOT EXISTS (SELECT 1 FROM streams s WHERE s.id = shards.stream AND s.status = 'DELETING')"

// TakeShards makes a live session the owner of up to limit shards that have none, closed shards too, and raises their
// epochs; shards of streams that are being deleted get none. shardstore.ErrFenced when the session is not live. After an unknown outcome Owned tells what was taken.
func (c *Catalog) TakeShards(ctx context.Context, session leat.SessionID, limit int) (taken []Taken, err error) {
	// A look that locks nothing: it is asked every second, and seldom is there anything.
	var one int
	err = c.db.View(ctx, func(tx *sqldb.Tx) error {
		return tx.Row("SELECT 1 FROM shards WHERE owner IS NULL AND " + ownable + " LIMIT 1").Scan(&one)
	})
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	err = c.db.Tx(ctx, func(tx *sqldb.Tx) error {
		taken = nil
		revision, err := bump(tx)
		if err != nil {
			return err
		}
		if err := holdLive(tx, session); err != nil {
			return err
		}
		err = tx.Each(`
UPDATE shards SET owner = $1, epoch = epoch + 1, changed = $3
WHERE owner IS NULL AND (stream, ordinal) IN (
	SELECT stream, ordinal FROM shards WHERE owner IS NULL AND `+ownable+` ORDER BY stream, ordinal LIMIT $2)
RETURNING `+takenColumns, func(scan sqldb.Scan) error {
			t, err := scanTaken(scan)
			taken = append(taken, t)
			return err
		}, session, limit, revision)
		if err != nil {
			return err
		}
		slices.SortFunc(taken, func(a, b Taken) int { return a.Shard.Compare(b.Shard) })
		return completeTaken(tx, taken)
	})
	return taken, err
}

// Owned lists the shards that a session owns, sorted, but for those of streams that are being deleted.
func (c *Catalog) Owned(ctx context.Context, session leat.SessionID) (owned []Taken, err error) {
	err = c.db.View(ctx, func(tx *sqldb.Tx) error {
		owned = nil
		err := tx.Each("SELECT "+takenColumns+" FROM shards WHERE owner = $1 AND "+ownable+" ORDER BY stream, ordinal", func(scan sqldb.Scan) error {
			t, err := scanTaken(scan)
			owned = append(owned, t)
			return err
		}, session)
		if err != nil {
			return err
		}
		return completeTaken(tx, owned)
	})
	return owned, err
}

// completeTaken fills in Extents and Sessions.
func completeTaken(tx *sqldb.Tx, taken []Taken) error {
	at := make(map[leat.ShardKey]*Taken, len(taken))
	keys := sqldb.NewRows(2, len(taken))
	for i := range taken {
		at[taken[i].Shard] = &taken[i]
		keys.Add(taken[i].Shard.Stream, taken[i].Shard.Ordinal)
	}
	err := tx.EachRows(`
WITH v (stream, ordinal) AS (VALUES $rows)
SELECT v.stream, v.ordinal, (SELECT count(*) FROM extents e WHERE e.stream = v.stream AND e.ordinal = v.ordinal) FROM v`,
		keys, func(scan sqldb.Scan) error {
			var k leat.ShardKey
			var n int
			err := scan(sqldb.ID(&k.Stream), sqldb.U64(&k.Ordinal), &n)
			at[k].Extents = n
			return err
		})
	if err != nil {
		return err
	}
	return tx.EachRows(`
WITH v (stream, ordinal) AS (VALUES $rows)
SELECT c.stream, c.ordinal, c.session
FROM v
JOIN closed_shards c ON c.stream = v.stream AND c.ordinal = v.ordinal
JOIN sessions s ON s.id = c.session
ORDER BY c.stream, c.ordinal, c.epoch, s.opened, s.id`, keys, func(scan sqldb.Scan) error {
		var k leat.ShardKey
		var session leat.SessionID
		err := scan(sqldb.ID(&k.Stream), sqldb.U64(&k.Ordinal), sqldb.ID(&session))
		at[k].Sessions = append(at[k].Sessions, session)
		return err
	})
}

// shardColumns are what scanShard reads, of the table shards.
const shardColumns = `stream, ordinal, start_key, end_key, parent, adjacent, created, closed, final, horizon, epoch, owner`

func scanShard(scan sqldb.Scan) (s leat.Shard, err error) {
	var parent, adjacent sql.NullInt64
	err = scan(sqldb.ID(&s.Key.Stream), sqldb.U64(&s.Key.Ordinal), sqldb.HashKey(&s.Range.Start), sqldb.HashKey(&s.Range.End), &parent, &adjacent,
		sqldb.Time(&s.Created), sqldb.Time(&s.Closed), sqldb.U64(&s.Final), sqldb.U64(&s.Horizon), sqldb.U64(&s.Epoch), sqldb.ID(&s.Owner))
	s.Parent, s.AdjacentParent = ordinal(parent), ordinal(adjacent)
	return s, err
}

func ordinal(n sql.NullInt64) *uint64 {
	if !n.Valid {
		return nil
	}
	u := uint64(n.Int64)
	return &u
}

// Shards lists a stream's shards, open and closed, by ordinal. A stream that does not exist has none.
func (c *Catalog) Shards(ctx context.Context, stream leat.StreamID) (all []leat.Shard, err error) {
	err = c.db.View(ctx, func(tx *sqldb.Tx) (err error) {
		all, err = shardsOf(tx, stream)
		return err
	})
	return all, err
}

func shardsOf(tx *sqldb.Tx, stream leat.StreamID) (all []leat.Shard, err error) {
	err = tx.Each("SELECT "+shardColumns+" FROM shards WHERE stream = $1 ORDER BY ordinal", func(scan sqldb.Scan) error {
		s, err := scanShard(scan)
		all = append(all, s)
		return err
	}, stream)
	return all, err
}
