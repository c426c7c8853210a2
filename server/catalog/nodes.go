// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"context"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/sqldb"
)

// NodeStatus is a session that has not ended, as operators want to see it.
type NodeStatus struct {
	Session
	Leader    bool   // it was the last one to take the leader's lease, which may have run out
	Shards    int    // that it owns, closed ones too
	Moving    int    // of these, on their way to another session
	BytesIn   uint64 // a second, as it told with its last beat
	RecordsIn uint64 // a second, as it told with its last beat
	Draining  bool   // it wants no shards
}

// Nodes returns the sessions that are live or being fenced, in the order in which they were opened.
func (c *Catalog) Nodes(ctx context.Context) (all []NodeStatus, err error) {
	err = c.db.View(ctx, func(tx *sqldb.Tx) error {
		all = nil
		return tx.Each(`
SELECT s.id, s.node, s.address, s.state, s.opened, b.bytes_in, b.records_in, b.draining,
	CASE WHEN l.holder = s.id THEN 1 ELSE 0 END, count(h.owner), count(h.moving_to)
FROM sessions s JOIN beats b ON b.session = s.id CROSS JOIN leader l LEFT JOIN shards h ON h.owner = s.id
WHERE s.state <> 'closed'
GROUP BY s.id, s.node, s.address, s.state, s.opened, b.bytes_in, b.records_in, b.draining, l.holder
ORDER BY s.opened, s.id`, func(scan sqldb.Scan) error {
			var n NodeStatus
			err := scan(sqldb.ID(&n.ID), &n.Node, &n.Address, &n.State, sqldb.Time(&n.Opened), sqldb.U64(&n.BytesIn), sqldb.U64(&n.RecordsIn),
				sqldb.Bool(&n.Draining), sqldb.Bool(&n.Leader), &n.Shards, &n.Moving)
			all = append(all, n)
			return err
		})
	})
	return all, err
}

// Overview counts what a cluster has.
type Overview struct {
	Live, Fencing int // sessions
	Shards        int // closed ones too
	Unowned       int // of them, without an owner
	Moving        int // of them, on their way from one session to another
}

// Overview returns the counts to the session that took the leader's lease last, and leads false to others: one node of a
// cluster is enough to count.
func (c *Catalog) Overview(ctx context.Context, session leat.SessionID) (o Overview, leads bool, err error) {
	err = c.db.View(ctx, func(tx *sqldb.Tx) error {
		o, leads = Overview{}, false
		if err := tx.Row("SELECT CASE WHEN holder = $1 THEN 1 ELSE 0 END FROM leader WHERE one = 1", session).Scan(sqldb.Bool(&leads)); err != nil || !leads {
			return err
		}
		err := tx.Each("SELECT state, count(*) FROM sessions WHERE state <> 'closed' GROUP BY state", func(scan sqldb.Scan) error {
			var state SessionState
			var n int
			err := scan(&state, &n)
			if state == SessionLive {
				o.Live = n
			} else {
				o.Fencing = n
			}
			return err
		})
		if err != nil {
			return err
		}
		var owned int
		if err := tx.Row("SELECT count(*), count(owner), count(moving_to) FROM shards").Scan(&o.Shards, &owned, &o.Moving); err != nil {
			return err
		}
		o.Unowned = o.Shards - owned
		return nil
	})
	return o, leads, err
}
