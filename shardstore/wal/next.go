// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package wal

import "time"

// next returns one action that is due at now; false when there is none. Writes go first, then what readers wait for:
// the medium works while the source publishes.
func (m *machine) next(now time.Time) (action, bool) {
	m.checkStall(now)
	if !m.over {
		for _, s := range m.slots {
			if a, ok := m.nextOf(now, s); ok {
				return a, true
			}
		}
		if m.mayTake(now) {
			return action{op: opTake, n: m.nextN()}, true
		}
	}
	if m.told < m.base {
		m.told++
		return action{op: opDurable, n: m.told - 1}, true
	}
	if !m.over && m.draining && m.pending == 0 && len(m.slots) == 0 {
		m.end(nil)
	}
	if a, ok := m.nextProbe(now); ok {
		return a, true
	}
	if m.over && !m.ended {
		m.ended = true
		return action{op: opEnd, err: m.reason}, true
	}
	return action{}, false
}

// nextOf returns what one segment needs.
func (m *machine) nextOf(now time.Time, s *slot) (action, bool) {
	switch {
	case s.durable:
	case reached(now, s.timeoutAt):
		s.timeoutAt, s.hedgeAt = time.Time{}, time.Time{}
		return action{op: opGiveUp, n: s.n}, true
	case reached(now, s.retryAt):
		s.retryAt = time.Time{}
		if s.unknowns >= 2 && !s.verified {
			s.verifying, s.timeoutAt = true, m.timeout(now, s.unknowns)
			return action{op: opVerify, n: s.n}, true
		}
		s.out++
		m.arm(s, now)
		return action{op: opSend, n: s.n}, true
	case reached(now, s.hedgeAt):
		s.hedgeAt = time.Time{}
		s.out++
		return action{op: opSend, n: s.n}, true
	}
	return action{}, false
}

// mayTake decides whether a segment is to be made of what is pending (rule 4).
func (m *machine) mayTake(now time.Time) bool {
	if m.pending == 0 || !m.roomy() {
		return false
	}
	if m.full() || m.draining {
		return true
	}
	if m.gathering(now) {
		return false
	}
	if len(m.slots) == 0 || reached(now, m.since.Add(m.p.Linger)) {
		m.due = true
	}
	return m.due && m.puts.ready(now)
}

// roomy tells whether one more segment may be in flight.
func (m *machine) roomy() bool {
	return m.inFlight() < m.p.InFlight && len(m.slots) < WindowSize
}

// wake returns when next will have something to do though no event comes; zero for never.
func (m *machine) wake(now time.Time) time.Time {
	var at time.Time
	sooner := func(t time.Time) {
		if !t.IsZero() && (at.IsZero() || t.Before(at)) {
			at = t
		}
	}
	if m.over {
		return at
	}
	sooner(m.stalledAt())
	sooner(m.probe.timeoutAt)
	for _, s := range m.slots {
		if !s.durable {
			sooner(s.timeoutAt)
			sooner(s.retryAt)
			sooner(s.hedgeAt)
		}
	}
	if m.pending > 0 && m.roomy() {
		if m.gathering(now) {
			sooner(m.gatherBy)
		} else if m.due {
			sooner(m.puts.readyAt(now))
		} else {
			sooner(m.since.Add(m.p.Linger))
		}
	}
	return at
}

// wakeBytes is how much must be pending for next to have something to do before wake; 0 when no amount is enough.
func (m *machine) wakeBytes() int {
	switch {
	case m.over || !m.roomy():
		return 0
	case m.pending == 0:
		return 1
	case m.pending < m.gather:
		return min(m.gather, m.p.SegmentTarget)
	default:
		return m.p.SegmentTarget
	}
}
