// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package forward

import (
	"time"

	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/wiremem"
	"github.com/leatstream/leat/server/forward/internalv1"
	"github.com/leatstream/leat/shardstore"
)

// IdleFor is how long connections that nobody uses are kept.
const IdleFor = idleFor

// Tidy closes those that are idle, as of a time.
func (r *Router) Tidy(now time.Time) { r.pool.tidy(now) }

// Prefix is what the service's full methods begin with.
const Prefix = prefix

// NewCodec is the codec that grpcapi's servers have too.
func NewCodec() encoding.CodecV2 { return codec{wiremem.NewCodec(new(wiremem.Pool))} }

// Sign makes the token of a call.
func (c *Credentials) Sign(method string, seconds int64) string { return c.sign(method, seconds) }

// Calls is how many calls to other nodes are under way.
func (r *Router) Calls() int { return len(r.calls.snapshot()) }

// Peers is how many nodes the Router has connections to.
func (r *Router) Peers() int {
	r.pool.mu.Lock()
	defer r.pool.mu.Unlock()
	return len(r.pool.peers)
}

// OverWire is an error after its way to another node.
func OverWire(err error) error { return errorOf(faultOf(err)) }

// Ahead is how many shards are known that the table of owners does not have.
func (r *Router) Ahead() int {
	if all := r.ahead.of.Load(); all != nil {
		return len(*all)
	}
	return 0
}

// Unknown is an error of a node that is newer than this one.
func Unknown() error { return errorOf(&internalv1.Fault{Reason: 999, Cause: "new"}) }

// Outgoing is an AppendRequest as this node writes it, of all the puts.
func Outgoing(session leat.SessionID, epoch uint64, puts []shardstore.Put) []byte {
	m := &outgoing{session: session, puts: puts}
	of := map[leat.ShardKey]uint32{}
	for i := range puts {
		at, ok := of[puts[i].Shard]
		if !ok {
			at = uint32(len(m.targets))
			of[puts[i].Shard], m.targets = at, append(m.targets, target{puts[i].Shard, epoch})
		}
		m.at, m.of = append(m.at, i), append(m.of, at)
	}
	return m.MarshalWire(new(wiremem.Pool)).Materialize()
}

// Incoming reads an AppendRequest.
func Incoming(raw []byte) (leat.SessionID, []shardstore.Put, error) {
	m := &incoming{}
	err := m.read(raw)
	return m.session, m.puts, err
}

// PageOut writes a ReadResponse.
func PageOut(p shardstore.Page) []byte {
	return (&page{p}).MarshalWire(new(wiremem.Pool)).Materialize()
}

// PageIn reads one.
func PageIn(raw []byte) (shardstore.Page, error) {
	var p page
	err := p.UnmarshalWire(mem.BufferSlice{mem.SliceBuffer(raw)}, new(wiremem.Pool))
	return p.Page, err
}
