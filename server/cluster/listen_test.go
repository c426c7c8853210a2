// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/pgtest"
	"github.com/leatstream/leat/internal/sqldb"
	"github.com/leatstream/leat/server/catalog"
)

// A table of owners that never looks by itself hears of what other nodes change.
func TestOwnersListen(t *testing.T) {
	dsn := pgtest.Database(t)
	open := func() *catalog.Catalog {
		db, err := sqldb.Open(t.Context(), sqldb.Config{Postgres: dsn})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close() })
		return catalog.New(db, catalog.Options{})
	}
	here, elsewhere := open(), open()
	if err := here.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	o := newOwners(here, leat.SystemClock{}, 24*time.Hour, slog.New(slog.DiscardHandler), func() {})
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	all.Go(func() { o.Run(ctx) })
	all.Go(func() { o.listen(ctx) })
	defer all.Wait()
	defer cancel()
	// The connection may not be there for the first of them: then the next one tells of both.
	tick := time.NewTicker(25 * time.Millisecond)
	defer tick.Stop()
	for i, deadline := 0, time.Now().Add(time.Minute); ; i++ {
		_, err := elsewhere.CreateStream(t.Context(), catalog.NewStream{
			Account: leat.DevAccount, Name: string(rune('a' + i)), Mode: leat.ModeProvisioned, Shards: 1, Retention: 24 * time.Hour, MaxRecordBytes: 1 << 20,
		})
		if err != nil {
			t.Fatal(err)
		}
		for range 40 {
			if n, _ := o.counts(); n == i+1 {
				return
			}
			<-tick.C
		}
		if i == 20 || time.Now().After(deadline) {
			t.Fatal("it does not hear of new shards")
		}
	}
}
