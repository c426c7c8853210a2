// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package forward

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/forward/internalv1"
	"github.com/leatstream/leat/shardstore"
)

// Append hands each put to its shard's owner: one call for each owner, in parallel. Puts of one shard keep their order:
// they go to one owner in one call, which takes or refuses all of them for who owns the shard.
//
// Puts whose shard has no owner that can be reached wait for one. They are sent again only when it is certain that they
// were not executed; otherwise their outcome is shardstore.ErrUnknownOutcome. Those that found no owner in time have
// KindUnavailable.
//
// An error is returned only when nothing at all was executed. A call MUST have at most leat.MaxPutRecords puts.
func (r *Router) Append(ctx context.Context, puts []shardstore.Put) error {
	if len(puts) > leat.MaxPutRecords {
		return leat.Errorf(leat.KindInvalidArgument, "an append of %d records: %d at most", len(puts), leat.MaxPutRecords)
	}
	left := make([]int, len(puts))
	for i := range left {
		left[i] = i
	}
	var whole error // of an owner that refused its part as a whole
	executed := false
	for look := r.search(); ; {
		groups := r.group(puts, left)
		r.send(ctx, puts, groups)
		for _, g := range groups {
			switch {
			case g.whole == nil:
				executed = executed || g.settled(puts)
			case whole == nil:
				whole = g.whole
			}
		}
		if left = unsettled(puts, left); len(left) == 0 || !look.again(ctx) {
			break
		}
	}
	if executed {
		for _, i := range left {
			puts[i].Err = unavailable(puts[i].Err)
		}
		return nil
	}
	switch {
	case whole != nil:
		return whole
	case len(left) == 0:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return unavailable(puts[left[0]].Err)
}

// group is the puts of a call that go to one owner.
type group struct {
	owner   owner
	targets []target
	at      []int    // indexes of the puts
	of      []uint32 // the target of each
	whole   error    // the owner refused all of them, for a reason that does not pass by looking for another owner
}

// settled tells whether the outcome of one of the group's puts is its last.
func (g *group) settled(puts []shardstore.Put) bool {
	for _, i := range g.at {
		if !hasMoved(puts[i].Err) {
			return true
		}
	}
	return false
}

// unsettled returns those puts of which it is certain that they were not executed, and that another owner may take.
func unsettled(puts []shardstore.Put, of []int) []int {
	left := of[:0]
	for _, i := range of {
		if hasMoved(puts[i].Err) {
			left = append(left, i)
		}
	}
	return left
}

// group sorts puts by owner. Those whose shard has none get an error that says so.
func (r *Router) group(puts []shardstore.Put, left []int) []*group {
	type place struct {
		group *group // nil: no owner
		of    uint32
	}
	local := r.local()
	places, owners := make(map[leat.ShardKey]place), make(map[peerKey]*group)
	var groups []*group
	for _, i := range left {
		shard := puts[i].Shard
		p, known := places[shard]
		if !known {
			if o, ok := r.owner(local, shard); ok {
				g := owners[o.peer] // the zero key is this node's own session
				if g == nil {
					g = &group{owner: o, at: make([]int, 0, len(left)), of: make([]uint32, 0, len(left))}
					owners[o.peer], groups = g, append(groups, g)
				}
				p = place{g, uint32(len(g.targets))}
				g.targets = append(g.targets, target{shard, o.epoch})
			}
			places[shard] = p
		}
		if p.group == nil {
			puts[i].Err = moved(errNoOwner)
			continue
		}
		p.group.at, p.group.of = append(p.group.at, i), append(p.group.of, p.of)
	}
	return groups
}

// send puts each group at its owner and returns when all outcomes are there.
func (r *Router) send(ctx context.Context, puts []shardstore.Put, groups []*group) {
	var others sync.WaitGroup
	defer others.Wait() // also where the put below panics: they read the puts, whose memory is the caller's
	for i, g := range groups {
		if i == len(groups)-1 {
			r.put(ctx, puts, g) // one of them needs no goroutine
			break
		}
		others.Go(func() { r.put(ctx, puts, g) })
	}
}

// put puts a group at its owner. Outcomes stand in the puts; g.whole too where all were refused.
func (r *Router) put(ctx context.Context, puts []shardstore.Put, g *group) {
	var err error
	if g.owner.local != nil {
		err = putHere(ctx, puts, g)
	} else {
		err = r.putThere(ctx, puts, g)
	}
	if err == nil {
		return
	}
	for _, i := range g.at {
		puts[i].Err = err
	}
	if !hasMoved(err) && !errors.Is(err, shardstore.ErrUnknownOutcome) {
		g.whole = err
	}
}

// heard notes what an owner has said of a shard that it has closed.
func (r *Router) heard(from peerKey, err error) {
	var over *shardstore.ReshardedError
	if errors.As(err, &over) {
		r.ahead.learn(from, over.Reshard)
	}
}

func putHere(ctx context.Context, puts []shardstore.Put, g *group) error {
	if len(g.at) == len(puts) {
		return shardstore.Ask(ctx, g.owner.local, puts)
	}
	part := make([]shardstore.Put, len(g.at))
	for i, at := range g.at {
		part[i] = puts[at]
	}
	if err := shardstore.Ask(ctx, g.owner.local, part); err != nil {
		return err
	}
	for i, at := range g.at {
		puts[at] = part[i]
	}
	return nil
}

func (r *Router) putThere(ctx context.Context, puts []shardstore.Put, g *group) error {
	r.forwarded.calls.Add(1)
	r.forwarded.records.Add(uint64(len(g.at)))
	out := &internalv1.AppendResponse{}
	req := &outgoing{session: g.owner.peer.session, targets: g.targets, puts: puts, at: g.at, of: g.of}
	err := r.invoke(ctx, &call{to: g.owner.peer, targets: g.targets, put: true}, internalv1.EngineService_Append_FullMethodName, req, out)
	if err != nil {
		return err
	}
	offsets, times := out.GetOffsets(), out.GetTimes()
	if len(offsets) != len(g.at) || len(times) != len(g.at) {
		return fmt.Errorf("%w: its owner answered for %d of %d records", shardstore.ErrUnknownOutcome, len(offsets), len(g.at))
	}
	for i, at := range g.at {
		puts[at].Record.Offset, puts[at].Record.Time, puts[at].Err = offsets[i], times[i], nil
	}
	for _, f := range out.GetFailures() {
		if f.GetIndex() >= uint32(len(g.at)) {
			return fmt.Errorf("%w: its owner answered for a record that it was not asked", shardstore.ErrUnknownOutcome)
		}
		err := errorOf(f.GetFault())
		r.heard(g.owner.peer, err)
		puts[g.at[f.GetIndex()]].Err = err
	}
	return nil
}
