// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package shardstore_test

import (
	"context"
	"fmt"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore"
	"github.com/leatstream/leat/shardstore/segment"
)

// maxSimShards bounds how far a simulation splits.
const maxSimShards = 12

// someShard picks one of the shards that may exist; puts to others are refused.
func (w *sim) someShard() leat.ShardKey {
	if w.rng.IntN(4) > 0 {
		return w.key(w.rng.IntN(3))
	}
	return w.key(w.rng.IntN(maxSimShards))
}

// Children of shard i are 2i+3 and 2i+4, so that a stale node and its successor never mean different ones.
func (w *sim) children(i uint64) []leat.ShardKey {
	return []leat.ShardKey{w.key(int(2*i + 3)), w.key(int(2*i + 4))}
}

func (w *sim) parents(k leat.ShardKey) []leat.ShardKey {
	if k.Ordinal < 3 {
		return nil
	}
	return []leat.ShardKey{w.key(int(k.Ordinal-3) / 2)}
}

// startReshard splits a shard, and tells the catalog or forgets to.
func (w *sim) startReshard(nd *node) {
	parent := w.someShard()
	tell := w.rng.IntN(4) > 0
	if 2*parent.Ordinal+4 >= maxSimShards || !w.index.has(parent) {
		return // the catalog intends nothing for shards that it does not know
	}
	r := shardstore.Reshard{ID: fmt.Sprint("split ", parent.Ordinal), Parents: []segment.ReshardParent{{Shard: parent}}}
	for _, c := range w.children(parent.Ordinal) {
		r.Children = append(r.Children, segment.ReshardChild{Shard: c})
	}
	w.start(func(ctx context.Context) {
		done, err := nd.s.Reshard(ctx, r)
		if err != nil || !tell {
			return
		}
		if w.index.confirm(done, nd.s.Session()) == nil {
			nd.s.ConfirmReshard(r.ID)
		}
	})
}
