// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package forward

import (
	"maps"
	"sync"
	"sync/atomic"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/forward/internalv1"
	"github.com/leatstream/leat/shardstore"
)

// ahead is who serves the children of splits and merges that the table of owners does not have: the session that closed
// their parents and said so, in epoch 1 (data-plane.md, rule 16). It matters while the catalog is away, and is empty
// otherwise.
type ahead struct {
	mu sync.Mutex // of those who change it
	of atomic.Pointer[map[leat.ShardKey]peerKey]
}

// find returns the session that told of a child.
func (a *ahead) find(child leat.ShardKey) (peer peerKey, ok bool) {
	if all := a.of.Load(); all != nil {
		peer, ok = (*all)[child]
	}
	return peer, ok
}

// learn notes the children of a reshard.
func (a *ahead) learn(from peerKey, r *shardstore.Reshard) {
	if from.address == "" { // this node's own session needs no note
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	next := map[leat.ShardKey]peerKey{}
	if old := a.of.Load(); old != nil {
		if len(r.Children) > 0 && (*old)[r.Children[0].Shard] == from {
			return
		}
		next = maps.Clone(*old)
	}
	for _, c := range r.Children {
		next[c.Shard] = from
	}
	a.of.Store(&next)
}

// tidy forgets those that the table of owners has, and those whose session is over: their streams may be gone.
func (a *ahead) tidy(owners Owners) {
	if a.of.Load() == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	next := maps.Clone(*a.of.Load())
	maps.DeleteFunc(next, func(k leat.ShardKey, from peerKey) bool {
		_, _, _, known := owners.Owner(k)
		_, lives := owners.Live(from.session)
		return known || !lives
	})
	if len(next) == 0 {
		a.of.Store(nil)
		return
	}
	a.of.Store(&next)
}

// wireReshard puts a reshard on the wire; nil for none.
func wireReshard(r *shardstore.Reshard) *internalv1.Reshard {
	if r == nil {
		return nil
	}
	out := &internalv1.Reshard{Id: r.ID, Time: r.Time}
	for _, p := range r.Parents {
		out.Parents = append(out.Parents, &internalv1.ReshardParent{Shard: wireShard(p.Shard, p.Epoch), Final: p.Final})
	}
	for _, c := range r.Children {
		first, last := c.Range.Start.Bytes(), c.Range.End.Bytes()
		out.Children = append(out.Children, &internalv1.ReshardChild{Shard: wireShard(c.Shard, 1), StartingHashKey: first[:], EndingHashKey: last[:]})
	}
	return out
}

// reshardOf undoes wireReshard.
func reshardOf(r *internalv1.Reshard) (*shardstore.Reshard, error) {
	out := &shardstore.Reshard{ID: r.GetId(), Time: r.GetTime()}
	for _, p := range r.GetParents() {
		t, err := targetOf(p.GetShard())
		if err != nil {
			return nil, err
		}
		out.Parents = append(out.Parents, shardstore.ReshardParent{Shard: t.shard, Epoch: t.epoch, Final: p.GetFinal()})
	}
	for _, c := range r.GetChildren() {
		t, err := targetOf(c.GetShard())
		if err != nil || len(c.GetStartingHashKey()) != 16 || len(c.GetEndingHashKey()) != 16 {
			return nil, errWire
		}
		out.Children = append(out.Children, shardstore.ReshardChild{Shard: t.shard, Range: leat.HashKeyRange{
			Start: leat.HashKeyFromBytes([16]byte(c.GetStartingHashKey())), End: leat.HashKeyFromBytes([16]byte(c.GetEndingHashKey())),
		}})
	}
	if len(out.Parents) == 0 || len(out.Children) == 0 {
		return nil, errWire
	}
	return out, nil
}

func targetOf(s *internalv1.Shard) (target, error) {
	if len(s.GetStream()) != len(leat.StreamID{}) {
		return target{}, errWire
	}
	return target{shard: leat.ShardKey{Stream: leat.StreamID(s.GetStream()), Ordinal: s.GetOrdinal()}, epoch: s.GetEpoch()}, nil
}
