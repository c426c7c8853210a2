// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"context"
	"encoding/hex"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/sqldb"
	"github.com/leatstream/leat/server/journal"
	"github.com/leatstream/leat/shardstore"
)

// Rebuilt is a catalog as it was found in a bucket.
type Rebuilt struct {
	State    *journal.State
	Shards   []RebuiltShard       // one for each shard of State
	Extents  []shardstore.Extent  // sorted by shard and first offset
	Sessions []shardstore.Closing // every session that ever was: all are over
	Pending  []RebuiltPending     // what sessions' segments still hold of shards
	Deletes  []string             // segments that nothing names
	// Delivered writes how far deliveries are, after State is in the tables; nil: there are none.
	Delivered Delivered
	// History is what a backup of the lost catalog still has; nil: usage is counted anew, of the records that are still there.
	History *RebuiltHistory
}

// RebuiltShard is where a shard begins and ends.
type RebuiltShard struct {
	Key      leat.ShardKey
	Epoch    uint64
	Horizon  uint64
	Next     uint64 // the end of its extents
	LastTime int64
}

// RebuiltPending is a shard of which a session's segments hold records that are in no extent.
type RebuiltPending struct {
	Session leat.SessionID
	Shard   leat.ShardKey
	Epoch   uint64
}

// Empty returns nil when nothing was ever kept in this catalog. KindInUse otherwise.
func (c *Catalog) Empty(ctx context.Context) error {
	return c.db.View(ctx, func(tx *sqldb.Tx) error {
		var n int
		err := tx.Row("SELECT (SELECT count(*) FROM streams) + (SELECT count(*) FROM sessions) + (SELECT count(*) FROM access_keys)").Scan(&n)
		if err == nil && n > 0 {
			err = leat.Errorf(leat.KindInUse, "the database is not empty: rebuild into an empty one, and keep this one until you have seen that nothing is missing")
		}
		return err
	})
}

// Rebuild fills an empty catalog, all of it or nothing. The cluster gets new secrets: iterators, page tokens and the console's
// cookies of before are refused.
func (c *Catalog) Rebuild(ctx context.Context, r *Rebuilt) error {
	fresh, err := c.newCluster()
	if err != nil {
		return err
	}
	if err := c.Empty(ctx); err != nil {
		return err
	}
	return c.db.Tx(ctx, func(tx *sqldb.Tx) error {
		revision, err := bump(tx)
		if err != nil {
			return err
		}
		_, err = tx.Exec(`
INSERT INTO cluster (one, id, secret, created) VALUES (1, $1, $2, $3)
ON CONFLICT (one) DO UPDATE SET id = excluded.id, secret = excluded.secret, node_secret = ''`, r.State.Cluster, hex.EncodeToString(fresh.Secret[:]), c.now())
		if err != nil {
			return err
		}
		for _, step := range []func() error{
			func() error { return c.rebuildState(tx, r.State, revision) },
			func() error { return r.deliveries(tx) },
			func() error { return rebuildShards(tx, r.Shards) },
			func() error { return rebuildExtents(tx, r) },
			func() error { return c.rebuildUsage(tx, r) },
			func() error { return c.rebuildSessions(tx, r) },
			func() error { return queue(tx, r.Deletes, c.deleteAt()) },
		} {
			if err := step(); err != nil {
				return err
			}
		}
		_, err = tx.Exec("UPDATE journal SET n = $1 WHERE one = 1", r.State.N)
		return err
	})
}

func (c *Catalog) rebuildState(tx *sqldb.Tx, s *journal.State, revision uint64) error {
	for id, st := range s.Streams {
		whole := journal.Stream{ID: id, Head: &st.Head}
		if err := applyStream(tx, &whole, revision); err != nil {
			return err
		}
		if err := rebuildStreamShards(tx, st, revision); err != nil {
			return err
		}
	}
	for _, a := range s.Accounts {
		if err := applyAccount(tx, &a); err != nil {
			return err
		}
	}
	for _, d := range s.Deliveries {
		if err := c.applyDelivery(tx, d); err != nil {
			return err
		}
	}
	return nil
}

func (r *Rebuilt) deliveries(tx *sqldb.Tx) error {
	if r.Delivered == nil {
		return nil
	}
	return r.Delivered(tx)
}

func rebuildStreamShards(tx *sqldb.Tx, st *journal.StreamState, revision uint64) error {
	for _, sh := range st.Shards {
		if err := applyShard(tx, &sh, revision); err != nil {
			return err
		}
	}
	return nil
}

func rebuildShards(tx *sqldb.Tx, all []RebuiltShard) error {
	rows := sqldb.NewRows(6, len(all))
	for _, s := range all {
		rows.Add(s.Key.Stream, s.Key.Ordinal, s.Epoch, s.Horizon, s.Next, s.LastTime)
	}
	n, err := tx.ExecRows(`
WITH v (stream, ordinal, epoch, horizon, next_offset, last_time) AS (VALUES $rows)
UPDATE shards SET epoch = v.epoch, horizon = v.horizon, next_offset = v.next_offset, last_time = v.last_time, owner = NULL
FROM v WHERE shards.stream = v.stream AND shards.ordinal = v.ordinal`, rows)
	if err == nil && n != int64(len(all)) {
		err = leat.Errorf(leat.KindInternal, "%d of %d shards are in the rebuilt catalog", n, len(all))
	}
	return err
}

func rebuildExtents(tx *sqldb.Tx, r *Rebuilt) error {
	rows, objects := sqldb.NewRows(extentColumns, len(r.Extents)), sqldb.NewRows(1, len(r.Extents))
	seen := map[string]bool{}
	for i := range r.Extents {
		e := &r.Extents[i]
		addExtent(rows, e)
		if !seen[e.Object] {
			seen[e.Object] = true
			objects.Add(e.Object)
		}
	}
	if _, err := tx.ExecRows("INSERT INTO objects (key) VALUES $rows", objects); err != nil {
		return err
	}
	_, err := tx.ExecRows(insertExtents, rows)
	return err
}

func (c *Catalog) rebuildSessions(tx *sqldb.Tx, r *Rebuilt) error {
	now := c.now()
	rows, beats := sqldb.NewRows(9, len(r.Sessions)), sqldb.NewRows(2, len(r.Sessions))
	for _, s := range r.Sessions {
		rows.Add(s.Session, "rebuilt", "", string(SessionClosed), s.Trim, r.State.Sessions[s.Session].Opened, now, s.Fence, 1)
		beats.Add(s.Session, 0)
	}
	_, err := tx.ExecRows("INSERT INTO sessions (id, node, address, state, trimmed, opened, closed, fence, keys_apart) VALUES $rows", rows)
	if err != nil {
		return err
	}
	if _, err := tx.ExecRows("INSERT INTO beats (session, beat) VALUES $rows", beats); err != nil {
		return err
	}
	held := sqldb.NewRows(4, len(r.Pending))
	for _, p := range r.Pending {
		held.Add(p.Session, p.Shard.Stream, p.Shard.Ordinal, p.Epoch)
	}
	_, err = tx.ExecRows("INSERT INTO closed_shards (session, stream, ordinal, epoch) VALUES $rows", held)
	return err
}
