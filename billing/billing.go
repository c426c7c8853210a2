// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package billing

import (
	"cmp"
	"context"
	"embed"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/shopspring/decimal"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/billing/rating"
	"github.com/leatstream/leat/internal/sqldb"
	"github.com/leatstream/leat/shardstore/blob"
)

// Billing is the ledger and what is made of it. Its methods may be called from any goroutine, on any node.
type Billing struct {
	db    *sqldb.DB
	opts  Options
	hooks *http.Client

	throttles atomic.Pointer[map[string][]throttle] // by account; nil: not read yet

	looking      sync.Mutex // at budgets
	lookedBooked int64
	lookedAt     time.Time

	hindering sync.Mutex
	hindered  map[string]string // by account: what was last logged of why its invoice is not closed
}

// Options are what Billing does not find in its database.
type Options struct {
	Book   *rating.Book // nil: the showback preset
	Blobs  blob.Store   // where manifests go; nil: they stay in the database
	Clock  leat.Clock   // nil means the machine's
	Logger *slog.Logger // nil logs nothing
	Sealer Sealer       // keeps the secrets of webhooks; nil: budgets have none
	Rand   io.Reader    // of identities; nil means crypto/rand

	Settle time.Duration // how long after its end an hour is booked; 0 means 15 minutes
	Grace  time.Duration // how long after its end a month is closed; 0 means 72 hours
}

// New makes billing on a database, whose catalog MUST be migrated before Migrate is called.
func New(db *sqldb.DB, o Options) (*Billing, error) {
	if o.Book == nil {
		book, err := rating.Preset("showback")
		if err != nil {
			return nil, err
		}
		o.Book = book
	}
	if o.Clock == nil {
		o.Clock = leat.SystemClock{}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	o.Settle = cmp.Or(o.Settle, 15*time.Minute)
	o.Grace = cmp.Or(o.Grace, 72*time.Hour)
	return &Billing{db: db, opts: o, hooks: newHooks(), hindered: map[string]string{}}, nil
}

//go:embed migrations/*.sql
var migrations embed.FS

// Migrate makes or updates the tables; see sqldb.DB.Migrate.
func (b *Billing) Migrate(ctx context.Context) error {
	schema := Schema()
	return b.db.Migrate(ctx, schema.Name, schema.Files)
}

// Schema is the migrations of billing's tables.
func Schema() sqldb.Schema {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		panic(err) // the folder is embedded
	}
	return sqldb.Schema{Name: "billing", Files: files}
}

// Prices is the book that invoices are made by.
func (b *Billing) Prices() *rating.Book { return b.opts.Book }

func (b *Billing) now() time.Time { return b.opts.Clock.Now() }

// one is the usual number of units that a price is for.
var one = decimal.NewFromInt(1)

var hourMicros = time.Hour.Microseconds()

func hourOf(micros int64) int64 { return micros - ((micros%hourMicros)+hourMicros)%hourMicros }
