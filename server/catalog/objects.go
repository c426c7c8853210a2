// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/sqldb"
	"github.com/leatstream/leat/shardstore"
)

// segmentPrefix begins the keys of segments: wal/<session>/<n, 20 digits>.
const segmentPrefix = "wal/"

func segmentKey(s leat.SessionID, n uint64) string {
	return fmt.Sprintf("%s%s/%020d", segmentPrefix, s, n)
}

func parseSegment(key string) (s leat.SessionID, n uint64, ok bool) {
	rest, _ := strings.CutPrefix(key, segmentPrefix)
	id, digits, _ := strings.Cut(rest, "/")
	s, err1 := leat.ParseID[leat.SessionID](id)
	n, err2 := strconv.ParseUint(digits, 10, 64)
	return s, n, err1 == nil && err2 == nil && segmentKey(s, n) == key
}

func keyRows(keys []string) *sqldb.Rows {
	rows := sqldb.NewRows(1, len(keys))
	for _, k := range keys {
		rows.Add(k)
	}
	return rows
}

// queue puts objects on the deletion queue; those that are on it keep their time.
func queue(tx *sqldb.Tx, keys []string, notBefore int64) error {
	_, err := tx.ExecRows(`
WITH v (key) AS (VALUES $rows)
INSERT INTO deletions (key, not_before)
SELECT v.key, $1 FROM v WHERE NOT EXISTS (SELECT 1 FROM extents e WHERE e.object = v.key)
ON CONFLICT (key) DO NOTHING`, keyRows(keys), notBefore)
	return err
}

// holdObjects locks objects that are about to lose extents until the transaction ends.
func holdObjects(tx *sqldb.Tx, keys []string) error {
	_, err := tx.ExecRows("UPDATE objects SET key = key WHERE key IN (VALUES $rows)", keyRows(keys))
	return err
}

// releaseObjects queues those of the held objects that no extent names any more. A segment that may hold records which
// are in no extent is not queued: it goes with its session's last row.
func releaseObjects(tx *sqldb.Tx, keys []string, notBefore int64) error {
	var free []string
	err := tx.EachRows(`
DELETE FROM objects
WHERE key IN (VALUES $rows) AND NOT EXISTS (SELECT 1 FROM extents e WHERE e.object = objects.key)
RETURNING key`, keyRows(keys), func(scan sqldb.Scan) error {
		var key string
		err := scan(&key)
		free = append(free, key)
		return err
	})
	if err != nil {
		return err
	}
	if free, err = withoutNeeded(tx, free); err != nil {
		return err
	}
	return queue(tx, free, notBefore)
}

// withoutNeeded leaves out the segments of closed sessions that hold something of a shard, from their trims on. Only a
// rebuilt catalog names such segments. The session's row is locked: whoever drops its last row meanwhile sees what this
// transaction did, or is seen.
func withoutNeeded(tx *sqldb.Tx, keys []string) (rest []string, err error) {
	logs := map[leat.SessionID]func(n uint64) bool{}
	for _, key := range keys {
		session, n, ok := parseSegment(key)
		if !ok {
			rest = append(rest, key)
			continue
		}
		needed := logs[session]
		if needed == nil {
			if _, err := tx.Exec("UPDATE sessions SET trimmed = trimmed WHERE id = $1 AND state = 'closed'", session); err != nil {
				return nil, err
			}
			if needed, err = neededSegments(tx, session); err != nil {
				return nil, err
			}
			logs[session] = needed
		}
		if !needed(n) {
			rest = append(rest, key)
		}
	}
	return rest, nil
}

// adopt drops the rows (closed session, shard) that a registration finished. With the last one go the session's segments.
func adopt(tx *sqldb.Tx, r *shardstore.Registration) error {
	if len(r.AdoptShards) == 0 {
		return nil
	}
	return dropClosedShards(tx, r.Adopts, r.NotBefore, func() error {
		_, err := tx.ExecRows("DELETE FROM closed_shards WHERE session = $1 AND (stream, ordinal) IN (VALUES $rows)", shardRows(r.AdoptShards), r.Adopts)
		return err
	})
}

