// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"context"

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
