// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore"
)

// flows are the counts of the shards that were used lately on this node.
type flows struct {
	clock leat.Clock
	step  time.Duration

	mu    sync.RWMutex
	byKey map[leat.ShardKey]*flow
	gone  map[leat.StreamID]Counts // of flows that were forgotten, so that a stream's sums do not fall
}

// flowOf remembers the flow of an open shard for as long as a view lives.
type flowOf struct{ atomic.Pointer[flow] }

func newFlows(clock leat.Clock, step time.Duration) *flows {
	return &flows{clock: clock, step: step, byKey: map[leat.ShardKey]*flow{}, gone: map[leat.StreamID]Counts{}}
}

// now is the step under way.
func (f *flows) now() int64 { return f.clock.Now().UnixNano() / int64(f.step) }

// routed notes where in its shard's range a record falls, and its key. at is the shard's place among the open ones.
func (f *flows) routed(v *streamView, at int, h leat.HashKey, r *leat.Record) {
	known := v.flows[at].Load()
	if known == nil || known.dead.Load() {
		known = f.of(&v.shards[v.open[at]])
		v.flows[at].Store(known)
	}
	size := r.Size()
	known.load.add(h, size)
	known.hot.add(r.PartitionKey, h, size)
}

// of returns the flow of a shard and begins one where there is none.
func (f *flows) of(s *leat.Shard) *flow {
	if known := f.find(s.Key); known != nil {
		return known
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	known := f.byKey[s.Key]
	if known == nil {
		now := f.clock.Now()
		known = newFlow(s.Range, now, now.UnixNano()/int64(f.step))
		f.byKey[s.Key] = known
	}
	return known
}

// find returns the flow of a shard; nil where nothing was counted lately.
func (f *flows) find(k leat.ShardKey) *flow {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.byKey[k]
}

// tally gathers the outcomes of one shard's records in a call.
type tally struct {
	key                       leat.ShardKey
	records, bytes, throttled uint64
}

// wrote counts the outcomes of a call; refused is why all of it was, nil when it was not. What may have been written
// is not counted, nor what a fault has refused.
func (f *flows) wrote(v *streamView, puts []Put, refused error) {
	throttled := tooMuch(refused)
	if refused != nil && !throttled {
		return
	}
	step := f.now()
	// Tallies of one call, by the low bits of the ordinal: two shards in one place push each other out.
	var tallies [32]tally
	for i := range puts {
		p := &puts[i]
		t := &tallies[p.Shard.Ordinal%uint64(len(tallies))]
		if t.key != p.Shard {
			f.settle(v, t, step)
			*t = tally{key: p.Shard}
		}
		switch {
		case throttled || tooMuch(p.Err):
			t.throttled++
		case p.Err == nil:
			t.records++
			t.bytes += uint64(p.Record.Size())
		}
	}
	for i := range tallies {
		f.settle(v, &tallies[i], step)
	}
}

// tooMuch tells whether an error says that too much was put: more than the shard's limits, or than the node can hold.
func tooMuch(err error) bool {
	return err != nil && (leat.KindOf(err) == leat.KindThroughputExceeded || errors.Is(err, shardstore.ErrOverloaded))
}

func (f *flows) settle(v *streamView, t *tally, step int64) {
	if t.records == 0 && t.throttled == 0 {
		return
	}
	known := f.find(t.key)
	if known == nil {
		// A shard that the caller's view does not know yet, the child of one that it knows, is not counted this once.
		if s := v.shard(t.key.Ordinal); s != nil {
			known = f.of(s)
		}
	}
	if known == nil {
		return
	}
	s := known.slot(step)
	known.add(s, recordsIn, t.records)
	known.add(s, bytesIn, t.bytes)
	known.add(s, throttledWrites, t.throttled)
}

// read counts records that a reader got, and how far behind that left it.
func (f *flows) read(v *streamView, k leat.ShardKey, records, bytes int, behind time.Duration) {
	if sh := v.shard(k.Ordinal); sh != nil {
		known := f.of(sh)
		s := known.slot(f.now())
		known.add(s, recordsOut, uint64(records))
		known.add(s, bytesOut, uint64(bytes))
		known.fellBehind(s, behind)
	}
}

// throttledRead counts a read that the shard's limits refused.
func (f *flows) throttledRead(v *streamView, k leat.ShardKey) {
	if sh := v.shard(k.Ordinal); sh != nil {
		known := f.of(sh)
		known.add(known.slot(f.now()), throttledReads, 1)
	}
}

// forget drops the flows of shards that are gone, and of those that have counted nothing for the longest window, but
// for the open shards of monitored streams: their series go on. A call that holds such a flow at this very moment is
// not counted.
func (f *flows) forget(d *Directory) {
	if !d.Loaded() {
		return
	}
	snap, now := d.snap.Load(), f.now()
	f.mu.Lock()
	defer f.mu.Unlock()
	for k, known := range f.byKey {
		v := snap.byID[k.Stream]
		var s *leat.Shard
		if v != nil {
			s = v.shard(k.Ordinal)
		}
		if s != nil && (now-known.used.Load() <= longSteps || s.Open() && len(v.Monitoring) > 0) {
			continue
		}
		known.dead.Store(true)
		delete(f.byKey, k)
		if v != nil {
			f.gone[k.Stream] = f.gone[k.Stream].plus(known.counts())
		}
	}
	for id := range f.gone {
		if snap.byID[id] == nil {
			delete(f.gone, id)
		}
	}
}
