// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/leatstream/leat/internal/sqldb"
	"github.com/leatstream/leat/server/journal"
)

// Rewrap wraps the secrets of destinations again that are not under the first master key, those of former configurations and
// of backfills too, so that the other master keys can be taken away. One that cannot be opened stays, and is logged: its
// delivery waits until it is given anew.
func (e *Engine) Rewrap(ctx context.Context) error {
	if e.tables.master == nil {
		return nil
	}
	all, err := e.tables.wrapped(ctx)
	if err != nil {
		return err
	}
	for _, w := range all {
		if e.tables.master.Current(w.Secrets) {
			continue
		}
		plain, err := e.tables.master.Unwrap(purpose(w.delivery, w.Track), w.Secrets)
		if err != nil {
			e.cfg.Logger.Error("the secrets of a delivery stream cannot be read: give them anew", "delivery", w.delivery, "backfill", w.Track, "version", w.Version, "error", err)
			continue
		}
		if err := e.tables.rewrap(ctx, w, plain); err != nil {
			return fmt.Errorf("wrap the secrets of delivery stream %s again: %w", w.delivery, err)
		}
	}
	return nil
}

// wrappedConfig is a configuration that has secrets.
type wrappedConfig struct {
	delivery string
	journal.DeliveryConfig
}

func (t *tables) wrapped(ctx context.Context) (all []wrappedConfig, err error) {
	err = t.db.View(ctx, func(tx *sqldb.Tx) error {
		all = nil
		return tx.Each("SELECT delivery, track, version, config, secrets FROM delivery_configs WHERE secrets <> '' ORDER BY delivery, track, version", func(scan sqldb.Scan) error {
			var w wrappedConfig
			var config string
			err := scan(&w.delivery, &w.Track, sqldb.U64(&w.Version), &config, &w.Secrets)
			w.Config = json.RawMessage(config)
			all = append(all, w)
			return err
		})
	})
	return all, err
}

// rewrap stores the secrets of a configuration under the first master key, unless somebody else did meanwhile.
func (t *tables) rewrap(ctx context.Context, w wrappedConfig, plain []byte) error {
	was := w.Secrets
	var err error
	if w.Secrets, err = t.master.Wrap(purpose(w.delivery, w.Track), plain); err != nil {
		return err
	}
	return t.change(ctx, func(tx *sqldb.Tx) error {
		n, err := tx.Exec("UPDATE delivery_configs SET secrets = $5 WHERE delivery = $1 AND track = $2 AND version = $3 AND secrets = $4",
			w.delivery, w.Track, w.Version, was, w.Secrets)
		if n > 0 {
			note(tx, journal.Delivery{ID: w.delivery, Configs: []journal.DeliveryConfig{w.DeliveryConfig}})
		}
		return err
	})
}
