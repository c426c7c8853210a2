// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/sqldb"
	"github.com/leatstream/leat/shardstore"
)

// Move is a hand-over that is under way (data-plane.md, rule 15): From owns the shard in Epoch and is to release it to To.
type Move struct {
	Shard leat.ShardKey
	Epoch uint64
	From  leat.SessionID
	To    leat.SessionID
	Since time.Time
}

// BeginMove asks a shard's owner to hand it over: it becomes a Move, which the owner sees and carries out with
// shardstore.Store.Release and FinishMove. A second call changes nothing.
//
// shardstore.ErrFenced when from does not own the shard in that epoch or is not live; KindInvalidArgument when from and
// to are the same; KindNotFound for a shard that does not exist; KindInUse when to is not live, the stream is being
// deleted, the shard moves elsewhere already, or it has a reshard before it. Only a merge whose parents have two owners
// lets one of them move: to the owner of the other, which stays where it is meanwhile (rule 16).
func (c *Catalog) BeginMove(ctx context.Context, shard leat.ShardKey, from leat.SessionID, epoch uint64, to leat.SessionID) error {
	if from == to {
		return leat.Errorf(leat.KindInvalidArgument, "shard %s cannot move from session %s to itself", shard, from)
	}
	return c.settle(ctx, func(tx *sqldb.Tx) error {
		revision, err := bump(tx)
		if err != nil {
			return err
		}
		if err := holdLive(tx, from); err != nil {
			return err
		}
		if err := takesMoves(tx, to); err != nil {
			return err
		}
		if err := mayMove(tx, shard, to); err != nil {
			return err
		}
		n, err := tx.Exec(`
UPDATE shards SET moving_to = $5, changed = $7, moving_since = CASE WHEN moving_to IS NULL THEN $6 ELSE moving_since END
WHERE stream = $1 AND ordinal = $2 AND owner = $3 AND epoch = $4 AND (moving_to IS NULL OR moving_to = $5)`,
			shard.Stream, shard.Ordinal, from, epoch, to, c.now(), revision)
		if err != nil || n == 1 {
			return err
		}
		return refuseMove(tx, shard, from, epoch)
	})
}

// takesMoves refuses a session that is not live. It need not stay so: FinishMove looks again.
func takesMoves(tx *sqldb.Tx, to leat.SessionID) error {
	var one int
	err := tx.Row("SELECT 1 FROM sessions WHERE id = $1 AND state = 'live'", to).Scan(&one)
	if errors.Is(err, sql.ErrNoRows) {
		return leat.Errorf(leat.KindInUse, "session %s is not live: no shard can move to it", to)
	}
	return err
}

// mayMove refuses shards of streams that are being deleted and parents of pending reshards.
func mayMove(tx *sqldb.Tx, shard leat.ShardKey, to leat.SessionID) error {
	var status leat.StreamStatus
	err := tx.Row("SELECT status FROM streams WHERE id = $1", shard.Stream).Scan(&status)
	if errors.Is(err, sql.ErrNoRows) {
		return leat.Errorf(leat.KindNotFound, "shard %s does not exist", shard)
	}
	if err != nil {
		return err
	}
	if status == leat.StreamDeleting {
		return leat.Errorf(leat.KindInUse, "shard %s is of a stream that is being deleted", shard)
	}
	intents, err := readIntents(tx, "stream = $1 AND state = 'pending'", shard.Stream)
	if err != nil {
		return err
	}
	for _, r := range intents {
		if err := leadsTogether(tx, r, shard, to); err != nil {
			return err
		}
	}
	return nil
}

// leadsTogether refuses a move of a reshard's parent, unless it brings the two parents of a merge to one owner.
func leadsTogether(tx *sqldb.Tx, r shardstore.Reshard, shard leat.ShardKey, to leat.SessionID) error {
	keys := make([]leat.ShardKey, len(r.Parents))
	for i, p := range r.Parents {
		keys[i] = p.Shard
	}
	at := slices.Index(keys, shard)
	if at < 0 {
		return nil
	}
	refusal := leat.Errorf(leat.KindInUse, "shard %s does not move before reshard %s is done", shard, r.ID)
	if len(keys) != 2 {
		return refusal
	}
	other := keys[1-at]
	var one int
	err := tx.Row("SELECT 1 FROM shards WHERE stream = $1 AND ordinal = $2 AND owner = $3 AND moving_to IS NULL",
		other.Stream, other.Ordinal, to).Scan(&one)
	if errors.Is(err, sql.ErrNoRows) {
		return refusal
	}
	return err
}

// refuseMove says why a shard could not be asked to move.
func refuseMove(tx *sqldb.Tx, shard leat.ShardKey, from leat.SessionID, epoch uint64) error {
	var now uint64
	var owner leat.SessionID
	var to sql.NullString
	err := tx.Row("SELECT epoch, owner, moving_to FROM shards WHERE stream = $1 AND ordinal = $2", shard.Stream, shard.Ordinal).
		Scan(sqldb.U64(&now), sqldb.ID(&owner), &to)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return leat.Errorf(leat.KindNotFound, "shard %s does not exist", shard)
	case err != nil:
		return err
	case now != epoch || owner != from:
		return fmt.Errorf("shard %s has epoch %d and owner %s, not %d and %s: %w", shard, now, owner, epoch, from, shardstore.ErrFenced)
	}
	return leat.Errorf(leat.KindInUse, "shard %s is on its way to session %s already", shard, to.String)
}

