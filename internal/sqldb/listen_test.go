// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package sqldb_test

import (
	"context"
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/leatstream/leat/internal/pgtest"
	"github.com/leatstream/leat/internal/sqldb"
)

// What is notified is heard after the commit, nothing of a transaction that is rolled back, and again after PostgreSQL
// was away.
func TestListen(t *testing.T) {
	pg := pgtest.New(t)
	db := open(t, sqldb.Config{Postgres: pg.Database(t)})
	ctx, cancel := context.WithCancel(t.Context())
	heard, lost, done := make(chan string, 1000), make(chan error, 1000), make(chan struct{})
	go func() {
		defer close(done)
		db.Listen(ctx, "a channel", func(p string) { heard <- p }, func(err error) { lost <- err })
	}()
	defer func() {
		cancel()
		<-done
	}()
	n := 0
	notify := func(outcome error) error {
		n++
		return db.Tx(t.Context(), func(tx *sqldb.Tx) error {
			return errors.Join(tx.Notify("a channel", strconv.Itoa(n)), outcome)
		})
	}
	// until notifies again and again until something is heard: the connection may not be there yet.
	until := func() string {
		t.Helper()
		for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
			if err := notify(nil); err != nil {
				t.Log(err)
			}
			select {
			case p := <-heard:
				return p
			case <-time.After(50 * time.Millisecond):
			}
		}
		t.Fatal("nothing was heard")
		return ""
	}
	until()
	rolledBack := errors.New("no")
	if err := notify(rolledBack); !errors.Is(err, rolledBack) {
		t.Fatal(err)
	}
	undone := strconv.Itoa(n)
	if err := notify(nil); err != nil {
		t.Fatal(err)
	}
	for last := strconv.Itoa(n); ; {
		p := <-heard
		if p == undone {
			t.Error("a transaction that was rolled back was heard of")
		}
		if p == last {
			break
		}
	}
	pg.Crash(t)
	if err := <-lost; err == nil {
		t.Error("a connection that broke has no reason")
	}
	pg.Start(t)
	until()
}

// With SQLite nobody else is there to be told, and a transaction that notifies is like any other.
func TestListenSQLite(t *testing.T) {
	db := open(t, sqldb.Config{SQLite: t.TempDir() + "/x.db"})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		db.Listen(ctx, "c", func(string) { t.Error("heard something") }, func(err error) { t.Error(err) })
	}()
	if err := db.Tx(t.Context(), func(tx *sqldb.Tx) error { return tx.Notify("c", "p") }); err != nil {
		t.Error(err)
	}
	cancel()
	<-done
}
