// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/leatstream/leat"
)

// hotCells is how many keys of a shard are watched. A key with more than 1/hotCells of the shard's load is among them
// (Metwally, Agrawal and El Abbadi: "Efficient Computation of Frequent and Top-k Elements in Data Streams", 2005).
const hotCells = 32

// Of a shard that takes many records a sample is counted: once hotWhole were counted since the last halving, one in hotSample stands for all of
// them.
const (
	hotWhole  = 2048
	hotSample = 16
)

// hotKeys is a Space-Saving sketch of the keys that load a shard most: a key that is not watched takes the place of the
// lightest one, and inherits its weight as its possible error. What is older counts half with each halving, as in a load
// map. Keys are told apart by their hash keys.
//
// It stands on the put path: a record that is not in the sample costs a random number, one that is a scan of 256 bytes, and it allocates nothing
// once the cells have room for the keys. It never waits: a record that comes while another is counted is not counted.
type hotKeys struct {
	sampled atomic.Bool
	mu      sync.Mutex
	counted int // since the last halving
	used    int
	seen    uint64 // weight of everything counted
	marks   [hotCells]uint64
	loads   [hotCells]uint64
	cells   [hotCells]hotCell
}

type hotCell struct {
	hash leat.HashKey
	key  []byte
	over uint64 // by how much its load may be too high
}

// add counts a record.
func (t *hotKeys) add(key string, h leat.HashKey, size int) {
	load := uint64(size) + recordWeight
	if t.sampled.Load() {
		if rand.Uint32()%hotSample != 0 {
			return
		}
		load *= hotSample
	}
	t.count(key, h, load)
}

func (t *hotKeys) count(key string, h leat.HashKey, load uint64) {
	if !t.mu.TryLock() {
		return
	}
	defer t.mu.Unlock()
	if t.counted++; t.counted == hotWhole {
		t.sampled.Store(true)
	}
	t.seen += load
	mark := h.Lo | 1
	at := slices.Index(t.marks[:t.used], mark)
	if at < 0 || t.cells[at].hash != h {
		at = t.place(key, h, mark)
	}
	t.loads[at] += load
}

// place gives a key a cell: a free one, or the lightest one's.
func (t *hotKeys) place(key string, h leat.HashKey, mark uint64) (at int) {
	if t.used < hotCells {
		at = t.used
		t.used++
	} else {
		for i, load := range t.loads {
			if load < t.loads[at] {
				at = i
			}
		}
	}
	c := &t.cells[at]
	t.marks[at] = mark
	*c = hotCell{hash: h, key: append(c.key[:0], key...), over: t.loads[at]}
	return at
}

// halve makes everything so far count half, n times.
func (t *hotKeys) halve(n int64) {
	by := min(n, 63)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counted = 0
	t.sampled.Store(false)
	t.seen >>= by
	for i := range t.used {
		t.loads[i] >>= by
		t.cells[i].over >>= by
	}
}

// HotKey is a partition key that loads its shard.
type HotKey struct {
	Shard leat.ShardKey
	Key   string
	Hash  leat.HashKey
	// Share of the shard's writes of about the last minute, 0 to 1, where a record weighs as many bytes as a shard takes
	// bytes for each record a second. It is at least Least, and at most Share.
	Share, Least float64
}

// top returns the n heaviest keys whose share is certain to be at least some part of the shard's load.
func (t *hotKeys) top(shard leat.ShardKey, n int, least float64) (all []HotKey) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range t.used {
		c := &t.cells[i]
		k := HotKey{
			Shard: shard, Key: string(c.key), Hash: c.hash,
			Share: float64(t.loads[i]) / float64(max(t.seen, 1)), Least: float64(t.loads[i]-c.over) / float64(max(t.seen, 1)),
		}
		if k.Least >= least && t.loads[i] > 0 {
			all = append(all, k)
		}
	}
	slices.SortFunc(all, func(a, b HotKey) int { return cmp.Or(cmp.Compare(b.Share, a.Share), cmp.Compare(a.Key, b.Key)) })
	return all[:min(n, len(all))]
}
