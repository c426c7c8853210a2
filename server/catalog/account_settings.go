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

// AccountSettings are what an account has set for itself. The zero value is what an account begins with.
type AccountSettings struct {
	CommitmentStart time.Time `json:"commitment_start,omitzero"` // of the commitment to a minimum throughput; zero: there never was one
	CommitmentEnd   time.Time `json:"commitment_end,omitzero"`   // may lie ahead; zero: it goes on
}

// AccountSettings returns an account's settings.
func (c *Catalog) AccountSettings(ctx context.Context, account string) (s AccountSettings, err error) {
	err = c.db.View(ctx, func(tx *sqldb.Tx) (err error) {
		s, err = readSettings(tx, account)
		return err
	})
	return s, err
}

// UpdateAccountSettings lets edit change an account's settings and returns them. edit may be called more than once.
func (c *Catalog) UpdateAccountSettings(ctx context.Context, account string, edit func(*AccountSettings)) (s AccountSettings, err error) {
	err = c.settle(ctx, func(tx *sqldb.Tx) (err error) {
		if err := hold(tx); err != nil { // one change after the other
			return err
		}
		if s, err = readSettings(tx, account); err != nil {
			return err
		}
		edit(&s)
		text, err := json.Marshal(s)
		if err != nil {
			return err
		}
		_, err = tx.Exec(`
INSERT INTO account_settings (account, settings) VALUES ($1, $2)
ON CONFLICT (account) DO UPDATE SET settings = excluded.settings`, account, string(text))
		tx.Note(changedAccount{account})
		return err
	})
	return s, err
}

func readSettings(tx *sqldb.Tx, account string) (s AccountSettings, err error) {
	var text string
	err = tx.Row("SELECT settings FROM account_settings WHERE account = $1", account).Scan(&text)
	if errors.Is(err, sql.ErrNoRows) {
		return s, nil
	}
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return s, leat.Errorf(leat.KindCorrupt, "the settings of account %s in the catalog are damaged: %w", account, err)
	}
	return s, nil
}
