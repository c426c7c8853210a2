// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package shardstore

import (
	"cmp"
	"slices"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore/wal"
)

// # What is owed for dropped shards
//
// Records of a dropped shard that are in no pack yet are never packed, since nobody can read them, but they were put: somebody pays for them. So
// their extents wait, as numbers alone, for the registration that trims their segments, which names them (Registration.Gone) and is done
// once (I15). What a session owes when it dies is counted by nobody.

// dropShard drops a shard and remembers what is owed for it; it returns what drop does. Both are one step for settle.
func (p *packer) dropShard(sh *shard) (unindexed int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	unindexed, logged := sh.drop()
	p.owed = append(p.owed, logged...)
	return unindexed
}

// owedBelow is what is owed in segments below to, but for shards whose records are in a pack all the same: they were dropped after its
// records were listed.
func (p *packer) owedBelow(to uint64, packed []part) []Extent {
	in := map[leat.ShardKey]bool{}
	for i := range packed {
		in[packed[i].sh.key] = true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	var owed []Extent
	for _, e := range p.owed {
		if isBelow(&e, to) && !in[e.Shard] {
			owed = append(owed, e)
		}
	}
	return joinOwed(owed)
}

// settle forgets what is owed in segments below to: a pack that is written says it.
func (p *packer) settle(to uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.owed = slices.DeleteFunc(p.owed, func(e Extent) bool { return isBelow(&e, to) })
}

func isBelow(e *Extent, to uint64) bool {
	_, n, ok := wal.ParseKey(e.Object)
	return ok && n < to
}

// joinOwed sorts extents and makes one of those that join. They lie nowhere.
func joinOwed(owed []Extent) (all []Extent) {
	slices.SortFunc(owed, func(a, b Extent) int { return cmp.Or(a.Shard.Compare(b.Shard), cmp.Compare(a.First, b.First)) })
	for i := range owed {
		e := &owed[i]
		if n := len(all); n > 0 && all[n-1].Shard == e.Shard && all[n-1].End() == e.First {
			last := &all[n-1]
			last.Epoch, last.MaxTime = max(last.Epoch, e.Epoch), max(last.MaxTime, e.MaxTime)
			last.Count, last.Bytes, last.Units, last.Hash = last.Count+e.Count, last.Bytes+e.Bytes, last.Units+e.Units, last.Hash+e.Hash
			continue
		}
		all = append(all, Extent{
			Shard: e.Shard, Epoch: e.Epoch, First: e.First, Count: e.Count, MinTime: e.MinTime, MaxTime: e.MaxTime, Bytes: e.Bytes, Units: e.Units, Hash: e.Hash,
		})
	}
	return all
}
