// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package pgtest_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/leatstream/leat/internal/pgtest"
)

func connect(t *testing.T, dsn string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

func mustExec(t *testing.T, conn *pgx.Conn, sql string) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func count(t *testing.T, conn *pgx.Conn, sql string, args ...any) (n int) {
	t.Helper()
	if err := conn.QueryRow(t.Context(), sql, args...).Scan(&n); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return n
}

func TestDatabasesAreFreshAndDropped(t *testing.T) {
	const exists = "SELECT count(*) FROM pg_database WHERE datname = $1"
	admin := connect(t, pgtest.Start(t).DSN("postgres"))
	var names []string
	t.Run("used", func(t *testing.T) {
		for range 2 {
			conn := connect(t, pgtest.Database(t)) // still connected when it is dropped
			mustExec(t, conn, "CREATE TABLE only_here (n int)")
			names = append(names, conn.Config().Database)
		}
		if n := count(t, admin, exists, names[0]); n != 1 {
			t.Errorf("%d databases %s during the test", n, names[0])
		}
	})
	for _, name := range names {
		if n := count(t, admin, exists, name); n != 0 {
			t.Errorf("database %s is there after its test", name)
		}
	}
}

func TestStartIsShared(t *testing.T) {
	if a, b := pgtest.Start(t), pgtest.Start(t); a != b {
		t.Errorf("two clusters: %s and %s", a.DSN("a"), b.DSN("b"))
	}
}

func TestStoppedAndCrashedServersComeBack(t *testing.T) {
	for _, opts := range [][]pgtest.Option{nil, {pgtest.Durable()}} {
		t.Run(fmt.Sprintf("options=%d", len(opts)), func(t *testing.T) {
			c := pgtest.New(t, opts...)
			dsn := c.Database(t)
			conn := connect(t, dsn)
			mustExec(t, conn, "CREATE TABLE kept (n int)")
			down := []func(testing.TB){c.Stop, c.Crash}
			for i, stop := range down {
				mustExec(t, conn, fmt.Sprintf("INSERT INTO kept VALUES (%d)", i))
				stop(t)
				if _, err := conn.Exec(t.Context(), "SELECT 1"); err == nil {
					t.Error("an old connection outlived the server")
				}
				if again, err := pgx.Connect(t.Context(), dsn); err == nil {
					t.Errorf("connected to a stopped server: %v", again.Config().Host)
				}
				c.Start(t)
				conn = connect(t, dsn)
			}
			if n := count(t, conn, "SELECT count(*) FROM kept"); n != len(down) {
				t.Errorf("%d rows, want %d", n, len(down))
			}
		})
	}
}

func TestDurableIsDurable(t *testing.T) {
	for _, tc := range []struct {
		want    string
		cluster *pgtest.Cluster
	}{{"off", pgtest.Start(t)}, {"on", pgtest.New(t, pgtest.Durable())}} {
		conn := connect(t, tc.cluster.DSN("postgres"))
		var got string
		if err := conn.QueryRow(t.Context(), "SHOW fsync").Scan(&got); err != nil {
			t.Fatal(err)
		}
		if got != tc.want {
			t.Errorf("fsync is %s, want %s", got, tc.want)
		}
	}
}
