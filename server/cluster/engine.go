// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore"
)

// engine returns that of the open session, or why there is none. Both come from one look: a session may open at any
// moment, and "no engine, and no error either" would tell a caller that records were written which nobody has seen.
func (n *Node) engine() (*shardstore.Store, error) {
	if s := n.store.Load(); s != nil {
		return s, nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return nil, leat.Errorf(leat.KindUnavailable, "this node serves no shards yet: %s", n.why)
}

// Append hands puts to the open session. See shardstore.Store.Append.
func (n *Node) Append(ctx context.Context, puts []shardstore.Put) error {
	s, err := n.engine()
	if err != nil {
		return err
	}
	return s.Append(ctx, puts)
}

// Read reads from the open session. See shardstore.Store.Read.
func (n *Node) Read(ctx context.Context, k leat.ShardKey, from uint64, lim shardstore.ReadLimits) (shardstore.Page, error) {
	s, err := n.engine()
	if err != nil {
		return shardstore.Page{}, err
	}
	return s.Read(ctx, k, from, lim)
}

// Wait waits on the open session. See shardstore.Store.Wait.
func (n *Node) Wait(ctx context.Context, k leat.ShardKey, from uint64) error {
	s, err := n.engine()
	if err != nil {
		return err
	}
	return s.Wait(ctx, k, from)
}

// Locate asks the open session. See shardstore.Store.Locate.
func (n *Node) Locate(ctx context.Context, k leat.ShardKey, at int64) (uint64, error) {
	s, err := n.engine()
	if err != nil {
		return 0, err
	}
	return s.Locate(ctx, k, at)
}

// Bounds asks the open session. See shardstore.Store.Bounds.
func (n *Node) Bounds(ctx context.Context, k leat.ShardKey) (shardstore.Bounds, error) {
	s, err := n.engine()
	if err != nil {
		return shardstore.Bounds{}, err
	}
	return s.Bounds(ctx, k)
}
