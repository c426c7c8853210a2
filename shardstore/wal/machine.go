// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package wal

import (
	"fmt"
	"time"
)

// machine decides what a Writer does. It has no clock, no goroutine and does no I/O: events go in through its methods,
// next gives out actions one at a time until nothing is to be done before wake. It is not safe for concurrent use.
type machine struct {
	p      Params
	jitter func() float64 // in [0, 1)
	puts   bucket

	slots    []*slot // taken and not below base; slots[i].n == base+i
	base     uint64  // the lowest segment that is not durable
	told     uint64  // segments below it were given out as durable
	pending  int     // bytes that the source has and that are not taken
	since    time.Time
	due      bool // what is pending is to be sent as soon as slot and token allow
	gather   int  // with nothing in flight, wait until so much is pending; 0: do not
	gatherBy time.Time
	draining bool

	progress time.Time // when base last moved, or a segment was taken with none before it
	leased   time.Time // start of what the lease is counted from; zero for nothing yet
	probe    probe
	lastErr  error // of the newest unknown, for ErrStalled

	over   bool
	reason error // nil: drained
	ended  bool  // the end was given out
}

// slot is a segment that was taken.
type slot struct {
	n       uint64
	size    int       // bytes that were pending for it, about
	first   time.Time // start of the first try
	durable bool

	out       int // tries whose answer has not come
	verifying bool
	unknowns  int       // in a row
	verified  bool      // found absent since the last unknown: send without looking again
	retryAt   time.Time // when to go on; zero while an answer is awaited
	timeoutAt time.Time // when to give up what is under way; zero for never
	hedgeAt   time.Time // when to send a twin; zero for never
}

// op is what an action asks for.
type op uint8

const (
	opTake        op = iota + 1 // Source.Take(n), then taken; encode and send at once
	opSend                      // another try of n
	opVerify                    // read the header at n back
	opGiveUp                    // cancel what is under way for n
	opProbe                     // read the header at n back, for the lease
	opGiveUpProbe               // cancel that
	opProbed                    // tell those who wait for the probe
	opDurable                   // Source.Durable(n)
	opEnd                       // the session is over
)

type action struct {
	op  op
	n   uint64
	err error // of opProbed and opEnd
}

func newMachine(p Params, jitter func() float64, now time.Time) *machine {
	return &machine{p: p, jitter: jitter, puts: newBucket(p.PutsPerSecond, p.Burst, now)}
}

// nextN is the number of the next segment to be taken.
func (m *machine) nextN() uint64 { return m.base + uint64(len(m.slots)) }

// notify says how many bytes the source has that are not taken.
func (m *machine) notify(now time.Time, pending int) {
	if m.pending == 0 && pending > 0 {
		m.since = now
	}
	if pending == 0 {
		m.due = false
	}
	m.pending = pending
}

// taken answers opTake: segment n exists, its first try begins now, and the source has that much left.
func (m *machine) taken(now time.Time, left int) {
	if len(m.slots) == 0 {
		m.progress = now
	}
	if !m.full() && !m.draining {
		m.puts.take(now)
	}
	s := &slot{n: m.nextN(), size: m.pending - left, first: now, out: 1}
	m.arm(s, now)
	m.slots = append(m.slots, s)
	m.pending, m.due, m.since = left, false, now
	m.gather, m.gatherBy = 0, time.Time{}
}

// arm sets the deadlines of a try that begins now.
func (m *machine) arm(s *slot, now time.Time) {
	s.timeoutAt = m.timeout(now, s.unknowns)
	if m.p.HedgeAfter > 0 {
		s.hedgeAt = now.Add(m.p.HedgeAfter)
	}
}

// timeout is when to give up what begins now, after so many unknowns.
func (m *machine) timeout(now time.Time, unknowns int) time.Time {
	if m.p.AttemptTimeout == 0 {
		return time.Time{}
	}
	return now.Add(min(m.p.AttemptTimeout<<min(unknowns, 10), m.p.AttemptTimeoutMax))
}

// answer is how one try of segment n ended. Answers to segments that are durable by now say nothing new: a late twin of
// one that was trimmed since may even be told that it is fenced.
func (m *machine) answer(now time.Time, n uint64, r outcome, err error) {
	s := m.slot(n)
	if m.over || s == nil || s.durable {
		return
	}
	s.out--
	switch r {
	case durable:
		m.becomes(now, s)
	case fenced:
		m.end(fmt.Errorf("segment %d: %w", n, err))
	case failed:
		m.end(fmt.Errorf("segment %d: %w", n, err))
	case unknown:
		m.lastErr = err
		if s.out == 0 {
			s.verified = false
			m.again(now, s)
		}
	}
}

