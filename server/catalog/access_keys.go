// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/sqldb"
)

// StoredKey is an access key with its secret as it is stored: wrapped under the master key.
type StoredKey struct {
	leat.AccessKey
	Wrapped string
}

// The values of access_keys.state.
const (
	keyActive   = "active"
	keyInactive = "inactive"
)

func keyState(active bool) string {
	if active {
		return keyActive
	}
	return keyInactive
}

// AddAccessKey keeps a new key as it is given, but for when it was created. KindLimitExceeded when its account has
// 100, KindInUse when its id is taken, KindNotFound when its account or its role is not there.
func (c *Catalog) AddAccessKey(ctx context.Context, k StoredKey) (leat.AccessKey, error) {
	k.Created = c.now().UTC().Truncate(time.Microsecond)
	err := c.settle(ctx, func(tx *sqldb.Tx) error {
		if err := hold(tx); err != nil { // makes the count below hold
			return err
		}
		var wrapped string
		switch err := tx.Row("SELECT secret FROM access_keys WHERE id = $1", k.ID).Scan(&wrapped); {
		case err == nil && wrapped == k.Wrapped:
			return nil // an earlier run of this transaction: what is wrapped twice differs
		case err == nil:
			return leat.Errorf(leat.KindInUse, "Access key %s already exists.", k.ID)
		case !errors.Is(err, sql.ErrNoRows):
			return err
		}
		if err := hasRole(tx, k.Account, k.Role); err != nil {
			return err
		}
		var n int
		if err := tx.Row("SELECT count(*) FROM access_keys WHERE account = $1", k.Account).Scan(&n); err != nil {
			return err
		}
		if n >= leat.MaxAccessKeys {
			return leat.Errorf(leat.KindLimitExceeded, "Account %s has %d access keys: delete one first.", k.Account, n)
		}
		_, err := tx.Exec("INSERT INTO access_keys (id, account, name, secret, state, created, role) VALUES ($1, $2, $3, $4, $5, $6, $7)",
			k.ID, k.Account, k.Name, k.Wrapped, keyState(k.Active), k.Created, k.Role)
		tx.Note(changedAccount{k.Account})
		return err
	})
	return k.AccessKey, err
}

// AccessKeys returns every key of every account.
func (c *Catalog) AccessKeys(ctx context.Context) ([]StoredKey, error) {
	return c.accessKeys(ctx, "1 = 1")
}

// ListAccessKeys returns up to limit keys of an account whose ids come after an id, in byte order of ids.
func (c *Catalog) ListAccessKeys(ctx context.Context, account, after string, limit int) ([]leat.AccessKey, error) {
	all, err := c.accessKeys(ctx, "account = $1 AND id > $2 ORDER BY id LIMIT $3", account, after, limit)
	keys := make([]leat.AccessKey, len(all))
	for i := range all {
		keys[i] = all[i].AccessKey
	}
	return keys, err
}

func (c *Catalog) accessKeys(ctx context.Context, where string, args ...any) (all []StoredKey, err error) {
	err = c.db.View(ctx, func(tx *sqldb.Tx) error {
		all = nil
		return tx.Each("SELECT id, account, name, secret, state, created, role FROM access_keys WHERE "+where, func(scan sqldb.Scan) error {
			var k StoredKey
			var state string
			err := scan(&k.ID, &k.Account, &k.Name, &k.Wrapped, &state, sqldb.Time(&k.Created), &k.Role)
			k.Active = state == keyActive
			all = append(all, k)
			return err
		}, args...)
	})
	return all, err
}

// SetAccessKey enables or disables an account's key. KindNotFound when it has none of that id.
func (c *Catalog) SetAccessKey(ctx context.Context, account, id string, active bool) (k leat.AccessKey, err error) {
	err = c.settle(ctx, func(tx *sqldb.Tx) error {
		n, err := tx.Exec("UPDATE access_keys SET state = $3 WHERE account = $1 AND id = $2", account, id, keyState(active))
		if err := sqldb.One(n, err, noAccessKey(id)); err != nil {
			return err
		}
		tx.Note(changedAccount{account})
		k = leat.AccessKey{ID: id, Account: account, Active: active}
		return tx.Row("SELECT name, created, role FROM access_keys WHERE id = $1", id).Scan(&k.Name, sqldb.Time(&k.Created), &k.Role)
	})
	return k, err
}

// DeleteAccessKey removes an account's key for good. KindNotFound when it has none of that id.
func (c *Catalog) DeleteAccessKey(ctx context.Context, account, id string) error {
	gone := false
	return c.tx(ctx, func(tx *sqldb.Tx) error {
		n, err := tx.Exec("DELETE FROM access_keys WHERE account = $1 AND id = $2", account, id)
		if err == nil && n == 0 && gone {
			return nil // an earlier run of this transaction was applied
		}
		gone = gone || n > 0
		tx.Note(changedAccount{account})
		return sqldb.One(n, err, noAccessKey(id))
	})
}

// RewrapAccessKey stores a key's secret under another master key. It does nothing when the secret is not stored as it
// was any more.
func (c *Catalog) RewrapAccessKey(ctx context.Context, id, was, wrapped string) error {
	return c.settle(ctx, func(tx *sqldb.Tx) error {
		var account string
		err := tx.Row("UPDATE access_keys SET secret = $3 WHERE id = $1 AND secret = $2 RETURNING account", id, was, wrapped).Scan(&account)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		tx.Note(changedAccount{account})
		return err
	})
}

func noAccessKey(id string) error {
	return leat.Errorf(leat.KindNotFound, "Access key %s not found.", id)
}
