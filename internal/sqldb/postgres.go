// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package sqldb

import (
	"context"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/leatstream/leat"
)

// connectTimeout bounds an attempt to connect, so that calls fail soon while PostgreSQL is away.
const connectTimeout = 5 * time.Second

func openPostgres(ctx context.Context, cfg Config) (*DB, error) {
	pc, err := pgxpool.ParseConfig(cfg.Postgres)
	if err != nil {
		// The cause may quote the string, and with it the password.
		return nil, leat.Invalid("postgres", "the PostgreSQL connection string cannot be read (it is not shown, since it may hold a password): "+
			"want postgres://user:password@host:5432/database?sslmode=require, or host=… user=… dbname=…")
	}
	pc.MaxConns = int32(min(cfg.MaxConns, 10_000))
	if pc.ConnConfig.ConnectTimeout == 0 {
		pc.ConnConfig.ConnectTimeout = connectTimeout
	}
	params := pc.ConnConfig.RuntimeParams
	setDefault(params, "application_name", "leat")
	setDefault(params, "statement_timeout", millis(cfg.StatementTimeout))
	setDefault(params, "lock_timeout", millis(cfg.StatementTimeout))
	setDefault(params, "idle_in_transaction_session_timeout", millis(cfg.IdleTimeout))

	pool, err := pgxpool.NewWithConfig(ctx, pc)
	if err != nil {
		return nil, leat.Errorf(leat.KindUnavailable, "open PostgreSQL: %w", err)
	}
	std := stdlib.OpenDBFromPool(pool)
	return &DB{
		Engine: Postgres, pool: pool, cfg: cfg, write: std, read: std,
		close: func() error {
			err := std.Close()
			pool.Close()
			return err
		},
	}, nil
}

func setDefault(params map[string]string, name, value string) {
	if _, ok := params[name]; !ok {
		params[name] = value
	}
}

func millis(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }
