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

// touchIdentity tells every node that what it keeps of accounts, credentials, policies and tags has changed.
func touchIdentity(tx *sqldb.Tx) error {
	_, err := tx.Exec("UPDATE identity SET n = n + 1 WHERE one = 1")
	return err
}

// changeAccount is settle for a change of what belongs to an account: it is journaled, and every node learns of it.
func (c *Catalog) changeAccount(ctx context.Context, account string, fn func(tx *sqldb.Tx) error) error {
	return c.settle(ctx, func(tx *sqldb.Tx) error {
		if err := hold(tx); err != nil { // one change after the other: counts and guards hold
			return err
		}
		if err := fn(tx); err != nil {
			return err
		}
		tx.Note(changedAccount{account})
		return touchIdentity(tx)
	})
}

// CreateAccount makes an account as it is given, but for when it was created. KindInUse when its id is taken by another.
func (c *Catalog) CreateAccount(ctx context.Context, a leat.Account) (leat.Account, error) {
	a.Created, a.State = c.now().UTC().Truncate(time.Microsecond), leat.AccountActive
	done := false
	err := c.changeAccount(ctx, a.ID, func(tx *sqldb.Tx) error {
		if _, err := theAccount(tx, a.ID); err == nil && done {
			return nil // an earlier run of this transaction
		} else if err == nil {
			return leat.Errorf(leat.KindInUse, "Account %s already exists.", a.ID)
		} else if leat.KindOf(err) != leat.KindNotFound {
			return err
		}
		var n int
		if err := tx.Row("SELECT count(*) FROM accounts").Scan(&n); err != nil {
			return err
		}
		if n >= leat.MaxAccounts {
			return leat.Errorf(leat.KindLimitExceeded, "There are %d accounts, as many as there can be.", n)
		}
		done = true
		return writeAccount(tx, &a)
	})
	return a, err
}

func writeAccount(tx *sqldb.Tx, a *leat.Account) error {
	labels, err := jsonText(a.Labels)
	if err != nil {
		return err
	}
	quotas, err := json.Marshal(a.Quotas)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`
INSERT INTO accounts (id, name, labels, state, quotas, created) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (id) DO UPDATE SET name = excluded.name, labels = excluded.labels, state = excluded.state, quotas = excluded.quotas,
	created = excluded.created`, a.ID, a.Name, labels, string(a.State), string(quotas), a.Created)
	return err
}

// jsonText is a map as it is stored: never null.
func jsonText(m map[string]string) (string, error) {
	if m == nil {
		return "{}", nil
	}
	b, err := json.Marshal(m)
	return string(b), err
}

const accountColumns = "id, name, labels, state, quotas, created"

func scanAccount(scan sqldb.Scan) (a leat.Account, err error) {
	var labels, state, quotas string
	if err := scan(&a.ID, &a.Name, &labels, &state, &quotas, sqldb.Time(&a.Created)); err != nil {
		return a, err
	}
	a.State = leat.AccountState(state)
	if err := errors.Join(json.Unmarshal([]byte(labels), &a.Labels), json.Unmarshal([]byte(quotas), &a.Quotas)); err != nil {
		return a, leat.Errorf(leat.KindCorrupt, "account %s in the catalog is damaged: %w", a.ID, err)
	}
	return a, nil
}

func theAccount(tx *sqldb.Tx, id string) (leat.Account, error) {
	a, err := scanAccount(tx.Row("SELECT "+accountColumns+" FROM accounts WHERE id = $1", id).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return a, leat.Errorf(leat.KindNotFound, "Account %s not found.", id)
	}
	return a, err
}

// Account returns KindNotFound when there is none.
func (c *Catalog) Account(ctx context.Context, id string) (a leat.Account, err error) {
	err = c.db.View(ctx, func(tx *sqldb.Tx) (err error) {
		a, err = theAccount(tx, id)
		return err
	})
	return a, err
}

// ListAccounts returns up to limit accounts whose ids come after an id, in order of ids.
func (c *Catalog) ListAccounts(ctx context.Context, after string, limit int) (all []leat.Account, err error) {
	err = c.db.View(ctx, func(tx *sqldb.Tx) (err error) {
		all, err = readAccounts(tx, "WHERE id > $1 ORDER BY id LIMIT $2", after, limit)
		return err
	})
	return all, err
}

func readAccounts(tx *sqldb.Tx, where string, args ...any) (all []leat.Account, err error) {
	err = tx.Each("SELECT "+accountColumns+" FROM accounts "+where, func(scan sqldb.Scan) error {
		a, err := scanAccount(scan)
		all = append(all, a)
		return err
	}, args...)
	return all, err
}

// UpdateAccount lets edit change an account and returns it. edit may be called more than once. KindNotFound when there is
// none.
func (c *Catalog) UpdateAccount(ctx context.Context, id string, edit func(*leat.Account) error) (a leat.Account, err error) {
	err = c.changeAccount(ctx, id, func(tx *sqldb.Tx) (err error) {
		if a, err = theAccount(tx, id); err != nil {
			return err
		}
		if err := edit(&a); err != nil {
			return err
		}
		return writeAccount(tx, &a)
	})
	return a, err
}

// BeginDeleteAccount makes an account DELETING and takes its keys, tokens and roles away. KindInUse while it has streams
// that are not DELETING themselves.
func (c *Catalog) BeginDeleteAccount(ctx context.Context, id string) error {
	return c.changeAccount(ctx, id, func(tx *sqldb.Tx) error {
		a, err := theAccount(tx, id)
		if err != nil {
			return err
		}
		var streams int
		if err := tx.Row("SELECT count(*) FROM streams WHERE account = $1 AND status <> 'DELETING'", id).Scan(&streams); err != nil {
			return err
		}
		if streams > 0 {
			return leat.Errorf(leat.KindInUse, "Account %s has %d streams: delete them first, or erase them with it.", id, streams)
		}
		a.State = leat.AccountDeleting
		for _, table := range []string{"access_keys", "tokens", "roles"} {
			if _, err := tx.Exec("DELETE FROM "+table+" WHERE account = $1", id); err != nil {
				return err
			}
		}
		return writeAccount(tx, &a)
	})
}

// FinishDeleteAccounts forgets accounts that are DELETING and have no stream left.
func (c *Catalog) FinishDeleteAccounts(ctx context.Context) error {
	var ids []string
	err := c.db.View(ctx, func(tx *sqldb.Tx) error {
		ids = nil
		return tx.Each("SELECT id FROM accounts WHERE state = 'DELETING' AND NOT EXISTS (SELECT 1 FROM streams WHERE account = accounts.id)", func(scan sqldb.Scan) error {
			var id string
			err := scan(&id)
			ids = append(ids, id)
			return err
		})
	})
	for _, id := range ids {
		if err != nil {
			return err
		}
		err = c.changeAccount(ctx, id, func(tx *sqldb.Tx) error {
			if _, err := tx.Exec("DELETE FROM account_settings WHERE account = $1", id); err != nil {
				return err
			}
			_, err := tx.Exec("DELETE FROM accounts WHERE id = $1 AND state = 'DELETING' AND NOT EXISTS (SELECT 1 FROM streams WHERE account = $1)", id)
			return err
		})
	}
	return err
}
