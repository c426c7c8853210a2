// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/sqldb"
	"github.com/leatstream/leat/server/catalog"
	"github.com/leatstream/leat/server/cluster"
	"github.com/leatstream/leat/shardstore"
	"github.com/leatstream/leat/shardstore/blob"
	"github.com/leatstream/leat/shardstore/blob/fault"
)

// Shards that cannot be opened, since what a dead session left of them cannot be read, keep no other shard from being opened.
func TestShardThatCannotBeOpened(t *testing.T) {
	w := newWorld(t)
	var damaged atomic.Bool
	c := &team{world: w, acked: map[leat.ShardKey][]string{}}
	g := &gate{}
	c.join("dead", g.around(w))
	heir := c.join("heir", func(c *cluster.Config) {
		c.Blobs = fault.New(w.blobs, func(op fault.Op, key string) fault.Fault {
			if op == fault.Read && damaged.Load() && strings.HasPrefix(key, "closed/") {
				return fault.Fault{Kind: fault.Refuse, Err: blob.ErrNotFound}
			}
			return fault.Fault{}
		})
	})
	_, keys := w.stream(heir, "s", 4)
	for _, k := range keys {
		c.put(k, "1")
	}
	damaged.Store(true)
	g.shut.Store(true)
	c.nodes = c.nodes[1:]
	await(t, "the heir is alone", func() bool { return len(heir.Owners().Peers()) == 1 })
	_, others := w.stream(heir, "other", 4)
	for _, k := range others {
		c.put(k, "2")
	}
	damaged.Store(false)
	c.check()
}

// A reshard that cannot be begun, and one that cannot be told, keep no other stream from being resharded.
func TestReshardThatCannotBeDone(t *testing.T) {
	for name, kind := range map[string]func(*cluster.Config){"alone": func(*cluster.Config) {}, "shared": shared} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			g := &gate{}
			untold := make(chan shardstore.Reshard, 1)
			l := w.node("n", kind, func(c *cluster.Config) {
				c.Catalog = w.open(sqldb.Faults{BeforeCommit: g.check})
				c.Resharded = func(_ context.Context, r shardstore.Reshard) {
					select {
					case untold <- r:
					default: // it is told of more than once
					}
				}
			}).awaitReady()
			stream := func(name string) leat.StreamID {
				s, _ := w.stream(l, name, 1)
				return s.ID
			}
			split := func(id leat.StreamID) {
				t.Helper()
				if _, err := w.cat.BeginReshard(t.Context(), id, catalog.Split(0, leat.FullRange.Middle())); err != nil {
					t.Fatal(err)
				}
				l.Kick()
			}
			unread, told, other := stream("unread"), stream("told"), stream("other")
			w.exec("INSERT INTO intents (id, stream, parents, children, state, created) VALUES ('unread', $1, 'x', '[]', 'pending', 0)", unread)
			w.exec("UPDATE streams SET status = 'UPDATING', status_since = 1 WHERE id = $1", unread)
			g.shut.Store(true)
			split(told)
			var r shardstore.Reshard
			await(t, "a split is durable and not told", func() bool {
				select {
				case r = <-untold:
					return true
				default:
					return false
				}
			})
			w.exec("UPDATE intents SET children = '[]' WHERE id = $1", r.ID) // the catalog does not take its outcome any more
			g.shut.Store(false)
			split(other)
			await(t, "the other stream is split", func() bool { return w.status(other) == leat.StreamActive })
			// Children that the catalog has not heard of go with their stream, too.
			child := r.Children[0].Shard
			if err := l.put(child, "x"); err != nil {
				t.Fatalf("put to a child: %v", err)
			}
			if err := w.cat.BeginDelete(t.Context(), told, false); err != nil {
				t.Fatal(err)
			}
			l.Kick()
			await(t, "the child is let go of", func() bool { return errors.Is(l.put(child, "x"), shardstore.ErrNotOwned) })
		})
	}
}
