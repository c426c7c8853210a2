// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"context"
	"slices"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/sqldb"
)

// Ownership is who owns a shard.
type Ownership struct {
	Shard    leat.ShardKey
	Epoch    uint64
	Owner    leat.SessionID // zero: nobody
	MovingTo leat.SessionID // zero: the shard is not being moved
	Changed  uint64         // the revision of the last change of these
}

// Owners is what changed in the ownership of shards.
type Owners struct {
	Revision uint64      // as of this answer
	Shards   []Ownership // that changed after the revision asked for
	Live     []Session   // every session that is live; only ID, Node, Address and NodeSecret are set
	Total    int         // shards there are, where it was asked for: a node that counts more knows one that is gone
}

// OwnersSince returns the shards whose ownership changed after a revision, all for 0, and the sessions that are live.
// Counting all shards is the dear part of it.
func (c *Catalog) OwnersSince(ctx context.Context, since uint64, count bool) (o Owners, err error) {
	err = c.db.View(ctx, func(tx *sqldb.Tx) error {
		o = Owners{}
		query := "SELECT n, 0 FROM revision WHERE one = 1"
		if count {
			query = "SELECT n, (SELECT count(*) FROM shards) FROM revision WHERE one = 1"
		}
		if err := tx.Row(query).Scan(sqldb.U64(&o.Revision), &o.Total); err != nil {
			return err
		}
		err := tx.Each("SELECT id, node, address, node_secret FROM sessions WHERE state = 'live' ORDER BY opened, id", func(scan sqldb.Scan) error {
			s := Session{State: SessionLive}
			err := scan(sqldb.ID(&s.ID), &s.Node, &s.Address, sqldb.Bool(&s.NodeSecret))
			o.Live = append(o.Live, s)
			return err
		})
		if err != nil {
			return err
		}
		where := "WHERE changed > $1"
		if since == 0 {
			where = "WHERE changed >= $1" // shards older than the column have 0
		}
		return tx.Each("SELECT stream, ordinal, epoch, owner, moving_to, changed FROM shards "+where, func(scan sqldb.Scan) error {
			var s Ownership
			err := scan(sqldb.ID(&s.Shard.Stream), sqldb.U64(&s.Shard.Ordinal), sqldb.U64(&s.Epoch), sqldb.ID(&s.Owner), sqldb.ID(&s.MovingTo), sqldb.U64(&s.Changed))
			o.Shards = append(o.Shards, s)
			return err
		}, since)
	})
	return o, err
}

// OwnedOf is Owned for some shards: of those asked for it returns the ones that the session owns, sorted, but for those
// of streams that are being deleted.
func (c *Catalog) OwnedOf(ctx context.Context, session leat.SessionID, keys []leat.ShardKey) (owned []Taken, err error) {
	err = c.db.View(ctx, func(tx *sqldb.Tx) error {
		owned = nil
		err := tx.EachRows(`
WITH v (stream, ordinal) AS (VALUES $rows)
SELECT `+takenColumns+` FROM v JOIN shards ON shards.stream = v.stream AND shards.ordinal = v.ordinal
WHERE shards.owner = $1 AND `+ownable, shardRows(keys), func(scan sqldb.Scan) error {
			t, err := scanTaken(scan)
			owned = append(owned, t)
			return err
		}, session)
		if err != nil {
			return err
		}
		slices.SortFunc(owned, func(a, b Taken) int { return a.Shard.Compare(b.Shard) })
		return completeTaken(tx, owned)
	})
	return owned, err
}

// UncleanSince lists the sessions that were fenced and closed after a time, on the clocks of those who closed them.
func (c *Catalog) UncleanSince(ctx context.Context, t time.Time) (ids []leat.SessionID, err error) {
	err = c.db.View(ctx, func(tx *sqldb.Tx) error {
		ids = nil
		return tx.Each("SELECT id FROM sessions WHERE state = 'closed' AND clean = 0 AND closed > $1", func(scan sqldb.Scan) error {
			var id leat.SessionID
			err := scan(sqldb.ID(&id))
			ids = append(ids, id)
			return err
		}, t)
	})
	return ids, err
}
