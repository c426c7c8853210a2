// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package shardstore

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore/segment"
	"github.com/leatstream/leat/shardstore/wal"
)

// shard is one shard of a live session. The sequencer's lock (Store.mu) guards the fields of the first group; mu guards
// the second. Where both are needed Store.mu is taken first.
type shard struct {
	key    leat.ShardKey
	epoch  uint64
	became atomic.Pointer[Reshard] // what closed it, once that is durable and this session did it

	// Under Store.mu: where the next record goes.
	next      uint64         // offset of the next record
	clock     int64          // time of the last record given an offset
	open      *segment.Chunk // of the pending batch, nil when it has none of ours
	openIn    *batch         // the batch that open belongs to
	closing   bool           // a RESHARD record is on its way or durable
	unopened  bool           // a child whose RESHARD record is not durable yet
	releasing bool           // Release prepares to give it up: no puts, no reshard

	// Under mu: what readers see.
	mu       sync.Mutex
	tail     []tailChunk   // visible chunks in memory, contiguous, up to visible
	logged   []Extent      // visible, in this session's segments and in no pack
	parked   []Extent      // in packs of this session that are not registered yet; they come before logged
	pending  []Pending     // in closed sessions' segments, not yet adopted; they come before parked
	extents  []Extent      // registered; meaningful only when loaded
	loaded   bool          // extents is what the index holds
	changes  uint64        // of the registered extents; a load that saw one of them begin again
	count    int           // of registered extents, or more; 0 only when the index has none
	oldest   int64         // MaxTime of the first registered extent; 0 when not known
	horizon  uint64        // lowest offset that is kept
	visible  uint64        // offset after the newest visible record
	lastTime int64         // of the newest visible record
	closed   bool          // visible is the shard's end for ever
	gone     bool          // dropped: the shard is not owned here any more
	changed  chan struct{} // closed when visible, closed or gone change; nil when nobody waits
	fetched  []*window     // windows of this shard in the block cache, in order of first offset
	ahead    bool          // a read-ahead is on its way
	used     time.Time     // when the registered extents were last needed
	checked  int           // count when the merger last found nothing to join
	kept     int           // of the registered extents, that stayed where they were (keep.go); about
}

// tailChunk is a visible run of records in memory.
type tailChunk struct {
	*segment.Chunk
	n uint64 // its segment
}

// wake tells everyone who waits on the shard. mu is held.
func (sh *shard) wake() {
	if sh.changed != nil {
		close(sh.changed)
		sh.changed = nil
	}
}

// wait returns a channel that is closed at the next change. mu is held.
func (sh *shard) wait() <-chan struct{} {
	if sh.changed == nil {
		sh.changed = make(chan struct{})
	}
	return sh.changed
}

// memFirst is the lowest offset that memory holds. mu is held.
func (sh *shard) memFirst() uint64 {
	if len(sh.tail) == 0 {
		return sh.visible
	}
	return sh.tail[0].First
}

// publish makes a durable chunk visible; false when the shard was dropped meanwhile. mu is not held.
func (sh *shard) publish(c *segment.Chunk, n uint64, e Extent) bool {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.gone {
		return false
	}
	sh.tail = append(sh.tail, tailChunk{c, n})
	sh.logged = append(sh.logged, e)
	sh.visible, sh.lastTime = c.End(), c.MaxTime
	sh.wake()
	return true
}

// drop makes the shard go away for everyone who waits on it, and tells by how much the extents that the index does not
// have grew fewer, and which of them are in no pack.
func (sh *shard) drop() (unindexed int64, logged []Extent) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	unindexed, logged = int64(len(sh.logged)+len(sh.parked)), sh.logged
	sh.gone = true
	sh.pending, sh.tail, sh.logged, sh.parked = nil, nil, nil, nil
	sh.wake()
	return -unindexed, logged
}

// isGone tells whether the shard was dropped.
func (sh *shard) isGone() bool {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return sh.gone
}

// loggedBelow returns the shard's extents in this session's segments below to that are in no pack.
func (sh *shard) loggedBelow(to uint64) []Extent {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return slices.Clone(sh.logged[:belowSegment(sh.logged, to)])
}

// park takes the records of segments below to, which are in a pack now, and returns the change in the number of extents
// that the index does not have.
func (sh *shard) park(to uint64, packed []Extent) (unindexed int64) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.gone {
		return 0
	}
	k := belowSegment(sh.logged, to)
	sh.logged = slices.Clone(sh.logged[k:])
	sh.parked = append(sh.parked, packed...)
	return int64(len(packed) - k)
}

// packed moves a pack's records to the index, where they are now, and returns what park does.
func (sh *shard) packed(registered []Extent) (unindexed int64) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.gone {
		return 0
	}
	sh.parked = slices.Clone(sh.parked[len(registered):])
	sh.registered(registered)
	return -int64(len(registered))
}

// registered adds extents that the index has now. mu is held.
func (sh *shard) registered(extents []Extent) {
	if len(extents) == 0 {
		return
	}
	if sh.count == 0 {
		sh.oldest = extents[0].MaxTime // otherwise there are older ones, known or not
	}
	sh.changes++
	sh.count += len(extents)
	sh.kept += countKept(extents)
	if !sh.loaded {
		return
	}
	// A load may have seen the transaction's extents already.
	end := sh.horizon
	if n := len(sh.extents); n > 0 {
		end = sh.extents[n-1].End()
	}
	for _, e := range extents {
		if e.First >= end {
			sh.extents = append(sh.extents, e)
		}
	}
	sh.count = len(sh.extents)
}

// belowSegment counts the leading extents that lie in segments below to.
func belowSegment(logged []Extent, to uint64) int {
	k := 0
	for k < len(logged) {
		_, n, ok := wal.ParseKey(logged[k].Object)
		if !ok || n >= to {
			break
		}
		k++
	}
	return k
}

// evict forgets the chunks of segments up to and including n. Chunks leave in the order they came, so that the rest
// stays contiguous.
func (sh *shard) evict(n uint64) (freed int64) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	k := 0
	for k < len(sh.tail) && sh.tail[k].n <= n {
		freed += int64(sh.tail[k].MemSize())
		k++
	}
	clear(sh.tail[:k])
	sh.tail = sh.tail[k:] // append copies what is left when the room behind it is used up
	if len(sh.tail) == 0 {
		sh.tail = nil
	}
	return freed
}

// tailAt finds the chunk in memory that holds offset from. mu is held, and memFirst ≤ from < visible.
func (sh *shard) tailAt(from uint64) int {
	i, _ := slices.BinarySearchFunc(sh.tail, from, func(c tailChunk, at uint64) int {
		return around(c.First, c.End(), at)
	})
	return i
}

// around compares a run [first, end) with an offset: 0 when it lies inside.
func around(first, end, at uint64) int {
	switch {
	case end <= at:
		return -1
	case first > at:
		return 1
	}
	return 0
}

// extentAt finds the extent that holds an offset in a sorted run.
func extentAt(run []Extent, at uint64) (Extent, bool) {
	i, ok := slices.BinarySearchFunc(run, at, func(e Extent, at uint64) int { return around(e.First, e.End(), at) })
	if !ok {
		return Extent{}, false
	}
	return run[i], true
}
