// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"context"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/sqldb"
)

// AcquireLeader takes or renews the cluster's one lease for ttl from now, and tells whether the session leads. It does
// not ask whether the session is open. The lease keeps two nodes from doing the same work; that nothing goes wrong where
// their clocks disagree and both believe to lead is the work of the compare-and-swaps elsewhere. A lease that lasts longer than one
// taken now is one that a clock wrote which was ahead, and binds nobody: its holder may be dead.
func (c *Catalog) AcquireLeader(ctx context.Context, session leat.SessionID, ttl time.Duration) (leads bool, err error) {
	err = c.settle(ctx, func(tx *sqldb.Tx) (err error) {
		leads, err = acquire(tx, session, c.now(), ttl)
		return err
	})
	return leads, err
}

func acquire(tx *sqldb.Tx, session leat.SessionID, now time.Time, ttl time.Duration) (leads bool, err error) {
	n, err := tx.Exec(`
UPDATE leader SET term = CASE WHEN holder = $1 THEN term ELSE term + 1 END, holder = $1, until = $2
WHERE one = 1 AND (holder = $1 OR until <= $3 OR until > $4)`, session, now.Add(ttl), now, believable(now, ttl))
	return n == 1, err
}

// believable is the latest end of a lease of some length that another node can have taken whose clock is right.
func believable(now time.Time, ttl time.Duration) time.Time { return now.Add(ttl + time.Minute) }

// ReleaseLeader ends the session's lease, so that another need not wait for its end.
func (c *Catalog) ReleaseLeader(ctx context.Context, session leat.SessionID) error {
	return c.settle(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Exec("UPDATE leader SET until = 0 WHERE one = 1 AND holder = $1", session)
		return err
	})
}
