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

// FinishReshard puts the outcome of a durable RESHARD record into the catalog: the parents are closed at their finals,
// and the children open with epoch 1 under the parents' owner. The stream is ACTIVE again unless it goes on to a target.
// A second call changes nothing; nor does one for a stream that is gone. shardstore.ErrFenced when a parent has another
// epoch than the record says.
func (c *Catalog) FinishReshard(ctx context.Context, r shardstore.Reshard) error {
	return c.settle(ctx, func(tx *sqldb.Tx) error {
		revision, err := bump(tx)
		if err != nil {
			return err
		}
		return c.finishReshard(tx, revision, r)
	})
}

// finishReshard is FinishReshard in a transaction that holds the revision.
func (c *Catalog) finishReshard(tx *sqldb.Tx, revision uint64, r shardstore.Reshard) error {
	var state string
	var stream leat.StreamID
	err := tx.Row("SELECT state, stream FROM intents WHERE id = $1", r.ID).Scan(&state, sqldb.ID(&stream))
	if errors.Is(err, sql.ErrNoRows) || state == "done" {
		return nil // the stream is gone, or another did it
	}
	if err != nil {
		return err
	}
	// An intent that was given up is finished all the same when its record is in the log: the log is the truth, and
	// the children may have acked records.
	if err := sameIntent(tx, r); err != nil {
		return err
	}
	owner, err := closeParents(tx, r)
	if err != nil {
		return err
	}
	if err := openChildren(tx, r, owner, revision); err != nil {
		return err
	}
	if _, err := tx.Exec("UPDATE intents SET state = 'done', finished = $2, error = '' WHERE id = $1", r.ID, c.now()); err != nil {
		return err
	}
	noteReshard(tx, stream, r)
	s, err := theStream(tx, stream)
	if err != nil {
		return err
	}
	before := s.Status
	if err := rest(tx, &s); err != nil {
		return err
	}
	return c.writeStream(tx, &s, before, revision)
}

func noteReshard(tx *sqldb.Tx, stream leat.StreamID, r shardstore.Reshard) {
	var shards []leat.ShardKey
	for _, p := range r.Parents {
		shards = append(shards, p.Shard)
	}
	for _, ch := range r.Children {
		shards = append(shards, ch.Shard)
	}
	tx.Note(changedStream{stream})
	tx.Note(changedShards{shards})
}

// sameIntent checks that the record of the log speaks of the parents and children that the intent fixed.
func sameIntent(tx *sqldb.Tx, r shardstore.Reshard) error {
	var want shardstore.Reshard
	err := tx.Each("SELECT id, stream, parents, children FROM intents WHERE id = $1", func(scan sqldb.Scan) (err error) {
		want, err = scanIntent(scan)
		return err
	}, r.ID)
	if err != nil {
		return err
	}
	// A time is what tells a closed shard from an open one.
	same := r.Time > 0 && slices.Equal(want.Children, r.Children) && len(want.Parents) == len(r.Parents) && len(r.Parents) > 0
	for i := 0; same && i < len(r.Parents); i++ {
		same = want.Parents[i].Shard == r.Parents[i].Shard
	}
	if !same {
		return leat.Errorf(leat.KindCorrupt, "the log's record of reshard %s is not what the catalog intended", r.ID)
	}
	return nil
}

// closeParents closes the parents at their finals and returns who owns the first.
func closeParents(tx *sqldb.Tx, r shardstore.Reshard) (owner sql.NullString, err error) {
	for i, p := range r.Parents {
		var o sql.NullString
		err := tx.Row(`
UPDATE shards SET closed = $4, final = $5
WHERE stream = $1 AND ordinal = $2 AND epoch = $3 AND closed = 0 AND next_offset <= $5
RETURNING owner`, p.Shard.Stream, p.Shard.Ordinal, p.Epoch, r.Time, p.Final).Scan(&o)
		if errors.Is(err, sql.ErrNoRows) {
			return owner, fmt.Errorf("reshard %s: shard %s does not end at %d in epoch %d: %w", r.ID, p.Shard, p.Final, p.Epoch, shardstore.ErrFenced)
		}
		if err != nil {
			return owner, err
		}
		if i == 0 {
			owner = o
		}
	}
	return owner, nil
}

// openChildren inserts the children. Their clocks begin where the parents' end (I9).
func openChildren(tx *sqldb.Tx, r shardstore.Reshard, owner sql.NullString, revision uint64) error {
	parent := r.Parents[0].Shard.Ordinal
	var adjacent sql.NullInt64
	if len(r.Parents) > 1 {
		adjacent = sql.NullInt64{Int64: int64(r.Parents[1].Shard.Ordinal), Valid: true}
	}
	for _, ch := range r.Children {
		_, err := tx.Exec(`
INSERT INTO shards (stream, ordinal, start_key, end_key, parent, adjacent, created, last_time, epoch, owner, changed)
VALUES ($1, $2, $3, $4, $5, $6, $7, $7, 1, $8, $9)`,
			ch.Shard.Stream, ch.Shard.Ordinal, ch.Range.Start, ch.Range.End, parent, adjacent, r.Time, owner, revision)
		if err != nil {
			return err
		}
	}
	return nil
}

// AbandonReshard gives up an intent of which it is certain that no log holds its record. The stream is ACTIVE again
// unless it goes on to a target. One that is finished, or gone, stays as it is.
func (c *Catalog) AbandonReshard(ctx context.Context, stream leat.StreamID, id, reason string) error {
	return c.change(ctx, stream, func(tx *sqldb.Tx, s *leat.Stream) error {
		_, err := tx.Exec("UPDATE intents SET state = 'failed', finished = $2, error = $3 WHERE id = $1 AND state = 'pending'", id, c.now(), reason)
		if err != nil {
			return err
		}
		return rest(tx, s)
	})
}