// dropClosedShards runs drop, which takes rows of a closed session away, and queues the session's segments when none is
// left. Its row is locked first: of two who drop the last ones, one sees that nothing is left.
func dropClosedShards(tx *sqldb.Tx, session leat.SessionID, notBefore int64, drop func() error) error {
	var trim, fence uint64
	err := tx.Row("UPDATE sessions SET trimmed = trimmed WHERE id = $1 AND state = 'closed' RETURNING trimmed, fence", session).
		Scan(sqldb.U64(&trim), sqldb.U64(&fence))
	if errors.Is(err, sql.ErrNoRows) {
		return leat.Errorf(leat.KindInvalidArgument, "session %s is not closed: nothing of it can be adopted", session)
	}
	if err != nil {
		return err
	}
	if err := drop(); err != nil {
		return err
	}
	return queueSegments(tx, session, trim, fence, notBefore)
}

// queueSegments queues the segments [trim, fence) of a closed session that holds nothing any more, never its fence (I6).
func queueSegments(tx *sqldb.Tx, session leat.SessionID, trim, fence uint64, notBefore int64) error {
	var one int
	err := tx.Row("SELECT 1 FROM closed_shards WHERE session = $1 LIMIT 1", session).Scan(&one)
	if !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	var keys []string
	for n := trim; n < fence; n++ {
		keys = append(keys, segmentKey(session, n))
	}
	return queue(tx, keys, notBefore)
}

// DueDeletions returns queued keys whose time has come, oldest first; see shardstore.Index.
func (c *Catalog) DueDeletions(ctx context.Context, now int64, limit int) (keys []string, err error) {
	err = c.db.View(ctx, func(tx *sqldb.Tx) error {
		keys = nil
		return tx.Each("SELECT key FROM deletions WHERE not_before <= $1 ORDER BY not_before, key LIMIT $2", func(scan sqldb.Scan) error {
			var key string
			err := scan(&key)
			keys = append(keys, key)
			return err
		}, now, limit)
	})
	if err != nil {
		return nil, err
	}
	return c.markDeletions(ctx, keys)
}

// Deleted takes keys off the deletion queue; see shardstore.Index.
func (c *Catalog) Deleted(ctx context.Context, keys []string) error {
	return c.settle(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.ExecRows("DELETE FROM deletions WHERE key IN (VALUES $rows)", keyRows(keys))
		return err
	})
}

// Named tells which keys the index still wants; see shardstore.Index. Besides what extents and the deletion queue name
// these are segments that may hold records in no pack (of sessions that are not closed, from the trim on; of closed ones
// while they hold something of a shard), fences and what lies beyond them, and segments of sessions that this catalog
// does not know.
func (c *Catalog) Named(ctx context.Context, keys []string) (named map[string]bool, err error) {
	err = c.db.View(ctx, func(tx *sqldb.Tx) error {
		named = map[string]bool{}
		err := tx.EachRows(`
WITH v (key) AS (VALUES $rows)
SELECT v.key FROM v
WHERE EXISTS (SELECT 1 FROM extents e WHERE e.object = v.key) OR EXISTS (SELECT 1 FROM deletions d WHERE d.key = v.key)`,
			keyRows(keys), func(scan sqldb.Scan) error {
				var key string
				err := scan(&key)
				named[key] = true
				return err
			})
		if err != nil {
			return err
		}
		return nameSegments(tx, keys, named)
	})
	return named, err
}

// nameSegments adds the segments that may still be needed.
func nameSegments(tx *sqldb.Tx, keys []string, named map[string]bool) error {
	logs := map[leat.SessionID]func(n uint64) bool{} // whether segment n may be needed
	for _, key := range keys {
		session, n, ok := parseSegment(key)
		if !ok {
			continue
		}
		needed := logs[session]
		if needed == nil {
			var err error
			if needed, err = neededSegments(tx, session); err != nil {
				return err
			}
			logs[session] = needed
		}
		if needed(n) {
			named[key] = true
		}
	}
	return nil
}

func neededSegments(tx *sqldb.Tx, session leat.SessionID) (func(n uint64) bool, error) {
	var state SessionState
	var trim, fence uint64
	var holds bool
	err := tx.Row(`
SELECT state, trimmed, fence, CASE WHEN EXISTS (SELECT 1 FROM closed_shards WHERE session = $1) THEN 1 ELSE 0 END
FROM sessions WHERE id = $1`, session).Scan(&state, sqldb.U64(&trim), sqldb.U64(&fence), sqldb.Bool(&holds))
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return func(uint64) bool { return true }, nil
	case err != nil:
		return nil, err
	case state != SessionClosed || holds:
		return func(n uint64) bool { return n >= trim }, nil
	}
	return func(n uint64) bool { return n >= fence }, nil
}
