// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"context"
	"fmt"
	"io"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/sqldb"
)

// Wrapper seals secrets under a master key; *masterkey.Ring is one. A server without a master key has one whose Wrap fails with
// KindUnsupported.
type Wrapper interface {
	Wrap(purpose string, secret []byte) (string, error)
	Unwrap(purpose, wrapped string) ([]byte, error)
	Current(wrapped string) bool
}

// NodeSecret returns what nodes know each other by, and makes it when the catalog has none. It stands there wrapped under the
// master key alone, so that whoever reads the database is no node; it is wrapped again where it is not under the first master
// key. Of nodes that ask at the same time all get the same. nil: there is none, and no master key to make one.
//
// KindUnavailable when it does not open under this server's master keys, unless the caller is alone: nobody else has the catalog
// open, and it is made anew.
func (c *Catalog) NodeSecret(ctx context.Context, master Wrapper, alone bool) ([]byte, error) {
	info, err := c.Cluster(ctx)
	if err != nil {
		return nil, err
	}
	purpose := "nodes of cluster " + info.ID.String()
	var wrapped string
	err = c.db.View(ctx, func(tx *sqldb.Tx) error { return readNodeSecret(tx, &wrapped) })
	if err != nil {
		return nil, err
	}
	if wrapped != "" {
		secret, err := master.Unwrap(purpose, wrapped)
		switch {
		case err == nil:
			return secret, c.rewrapNodeSecret(ctx, master, purpose, wrapped, secret)
		case !alone:
			return nil, locked(err)
		}
		c.opts.Logger.Warn("the secret that seals the console's cookies does not open under the master key, and is made anew: whoever is signed in signs in again", "error", err)
	}
	fresh := make([]byte, len(info.Secret))
	if _, err := io.ReadFull(c.random(), fresh); err != nil {
		return nil, fmt.Errorf("no randomness for the secret of the nodes: %w", err)
	}
	mine, err := master.Wrap(purpose, fresh)
	if leat.KindOf(err) == leat.KindUnsupported {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	was := wrapped
	err = c.settle(ctx, func(tx *sqldb.Tx) error {
		if _, err := tx.Exec("UPDATE cluster SET node_secret = $1 WHERE one = 1 AND node_secret = $2", mine, was); err != nil {
			return err
		}
		return readNodeSecret(tx, &wrapped)
	})
	if err != nil {
		return nil, err
	}
	secret, err := master.Unwrap(purpose, wrapped) // another node may have been faster
	if err != nil {
		return nil, locked(err)
	}
	return secret, nil
}

func readNodeSecret(tx *sqldb.Tx, wrapped *string) error {
	return tx.Row("SELECT node_secret FROM cluster WHERE one = 1").Scan(wrapped)
}

// rewrapNodeSecret stores the secret under the first master key, unless somebody else did meanwhile.
func (c *Catalog) rewrapNodeSecret(ctx context.Context, master Wrapper, purpose, was string, secret []byte) error {
	if master.Current(was) {
		return nil
	}
	wrapped, err := master.Wrap(purpose, secret)
	if err != nil {
		return err
	}
	return c.settle(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Exec("UPDATE cluster SET node_secret = $1 WHERE one = 1 AND node_secret = $2", wrapped, was)
		return err
	})
}

// locked says what to do about a secret that does not open.
func locked(err error) error {
	return fmt.Errorf("the nodes of this cluster know each other by a secret that this one cannot open: %w; when that master key is lost, see docs/encryption.md, \"When keys are missing\"", err)
}
