// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"context"
	"strings"
	"testing"

	"github.com/leatstream/leat/internal/sqldb"
	"github.com/leatstream/leat/server/cluster"
)

// forget sets every heart back, as a database does that was restored from a backup.
func (w *world) forget() {
	w.t.Helper()
	w.exec("UPDATE beats SET beat = beat / 2")
}

// exec changes the catalog behind everybody's back.
func (w *world) exec(query string, args ...any) {
	w.t.Helper()
	db, err := sqldb.Open(w.t.Context(), sqldb.Config{SQLite: w.file})
	if err == nil {
		err = db.Tx(w.t.Context(), func(tx *sqldb.Tx) error {
			_, err := tx.Exec(query, args...)
			return err
		})
		_ = db.Close()
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// A node whose database was replaced by an older one stops serving with its next beat, says what to do, and settles
// nothing with what that database says.
func TestNodeFindsItsCatalogReplaced(t *testing.T) {
	for about, change := range map[string]func(*cluster.Config){"shared": shared, "alone": func(*cluster.Config) {}} {
		t.Run(about, func(t *testing.T) {
			w := newWorld(t)
			l := w.node("n", change).awaitReady()
			w.stream(l, "s", 2)
			id := l.Session()
			await(t, "its heart has beaten", func() bool {
				all, err := w.cat.ListSessions(context.Background())
				return err == nil && len(all) == 1 && all[0].Beat > 4
			})
			w.forget()
			await(t, "the node stops serving", func() bool { return l.Ready() != nil })
			await(t, "it says why", func() bool {
				err := l.Ready()
				return err != nil && strings.Contains(err.Error(), "leat rebuild")
			})
			if all, err := w.cat.ListSessions(t.Context()); err != nil || len(all) != 1 || all[0].ID != id || all[0].State != "live" {
				t.Errorf("sessions: %+v, %v: the older catalog was written to", all, err)
			}
		})
	}
}

// A database that has lost the last changes, and no heartbeat, is an older one too: others take what a session took.
func TestNodeFindsChangesLost(t *testing.T) {
	w := newWorld(t)
	l := w.node("n", shared).awaitReady()
	_, keys := w.stream(l, "s", 2)
	await(t, "the node knows the last change", func() bool {
		_, _, _, ok := l.Owners().Owner(keys[1])
		return ok
	})
	w.exec("UPDATE revision SET n = n / 2")
	await(t, "the node stops serving and says why", func() bool {
		err := l.Ready()
		return err != nil && strings.Contains(err.Error(), "leat rebuild")
	})
}
