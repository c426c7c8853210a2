// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package wal

import (
	"container/heap"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"
)

// The real machine against a scripted store, under a seeded scheduler: answers lost, writes late and doubled, errors,
// looks that fail, a fence in the middle, an owner that stands still for minutes. Asserted: I3, I4, I13, K, the window,
// the cap on segments that are not full, and that everything is durable in the end when nobody fences.

const simEnv = "LEAT_WAL_SEED"

func TestSimulation(t *testing.T) {
	if s := os.Getenv(simEnv); s != "" {
		seed, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		simulate(t, seed)
		return
	}
	runs := 4000
	if testing.Short() {
		runs = 400
	}
	base := uint64(time.Now().UnixNano())
	var sum simTotals
	for i := range uint64(runs) {
		sum.add(simulate(t, base+i))
		if t.Failed() {
			return
		}
	}
	t.Logf("seeds %d to %d: %+v", base, base+uint64(runs)-1, sum)
	if sum.Fenced == 0 || sum.Drained == 0 || sum.Stalled == 0 || sum.Verified == 0 || sum.Probed == 0 || sum.ReProbed == 0 {
		t.Errorf("some ways were never gone: %+v", sum)
	}
}

type simTotals struct{ Fenced, Drained, Stalled, Told, Verified, Probed, ReProbed int }

func (s *simTotals) add(o simTotals) {
	s.Fenced += o.Fenced
	s.Drained += o.Drained
	s.Stalled += o.Stalled
	s.Told += o.Told
	s.Verified += o.Verified
	s.Probed += o.Probed
	s.ReProbed += o.ReProbed
}

// world is one simulation: a store, an owner with the machine, and perhaps a successor.
type world struct {
	rng   *rand.Rand
	p     Params
	m     *machine
	seed  uint64
	now   time.Time
	queue events
	order int
	wake  time.Time // of the owner's timer that is set
	holds time.Time // until when the owner stands still

	slots   map[uint64]byte // 'd' data, 'f' fence
	sent    map[uint64]int  // tries that have to answer, by segment
	begun   map[uint64]bool
	round   map[uint64]int // raised when tries are given up
	pending int
	told    uint64
	takes   []time.Time // of segments that were not full
	faults  float64     // chance of anything going wrong
	mild    bool        // it was small from the beginning
	end     error
	ended   bool
	looking int // the probe's number, so that one given up is not answered twice

	fence   int64 // place, -1 before
	fenceAt time.Time
	total   simTotals
	failed  string
}

type event struct {
	at    time.Time
	order int
	owner bool // needs the owner, who may stand still
	f     func()
}

type events []event

func (e events) Len() int { return len(e) }
func (e events) Less(i, j int) bool {
	if !e[i].at.Equal(e[j].at) {
		return e[i].at.Before(e[j].at)
	}
	return e[i].order < e[j].order
}
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)   { *e = append(*e, x.(event)) }
func (e *events) Pop() any {
	x := (*e)[len(*e)-1]
	*e = (*e)[:len(*e)-1]
	return x
}

func simulate(t *testing.T, seed uint64) simTotals {
	t.Helper()
	w := newWorld(seed)
	w.script()
	for !w.ended && w.failed == "" {
		if len(w.queue) == 0 {
			w.fail("nothing will ever happen again: %+v", w.m)
			break
		}
		w.step()
	}
	w.judge()
	if w.failed != "" {
		t.Errorf("%s=%d: %s", simEnv, seed, w.failed)
	}
	return w.total
}

func newWorld(seed uint64) *world {
	w := &world{
		rng: rand.New(rand.NewPCG(seed, 1)), seed: seed, now: time.Unix(1e9, 0), fence: -1,
		slots: map[uint64]byte{}, sent: map[uint64]int{}, begun: map[uint64]bool{}, round: map[uint64]int{},
	}
	w.p = []Params{ObjectParams(), LatencyParams(), CostParams(), FileParams()}[w.rng.IntN(4)]
	w.p.InFlight = 1 + w.rng.IntN(6)
	if w.rng.IntN(8) == 0 {
		w.p.InFlight = WindowSize
	}
	w.p.Lease = 1500 * time.Millisecond
	w.p.HedgeAfter *= time.Duration(w.rng.IntN(2))
	w.p.AttemptTimeout, w.p.AttemptTimeoutMax = 5*time.Second, 10*time.Second // an answer that is lost never comes
	w.faults = []float64{0, 0.02, 0.2, 0.5}[w.rng.IntN(4)]
	w.mild = w.faults < 0.1
	w.m = newMachine(w.p, w.rng.Float64, w.now)
	return w
}

