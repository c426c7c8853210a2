// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/catalog"
	"github.com/leatstream/leat/server/cluster"
	"github.com/leatstream/leat/shardstore"
)

// Only the busiest session sheds, only when it is far above the others, and only what helps.
func TestOverload(t *testing.T) {
	const mib = 1 << 20
	peers := func(bytes ...uint64) (all []catalog.Peer) {
		for i, b := range bytes {
			all = append(all, catalog.Peer{ID: leat.SessionID{byte(i + 1)}, State: catalog.SessionLive, Report: catalog.Report{Revision: 1, BytesIn: b}})
		}
		return all
	}
	for _, c := range []struct {
		name  string
		peers []catalog.Peer
		to    byte
		share float64
	}{
		{"alone", peers(9 * mib), 0, 0},
		{"even", peers(9*mib, 8*mib, 7*mib), 0, 0},
		{"another is busier", peers(9*mib, 30*mib, 0), 0, 0},
		{"all quiet", peers(mib/2, 0, 0), 0, 0},
		{"busiest", peers(9*mib, 3*mib, 1*mib), 3, 4 * mib},
	} {
		to, share := cluster.Overload(leat.SessionID{1}, c.peers)
		if to != (leat.SessionID{c.to}) || share != c.share {
			t.Errorf("%s: %v is to take over %v, want %d and %v", c.name, to, share, c.to, c.share)
		}
	}
	leaving := peers(9*mib, 3*mib, 1*mib)
	leaving[2].Draining = true
	if to, _ := cluster.Overload(leat.SessionID{1}, leaving); to != (leat.SessionID{2}) {
		t.Errorf("%v is to take over, want 2: 3 leaves", to)
	}
	key := func(n uint64) leat.ShardKey { return leat.ShardKey{Ordinal: n} }
	rates := map[leat.ShardKey]float64{key(1): 5, key(2): 3, key(3): 4, key(4): 0}
	if k, ok := cluster.Heaviest(rates, 4); !ok || k != key(3) {
		t.Errorf("the heaviest that fits is %v, %v", k, ok)
	}
	if k, ok := cluster.Heaviest(rates, 2); ok {
		t.Errorf("%v is to move, and only moves the trouble", k)
	}
}

// All the busy shards happen to be on one node: it gives some of them away.
func TestBusyShardsSpread(t *testing.T) {
	w := newWorld(t)
	c := w.team(2)
	_, keys := w.stream(c.nodes[0], "s", 8)
	await(t, "all shards are open", func() bool { _, all := c.counts(); return all == 8 })
	var busy []leat.ShardKey
	for _, k := range keys {
		if c.owner(k) == c.nodes[0] {
			busy = append(busy, k)
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	var load sync.WaitGroup
	for _, k := range busy {
		load.Go(func() {
			tick := time.NewTicker(2 * time.Millisecond)
			defer tick.Stop()
			for ctx.Err() == nil {
				l := c.owner(k)
				if l == nil {
					<-tick.C
					continue
				}
				puts := make([]shardstore.Put, 200)
				for i := range puts {
					puts[i] = shardstore.Put{Shard: k, Record: leat.Record{PartitionKey: "k", Data: make([]byte, 100)}}
					puts[i].Record.CRC = puts[i].Record.Checksum()
				}
				_ = l.Append(ctx, puts) // it may have moved: the next one goes elsewhere
			}
		})
	}
	defer load.Wait()
	defer stop()
	await(t, "the other node has some of the busy shards", func() bool {
		there := 0
		for _, k := range busy {
			if c.owner(k) == c.nodes[1] {
				there++
			}
		}
		return there >= 1
	})
}
