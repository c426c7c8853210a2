// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"
	"fmt"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore"
)

// OwnShards are this node's shards, as one open session of it owns them.
type OwnShards interface {
	Engine
	// Session is its identity.
	Session() leat.SessionID
	// Epoch returns the epoch in which the session owns a shard; ok is false when it does not.
	Epoch(shard leat.ShardKey) (epoch uint64, ok bool)
}

// Metered is this node's session as all nodes that share the shards use it: it holds the shards' limits and counts what they
// take and give, whichever node a client has asked. So a shard has its limits once however many nodes there are, and its
// owner knows its load.
//
// A put that the limits refuse has KindThroughputExceeded as its own outcome, a read ends with it: as where one node serves
// all shards.
type Metered struct {
	OwnShards
	b *Broker
}

// Metered is how a node of a broker with Config.Shared hands out its session, to itself and to others. It is cheap.
func (b *Broker) Metered(s OwnShards) Metered { return Metered{OwnShards: s, b: b} }

// Append is the session's Append of what the limits admit. All puts MUST be of one stream, as those of a broker's calls are.
func (m Metered) Append(ctx context.Context, puts []shardstore.Put) error {
	if len(puts) == 0 {
		return nil
	}
	id := puts[0].Shard.Stream
	for i := range puts {
		if puts[i].Shard.Stream != id {
			return leat.Errorf(leat.KindInternal, "an append to two streams at once")
		}
		puts[i].Err = nil // of an earlier try at another owner
	}
	v := m.view(ctx, id)
	if v == nil {
		return shardstore.Ask(ctx, m.OwnShards, puts)
	}
	if v.Status == leat.StreamDeleting { // a node without a session may not know yet, and mean the next stream of its name
		return moving(fmt.Errorf("stream %s is being deleted", id))
	}
	m.locate(v, puts)
	ready := m.b.admit(v, puts, m.b.metered(v))
	err := those(puts, ready, func(part []Put) error { return shardstore.Ask(ctx, m.OwnShards, part) })
	m.b.flows.wrote(v, puts, err)
	return err
}

// locate notes where in their shards' ranges records fall.
func (m Metered) locate(v *streamView, puts []Put) {
	for i := range puts {
		h := puts[i].Record.HashKey()
		if at, ok := v.at(h); ok && v.shards[v.open[at]].Key == puts[i].Shard {
			m.b.flows.routed(v, at, h, &puts[i].Record)
		}
	}
}

// Read is the session's Read, unless the shard's limits hold for it and refuse it.
func (m Metered) Read(ctx context.Context, shard leat.ShardKey, from uint64, lim shardstore.ReadLimits) (shardstore.Page, error) {
	v := m.view(ctx, shard.Stream)
	if v != nil && lim.Limited {
		if err := m.b.admitRead(v, shard); err != nil {
			return shardstore.Page{}, err
		}
	}
	p, err := m.OwnShards.Read(ctx, shard, from, lim)
	if err != nil || v == nil || lim.Look && !lim.Limited {
		return p, err
	}
	size := 0
	for i := range p.Records {
		size += p.Records[i].Size()
	}
	m.b.countRead(v, shard, &p, size, &lim)
	return p, nil
}

// view is the stream of shards that this node owns. It is nil when the node has not heard of the stream and the catalog is
// away: what is certainly its own to serve is then served without limits, and not counted.
func (m Metered) view(ctx context.Context, id leat.StreamID) *streamView {
	v, err := m.b.directory.findID(ctx, id)
	if err != nil {
		return nil
	}
	return v
}