// again plans the next step of a segment after an unknown.
func (m *machine) again(now time.Time, s *slot) {
	d := m.p.RetryMin << min(s.unknowns, 20)
	if d > m.p.RetryMax || d <= 0 {
		d = m.p.RetryMax
	}
	s.unknowns++
	s.timeoutAt, s.hedgeAt = time.Time{}, time.Time{}
	s.retryAt = now.Add(d/2 + time.Duration(m.jitter()*float64(d/2)))
}

// verifiedAs is what opVerify found at segment n.
func (m *machine) verifiedAs(now time.Time, n uint64, state State, err error) {
	s := m.slot(n)
	if m.over || s == nil || s.durable {
		return
	}
	s.verifying, s.timeoutAt = false, time.Time{}
	switch {
	case err != nil:
		// Sending again is as good as looking again: a 412 is read back in any case.
		m.lastErr = err
		s.verified = true
		m.again(now, s)
	case state == StateOurs:
		m.becomes(now, s)
	case state == StateAbsent:
		s.verified = true
		s.retryAt = now
	default:
		m.end(fmt.Errorf("%w: something else stands at segment %d", ErrFenced, n))
	}
}

// becomes makes a segment durable and moves base over all that are.
func (m *machine) becomes(now time.Time, s *slot) {
	s.durable = true
	m.gatherAfter(now, s)
	for len(m.slots) > 0 && m.slots[0].durable {
		m.lease(m.slots[0].first)
		m.slots = m.slots[1:]
		m.base++
		m.progress = now
	}
	if m.pending > 0 && m.gather == 0 {
		m.due = true // a slot is free
	}
}

// Commits of more bytes than this are worth what they cost by themselves, and the medium should not wait.
const gatherMost = 256 << 10

// gatherAfter plans to wait for those who are told now that their records are durable: most of them come again at once.
// Of callers that wait for their acks one half gathers while the other half is written; without that, a commit takes the
// few that were quick, and so many small commits cost more than the records in them. It waits no longer than the commit
// took, so that a record which is alone after all waits for one commit at most, as behind any other.
func (m *machine) gatherAfter(now time.Time, s *slot) {
	if m.p.Gather == 0 || len(m.slots) != 1 || s.size > gatherMost || m.pending >= s.size {
		return
	}
	m.gather, m.gatherBy = (s.size+m.pending+1)/2, now.Add(min(m.p.Gather, now.Sub(s.first)))
}

// gathering tells whether what is pending still waits for more of its kind.
func (m *machine) gathering(now time.Time) bool {
	return m.pending < m.gather && now.Before(m.gatherBy)
}

// lease counts the lease from t, unless from later already.
func (m *machine) lease(t time.Time) {
	if t.After(m.leased) {
		m.leased = t
	}
}

func (m *machine) slot(n uint64) *slot {
	if n < m.base || n >= m.nextN() {
		return nil
	}
	return m.slots[n-m.base]
}

// inFlight counts the segments that are not durable.
func (m *machine) inFlight() int {
	k := 0
	for _, s := range m.slots {
		if !s.durable {
			k++
		}
	}
	return k
}

// full tells whether what is pending makes a whole segment.
func (m *machine) full() bool { return m.pending >= m.p.SegmentTarget }

// drain sends what is pending without waiting for more, and ends when everything is durable.
func (m *machine) drain() { m.draining = true }

// end makes the session over. What is durable with all earlier ones is still told: it lies below any fence.
func (m *machine) end(reason error) {
	if !m.over {
		m.over, m.reason = true, reason
	}
}

// stalledAt is when the session ends without progress; zero while nothing is in flight.
func (m *machine) stalledAt() time.Time {
	if len(m.slots) == 0 {
		return time.Time{}
	}
	return m.progress.Add(m.p.StallAfter)
}

func (m *machine) checkStall(now time.Time) {
	if at := m.stalledAt(); !m.over && reached(now, at) {
		err := fmt.Errorf("%w for %v: segment %d is not durable", ErrStalled, m.p.StallAfter, m.base)
		if m.lastErr != nil {
			err = fmt.Errorf("%w: %w", err, m.lastErr)
		}
		m.end(err)
	}
}

// reached tells whether a deadline is set and not in the future.
func reached(now, at time.Time) bool { return !at.IsZero() && !now.Before(at) }
