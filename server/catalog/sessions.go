// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/sqldb"
	"github.com/leatstream/leat/shardstore"
)

// SessionState is the life of a session: live → fencing → closed.
type SessionState string

// The states of a session.
const (
	SessionLive    SessionState = "live"
	SessionFencing SessionState = "fencing" // somebody is writing the fence into its log
	SessionClosed  SessionState = "closed"  // for ever
)

// Session is one life of one node's log.
type Session struct {
	ID      leat.SessionID
	Node    string // a name for people
	Address string // where other nodes reach it
	State   SessionState
	Trim    uint64 // segments below it are registered in packs
	Beat    uint64 // counts heartbeats
	Opened  time.Time
	Closed  time.Time // zero until closed
	Fence   uint64    // once closed: the first segment number that never counts
	Clean   bool      // closed by its own node, which left nothing to recover
	// Alone says that one session serves all shards. OpenSession refuses it unless it holds the leader's lease and no other
	// one is live or fencing.
	Alone bool
	// NodeSecret says that the session's node signs its calls with Catalog.NodeSecret: those of former versions, and those without
	// a master key, have another secret alone.
	NodeSecret bool
}

// ErrClosed says that a session is closed already: whoever closed it decided how it ended.
var ErrClosed = errors.New("catalog: session is closed already")

// OpenSession registers a live session; only ID, Node, Address, Alone and NodeSecret are read. Its id MUST be new. A second call for a
// session that lives changes nothing.
func (c *Catalog) OpenSession(ctx context.Context, s Session) error {
	return c.settle(ctx, func(tx *sqldb.Tx) error {
		if s.Alone {
			if err := mayBeAlone(tx, s.ID); err != nil {
				return err
			}
		} else {
			if _, err := bump(tx); err != nil { // every node is to learn where the others are
				return err
			}
			if err := mayShare(tx); err != nil {
				return err
			}
		}
		n, err := tx.Exec(`
INSERT INTO sessions (id, node, address, state, opened, alone, keys_apart, node_secret) VALUES ($1, $2, $3, 'live', $4, $5, 1, $6)
ON CONFLICT (id) DO NOTHING`, s.ID, s.Node, s.Address, c.now(), s.Alone, s.NodeSecret)
		if err != nil {
			return err
		}
		if n == 0 {
			return sameSession(tx, s)
		}
		tx.Note(openedSession{s.ID})
		_, err = tx.Exec("INSERT INTO beats (session, beat) VALUES ($1, 0)", s.ID)
		return err
	})
}

// mayShare refuses a session beside one that serves all shards: it would get none, and be asked in vain. A session that
// is to be alone is refused by mayBeAlone beside any other. Of two that are opened at the same moment one is refused or
// both are there: the row of the leader's lease is held by both.
func mayShare(tx *sqldb.Tx) error {
	if _, err := tx.Exec("UPDATE leader SET holder = holder WHERE one = 1"); err != nil {
		return err
	}
	var node string
	err := tx.Row("SELECT node FROM sessions WHERE state <> 'closed' AND alone = 1 ORDER BY opened, id LIMIT 1").Scan(&node)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	return leat.Errorf(leat.KindUnavailable, "node %q serves all shards by itself (--share-shards=false): nodes of one cluster are all started with it or all without; stop that node, or start this one as it was", node)
}

// mayBeAlone refuses a session beside another one. Holding the lease's row keeps a second one from being opened before
// this one is seen.
func mayBeAlone(tx *sqldb.Tx, id leat.SessionID) error {
	n, err := tx.Exec("UPDATE leader SET holder = holder WHERE one = 1 AND holder = $1", id)
	if err != nil {
		return err
	}
	if n == 0 {
		return leat.Errorf(leat.KindInUse, "session %s does not hold the leader's lease any more", id)
	}
	var others int
	if err := tx.Row("SELECT count(*) FROM sessions WHERE state <> 'closed' AND id <> $1", id).Scan(&others); err != nil {
		return err
	}
	if others > 0 {
		return leat.Errorf(leat.KindInUse, "another session has not ended: it serves all shards")
	}
	return nil
}

func sameSession(tx *sqldb.Tx, s Session) error {
	var node, address, state string
	if err := tx.Row("SELECT node, address, state FROM sessions WHERE id = $1", s.ID).Scan(&node, &address, &state); err != nil {
		return err
	}
	if node != s.Node || address != s.Address || state != string(SessionLive) {
		return leat.Errorf(leat.KindInUse, "session %s exists already: ids of sessions are never used again", s.ID)
	}
	return nil
}

