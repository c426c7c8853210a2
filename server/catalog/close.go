// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"context"
	"database/sql"
	"errors"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/sqldb"
	"github.com/leatstream/leat/shardstore"
)

// CloseSession ends a session as its closing says, in one transaction (data-plane.md, rules 11 and 12): its shards lose
// their owner, what its segments still hold of them is noted, the reshards found in them are finished, and moves from it
// and to it are called off.
//
// A clean close comes from the session's own node while it is live, and MUST have nothing pending; any other comes from
// a recoverer after BeginFencing. Whoever loses a race gets ErrClosed, has changed nothing, and uses what the winner
// wrote to closed/<session>; so does whoever calls again after an unknown outcome. shardstore.ErrFenced when a clean
// close comes after the fencing began, or an unclean one before.
func (c *Catalog) CloseSession(ctx context.Context, closing shardstore.Closing, clean bool) error {
	if clean && (len(pendingOf(closing)) > 0 || len(closing.Reshards) > 0) {
		return leat.Errorf(leat.KindInvalidArgument, "session %s cannot be closed as clean: something of it is not registered", closing.Session)
	}
	err := c.settle(ctx, func(tx *sqldb.Tx) error {
		if !clean {
			tx.Note(proof{})
		}
		return c.closeSession(tx, closing, clean)
	})
	if err == nil && !clean {
		err = c.proveClosed(ctx)
	}
	return err
}

// proveClosed writes a second entry of the journal that says nothing: a catalog that was set back to before a session was recovered is known
// to be too old from here on. It would have the session's shards owned by the dead, and the epochs in which others take them free.
func (c *Catalog) proveClosed(ctx context.Context) error {
	if c.opts.Journal == nil {
		return nil
	}
	err := c.settle(ctx, func(tx *sqldb.Tx) error {
		tx.Note(proof{})
		return nil
	})
	if err != nil {
		c.opts.Logger.Warn("a catalog that was set back to before a session was recovered would not be noticed until the next change", "error", err)
	}
	return ctx.Err()
}

func (c *Catalog) closeSession(tx *sqldb.Tx, closing shardstore.Closing, clean bool) error {
	revision, err := bump(tx)
	if err != nil {
		return err
	}
	from := SessionFencing
	if clean {
		from = SessionLive
	}
	var trim uint64
	err = tx.Row(`
UPDATE sessions SET state = 'closed', closed = $3, fence = $4, clean = $5
WHERE id = $1 AND state = $2
RETURNING trimmed`, closing.Session, string(from), c.now(), closing.Fence, clean).Scan(sqldb.U64(&trim))
	if errors.Is(err, sql.ErrNoRows) {
		return notOpen(tx, closing.Session)
	}
	if err != nil {
		return err
	}
	if closing.Trim > trim {
		// Whoever recovered it left segments out that this catalog knows nothing of: it is older than the log.
		return leat.Errorf(leat.KindCorrupt, "session %s was closed from segment %d on, and the catalog knows of those below %d only: run leat rebuild",
			closing.Session, closing.Trim, trim)
	}
	for _, r := range closing.Reshards {
		if err := c.finishReshard(tx, revision, r); err != nil {
			return err
		}
	}
	if err := endMoves(tx, closing.Session, revision); err != nil {
		return err
	}
	if _, err := tx.Exec("UPDATE shards SET owner = NULL, changed = $2 WHERE owner = $1", closing.Session, revision); err != nil {
		return err
	}
	if err := noteClosedShards(tx, closing); err != nil {
		return err
	}
	return queueSegments(tx, closing.Session, trim, closing.Fence, c.deleteAt())
}

// pendingOf lists the shards of which the closed session's segments hold records.
func pendingOf(closing shardstore.Closing) (pending []shardstore.ClosedShard) {
	for _, s := range closing.Shards {
		if len(s.Extents) > 0 {
			pending = append(pending, s)
		}
	}
	return pending
}

// noteClosedShards writes the rows (closed session, shard) for shards that exist. These are locked, so that a stream
// which is being removed does not leave rows behind. Their epochs are not below those of the records: a catalog that was
// set back may not know of an owner that the log knows of (I12).
func noteClosedShards(tx *sqldb.Tx, closing shardstore.Closing) error {
	pending := pendingOf(closing)
	rows, epochs := sqldb.NewRows(3, len(pending)), map[leat.ShardKey]uint64{}
	for _, s := range pending {
		rows.Add(s.Shard.Stream, s.Shard.Ordinal, s.Epoch)
		epochs[s.Shard] = s.Epoch
	}
	noted := sqldb.NewRows(4, len(pending))
	err := tx.EachRows(`
WITH v (stream, ordinal, epoch) AS (VALUES $rows)
UPDATE shards SET epoch = CASE WHEN shards.epoch < v.epoch THEN v.epoch ELSE shards.epoch END FROM v WHERE shards.stream = v.stream AND shards.ordinal = v.ordinal
RETURNING shards.stream, shards.ordinal`, rows, func(scan sqldb.Scan) error {
		k, err := scanShardKey(scan)
		noted.Add(closing.Session, k.Stream, k.Ordinal, epochs[k])
		return err
	})
	if err != nil {
		return err
	}
	_, err = tx.ExecRows("INSERT INTO closed_shards (session, stream, ordinal, epoch) VALUES $rows", noted)
	return err
}
