// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/sqldb"
)

// ClusterInfo is what all nodes of a cluster share.
type ClusterInfo struct {
	ID leat.ClusterID
	// Secret authenticates shard iterators and page tokens. It stands in the database in clear, so nothing may rest on it that whoever
	// reads the database must not do; only where there is no NodeSecret, nodes and the console do. It MUST NOT be logged.
	Secret [32]byte
}

// Cluster returns the cluster's identity, and makes it when the catalog is new. Of nodes that ask at the same time all
// get the same.
func (c *Catalog) Cluster(ctx context.Context) (info ClusterInfo, err error) {
	err = c.db.View(ctx, func(tx *sqldb.Tx) error { return readCluster(tx, &info) })
	if !errors.Is(err, sql.ErrNoRows) {
		return info, err
	}
	fresh, err := c.newCluster()
	if err != nil {
		return info, err
	}
	err = c.settle(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Exec("INSERT INTO cluster (one, id, secret, created) VALUES (1, $1, $2, $3) ON CONFLICT (one) DO NOTHING",
			fresh.ID, hex.EncodeToString(fresh.Secret[:]), c.now())
		if err != nil {
			return err
		}
		return readCluster(tx, &info)
	})
	return info, err
}

func (c *Catalog) newCluster() (info ClusterInfo, err error) {
	source := c.random()
	info.ID = leat.NewID[leat.ClusterID](source)
	if _, err := io.ReadFull(source, info.Secret[:]); err != nil {
		return info, fmt.Errorf("no randomness for the cluster's secret: %w", err)
	}
	return info, nil
}

// random is where identities and secrets come from.
func (c *Catalog) random() io.Reader {
	if c.opts.Rand != nil {
		return c.opts.Rand
	}
	return rand.Reader
}

func readCluster(tx *sqldb.Tx, info *ClusterInfo) error {
	var secret string
	if err := tx.Row("SELECT id, secret FROM cluster WHERE one = 1").Scan(sqldb.ID(&info.ID), &secret); err != nil {
		return err
	}
	b, err := hex.DecodeString(secret)
	if err != nil || copy(info.Secret[:], b) != len(info.Secret) {
		return leat.Errorf(leat.KindCorrupt, "the cluster's secret in the catalog is damaged")
	}
	return nil
}