// Beat counts one heartbeat of a session that shares with nobody, notes what it reports of its load, and returns how many beats there have been.
// shardstore.ErrFenced when the session is not live.
func (c *Catalog) Beat(ctx context.Context, id leat.SessionID, r Report) (beats uint64, err error) {
	err = c.db.Tx(ctx, func(tx *sqldb.Tx) error {
		err := tx.Row(`
UPDATE beats SET beat = beat + 1, shards = $2, bytes_in = $3, records_in = $4
WHERE session = $1 AND EXISTS (SELECT 1 FROM sessions WHERE id = $1 AND state = 'live')
RETURNING beat`, id, r.Shards, r.BytesIn, r.RecordsIn).Scan(sqldb.U64(&beats))
		if errors.Is(err, sql.ErrNoRows) {
			return fmt.Errorf("session %s: %w", id, shardstore.ErrFenced)
		}
		return err
	})
	if err != nil {
		return 0, err // what the database said before the commit may never have been
	}
	return beats, nil
}

// ListSessions returns the sessions in the given states, all without one, in the order in which they were opened.
func (c *Catalog) ListSessions(ctx context.Context, states ...SessionState) (all []Session, err error) {
	if len(states) == 0 {
		states = []SessionState{SessionLive, SessionFencing, SessionClosed}
	}
	wanted := sqldb.NewRows(1, len(states))
	for _, s := range states {
		wanted.Add(string(s))
	}
	err = c.db.View(ctx, func(tx *sqldb.Tx) error {
		all = nil
		return tx.EachRows(`
WITH wanted (state) AS (VALUES $rows)
SELECT s.id, s.node, s.address, s.state, s.trimmed, b.beat, s.opened, s.closed, s.fence, s.clean, s.alone
FROM sessions s JOIN beats b ON b.session = s.id
WHERE s.state IN (SELECT state FROM wanted)
ORDER BY s.opened, s.id`, wanted, func(scan sqldb.Scan) error {
			var s Session
			err := scan(sqldb.ID(&s.ID), &s.Node, &s.Address, &s.State, sqldb.U64(&s.Trim), sqldb.U64(&s.Beat),
				sqldb.Time(&s.Opened), sqldb.Time(&s.Closed), sqldb.U64(&s.Fence), sqldb.Bool(&s.Clean), sqldb.Bool(&s.Alone))
			all = append(all, s)
			return err
		})
	})
	return all, err
}

// BeginFencing moves a session from live to fencing, or finds it there, and returns its trim, which does not move from
// then on. ErrClosed when it is closed; KindNotFound when it never was.
func (c *Catalog) BeginFencing(ctx context.Context, id leat.SessionID) (trim uint64, err error) {
	err = c.settle(ctx, func(tx *sqldb.Tx) error {
		err := tx.Row(`
UPDATE sessions SET state = 'fencing' WHERE id = $1 AND state IN ('live', 'fencing')
RETURNING trimmed`, id).Scan(sqldb.U64(&trim))
		if errors.Is(err, sql.ErrNoRows) {
			return notOpen(tx, id)
		}
		return err
	})
	return trim, err
}

// notOpen says why a session could not be fenced or closed.
func notOpen(tx *sqldb.Tx, id leat.SessionID) error {
	var state SessionState
	err := tx.Row("SELECT state FROM sessions WHERE id = $1", id).Scan(&state)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return leat.Errorf(leat.KindNotFound, "session %s is not in the catalog", id)
	case err != nil:
		return err
	case state == SessionClosed:
		return fmt.Errorf("session %s: %w", id, ErrClosed)
	}
	return fmt.Errorf("session %s is %s: %w", id, state, shardstore.ErrFenced)
}

// holdLive locks the row of a session that is live until the transaction ends, so that nobody can fence it meanwhile.
func holdLive(tx *sqldb.Tx, id leat.SessionID) error {
	n, err := tx.Exec("UPDATE sessions SET trimmed = trimmed WHERE id = $1 AND state = 'live'", id)
	return sqldb.One(n, err, fmt.Errorf("session %s is not live: %w", id, shardstore.ErrFenced))
}
