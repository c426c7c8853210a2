// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"context"
	"sync"
	"testing"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/cluster"
	"github.com/leatstream/leat/shardstore"
)

// A session opens or ends between any two steps of a call. The session answers, or the call is refused: an answer without an
// error that no session gave would acknowledge records that were never written.
func TestCallsWhileSessionsOpenAndEnd(t *testing.T) {
	live := newWorld(t).node("a")
	await(t, "the node serves", func() bool { return live.Ready() == nil })
	n, session := new(cluster.Node), live.Store()
	ctx, stop := context.WithCancel(t.Context())
	var flipping, calling sync.WaitGroup
	flipping.Go(func() {
		for ctx.Err() == nil {
			cluster.Serve(n, session)
			cluster.Serve(n, nil)
		}
	})
	unknown := leat.ShardKey{Stream: leat.StreamID{1}} // which the session refuses
	for range 2 {
		calling.Go(func() {
			for range 20_000 {
				puts := []shardstore.Put{{Shard: unknown, Record: leat.Record{PartitionKey: "k"}}}
				if err := n.Append(ctx, puts); err == nil && puts[0].Err == nil {
					t.Error("a record was acknowledged that no session was given")
					return
				}
				_, read := n.Read(ctx, unknown, 0, shardstore.ReadLimits{Records: 1, Bytes: 1})
				_, bounds := n.Bounds(ctx, unknown)
				_, at := n.Locate(ctx, unknown, 0)
				for what, err := range map[string]error{"read": read, "bounds": bounds, "locate": at, "wait": n.Wait(ctx, unknown, 0)} {
					if err == nil {
						t.Errorf("%s of a shard that nobody owns was answered", what)
						return
					}
				}
			}
		})
	}
	calling.Wait()
	stop()
	flipping.Wait()
}
