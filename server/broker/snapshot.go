// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"maps"
	"slices"
	"sort"
	"time"

	"github.com/leatstream/leat"
)

// streamView is one stream and its shards at one version. It is never changed once it is in a snapshot.
type streamView struct {
	leat.Stream
	shards   []leat.Shard     // by ordinal
	starts   []leat.HashKey   // of the open shards, in order
	open     []int            // their indexes in shards
	flows    []flowOf         // theirs, once they are used
	children map[uint64][]int // by parent's ordinal
}

func newStreamView(s leat.Stream, shards []leat.Shard) *streamView {
	v := &streamView{Stream: s, shards: shards, children: map[uint64][]int{}}
	slices.SortFunc(v.shards, func(a, b leat.Shard) int { return a.Key.Compare(b.Key) })
	for i := range v.shards {
		sh := &v.shards[i]
		if sh.Open() {
			v.open = append(v.open, i)
		}
		for _, parent := range []*uint64{sh.Parent, sh.AdjacentParent} {
			if parent != nil {
				v.children[*parent] = append(v.children[*parent], i)
			}
		}
	}
	slices.SortFunc(v.open, func(a, b int) int { return v.shards[a].Range.Start.Compare(v.shards[b].Range.Start) })
	v.starts, v.flows = make([]leat.HashKey, len(v.open)), make([]flowOf, len(v.open))
	for i, at := range v.open {
		v.starts[i] = v.shards[at].Range.Start
	}
	return v
}

// route finds the open shard whose range holds a hash key.
func (v *streamView) route(h leat.HashKey) (ordinal uint64, ok bool) {
	at, ok := v.at(h)
	if !ok {
		return 0, false
	}
	return v.shards[v.open[at]].Key.Ordinal, true
}

// at is route that returns the shard's place in open.
func (v *streamView) at(h leat.HashKey) (at int, ok bool) {
	after := sort.Search(len(v.starts), func(i int) bool { return v.starts[i].Compare(h) > 0 })
	if after == 0 {
		return 0, false
	}
	return after - 1, v.shards[v.open[after-1]].Range.Contains(h)
}

// shard returns nil when the stream has no such shard.
func (v *streamView) shard(ordinal uint64) *leat.Shard {
	at := sort.Search(len(v.shards), func(i int) bool { return v.shards[i].Key.Ordinal >= ordinal })
	if at == len(v.shards) || v.shards[at].Key.Ordinal != ordinal {
		return nil
	}
	return &v.shards[at]
}

// childrenOf returns the shards that a split or merge of a shard made.
func (v *streamView) childrenOf(ordinal uint64) []leat.Shard {
	var out []leat.Shard
	for _, at := range v.children[ordinal] {
		out = append(out, v.shards[at])
	}
	return out
}

// descends tells whether a shard is another one or comes from it. Ancestors that retention has removed count as such:
// an unknown lower ordinal can be nothing else. Each ancestor is looked at once: splits and merges in turn make twice as many
// ways to one each time.
func (v *streamView) descends(ordinal, from uint64) bool {
	seen := map[uint64]bool{}
	for look := []uint64{ordinal}; len(look) > 0; {
		ordinal, look = look[len(look)-1], look[:len(look)-1]
		if ordinal == from {
			return true
		}
		if from > ordinal || seen[ordinal] {
			continue
		}
		seen[ordinal] = true
		s := v.shard(ordinal)
		if s == nil {
			if v.shard(from) == nil {
				return true
			}
			continue
		}
		for _, parent := range []*uint64{s.Parent, s.AdjacentParent} {
			if parent != nil {
				look = append(look, *parent)
			}
		}
	}
	return false
}

// removed tells whether a shard that the stream does not have was there once: others come from it. A child that has not
// come yet has none.
func (v *streamView) removed(ordinal uint64) bool {
	return slices.ContainsFunc(v.shards, func(s leat.Shard) bool { return v.descends(s.Key.Ordinal, ordinal) })
}

// serves tells whether the stream takes reads and writes: not while it is made or removed.
func (v *streamView) serves() bool {
	return v.Status == leat.StreamActive || v.Status == leat.StreamUpdating
}

// horizon is the time before which records have expired, in microseconds since 1970: retention counts from now, and
// what had expired before it was raised stays so.
func (v *streamView) horizon(now time.Time) int64 {
	kept := leat.Micros(now.Add(-v.Retention))
	if v.ExpiredBefore.IsZero() {
		return kept
	}
	return max(kept, leat.Micros(v.ExpiredBefore))
}

// expired is the time before which a reader is not given records any more. By a wrong clock everything may seem to have expired, and a reader
// that was told so would not come back: then what expired by right clocks is passed over alone.
func (b *Broker) expired(v *streamView) int64 {
	now := b.clock.Now() // read first: by a clock that jumps in between nothing has expired
	if !b.control.HoldsExpiry() {
		return v.horizon(now)
	}
	if v.ExpiredBefore.IsZero() {
		return 0
	}
	return leat.Micros(v.ExpiredBefore)
}

// streamName is the key by which callers name a stream.
type streamName struct{ account, name string }

// snapshot is every stream at one moment. It is never changed once others can see it.
type snapshot struct {
	byName map[streamName]*streamView
	byID   map[leat.StreamID]*streamView
}

func newSnapshot() *snapshot {
	return &snapshot{byName: map[streamName]*streamView{}, byID: map[leat.StreamID]*streamView{}}
}

func (s *snapshot) clone() *snapshot {
	return &snapshot{byName: maps.Clone(s.byName), byID: maps.Clone(s.byID)}
}

// set replaces the stream of a name, or removes it when v is nil.
func (s *snapshot) set(key streamName, v *streamView) {
	if old := s.byName[key]; old != nil {
		delete(s.byID, old.ID)
		delete(s.byName, key)
	}
	if v != nil {
		s.byName[key], s.byID[v.ID] = v, v
	}
}
