// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	_ "modernc.org/sqlite" // registers the driver "sqlite"

	"github.com/leatstream/leat"
)

// openSQLite opens one connection that writes and several that read. More writers only wait for each other, up to
// seconds; WAL lets readers go on beside the one.
func openSQLite(ctx context.Context, cfg Config) (*DB, error) {
	path, err := filepath.Abs(cfg.SQLite)
	if err != nil {
		return nil, fmt.Errorf("open SQLite: %w", err)
	}
	// The file holds the key of the iterators. SQLite gives its log the file's mode.
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, &leat.Error{Kind: leat.KindUnavailable, Message: "the SQLite file cannot be opened for writing", Err: err}
	}
	if err := f.Close(); err != nil {
		return nil, fmt.Errorf("open SQLite: %w", err)
	}
	write, err := sql.Open("sqlite", sqliteDSN(path, "journal_mode(WAL)", "synchronous(FULL)")+"&_txlock=immediate")
	if err != nil {
		return nil, fmt.Errorf("open SQLite: %w", err)
	}
	write.SetMaxOpenConns(1)
	if err := checkWAL(ctx, write); err != nil {
		return nil, errors.Join(err, write.Close())
	}
	read, err := sql.Open("sqlite", sqliteDSN(path, "query_only(1)"))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open SQLite: %w", err), write.Close())
	}
	read.SetMaxOpenConns(cfg.MaxConns)
	read.SetMaxIdleConns(4)
	return &DB{
		Engine: SQLite, cfg: cfg, write: write, read: read,
		close: func() error { return errors.Join(read.Close(), write.Close()) }, // the last one folds the log in
	}, nil
}

func sqliteDSN(path string, pragmas ...string) string {
	q := url.Values{"_pragma": append([]string{"busy_timeout(10000)", "foreign_keys(1)"}, pragmas...)}
	return (&url.URL{Scheme: "file", Path: path, RawQuery: q.Encode()}).String()
}

// checkWAL refuses a place where SQLite cannot keep its log, such as some network file systems: it would quietly use
// another mode, in which readers and the writer block each other.
func checkWAL(ctx context.Context, db *sql.DB) error {
	var mode string
	if err := db.QueryRowContext(ctx, "PRAGMA journal_mode").Scan(&mode); err != nil {
		return explain(ctx, fmt.Errorf("open SQLite: %w", err))
	}
	if mode != "wal" {
		return leat.Errorf(leat.KindUnavailable, "SQLite cannot use its write-ahead log in this folder (mode %q): use a local disk", mode)
	}
	return nil
}
