// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"context"
	"errors"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/sqldb"
	"github.com/leatstream/leat/server/journal"
	"github.com/leatstream/leat/shardstore/blob"
)

// What transactions note for the journal: whoever changes a row that a rebuilt catalog must have says so here. record
// reads what they name in the same transaction.
type (
	changedStream  struct{ id leat.StreamID } // anything but its shards
	changedShards  struct{ shards []leat.ShardKey }
	droppedShards  struct{ shards []leat.ShardKey }
	bareStream     struct{ id leat.StreamID } // all of its shards are gone
	goneStream     struct{ id leat.StreamID }
	changedAccount struct{ account string }
	openedSession  struct{ id leat.SessionID }
	deletes        struct{ keys []string } // that are about to go
	proof          struct{}                // that the entry before this one was committed
)

// errBehind says that an entry of the journal is not in the catalog yet.
var errBehind = errors.New("catalog: the journal is ahead of the catalog")

// tx runs a transaction and writes what it notes to the journal before it commits (package journal says how). Without a
// journal, and where nothing was noted, it is a plain transaction.
func (c *Catalog) tx(ctx context.Context, fn func(tx *sqldb.Tx) error) error {
	metered := func(tx *sqldb.Tx) error {
		if err := fn(tx); err != nil {
			return err
		}
		return c.meter(tx)
	}
	if c.opts.Journal == nil {
		return c.db.Tx(ctx, metered)
	}
	const runs = 5
	written := false // an entry of ours may stand
	for run := 1; ; run++ {
		err := c.db.Tx(ctx, func(tx *sqldb.Tx) error {
			if err := metered(tx); err != nil {
				return err
			}
			return c.record(ctx, tx, &written)
		})
		if errors.Is(err, errBehind) {
			if err = c.CatchUp(ctx); err == nil && run < runs {
				continue
			}
			if err == nil {
				err = leat.Errorf(leat.KindUnavailable, "nothing was changed: other changes of the cluster go before this one all the time: retry")
			}
		}
		return openOutcome(written, err)
	}
}

// openOutcome keeps an error from saying that nothing was changed when an entry of the transaction may stand.
func openOutcome(written bool, err error) error {
	kind := leat.KindOf(err)
	if err == nil || !written || kind != leat.KindUnavailable && kind != leat.KindCanceled && kind != leat.KindInternal {
		return err
	}
	return &leat.Error{Kind: leat.KindUnknownOutcome, Err: err,
		Message: "the change is in the bucket's journal, and the catalog's database did not take it yet: look whether it was made"}
}

// record writes the entry of a transaction, as its last step before COMMIT.
func (c *Catalog) record(ctx context.Context, tx *sqldb.Tx, written *bool) error {
	notes := tx.Notes()
	if len(notes) == 0 {
		return nil
	}
	e := &journal.Entry{Nonce: leat.NewID[leat.SessionID](c.opts.Rand), At: leat.Micros(c.now())}
	// The row is locked before anything is read: what other entries have is committed and seen, or comes after this one.
	var form, last uint64
	if err := tx.Row("UPDATE journal SET n = n + 1 WHERE one = 1 RETURNING n, form, form_n").Scan(sqldb.U64(&e.N), sqldb.U64(&form), sqldb.U64(&last)); err != nil {
		return err
	}
	// An older program may have written since: what it does not know its entries do not have, though the catalog does.
	mixed := form < journal.Form || form == journal.Form && last != e.N-1
	there, err := c.opts.Journal.Has(ctx, e.N)
	if err != nil {
		return err
	}
	if there {
		return errBehind
	}
	var info ClusterInfo
	if err := readCluster(tx, &info); err != nil {
		return err
	}
	e.Cluster = info.ID
	if e.N == 1 || e.N%journal.FullEvery == 0 || mixed {
		err = c.entireState(tx, e)
	}
	if err == nil {
		err = gather(tx, e, notes)
	}
	if err != nil {
		return err
	}
	if form <= journal.Form {
		if _, err := tx.Exec("UPDATE journal SET form = $1, form_n = n WHERE one = 1", journal.Form); err != nil {
			return err
		}
	}
	*written = true
	if err := c.opts.Journal.Append(ctx, e); err != nil {
		if errors.Is(err, journal.ErrTaken) {
			*written = false // ours can never stand now
			return errBehind
		}
		return err
	}
	if e.Full {
		if err := c.opts.Journal.MarkFull(ctx, e.N); err != nil {
			c.opts.Logger.Warn("a rebuild would read more of the journal than it must", "error", err)
		}
	}
	return nil
}

