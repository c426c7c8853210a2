// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"sync/atomic"

	"github.com/jackc/pgx/v5/pgxpool"
)

// DB is an open database. Its methods may be called from any goroutine.
type DB struct {
	Engine Engine

	pool  *pgxpool.Pool // nil on SQLite
	cfg   Config
	write *sql.DB // SQLite: one connection
	read  *sql.DB // PostgreSQL: the same as write
	close func() error

	statements atomic.Uint64
}

// Open opens the database and checks that it answers. The error never holds the connection string.
func Open(ctx context.Context, cfg Config) (*DB, error) {
	if err := cfg.fill(); err != nil {
		return nil, err
	}
	open := openPostgres
	if cfg.SQLite != "" {
		open = openSQLite
	}
	db, err := open(ctx, cfg)
	if err != nil {
		return nil, err
	}
	if err := db.Ping(ctx); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// Statements is how many statements were sent since the database was opened, BEGIN and COMMIT too.
func (db *DB) Statements() uint64 { return db.statements.Load() }

// Ping asks the database for an answer.
func (db *DB) Ping(ctx context.Context) error {
	return db.View(ctx, func(tx *Tx) error {
		var one int
		return tx.Row("SELECT 1").Scan(&one)
	})
}

// Close closes all connections. It may be called twice.
func (db *DB) Close() error {
	return db.close()
}