// FinishMove puts a durable RELEASE into the catalog: the epoch is over, and the shard has the next one under the
// session that it was to move to, or under nobody when that is not live any more or the move was called off meanwhile;
// then any live session may take it. A second call changes nothing, nor does one for a shard that is gone.
//
// shardstore.ErrFenced when from is not live: CloseSession gives its shards away. KindCorrupt when the registered
// extents do not end at final: then nothing is changed, and the shard stays where nobody serves it until somebody
// looks, since another owner would begin at a wrong offset.
func (c *Catalog) FinishMove(ctx context.Context, shard leat.ShardKey, from leat.SessionID, epoch, final uint64) error {
	return c.settle(ctx, func(tx *sqldb.Tx) error {
		revision, err := bump(tx)
		if err != nil {
			return err
		}
		over, err := moveOver(tx, shard, epoch)
		if err != nil || over {
			return err
		}
		if err := holdLive(tx, from); err != nil {
			return err
		}
		n, err := tx.Exec(`
UPDATE shards SET epoch = epoch + 1, changed = $6, moving_to = NULL, moving_since = 0,
	owner = CASE WHEN `+ownable+` AND EXISTS (SELECT 1 FROM sessions s WHERE s.id = shards.moving_to AND s.state = 'live')
		THEN moving_to END
WHERE stream = $1 AND ordinal = $2 AND owner = $3 AND epoch = $4 AND next_offset = $5`,
			shard.Stream, shard.Ordinal, from, epoch, final, revision)
		if err != nil || n == 1 {
			return err
		}
		return refuseFinish(tx, shard, from, epoch, final)
	})
}

// moveOver tells whether a shard has left an epoch behind. The revision is held, so nobody changes that meanwhile.
func moveOver(tx *sqldb.Tx, shard leat.ShardKey, epoch uint64) (over bool, err error) {
	var now uint64
	err = tx.Row("SELECT epoch FROM shards WHERE stream = $1 AND ordinal = $2", shard.Stream, shard.Ordinal).Scan(sqldb.U64(&now))
	if errors.Is(err, sql.ErrNoRows) {
		return true, nil
	}
	return now > epoch, err
}

// refuseFinish says why a shard that exists in that epoch, or an earlier one, was not handed over.
func refuseFinish(tx *sqldb.Tx, shard leat.ShardKey, from leat.SessionID, epoch, final uint64) error {
	var now, next uint64
	var owner leat.SessionID
	err := tx.Row("SELECT epoch, next_offset, owner FROM shards WHERE stream = $1 AND ordinal = $2", shard.Stream, shard.Ordinal).
		Scan(sqldb.U64(&now), sqldb.U64(&next), sqldb.ID(&owner))
	switch {
	case err != nil:
		return err
	case now != epoch || owner != from:
		return fmt.Errorf("shard %s has epoch %d and owner %s, not %d and %s: %w", shard, now, owner, epoch, from, shardstore.ErrFenced)
	}
	return leat.Errorf(leat.KindCorrupt, "shard %s was released at %d in epoch %d, and its extents end at %d", shard, final, epoch, next)
}

// AbortMove calls a move off, unless its epoch is over. It says nothing about the engine: an owner that has released the
// shard MUST call FinishMove all the same.
func (c *Catalog) AbortMove(ctx context.Context, shard leat.ShardKey, from leat.SessionID, epoch uint64) error {
	return c.settle(ctx, func(tx *sqldb.Tx) error {
		revision, err := bump(tx)
		if err != nil {
			return err
		}
		_, err = tx.Exec(`
UPDATE shards SET changed = $5, moving_to = NULL, moving_since = 0
WHERE stream = $1 AND ordinal = $2 AND owner = $3 AND epoch = $4 AND moving_to IS NOT NULL`,
			shard.Stream, shard.Ordinal, from, epoch, revision)
		return err
	})
}

// Moves lists the moves from and to a session, all of them for the zero session, the oldest first.
func (c *Catalog) Moves(ctx context.Context, session leat.SessionID) (all []Move, err error) {
	where, args := "", []any(nil)
	if !session.IsZero() {
		where, args = " AND (owner = $1 OR moving_to = $1)", []any{session}
	}
	err = c.db.View(ctx, func(tx *sqldb.Tx) error {
		all = nil
		return tx.Each(`
SELECT stream, ordinal, epoch, owner, moving_to, moving_since FROM shards
WHERE moving_to IS NOT NULL`+where+`
ORDER BY moving_since, stream, ordinal`, func(scan sqldb.Scan) error {
			var m Move
			err := scan(sqldb.ID(&m.Shard.Stream), sqldb.U64(&m.Shard.Ordinal), sqldb.U64(&m.Epoch),
				sqldb.ID(&m.From), sqldb.ID(&m.To), sqldb.Time(&m.Since))
			all = append(all, m)
			return err
		}, args...)
	})
	return all, err
}

// endMoves calls off what was to come to a session that is over, and what was to go from it.
func endMoves(tx *sqldb.Tx, session leat.SessionID, revision uint64) error {
	_, err := tx.Exec("UPDATE shards SET changed = $2, moving_to = NULL, moving_since = 0 WHERE moving_to = $1 OR owner = $1 AND moving_to IS NOT NULL", session, revision)
	return err
}