// CatchUp brings an entry into the catalog whose transaction died before it committed. KindCorrupt when the catalog is
// older than the bucket: it was restored from a backup.
func (c *Catalog) CatchUp(ctx context.Context) error {
	if c.opts.Journal == nil {
		return nil
	}
	for {
		n, err := c.journaled(ctx)
		if err != nil {
			return err
		}
		e, err := c.opts.Journal.Read(ctx, n+1)
		if errors.Is(err, blob.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		old, err := c.older(ctx, e)
		if err != nil {
			return err
		}
		if old {
			// Unless another node took the entry in meanwhile and went on.
			if now, err := c.journaled(ctx); err != nil || now == n {
				return errors.Join(err, olderCatalog(n, e.N))
			}
			continue
		}
		if err := c.takeIn(ctx, e); err != nil {
			return err
		}
		c.opts.Logger.Info("took in an entry of the journal whose writer died", "entry", e.N)
	}
}

// Journaled is the entry of the journal that the catalog's newest journaled change is.
func (c *Catalog) journaled(ctx context.Context) (n uint64, err error) {
	err = c.db.View(ctx, func(tx *sqldb.Tx) error {
		return tx.Row("SELECT n FROM journal WHERE one = 1").Scan(sqldb.U64(&n))
	})
	return n, err
}

// older tells whether an entry that the catalog does not have was committed once.
func (c *Catalog) older(ctx context.Context, e *journal.Entry) (bool, error) {
	if next, err := c.opts.Journal.Has(ctx, e.N+1); err != nil || next {
		return next, err
	}
	for _, s := range e.Sessions {
		var known int
		err := c.db.View(ctx, func(tx *sqldb.Tx) error {
			return tx.Row("SELECT count(*) FROM sessions WHERE id = $1", s.ID).Scan(&known)
		})
		if err != nil {
			return false, err
		}
		if known > 0 {
			continue
		}
		if begun, err := c.opts.Journal.Begun(ctx, s.ID); err != nil || begun {
			return begun, err
		}
	}
	return false, nil
}

func olderCatalog(n, m uint64) error {
	return leat.Errorf(leat.KindCorrupt, "the catalog in the database is older than the bucket: it knows the bucket's journal up to entry %d, and entry %d was committed (was the database restored from a backup?); "+
		"serving with it would lose records: run `leat rebuild` into an empty database, or `leat restore` with a backup (docs/rebuild.md)", n, m)
}

// takeIn applies an entry, unless it is in the catalog already.
func (c *Catalog) takeIn(ctx context.Context, e *journal.Entry) error {
	return c.settle(ctx, func(tx *sqldb.Tx) error {
		revision, err := bump(tx)
		if err != nil {
			return err
		}
		n, err := tx.Exec("UPDATE journal SET n = $1 WHERE one = 1 AND n = $2", e.N, e.N-1)
		if err != nil || n == 0 {
			return err
		}
		var info ClusterInfo
		if err := readCluster(tx, &info); err != nil {
			return err
		}
		if info.ID != e.Cluster {
			return leat.Errorf(leat.KindCorrupt, "entry %d of the bucket's journal belongs to cluster %s, the database to %s", e.N, e.Cluster, info.ID)
		}
		if err := c.applyEntry(tx, e, revision); err != nil {
			return err
		}
		return c.meterEntry(tx, e)
	})
}

// markDeletions writes to the journal that objects are about to go, and a proof that this was committed: from here on
// a catalog that still names them is known to be too old. It returns those that are queued in both transactions: this
// very catalog does not name them, though it may have been set back to a backup since they were looked up.
func (c *Catalog) markDeletions(ctx context.Context, keys []string) ([]string, error) {
	if c.opts.Journal == nil {
		return keys, nil
	}
	for _, note := range []func(queued []string) any{
		func(queued []string) any { return deletes{queued} },
		func([]string) any { return proof{} },
	} {
		if len(keys) == 0 {
			return nil, nil
		}
		var queued []string
		err := c.settle(ctx, func(tx *sqldb.Tx) (err error) {
			if queued, err = stillQueued(tx, keys); err == nil && len(queued) > 0 {
				tx.Note(note(queued))
			}
			return err
		})
		if err != nil {
			return nil, err
		}
		keys = queued
	}
	return keys, nil
}

func stillQueued(tx *sqldb.Tx, keys []string) (queued []string, err error) {
	err = tx.EachRows("SELECT key FROM deletions WHERE key IN (VALUES $rows) ORDER BY not_before, key", keyRows(keys), func(scan sqldb.Scan) error {
		var key string
		err := scan(&key)
		queued = append(queued, key)
		return err
	})
	return queued, err
}
