// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/leatstream/leat"
)

// counter is one of the numbers that are counted of each shard.
type counter int

const (
	bytesIn counter = iota
	recordsIn
	bytesOut
	recordsOut
	throttledWrites
	throttledReads
	counters // how many there are
)

// The windows of rates, in steps of flows.step; a flow keeps slots for the longest and the step under way.
const (
	shortSteps  = 3
	middleSteps = 12
	longSteps   = 60
	flowSlots   = 64
)

// halveEvery is how many steps make what a load map has counted count half.
const halveEvery = 6

// flow counts what one shard takes and gives. Counting is a few atomic additions, takes no lock but at the turn of a
// step, and does not allocate. At that turn single counts may land in the step beside theirs.
type flow struct {
	born  time.Time
	total [counters]atomic.Uint64
	slots [flowSlots]flowSlot
	load  loadMap
	hot   hotKeys
	last  atomic.Int64 // nanoseconds: how far the last read was behind
	used  atomic.Int64 // the newest step in which anything was counted
	dead  atomic.Bool  // forgotten: another one counts

	turn   sync.Mutex // of a slot to a new step
	halved int64      // the step of the load map's last halving; with turn
}

// flowSlot is what was counted in one step.
type flowSlot struct {
	step   atomic.Int64
	n      [counters]atomic.Uint64
	behind atomic.Int64 // nanoseconds, and one: the most that a read was behind; 0: there was none
}

func newFlow(r leat.HashKeyRange, now time.Time, step int64) *flow {
	f := &flow{born: now, halved: step}
	f.load.init(r)
	f.used.Store(step)
	return f
}

// slot returns the slot of a step, emptied where it was an older step's.
func (f *flow) slot(step int64) *flowSlot {
	s := &f.slots[step%flowSlots]
	if s.step.Load() != step {
		f.begin(s, step)
	}
	return s
}

func (f *flow) begin(s *flowSlot, step int64) {
	f.turn.Lock()
	defer f.turn.Unlock()
	if s.step.Load() == step {
		return
	}
	for i := range s.n {
		s.n[i].Store(0)
	}
	s.behind.Store(0)
	s.step.Store(step)
	if step > f.used.Load() {
		f.used.Store(step)
	}
	if n := (step - f.halved) / halveEvery; n > 0 {
		f.load.halve(n)
		f.hot.halve(n)
		f.halved += n * halveEvery
	}
}

func (f *flow) add(s *flowSlot, c counter, n uint64) {
	if n == 0 {
		return
	}
	s.n[c].Add(n)
	f.total[c].Add(n)
}

// fellBehind counts how far a read was behind.
func (f *flow) fellBehind(s *flowSlot, behind time.Duration) {
	f.last.Store(int64(behind))
	for {
		most := s.behind.Load()
		if int64(behind) < most || s.behind.CompareAndSwap(most, int64(behind)+1) {
			return
		}
	}
}

// behind is the most that a read of about the last minute was behind, so that the slowest of several readers shows, whoever read
// last; where nobody has read since, what the last read was.
func (f *flow) behind(newest int64) time.Duration {
	most := int64(0)
	for i := range f.slots {
		s := &f.slots[i]
		if at := s.step.Load(); at >= newest-middleSteps && at <= newest {
			most = max(most, s.behind.Load())
		}
	}
	if most == 0 {
		return time.Duration(f.last.Load())
	}
	return time.Duration(most - 1)
}

// rate is the mean of the last steps, and of the one under way. A flow that is younger is measured from its birth on,
// over one step at least.
func (f *flow) rate(now time.Time, step time.Duration, steps int64) Rate {
	newest := now.UnixNano() / int64(step)
	oldest := newest - steps
	span := min(now.Sub(time.Unix(0, oldest*int64(step))), max(now.Sub(f.born), step))
	var sum [counters]uint64
	for i := range f.slots {
		s := &f.slots[i]
		if at := s.step.Load(); at < oldest || at > newest {
			continue
		}
		for c := range sum {
			sum[c] += s.n[c].Load()
		}
	}
	per := func(c counter) float64 { return float64(sum[c]) / span.Seconds() }
	return Rate{
		BytesIn: per(bytesIn), RecordsIn: per(recordsIn), BytesOut: per(bytesOut), RecordsOut: per(recordsOut),
		ThrottledWrites: per(throttledWrites), ThrottledReads: per(throttledReads),
	}
}

func (f *flow) counts() Counts {
	n := func(c counter) uint64 { return f.total[c].Load() }
	return Counts{
		BytesIn: n(bytesIn), RecordsIn: n(recordsIn), BytesOut: n(bytesOut), RecordsOut: n(recordsOut),
		ThrottledWrites: n(throttledWrites), ThrottledReads: n(throttledReads),
	}
}
