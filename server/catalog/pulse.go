// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"context"
	"fmt"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/sqldb"
	"github.com/leatstream/leat/shardstore"
)

// Report is what a session tells with each beat.
type Report struct {
	Revision  uint64 // the session has applied the catalog up to here: it serves what it owns and can open, and knows all settings
	Shards    int    // that it serves
	BytesIn   uint64 // a second
	RecordsIn uint64 // a second
}

// Peer is a session that is not closed, as a beat sees it.
type Peer struct {
	ID       leat.SessionID
	Node     string
	Address  string
	State    SessionState // live or fencing
	Beat     uint64
	Draining bool // it wants no shards
	// NodeSecret is as in Session.
	NodeSecret bool
	Report
}

// Pulse is what a beat learns: all that a node must look at while nothing changes.
type Pulse struct {
	Revision uint64 // of the catalog
	Leads    bool   // the session holds the leader's lease
	Peers    []Peer // every session that is not closed, the beating one too, in the order in which they were opened
}

// Pulse counts one heartbeat of a session among others, takes or renews the leader's lease for ttl where that is free,
// and tells what the catalog looks like now. It is the one transaction of an idle node. shardstore.ErrFenced when the
// session is not live.
func (c *Catalog) Pulse(ctx context.Context, id leat.SessionID, r Report, ttl time.Duration) (p Pulse, err error) {
	err = c.db.Tx(ctx, func(tx *sqldb.Tx) error {
		p = Pulse{}
		holder, until, err := readPulse(tx, &p)
		if err != nil {
			return err
		}
		n, err := tx.Exec(`
UPDATE beats SET beat = beat + 1, revision = $2, shards = $3, bytes_in = $4, records_in = $5
WHERE session = $1 AND EXISTS (SELECT 1 FROM sessions WHERE id = $1 AND state = 'live')`,
			id, r.Revision, r.Shards, r.BytesIn, r.RecordsIn)
		if err := sqldb.One(n, err, fmt.Errorf("session %s: %w", id, shardstore.ErrFenced)); err != nil {
			return err
		}
		if now := c.now(); ttl > 0 && (holder == id || !until.After(now) || until.After(believable(now, ttl))) {
			p.Leads, err = acquire(tx, id, now, ttl)
		}
		return err
	})
	return p, err
}

// Peers lists every session that is not closed, as a beat sees it.
func (c *Catalog) Peers(ctx context.Context) ([]Peer, error) {
	var p Pulse
	err := c.db.View(ctx, func(tx *sqldb.Tx) error {
		p = Pulse{}
		_, _, err := readPulse(tx, &p)
		return err
	})
	return p.Peers, err
}

// readPulse reads revision, peers and the leader's lease in one statement.
func readPulse(tx *sqldb.Tx, p *Pulse) (holder leat.SessionID, until time.Time, err error) {
	var holderText string
	err = tx.Each(`
SELECT r.n, l.holder, l.until, s.id, s.node, s.address, s.state, b.beat, b.revision, b.shards, b.bytes_in, b.records_in, b.draining, s.node_secret
FROM sessions s JOIN beats b ON b.session = s.id JOIN revision r ON r.one = 1 JOIN leader l ON l.one = 1
WHERE s.state IN ('live', 'fencing')
ORDER BY s.opened, s.id`, func(scan sqldb.Scan) error {
		var peer Peer
		err := scan(sqldb.U64(&p.Revision), &holderText, sqldb.Time(&until), sqldb.ID(&peer.ID), &peer.Node, &peer.Address, &peer.State,
			sqldb.U64(&peer.Beat), sqldb.U64(&peer.Revision), &peer.Shards, sqldb.U64(&peer.BytesIn), sqldb.U64(&peer.RecordsIn), sqldb.Bool(&peer.Draining), sqldb.Bool(&peer.NodeSecret))
		p.Peers = append(p.Peers, peer)
		return err
	})
	for i := range p.Peers {
		if p.Peers[i].ID.String() == holderText {
			holder = p.Peers[i].ID
		}
	}
	return holder, until, err
}

// SetDraining says whether a session wants shards. shardstore.ErrFenced when it is not live.
func (c *Catalog) SetDraining(ctx context.Context, id leat.SessionID, draining bool) error {
	return c.settle(ctx, func(tx *sqldb.Tx) error {
		n, err := tx.Exec(`
UPDATE beats SET draining = $2
WHERE session = $1 AND EXISTS (SELECT 1 FROM sessions WHERE id = $1 AND state = 'live')`, id, draining)
		return sqldb.One(n, err, fmt.Errorf("session %s: %w", id, shardstore.ErrFenced))
	})
}
