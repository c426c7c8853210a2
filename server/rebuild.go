// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/sqldb"
	"github.com/leatstream/leat/server/catalog"
	"github.com/leatstream/leat/server/delivery"
	"github.com/leatstream/leat/server/rebuild"
	"github.com/leatstream/leat/shardstore"
	"github.com/leatstream/leat/shardstore/blob"
	"github.com/leatstream/leat/shardstore/wal"
)

// RebuildReport is what a rebuild found, and what checking its work found.
type RebuildReport struct {
	rebuild.Report
	Check FsckReport // empty when it was not asked for
}

// Rebuild fills an empty database from the bucket alone and, where check is set, reads every record back. All servers on
// the bucket MUST be stopped; one that runs all the same loses its session.
func Rebuild(ctx context.Context, postgres string, bucket S3, keys MasterKeys, check bool, report func(shardstore.Problem), log *slog.Logger) (r RebuildReport, err error) {
	master, err := keys.read()
	if err != nil {
		return r, err
	}
	const within = time.Hour // the one transaction that fills the database
	remote, err := openRemote(ctx, sqldb.Config{Postgres: postgres, Logger: log, TxTimeout: within}, bucket)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, remote.Close()) }()
	whose, err := remote.Blobs.Read(ctx, owner, 0, -1)
	if errors.Is(err, blob.ErrNotFound) {
		return r, bad("s3-bucket", bucket.Bucket, "it holds no records of Leat (%s is not there): give the bucket and prefix that the servers ran with", owner)
	}
	if err != nil {
		return r, err
	}
	id, err := leat.ParseID[leat.ClusterID](string(whose))
	if err != nil {
		return r, leat.Errorf(leat.KindCorrupt, "%s in the bucket names no cluster: %w", owner, err)
	}
	cat := catalog.New(remote.DB, catalog.Options{Logger: log, Deliveries: delivery.Journaled{}})
	if err := cat.Migrate(ctx); err != nil {
		return r, err
	}
	if err := delivery.Migrate(ctx, remote.DB); err != nil {
		return r, err
	}
	driver := wal.NewObjects(remote.Blobs)
	r.Report, err = rebuild.Run(ctx, rebuild.Options{
		Catalog: cat, Cluster: id, Journal: remote.journal(), Driver: driver, Blobs: remote.Blobs, Logger: log, Deliveries: delivery.Ledger,
	})
	for _, p := range r.Problems {
		report(p)
	}
	if err != nil || !check {
		return r, err
	}
	r.Check, err = fsck(ctx, remote.DB, driver, remote.Blobs, master, report)
	return r, err
}
