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
	"github.com/leatstream/leat/server/backup"
	"github.com/leatstream/leat/server/catalog"
	"github.com/leatstream/leat/server/delivery"
	"github.com/leatstream/leat/server/keyring"
	"github.com/leatstream/leat/server/rebuild"
	"github.com/leatstream/leat/shardstore"
	"github.com/leatstream/leat/shardstore/blob"
	"github.com/leatstream/leat/shardstore/wal"
)

// RebuildReport is what a rebuild found, and what checking its work found.
type RebuildReport struct {
	rebuild.Report
	Check FsckReport // empty when it was not asked for
	// Erased are the streams whose keys were destroyed: they do not come back, and nobody can open what is left of their records.
	Erased []keyring.Erased
}

// Rebuild fills an empty database from the bucket alone and, where check is set, reads every record back. All servers on
// the bucket MUST be stopped; one that runs all the same loses its session.
func Rebuild(ctx context.Context, postgres string, bucket S3, keys MasterKeys, check bool, report func(shardstore.Problem), log *slog.Logger) (r RebuildReport, err error) {
	return rebuildFrom(ctx, postgres, bucket, keys, nil, check, report, log)
}

// rebuildFrom is Rebuild, with the history that a backup has where one is given.
func rebuildFrom(ctx context.Context, postgres string, bucket S3, keys MasterKeys, old *backup.Backup, check bool, report func(shardstore.Problem), log *slog.Logger) (r RebuildReport, err error) {
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
	id, err := remote.whose(ctx, bucket)
	if err != nil {
		return r, err
	}
	cat := catalog.New(remote.DB, catalog.Options{Logger: log, Deliveries: delivery.Journaled{}})
	driver := wal.NewObjects(remote.Blobs)
	o := rebuild.Options{
		Catalog: cat, Cluster: id, Journal: remote.journal(log), Driver: driver, Blobs: remote.Blobs, Logger: log, Deliveries: delivery.Ledger,
	}
	if old != nil {
		err = withHistory(ctx, &o, old, remote.DB)
	} else if err = cat.Migrate(ctx); err == nil {
		err = delivery.Migrate(ctx, remote.DB)
	}
	if err != nil {
		return r, err
	}
	r.Report, err = rebuild.Run(ctx, o)
	for _, p := range r.Problems {
		report(p)
	}
	if err != nil {
		return r, err
	}
	if r.Erased, err = keyring.NewStore(remote.Blobs, nil).AllErased(ctx); err != nil || !check {
		return r, err
	}
	r.Check, err = fsck(ctx, remote.DB, driver, remote.Blobs, master, report)
	return r, err
}

// whose reads which cluster's records a bucket holds.
func (r *Remote) whose(ctx context.Context, bucket S3) (id leat.ClusterID, err error) {
	whose, err := r.Blobs.Read(ctx, owner, 0, -1)
	if errors.Is(err, blob.ErrNotFound) {
		return id, bad("s3-bucket", bucket.Bucket, "it holds no records of Leat (%s is not there): give the bucket and prefix that the servers ran with", owner)
	}
	if err != nil {
		return id, err
	}
	if id, err = leat.ParseID[leat.ClusterID](string(whose)); err != nil {
		err = leat.Errorf(leat.KindCorrupt, "%s in the bucket names no cluster: %w", owner, err)
	}
	return id, err
}
