// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore"
)

// Append hands puts to the open session. See shardstore.Store.Append.
func (n *Node) Append(ctx context.Context, puts []shardstore.Put) error {
	s := n.store.Load()
	if s == nil {
		return n.Ready()
	}
	return s.Append(ctx, puts)
}

// Read reads from the open session. See shardstore.Store.Read.
func (n *Node) Read(ctx context.Context, k leat.ShardKey, from uint64, lim shardstore.ReadLimits) (shardstore.Page, error) {
	s := n.store.Load()
	if s == nil {
		return shardstore.Page{}, n.Ready()
	}
	return s.Read(ctx, k, from, lim)
}

// Wait waits on the open session. See shardstore.Store.Wait.
func (n *Node) Wait(ctx context.Context, k leat.ShardKey, from uint64) error {
	s := n.store.Load()
	if s == nil {
		return n.Ready()
	}
	return s.Wait(ctx, k, from)
}

// Locate asks the open session. See shardstore.Store.Locate.
func (n *Node) Locate(ctx context.Context, k leat.ShardKey, at int64) (uint64, error) {
	s := n.store.Load()
	if s == nil {
		return 0, n.Ready()
	}
	return s.Locate(ctx, k, at)
}

// Bounds asks the open session. See shardstore.Store.Bounds.
func (n *Node) Bounds(ctx context.Context, k leat.ShardKey) (shardstore.Bounds, error) {
	s := n.store.Load()
	if s == nil {
		return shardstore.Bounds{}, n.Ready()
	}
	return s.Bounds(ctx, k)
}
