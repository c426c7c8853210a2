// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/sqldb"
	"github.com/leatstream/leat/server/catalog"
	"github.com/leatstream/leat/server/cluster"
)

// Three nodes at rest with 5,000 shards ask the catalog for little: a beat each half a second, and nothing for a shard.
// With what three brokers ask, some 12 statements a second, it stays below 50.
func TestIdleClusterAsksLittle(t *testing.T) {
	t.Parallel()
	const shards, most = 5000, 34.0
	w := newWorld(t)
	c := &team{world: w, acked: map[leat.ShardKey][]string{}}
	var dbs []*sqldb.DB
	own := func(cfg *cluster.Config) {
		db, err := sqldb.Open(t.Context(), sqldb.Config{SQLite: w.file})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close() })
		dbs = append(dbs, db)
		cfg.Catalog = catalog.New(db, catalog.Options{})
		cfg.Heartbeat, cfg.DeadAfter, cfg.Log.Lease = 500*time.Millisecond, 2500*time.Millisecond, 1500*time.Millisecond
	}
	for i := range 3 {
		c.join(fmt.Sprint("n", i), own)
	}
	for i := range 5 {
		w.stream(c.nodes[0], fmt.Sprint("s", i), shards/5)
	}
	await(t, "the cluster is at rest", func() bool {
		counts, all := c.counts()
		moves, err := w.cat.Moves(t.Context(), leat.SessionID{})
		const slack = shards / 3 / 8 // what the balance leaves alone
		return err == nil && len(moves) == 0 && all == shards && slices.Max(counts)-slices.Min(counts) <= slack
	})
	asked := func() (n uint64) {
		for _, db := range dbs {
			n += db.Statements()
		}
		return n
	}
	rest := func(d time.Duration) {
		timer := time.NewTimer(d)
		defer timer.Stop()
		<-timer.C
	}
	rest(3 * time.Second) // recounts
	const over = 4 * time.Second
	before := asked()
	rest(over)
	rate := float64(asked()-before) / over.Seconds()
	counts, _ := c.counts()
	t.Logf("%.1f statements a second; shards by node: %v", rate, counts)
	if rate > most {
		t.Errorf("three nodes at rest ask for %.1f statements a second, want at most %v", rate, most)
	}
}
