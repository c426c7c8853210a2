// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"context"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/sqldb"
)

// StoredToken is a token with the SHA-256 of its secret, in hexadecimal.
type StoredToken struct {
	leat.Token
	Hash string
}

const tokenColumns = "id, account, name, role, hash, state, created, expires"

func scanToken(scan sqldb.Scan) (t StoredToken, err error) {
	var state string
	err = scan(&t.ID, &t.Account, &t.Name, &t.Role, &t.Hash, &state, sqldb.Time(&t.Created), sqldb.Time(&t.Expires))
	t.Active = state == keyActive
	return t, err
}

// AddToken keeps a new token as it is given, but for when it was created. KindNotFound when its account or role is not there.
func (c *Catalog) AddToken(ctx context.Context, t StoredToken) (leat.Token, error) {
	t.Created = c.now().UTC().Truncate(time.Microsecond)
	err := c.changeAccount(ctx, t.Account, func(tx *sqldb.Tx) error {
		if err := hasRole(tx, t.Account, t.Role); err != nil {
			return err
		}
		var n, there int
		err := tx.Row("SELECT (SELECT count(*) FROM tokens WHERE account = $1), (SELECT count(*) FROM tokens WHERE id = $2 AND hash = $3)", t.Account, t.ID, t.Hash).Scan(&n, &there)
		if err != nil || there > 0 { // an earlier run of this transaction
			return err
		}
		if n >= leat.MaxTokens {
			return leat.Errorf(leat.KindLimitExceeded, "Account %s has %d tokens: delete one first.", t.Account, n)
		}
		return writeToken(tx, &t)
	})
	return t.Token, err
}

func writeToken(tx *sqldb.Tx, t *StoredToken) error {
	_, err := tx.Exec("INSERT INTO tokens ("+tokenColumns+") VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
		t.ID, t.Account, t.Name, t.Role, t.Hash, keyState(t.Active), t.Created, t.Expires)
	return err
}

// ListTokens returns up to limit tokens of an account whose ids come after an id, in byte order of ids.
func (c *Catalog) ListTokens(ctx context.Context, account, after string, limit int) (all []leat.Token, err error) {
	err = c.db.View(ctx, func(tx *sqldb.Tx) error {
		stored, err := readTokens(tx, "WHERE account = $1 AND id > $2 ORDER BY id LIMIT $3", account, after, limit)
		all = make([]leat.Token, len(stored))
		for i := range stored {
			all[i] = stored[i].Token
		}
		return err
	})
	return all, err
}

func readTokens(tx *sqldb.Tx, where string, args ...any) (all []StoredToken, err error) {
	err = tx.Each("SELECT "+tokenColumns+" FROM tokens "+where, func(scan sqldb.Scan) error {
		t, err := scanToken(scan)
		all = append(all, t)
		return err
	}, args...)
	return all, err
}

// DeleteToken removes an account's token for good. KindNotFound when it has none of that id.
func (c *Catalog) DeleteToken(ctx context.Context, account, id string) error {
	gone := false
	return c.changeAccount(ctx, account, func(tx *sqldb.Tx) error {
		n, err := tx.Exec("DELETE FROM tokens WHERE account = $1 AND id = $2", account, id)
		if err == nil && n == 0 && gone {
			return nil // an earlier run of this transaction was applied
		}
		gone = gone || n > 0
		return sqldb.One(n, err, leat.Errorf(leat.KindNotFound, "Token %s not found.", id))
	})
}
