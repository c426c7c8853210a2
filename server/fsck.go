// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/sqldb"
	"github.com/leatstream/leat/server/catalog"
	"github.com/leatstream/leat/server/keyring"
	"github.com/leatstream/leat/server/masterkey"
	"github.com/leatstream/leat/shardstore"
	"github.com/leatstream/leat/shardstore/blob"
	"github.com/leatstream/leat/shardstore/segment"
	"github.com/leatstream/leat/shardstore/wal"
)

// FsckReport is what a check found.
type FsckReport struct {
	shardstore.FsckStats
	// Open are the sessions that have not ended in the catalog: what is only in their logs was not checked. A running
	// server has one; after a crash the next start recovers it.
	Open []catalog.Session
}

// FsckLocal checks the folder of `leat dev`, whose server MUST be stopped. Sealed records are opened with its master key.
func FsckLocal(ctx context.Context, dir string, report func(shardstore.Problem)) (r FsckReport, err error) {
	local, err := OpenLocal(ctx, dir, wal.FilesOptions{})
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, local.Close()) }()
	master, err := MasterKeys{File: localMasterKey(dir)}.read()
	if err != nil {
		return r, err
	}
	return fsck(ctx, local.DB, local.Driver, local.Blobs, master, report)
}

// FsckRemote checks the database and bucket of `leat serve`, which may be running. Without master keys sealed records are
// checked as they are stored.
func FsckRemote(ctx context.Context, postgres string, bucket S3, keys MasterKeys, report func(shardstore.Problem)) (r FsckReport, err error) {
	master, err := keys.read()
	if err != nil {
		return r, err
	}
	remote, err := OpenRemote(ctx, postgres, bucket, slog.New(slog.DiscardHandler))
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, remote.Close()) }()
	return fsck(ctx, remote.DB, wal.NewObjects(remote.Blobs), remote.Blobs, master, report)
}

func fsck(ctx context.Context, db *sqldb.DB, driver wal.Driver, blobs blob.Eraser, master *masterkey.Ring, report func(shardstore.Problem)) (r FsckReport, err error) {
	cat := catalog.New(db, catalog.Options{})
	if err := cat.Migrate(ctx); err != nil {
		return r, err
	}
	if r.Open, err = cat.ListSessions(ctx, catalog.SessionLive, catalog.SessionFencing); err != nil {
		return r, err
	}
	var keys segment.Keys
	if master != nil {
		keys = keyring.New(keyring.Options{Catalog: cat, Store: keyring.NewStore(blobs, nil), Master: master})
	}
	r.FsckStats, err = shardstore.Fsck(ctx, driver, blobs, keys, fsckShards(ctx, cat, blobs), report)
	return r, err
}

// fsckShards tells what the catalog says of every shard. A server may be at work meanwhile: extents are read after
// their shard, so they may reach further.
func fsckShards(ctx context.Context, cat *catalog.Catalog, blobs blob.Store) iter.Seq2[shardstore.FsckShard, error] {
	closings := map[leat.SessionID]shardstore.Closing{}
	return func(yield func(shardstore.FsckShard, error) bool) {
		for t, err := range cat.AllShards(ctx) {
			var f shardstore.FsckShard
			if err == nil {
				f, err = fsckShard(ctx, cat, blobs, t, closings)
			}
			if !yield(f, err) || err != nil {
				return
			}
		}
	}
}

func fsckShard(ctx context.Context, cat *catalog.Catalog, blobs blob.Store, t catalog.Taken, closings map[leat.SessionID]shardstore.Closing) (shardstore.FsckShard, error) {
	f := shardstore.FsckShard{Final: t.Final}
	f.Assignment = shardstore.Assignment{Shard: t.Shard, Epoch: t.Epoch, Horizon: t.Horizon, Next: t.Next, LastTime: t.LastTime, Closed: t.Closed}
	for _, id := range t.Sessions {
		c, ok := closings[id]
		if !ok {
			var err error
			if c, err = shardstore.ReadClosing(ctx, blobs, id); err != nil {
				return f, err
			}
			closings[id] = c
		}
		for _, cs := range c.Shards {
			if cs.Shard == t.Shard {
				f.Pending = append(f.Pending, shardstore.Pending{Session: id, Extents: cs.Extents})
			}
		}
	}
	answer, err := cat.Extents(ctx, []leat.ShardKey{t.Shard})
	if err != nil {
		return f, fmt.Errorf("extents of %s: %w", t.Shard, err)
	}
	f.Extents, f.Horizon = answer[0].Extents, max(f.Horizon, answer[0].Horizon)
	if n := len(f.Extents); n > 0 {
		f.Next = max(f.Next, f.Extents[n-1].End())
	}
	return f, nil
}
