// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"
	"slices"
	"sort"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore"
)

// Resharded tells of a split or merge whose record is durable: from that moment on its parents are closed and its children
// take records, whether the catalog can be told or not. Without this a catalog that is lost between the record and
// FinishReshard would leave producers of the parents without a shard and readers at their end, until it is back.
func (d *Directory) Resharded(ctx context.Context, r shardstore.Reshard) {
	if len(r.Parents) == 0 || d.enter(ctx) != nil {
		return
	}
	defer d.leave()
	id := r.Parents[0].Shard.Stream
	old := d.snap.Load()
	v := old.byID[id]
	if v == nil {
		return // it is not known, or gone
	}
	shards, applied := resharded(slices.Clone(v.shards), r)
	if !applied {
		return // it is told again
	}
	d.ahead[id] = append(d.ahead[id], r)
	next := old.clone()
	next.set(streamName{v.Account, v.Name}, newStreamView(v.Stream, shards))
	d.snap.Store(next)
}

// goAhead applies to a stream's shards, as the catalog has them, the reshards that they do not show yet, and forgets the
// others. The caller has the turn, and owns shards.
func (d *Directory) goAhead(id leat.StreamID, shards []leat.Shard) []leat.Shard {
	sort.Slice(shards, func(i, j int) bool { return shards[i].Key.Compare(shards[j].Key) < 0 })
	var left []shardstore.Reshard
	for _, r := range d.ahead[id] {
		if after, applied := resharded(shards, r); applied {
			shards, left = after, append(left, r)
		}
	}
	if len(left) == 0 {
		delete(d.ahead, id)
	} else {
		d.ahead[id] = left
	}
	return shards
}

// resharded closes a reshard's parents and adds its children, as the catalog does (catalog.FinishReshard). It does
// nothing when a parent is not open among the shards: then they show the reshard already, or are past it.
func resharded(shards []leat.Shard, r shardstore.Reshard) (_ []leat.Shard, applied bool) {
	at := make([]int, len(r.Parents))
	for i, p := range r.Parents {
		at[i] = slices.IndexFunc(shards, func(s leat.Shard) bool { return s.Key == p.Shard })
		if at[i] < 0 || !shards[at[i]].Open() {
			return shards, false
		}
	}
	when := time.UnixMicro(r.Time)
	for i, p := range r.Parents {
		shards[at[i]].Closed, shards[at[i]].Final = when, p.Final
	}
	first := &shards[at[0]]
	parent, owner := first.Key.Ordinal, first.Owner
	var adjacent *uint64
	if len(at) > 1 {
		adjacent = &r.Parents[1].Shard.Ordinal
	}
	for _, c := range r.Children {
		shards = append(shards, leat.Shard{
			Key: c.Shard, Range: c.Range, Parent: &parent, AdjacentParent: adjacent, Created: when, Epoch: 1, Owner: owner,
		})
	}
	return shards, true
}