// script lays out what comes from outside: appends, reads that probe, a fence, a pause, and the drain.
func (w *world) script() {
	for range 1 + w.rng.IntN(60) {
		size := 1 + w.rng.IntN(1<<uint(1+w.rng.IntN(23)))
		w.at(w.upTo(5*time.Second), true, func() { w.pending += size })
	}
	for range w.rng.IntN(20) {
		w.at(w.upTo(8*time.Second), true, func() { w.m.wantProbe() })
	}
	switch w.rng.IntN(3) {
	case 0:
		w.at(w.upTo(6*time.Second), false, func() { w.scan(0) })
	case 1:
		w.at(w.upTo(6*time.Second), false, func() { w.scan(0) })
		w.at(w.upTo(6*time.Second), false, func() { w.holds = w.now.Add(w.upTo(20 * time.Minute)) })
	}
	if w.rng.IntN(10) == 0 {
		w.at(w.upTo(4*time.Second), false, func() { w.faults = 1 }) // the store goes away
	} else {
		w.at(20*time.Second, false, func() { w.faults = 0 })
	}
	w.at(9*time.Second, true, func() { w.m.drain() })
}

func (w *world) upTo(d time.Duration) time.Duration { return time.Duration(w.rng.Int64N(int64(d))) }

func (w *world) at(d time.Duration, owner bool, f func()) {
	w.order++
	heap.Push(&w.queue, event{w.now.Add(d), w.order, owner, f})
}

func (w *world) step() {
	e := heap.Pop(&w.queue).(event)
	if e.owner && e.at.Before(w.holds) {
		e.at = w.holds
		heap.Push(&w.queue, e)
		return
	}
	if e.at.After(w.now) {
		w.now = e.at
	}
	e.f()
	if e.owner {
		w.turn()
	}
	w.check()
}

// turn is what Writer.turn does.
func (w *world) turn() {
	for !w.ended {
		w.m.notify(w.now, w.pending)
		a, ok := w.m.next(w.now)
		if !ok {
			break
		}
		w.do(a)
	}
	if at := w.m.wake(w.now); !at.IsZero() && (w.wake.IsZero() || at.Before(w.wake) || !w.wake.After(w.now)) {
		w.wake = at
		w.at(max(at.Sub(w.now), 0), true, func() { w.wake = time.Time{} })
	}
	if at := w.m.wakeBytes(); at > 0 && w.pending >= at && !w.ended {
		w.fail("%d bytes pending, woken at %d: the writer would spin", w.pending, at)
	}
}

func (w *world) do(a action) {
	switch a.op {
	case opTake:
		w.take(a.n)
	case opSend:
		w.put(a.n)
	case opVerify:
		w.total.Verified++
		w.look(a.n, true, func(s State, err error) { w.m.verifiedAs(w.now, a.n, s, err) })
	case opGiveUp:
		w.giveUp(a.n)
	case opProbe:
		w.probe(a.n)
	case opGiveUpProbe:
		w.looking++
		w.m.probed(w.now, true, StateAbsent, errors.New("given up"))
	case opProbed:
		w.total.Probed++
	case opDurable:
		if a.n != w.told {
			w.fail("told %d durable, %d is next", a.n, w.told)
		}
		w.told++
	case opEnd:
		w.ended, w.end = true, a.err
	}
}

func (w *world) take(n uint64) {
	if w.pending == 0 || w.begun[n] || n > 0 && !w.begun[n-1] {
		w.fail("took %d with %d pending", n, w.pending)
	}
	if w.pending < w.p.SegmentTarget && !w.m.draining {
		w.takes = append(w.takes, w.now)
	}
	w.begun[n] = true
	w.pending -= min(w.pending, w.p.SegmentTarget)
	w.m.taken(w.now, w.pending)
	w.put(n)
}

// put sends a segment: it is applied at some time or never, and the answer comes at some time or never.
func (w *world) put(n uint64) {
	if !w.begun[n] {
		w.fail("sent %d before it was taken", n)
	}
	w.sent[n]++
	round := w.round[n]
	answer := func(d time.Duration, r outcome) {
		w.at(d, true, func() {
			if w.round[n] == round {
				w.sent[n]--
				w.m.answer(w.now, n, r, fmt.Errorf("outcome %d", r))
			}
		})
	}
	delay := w.upTo(60 * time.Millisecond)
	if w.rng.Float64() >= w.faults {
		w.at(delay, false, func() { answer(w.upTo(60*time.Millisecond), w.apply(n)) })
		return
	}
	switch w.rng.IntN(5) {
	case 0: // refused
		answer(delay, unknown)
	case 1: // applied, the answer is an error
		w.at(delay, false, func() { w.apply(n); answer(delay, unknown) })
	case 2: // applied, no answer
		w.at(delay, false, func() { w.apply(n) })
	case 3: // an error at once, applied late
		answer(delay, unknown)
		w.at(w.upTo(40*time.Second), false, func() { w.apply(n) })
	case 4: // slow
		w.at(w.upTo(8*time.Second), false, func() { answer(delay, w.apply(n)) })
	}
}

