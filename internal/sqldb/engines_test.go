// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package sqldb_test

import (
	"path/filepath"
	"testing"

	"github.com/leatstream/leat/internal/pgtest"
	"github.com/leatstream/leat/internal/sqldb"
)

// onBoth runs a test on each engine, with the configuration of an empty database.
func onBoth(t *testing.T, test func(t *testing.T, cfg sqldb.Config)) {
	t.Run("sqlite", func(t *testing.T) {
		test(t, sqldb.Config{SQLite: filepath.Join(t.TempDir(), "a b?%.db")})
	})
	t.Run("postgres", func(t *testing.T) {
		test(t, sqldb.Config{Postgres: pgtest.Database(t)})
	})
}

func open(t *testing.T, cfg sqldb.Config) *sqldb.DB {
	t.Helper()
	db, err := sqldb.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// exec runs statements in one transaction.
func exec(t *testing.T, db *sqldb.DB, statements ...string) {
	t.Helper()
	err := db.Tx(t.Context(), func(tx *sqldb.Tx) error {
		for _, s := range statements {
			if _, err := tx.Exec(s); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func number(t *testing.T, db *sqldb.DB, query string, args ...any) (n int64) {
	t.Helper()
	err := db.View(t.Context(), func(tx *sqldb.Tx) error { return tx.Row(query, args...).Scan(&n) })
	if err != nil {
		t.Fatal(err)
	}
	return n
}
