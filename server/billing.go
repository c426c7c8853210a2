// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"slices"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/billing"
	"github.com/leatstream/leat/billing/rating"
	"github.com/leatstream/leat/internal/sqldb"
	"github.com/leatstream/leat/server/catalog"
	"github.com/leatstream/leat/shardstore/blob"
	"github.com/leatstream/leat/shardstore/wal"
)

// priceBook reads --price-book: a file, or the name of a preset. Empty is the default.
func priceBook(name string) (*rating.Book, error) {
	if name == "" {
		return nil, nil
	}
	if slices.Contains(rating.Presets(), name) {
		return rating.Preset(name)
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, bad("price-book", name, "it cannot be read (%v): give a YAML file, or a name that `leat billing prices list` shows", err)
	}
	book, err := rating.ParseBook(text)
	if err != nil {
		return nil, bad("price-book", name, "%v: mend it, and look at it with `leat billing prices check`", err)
	}
	return book, nil
}

// openBilling makes billing on a server's parts, and its tables.
func openBilling(ctx context.Context, p *parts) (*billing.Billing, error) {
	o := billing.Options{Book: p.book, Blobs: p.blobs, Logger: p.log}
	if p.master != nil {
		o.Sealer = p.master
	}
	b, err := billing.New(p.db, o)
	if err != nil {
		return nil, err
	}
	if err := b.Migrate(ctx); err != nil {
		return nil, err
	}
	return b, b.Rewrap(ctx)
}

// VerifyLocal computes the puts of hours in [from, to) again from the folder of `leat dev`, whose server MUST be stopped.
func VerifyLocal(ctx context.Context, dir string, from, to time.Time) (v billing.Verification, err error) {
	local, err := OpenLocal(ctx, dir, wal.FilesOptions{})
	if err != nil {
		return v, err
	}
	defer func() { err = errors.Join(err, local.Close()) }()
	return verify(ctx, local.DB, local.Blobs, from, to)
}

// VerifyRemote does so with the database and bucket of `leat serve`, which may be running.
func VerifyRemote(ctx context.Context, postgres string, bucket S3, from, to time.Time) (v billing.Verification, err error) {
	remote, err := OpenRemote(ctx, postgres, bucket, slog.New(slog.DiscardHandler))
	if err != nil {
		return v, err
	}
	defer func() { err = errors.Join(err, remote.Close()) }()
	return verify(ctx, remote.DB, remote.Blobs, from, to)
}

func verify(ctx context.Context, db *sqldb.DB, blobs blob.Store, from, to time.Time) (v billing.Verification, err error) {
	if err := catalog.New(db, catalog.Options{}).Migrate(ctx); err != nil {
		return v, err
	}
	b, err := billing.New(db, billing.Options{Blobs: blobs, Clock: leat.SystemClock{}})
	if err != nil {
		return v, err
	}
	if err := b.Migrate(ctx); err != nil {
		return v, err
	}
	return b.Verify(ctx, from, to)
}
