// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"context"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/sqldb"
)

// Identity is everything that a node keeps in memory to know callers and what they may do, but for access keys.
type Identity struct {
	Revision uint64
	Accounts []leat.Account
	Roles    []leat.Role
	Tokens   []StoredToken
	Policies []ResourcePolicy // of streams and consumers
	Tags     []ResourceTag    // theirs
}

// ResourcePolicy is the policy of a stream or of one of its consumers.
type ResourcePolicy struct {
	Stream   leat.StreamID
	Consumer string // empty: the stream's own
	Policy   string
}

// ResourceTag is a tag of a stream or of one of its consumers.
type ResourceTag struct {
	Stream   leat.StreamID
	Consumer string
	Tag
}

// Identity reads all of it, when it has changed since a revision; fresh is false when it has not. Zero reads it anyway.
func (c *Catalog) Identity(ctx context.Context, since uint64) (all Identity, fresh bool, err error) {
	err = c.db.View(ctx, func(tx *sqldb.Tx) (err error) {
		all, fresh = Identity{}, false
		if err := tx.Row("SELECT n FROM identity WHERE one = 1").Scan(sqldb.U64(&all.Revision)); err != nil || all.Revision == since {
			return err
		}
		fresh = true
		if all.Accounts, err = readAccounts(tx, "ORDER BY id"); err != nil {
			return err
		}
		if all.Roles, err = readRoles(tx, "ORDER BY account, name"); err != nil {
			return err
		}
		if all.Tokens, err = readTokens(tx, ""); err != nil {
			return err
		}
		err = tx.Each("SELECT stream, consumer, policy FROM policies", func(scan sqldb.Scan) error {
			var p ResourcePolicy
			err := scan(sqldb.ID(&p.Stream), &p.Consumer, &p.Policy)
			all.Policies = append(all.Policies, p)
			return err
		})
		if err != nil {
			return err
		}
		return tx.Each("SELECT stream, consumer, name, value FROM tags", func(scan sqldb.Scan) error {
			var t ResourceTag
			err := scan(sqldb.ID(&t.Stream), &t.Consumer, &t.Name, &t.Value)
			all.Tags = append(all.Tags, t)
			return err
		})
	})
	return all, fresh, err
}
