// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package sqldb_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/pgtest"
	"github.com/leatstream/leat/internal/sqldb"
)

// No error and no log line holds a password, however the connection string is wrong.
func TestPasswordStaysSecret(t *testing.T) {
	const password = "s3cr%zzet"
	var log bytes.Buffer
	for _, dsn := range []string{
		"postgres://leat:" + password + "@127.0.0.1:1/leat",
		"postgres://leat:s3cr3t@127.0.0.1:1/leat",
		"host=127.0.0.1 port=1 user=leat password=" + password + " dbname=leat",
		"host=127.0.0.1 port=one user=leat password=" + password,
		"postgres://leat:" + password + "@[::1/leat?sslmode=none",
		"password=" + password + " nonsense",
	} {
		_, err := sqldb.Open(t.Context(), sqldb.Config{Postgres: dsn, Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
		if err == nil {
			t.Fatalf("opened %s", dsn)
		}
		for _, text := range []string{err.Error(), log.String()} {
			if strings.Contains(text, "s3cr") || strings.Contains(text, "zzet") {
				t.Errorf("%s: shown in %s", dsn, text)
			}
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	for name, c := range map[string]struct {
		cfg  sqldb.Config
		kind leat.Kind
	}{
		"nothing":       {sqldb.Config{}, leat.KindInvalidArgument},
		"both":          {sqldb.Config{SQLite: "a", Postgres: "b"}, leat.KindInvalidArgument},
		"no folder":     {sqldb.Config{SQLite: filepath.Join(dir, "no", "a.db")}, leat.KindUnavailable},
		"a folder":      {sqldb.Config{SQLite: dir}, leat.KindUnavailable},
		"nobody there":  {sqldb.Config{Postgres: "host=127.0.0.1 port=1 user=leat"}, leat.KindUnavailable},
		"not a DSN":     {sqldb.Config{Postgres: "host"}, leat.KindInvalidArgument},
		"not a file":    {sqldb.Config{SQLite: garbage(t, dir)}, leat.KindCorrupt},
		"silent server": {sqldb.Config{Postgres: silent(t) + " connect_timeout=1"}, leat.KindUnavailable},
	} {
		if _, err := sqldb.Open(t.Context(), c.cfg); err == nil || leat.KindOf(err) != c.kind {
			t.Errorf("%s: %v of kind %v, want %v", name, err, leat.KindOf(err), c.kind)
		}
	}
}

func garbage(t *testing.T, dir string) string {
	t.Helper()
	path := filepath.Join(dir, "garbage.db")
	if err := os.WriteFile(path, bytes.Repeat([]byte("not a database "), 1000), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// silent listens and never answers.
func silent(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return "host=127.0.0.1 user=leat port=" + port
}

func TestSQLiteFileIsPrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	db := open(t, sqldb.Config{SQLite: path})
	exec(t, db, "CREATE TABLE a (n BIGINT)")
	for _, file := range []string{path, path + "-wal"} {
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", filepath.Base(file), info.Mode())
		}
	}
}

// With PostgreSQL stopped calls fail soon with KindUnavailable; once it is back the same DB works again.
func TestPostgresStoppedAndBack(t *testing.T) {
	cluster := pgtest.New(t)
	db := open(t, sqldb.Config{Postgres: cluster.Database(t)})
	exec(t, db, "CREATE TABLE a (n BIGINT)")
	for _, stop := range []func(testing.TB){cluster.Stop, cluster.Crash} {
		stop(t)
		start := time.Now()
		err := db.Tx(t.Context(), func(tx *sqldb.Tx) error {
			_, err := tx.Exec("INSERT INTO a VALUES (1)")
			return err
		})
		if leat.KindOf(err) != leat.KindUnavailable || !sqldb.IsUnavailable(err) {
			t.Errorf("while stopped: %v of kind %v", err, leat.KindOf(err))
		}
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("failed after %v", took)
		}
		cluster.Start(t)
		exec(t, db, "INSERT INTO a VALUES (2)")
	}
	if n := number(t, db, "SELECT sum(n) FROM a"); n != 4 {
		t.Errorf("sum %d, want 4", n)
	}
}

// A server that goes away within a transaction costs the caller nothing: the transaction is run again.
func TestPostgresRestartsWithinTx(t *testing.T) {
	cluster := pgtest.New(t)
	db := open(t, sqldb.Config{Postgres: cluster.Database(t)})
	exec(t, db, "CREATE TABLE a (n BIGINT)")
	runs := 0
	err := db.Tx(t.Context(), func(tx *sqldb.Tx) error {
		if _, err := tx.Exec("INSERT INTO a VALUES (1)"); err != nil {
			return err
		}
		if runs++; runs == 1 {
			cluster.Crash(t)
			cluster.Start(t)
		}
		_, err := tx.Exec("INSERT INTO a VALUES (2)")
		return err
	})
	if err != nil || runs != 2 {
		t.Errorf("%d runs: %v", runs, err)
	}
	if n := number(t, db, "SELECT count(*) FROM a"); n != 2 {
		t.Errorf("%d rows, want 2", n)
	}
}

// A statement that takes too long ends by itself, with the caller still there.
func TestStatementTimeout(t *testing.T) {
	const endless = "WITH RECURSIVE c (n) AS (SELECT CAST(1 AS BIGINT) UNION ALL SELECT n + 1 FROM c) SELECT max(n) FROM c"
	onBoth(t, func(t *testing.T, cfg sqldb.Config) {
		patient := open(t, cfg) // a busy machine may need longer for a table than db gives
		cfg.StatementTimeout, cfg.TxTimeout = 200*time.Millisecond, 400*time.Millisecond
		db := open(t, cfg)
		var n int64
		err := db.View(t.Context(), func(tx *sqldb.Tx) error { return tx.Row(endless).Scan(&n) })
		if leat.KindOf(err) != leat.KindUnavailable {
			t.Errorf("%v of kind %v", err, leat.KindOf(err))
		}
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		err = db.View(ctx, func(tx *sqldb.Tx) error { return tx.Row(endless).Scan(&n) })
		if leat.KindOf(err) != leat.KindCanceled || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the caller's deadline: %v of kind %v", err, leat.KindOf(err))
		}
		exec(t, patient, "CREATE TABLE a (n BIGINT)")
	})
}
