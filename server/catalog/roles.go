// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/sqldb"
)

const roleColumns = "account, name, description, policy, tags, created, changed"

func scanRole(scan sqldb.Scan) (r leat.Role, err error) {
	var tags string
	if err := scan(&r.Account, &r.Name, &r.Description, &r.Policy, &tags, sqldb.Time(&r.Created), sqldb.Time(&r.Changed)); err != nil {
		return r, err
	}
	if err := json.Unmarshal([]byte(tags), &r.Tags); err != nil {
		return r, leat.Errorf(leat.KindCorrupt, "role %s of account %s in the catalog is damaged: %w", r.Name, r.Account, err)
	}
	return r, nil
}

func noRole(account, name string) error {
	return leat.Errorf(leat.KindNotFound, "Role %s of account %s not found.", name, account)
}

// PutRole makes a role, or puts another in the place of the one of that name. The caller has validated its policy.
func (c *Catalog) PutRole(ctx context.Context, r leat.Role) (leat.Role, error) {
	now := c.now().UTC().Truncate(time.Microsecond)
	err := c.changeAccount(ctx, r.Account, func(tx *sqldb.Tx) error {
		if err := usable(tx, r.Account); err != nil {
			return err
		}
		r.Created, r.Changed = now, now
		err := tx.Row("SELECT created FROM roles WHERE account = $1 AND name = $2", r.Account, r.Name).Scan(sqldb.Time(&r.Created))
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if err != nil {
			var n int
			if err := tx.Row("SELECT count(*) FROM roles WHERE account = $1", r.Account).Scan(&n); err != nil {
				return err
			}
			if n >= leat.MaxRoles {
				return leat.Errorf(leat.KindLimitExceeded, "Account %s has %d roles: delete one first.", r.Account, n)
			}
		}
		return writeRole(tx, &r)
	})
	return r, err
}

func writeRole(tx *sqldb.Tx, r *leat.Role) error {
	tags, err := jsonText(r.Tags)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`
INSERT INTO roles (account, name, description, policy, tags, created, changed) VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (account, name) DO UPDATE SET description = excluded.description, policy = excluded.policy, tags = excluded.tags,
	changed = excluded.changed`, r.Account, r.Name, r.Description, r.Policy, tags, r.Created, r.Changed)
	return err
}

// usable refuses what belongs to an account that is going or not there.
func usable(tx *sqldb.Tx, account string) error {
	a, err := theAccount(tx, account)
	if err == nil && a.State == leat.AccountDeleting {
		err = leat.Errorf(leat.KindInUse, "Account %s is being deleted.", account)
	}
	return err
}

// hasRole refuses a credential with a role that its account does not have.
func hasRole(tx *sqldb.Tx, account, role string) error {
	if err := usable(tx, account); err != nil || role == "" {
		return err
	}
	var n int
	err := tx.Row("SELECT count(*) FROM roles WHERE account = $1 AND name = $2", account, role).Scan(&n)
	if err == nil && n == 0 {
		err = noRole(account, role)
	}
	return err
}

// Role returns KindNotFound when the account has none of that name.
func (c *Catalog) Role(ctx context.Context, account, name string) (r leat.Role, err error) {
	err = c.db.View(ctx, func(tx *sqldb.Tx) (err error) {
		r, err = scanRole(tx.Row("SELECT "+roleColumns+" FROM roles WHERE account = $1 AND name = $2", account, name).Scan)
		if errors.Is(err, sql.ErrNoRows) {
			return noRole(account, name)
		}
		return err
	})
	return r, err
}

// ListRoles returns up to limit roles of an account whose names come after a name, in byte order of names.
func (c *Catalog) ListRoles(ctx context.Context, account, after string, limit int) (all []leat.Role, err error) {
	err = c.db.View(ctx, func(tx *sqldb.Tx) (err error) {
		all, err = readRoles(tx, "WHERE account = $1 AND name > $2 ORDER BY name LIMIT $3", account, after, limit)
		return err
	})
	return all, err
}

func readRoles(tx *sqldb.Tx, where string, args ...any) (all []leat.Role, err error) {
	err = tx.Each("SELECT "+roleColumns+" FROM roles "+where, func(scan sqldb.Scan) error {
		r, err := scanRole(scan)
		all = append(all, r)
		return err
	}, args...)
	return all, err
}

// DeleteRole removes a role. KindInUse while keys or tokens have it.
func (c *Catalog) DeleteRole(ctx context.Context, account, name string) error {
	gone := false
	return c.changeAccount(ctx, account, func(tx *sqldb.Tx) error {
		var holders int
		err := tx.Row(`
SELECT (SELECT count(*) FROM access_keys WHERE account = $1 AND role = $2) + (SELECT count(*) FROM tokens WHERE account = $1 AND role = $2)`, account, name).Scan(&holders)
		if err != nil {
			return err
		}
		if holders > 0 {
			return leat.Errorf(leat.KindInUse, "Role %s of account %s is that of %d keys and tokens: delete them first.", name, account, holders)
		}
		n, err := tx.Exec("DELETE FROM roles WHERE account = $1 AND name = $2", account, name)
		if err == nil && n == 0 && gone {
			return nil // an earlier run of this transaction was applied
		}
		gone = gone || n > 0
		return sqldb.One(n, err, noRole(account, name))
	})
}
