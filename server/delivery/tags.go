// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"

	"github.com/leatstream/leat/internal/sqldb"
)

// Tags returns the tags of an account's delivery stream; KindNotFound when there is none.
func (e *Engine) Tags(ctx context.Context, account, name string) (tags map[string]string, err error) {
	var text string
	err = e.tables.db.View(ctx, func(tx *sqldb.Tx) error {
		return tx.Row("SELECT tags FROM deliveries WHERE account = $1 AND name = $2", account, name).Scan(&text)
	})
	if errors.Is(err, sql.ErrNoRows) {
		return nil, noDelivery(account, name)
	}
	if err != nil {
		return nil, err
	}
	return tags, json.Unmarshal([]byte(text), &tags)
}
