// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

// Package forward lets any node of a cluster take any request: a Router is an engine over all shards, and asks the node
// that owns a shard where that is not this one. A Server answers what the Routers of other nodes ask.
//
// Invariants:
//   - A put is executed at most once for each Append: it is sent again only when it is certain that it was not executed.
//     Otherwise its outcome is shardstore.ErrUnknownOutcome (data-plane.md, rule 14). One ack is one offset.
//   - A call carries the session that it is for and the epoch of the shard. Another session, or the same one in another
//     epoch, refuses before anything happens.
//   - One hop: a Server asks its own node's session alone.
//   - A record's checksum goes with it: where a put arrives it is compared, since the log takes no record that does not
//     match; what is read is compared by the broker, where it leaves.
//
// Nodes know each other by a token made with a key of the cluster; see Credentials.
//
// It does not own: who owns a shard (server/cluster), what clients are told of an outcome (server/broker).
package forward

import (
	"context"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore"
)

// Engine is what can be asked of shards; shardstore.Store documents each method.
type Engine interface {
	Append(ctx context.Context, puts []shardstore.Put) error
	Read(ctx context.Context, shard leat.ShardKey, from uint64, lim shardstore.ReadLimits) (shardstore.Page, error)
	Wait(ctx context.Context, shard leat.ShardKey, from uint64) error
	Locate(ctx context.Context, shard leat.ShardKey, at int64) (offset uint64, err error)
	Bounds(ctx context.Context, shard leat.ShardKey) (shardstore.Bounds, error)
}

// Session is one open session of this node; *shardstore.Store is one.
type Session interface {
	Engine
	// Session is its identity.
	Session() leat.SessionID
	// Epoch returns the epoch in which the session owns a shard; ok is false when it does not serve it. It is asked for
	// every call, so it MUST NOT wait.
	Epoch(shard leat.ShardKey) (epoch uint64, ok bool)
}

// Local returns this node's open session, or nil while there is none.
type Local func() Session

// Owners knows which session owns a shard, as far as this node has heard. Its methods MUST NOT wait.
type Owners interface {
	// Owner returns a shard's owner, its epoch and where other nodes reach it; ok is false when no live session owns it.
	Owner(shard leat.ShardKey) (session leat.SessionID, epoch uint64, address string, ok bool)
	// Live tells whether a session is live, and where other nodes reach it.
	Live(session leat.SessionID) (address string, ok bool)
	// Peers are the live sessions, with where other nodes reach them.
	Peers() map[leat.SessionID]string
	// Stale asks for a look soon: an owner does not answer, or knows nothing of its shard.
	Stale()
}
