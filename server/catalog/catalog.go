// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"cmp"
	"context"
	"embed"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"strconv"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/sqldb"
	"github.com/leatstream/leat/server/journal"
	"github.com/leatstream/leat/shardstore"
)

// Catalog is the control plane's memory. Its methods may be called from any goroutine. Errors are leat.Error, or wrap
// ErrClosed or shardstore.ErrFenced. KindUnavailable says that nothing was changed.
type Catalog struct {
	db   *sqldb.DB
	opts Options
}

var _ shardstore.Index = (*Catalog)(nil)

// Options are what a Catalog does not find in its database.
type Options struct {
	Clock  leat.Clock   // nil means the machine's
	Logger *slog.Logger // nil logs nothing
	Rand   io.Reader    // of identities and the cluster's secret; nil means crypto/rand
	// DeleteAfter is how long an object stays once nothing names it, where the caller does not say; 0 means 15 minutes.
	DeleteAfter time.Duration
	// Journal is where changes are written that a rebuilt catalog must have; nil: nowhere.
	Journal *journal.Log
	// Deliveries are in the journal too; nil: there are none.
	Deliveries Deliveries
	// DestroyKeys destroys the keys of a stream that is DELETING, of which nothing else is left; nil: keys are nowhere else.
	DestroyKeys func(ctx context.Context, s leat.Stream) error
	// RemoveBatch is how many extents one transaction of RemoveStream takes away; 0 means 2,000.
	RemoveBatch int
}

// New makes a catalog on a database, which stays the caller's to close. Migrate MUST have run.
func New(db *sqldb.DB, o Options) *Catalog {
	if o.Clock == nil {
		o.Clock = leat.SystemClock{}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	o.DeleteAfter = cmp.Or(o.DeleteAfter, 15*time.Minute)
	o.RemoveBatch = cmp.Or(o.RemoveBatch, 2000)
	return &Catalog{db: db, opts: o}
}

//go:embed migrations/*.sql accounts/*.sql
var migrations embed.FS

// Migrate makes or updates the tables. Nodes may call it at the same time; see sqldb.DB.Migrate for a database that is newer
// than this program.
func (c *Catalog) Migrate(ctx context.Context) error {
	for _, s := range Schemas() {
		if err := c.db.Migrate(ctx, s.Name, s.Files); err != nil {
			return err
		}
	}
	return nil
}

// Schemas are the catalog's migrations, in the order in which they are applied.
func Schemas() (all []sqldb.Schema) {
	for _, owner := range []struct{ name, folder string }{{"catalog", "migrations"}, {"accounts", "accounts"}} {
		files, err := fs.Sub(migrations, owner.folder)
		if err != nil {
			panic(err) // the folders are embedded
		}
		all = append(all, sqldb.Schema{Name: owner.name, Files: files})
	}
	return all
}

func (c *Catalog) now() time.Time { return c.opts.Clock.Now() }

// deleteAt is when an object that nothing names from now on may go.
func (c *Catalog) deleteAt() int64 { return leat.Micros(c.now().Add(c.opts.DeleteAfter)) }

// settle runs a transaction that recognises its own earlier run, again while the outcome of its COMMIT is unknown.
func (c *Catalog) settle(ctx context.Context, fn func(tx *sqldb.Tx) error) error {
	const runs = 3
	var unknown error
	for n := 1; ; n++ {
		err := c.tx(ctx, fn)
		switch {
		case errors.Is(err, sqldb.ErrCommitUnknown):
			unknown = err
			if n < runs && ctx.Err() == nil {
				continue
			}
			return err
		case err != nil && unknown != nil && !decided(err):
			return unknown // an earlier run may have been applied: it is not certain that nothing was
		}
		return err
	}
}

// decided tells whether an error says something about the catalog's content, rather than about reaching it.
func decided(err error) bool {
	kind := leat.KindOf(err)
	return errors.Is(err, errRegistered) || errors.Is(err, shardstore.ErrFenced) || errors.Is(err, ErrClosed) ||
		kind != leat.KindUnavailable && kind != leat.KindCanceled && kind != leat.KindInternal
}

// hold locks the revision until the transaction ends, so that nobody else changes a stream or an owner meanwhile.
func hold(tx *sqldb.Tx) error {
	_, err := tx.Exec("UPDATE revision SET n = n WHERE one = 1")
	return err
}

// bump raises the revision and holds it.
func bump(tx *sqldb.Tx) (revision uint64, err error) {
	if err = tx.Row("UPDATE revision SET n = n + 1 WHERE one = 1 RETURNING n").Scan(sqldb.U64(&revision)); err != nil {
		return 0, err
	}
	return revision, tx.Notify(revisions, strconv.FormatUint(revision, 10))
}

// revisions is the channel on which each new revision is notified.
const revisions = "leat_revision"

// Listen calls heard soon after each change of the revision, until ctx ends: a hint, which may be lost (sqldb.DB.Listen).
func (c *Catalog) Listen(ctx context.Context, heard func(revision uint64), lost func(error)) {
	c.db.Listen(ctx, revisions, func(payload string) {
		if n, err := strconv.ParseUint(payload, 10, 64); err == nil {
			heard(n)
		}
	}, lost)
}

// Revision rises with every change of a stream, and of a shard but for its horizon: a node that sees the number it
// knows need not read anything again.
func (c *Catalog) Revision(ctx context.Context) (revision uint64, err error) {
	err = c.db.View(ctx, func(tx *sqldb.Tx) error {
		return tx.Row("SELECT n FROM revision WHERE one = 1").Scan(sqldb.U64(&revision))
	})
	return revision, err
}
