// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/cluster"
)

// A node that stops in order is replaced before its successors' next beats, where somebody asks for its shards.
func TestDrainIsQuick(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := &team{world: w, acked: map[leat.ShardKey][]string{}}
	const beat = 4 * time.Second // a busy machine does all the rest in half of it
	slow := func(cfg *cluster.Config) { cfg.Heartbeat, cfg.DeadAfter = beat, 10*beat }
	for i := range 3 {
		c.join(fmt.Sprint("n", i), slow)
	}
	_, keys := w.stream(c.nodes[0], "s", 12)
	for _, k := range keys {
		c.put(k, "1")
	}
	began := time.Now()
	if err := c.follower().end(); err != nil {
		t.Fatal(err)
	}
	await(t, "all shards have owners again", func() bool {
		for _, l := range c.nodes {
			l.Owners().Stale()
		}
		for _, k := range keys {
			if c.owner(k) == nil {
				return false
			}
		}
		return true
	})
	if took := time.Since(began); took > beat/2 {
		t.Errorf("the drain and the take-over took %v", took)
	} else {
		t.Logf("the drain and the take-over took %v", took)
	}
	c.check()
}
