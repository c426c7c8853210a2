// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"errors"
	"fmt"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/catalog"
	"github.com/leatstream/leat/shardstore/blob"
)

// owner is the object that says whose records a bucket, or what lies below a prefix of it, holds: the cluster's id. It
// is written before the first session begins and never again.
//
// Recovery reads the end of a session out of what is not in the bucket. In another bucket than the session's nothing
// is, and every record since its last pack would be given up for ever: so a database is bound to its bucket.
const owner = "cluster/id"

// claim binds a database that has never had a session to its bucket, and refuses a bucket that any other is not bound
// to. name is the bucket's for the error.
func claim(ctx context.Context, cat *catalog.Catalog, id leat.ClusterID, blobs blob.Store, name string) error {
	sessions, err := cat.ListSessions(ctx)
	if err != nil {
		return fmt.Errorf("list sessions: %w", err)
	}
	if len(sessions) == 0 {
		if err := blobs.Create(ctx, owner, []byte(id.String())); err != nil && !errors.Is(err, blob.ErrExists) {
			return bad("s3-bucket", name, "it cannot be written to: %v", err)
		}
	}
	if err := owned(ctx, blobs, id); err != nil {
		return bad("s3-bucket", name, "%v", err)
	}
	return nil
}

// owned returns nil when the bucket holds the cluster's records.
func owned(ctx context.Context, blobs blob.Store, id leat.ClusterID) error {
	whose, err := blobs.Read(ctx, owner, 0, -1)
	switch {
	case errors.Is(err, blob.ErrNotFound):
		return leat.Errorf(leat.KindUnavailable, "it does not hold the records of this database (%s is not there): give the bucket and prefix that the database was first started with", owner)
	case err != nil:
		return leat.Errorf(leat.KindUnavailable, "it cannot be asked whose records it holds: %w", err)
	case string(whose) != id.String():
		return leat.Errorf(leat.KindUnavailable, "it holds the records of another database, cluster %.64q: give another bucket or prefix, or the database that belongs to it; where that is lost, run `leat rebuild` into an empty one", whose)
	}
	return nil
}