// apply is the store's conditional PUT, and the reading back of what stands there.
func (w *world) apply(n uint64) outcome {
	switch w.slots[n] {
	case 'f':
		return fenced
	case 0:
		if w.fence >= 0 && n < uint64(w.fence) {
			return fenced // recovered, packed and deleted: a fence was behind it
		}
		w.slots[n] = 'd'
	}
	return durable
}

func (w *world) giveUp(n uint64) {
	w.round[n]++
	for ; w.sent[n] > 0; w.sent[n]-- {
		w.at(0, true, func() { w.m.answer(w.now, n, unknown, errors.New("given up")) })
	}
	if s := w.m.slot(n); s != nil && s.verifying {
		w.at(0, true, func() { w.m.verifiedAs(w.now, n, StateAbsent, errors.New("given up")) })
	}
}

// look reads a header back, in time or not.
func (w *world) look(n uint64, named bool, f func(State, error)) {
	round := w.round[n]
	w.at(w.upTo(60*time.Millisecond), false, func() {
		s := map[byte]State{'f': StateForeign, 'd': StateOurs, 0: StateAbsent}[w.slots[n]]
		if s == StateOurs && !named {
			s = StateForeign
		}
		var err error
		if w.rng.Float64() < w.faults {
			err = errors.New("no answer")
		}
		w.at(w.upTo(3*time.Second), true, func() {
			if w.round[n] == round {
				f(s, err)
			}
		})
	})
}

func (w *world) probe(n uint64) {
	w.looking++
	id := w.looking
	named := w.begun[n] && w.rng.IntN(4) > 0 // or not encoded yet
	w.look(n, named, func(s State, err error) {
		if w.looking != id {
			return
		}
		if err == nil && s != StateAbsent && w.slots[n] == 'd' {
			w.total.ReProbed++
		}
		w.m.probed(w.now, named, s, err)
	})
}

// scan is the successor: it goes over what it finds and fences the first missing place; a quarter of an hour later
// everything before may be gone.
func (w *world) scan(n uint64) {
	if w.slots[n] == 'd' {
		w.at(w.upTo(30*time.Millisecond), false, func() { w.scan(n + 1) })
		return
	}
	w.slots[n] = 'f'
	w.fence, w.fenceAt = int64(n), w.now
	w.at(15*time.Minute, false, func() {
		for k := range n {
			delete(w.slots, k)
		}
	})
}

// check are the invariants after every event.
func (w *world) check() {
	if w.told > w.m.base {
		w.fail("I3: told %d durable of %d", w.told, w.m.base)
	}
	for n := range w.m.base {
		if w.slots[n] != 'd' && (w.fence < 0 || n >= uint64(w.fence)) {
			w.fail("I3: %d counts as durable and is not", n)
		}
	}
	if w.fence >= 0 && w.m.base > uint64(w.fence) {
		w.fail("I4: %d segments durable, the fence stands at %d", w.m.base, w.fence)
	}
	successor := w.fence >= 0 && !w.now.Before(w.fenceAt.Add(w.p.Lease))
	if successor && !w.m.leased.IsZero() && w.now.Before(w.m.leased.Add(w.p.Lease)) {
		w.fail("I13: leased until %v, the successor acks since %v", w.m.leased.Add(w.p.Lease), w.fenceAt.Add(w.p.Lease))
	}
	if k := w.m.inFlight(); k > w.p.InFlight || len(w.m.slots) > WindowSize {
		w.fail("%d in flight of %d, window %d", k, w.p.InFlight, len(w.m.slots))
	}
}

// judge looks at the end.
func (w *world) judge() {
	for i, from := range w.takes {
		for k, to := range w.takes[i:] {
			allowed := float64(w.p.Burst) + w.p.PutsPerSecond*to.Sub(from).Seconds() + 1e-6
			if w.p.PutsPerSecond > 0 && float64(k+1) > allowed {
				w.fail("%d segments that were not full in %v", k+1, to.Sub(from))
			}
		}
	}
	w.total.Told = int(w.told)
	switch {
	case w.failed != "":
	case w.end == nil:
		w.total.Drained++
		if w.pending > 0 || w.told != w.m.nextN() {
			w.fail("drained with %d pending and %d of %d durable", w.pending, w.told, w.m.nextN())
		}
	case errors.Is(w.end, ErrStalled):
		w.total.Stalled++
		if w.mild && w.faults < 1 && w.holds.IsZero() && w.fence < 0 {
			w.fail("stalled on a store that works: %v", w.end)
		}
	case w.fence < 0:
		w.fail("ended with %v, and nobody fenced", w.end)
	default:
		w.total.Fenced++
	}
}

func (w *world) fail(format string, args ...any) {
	if w.failed == "" {
		w.failed = fmt.Sprintf("at %v: %s", w.now.Sub(time.Unix(1e9, 0)), fmt.Sprintf(format, args...))
	}
}
