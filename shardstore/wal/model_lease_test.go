// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package wal_test

import (
	"fmt"
	"testing"
)

// The read lease as a model (rule 13, I13): an owner with two segments, the first tried twice, and one probe at a time;
// a successor that fences, waits L and acks. Time goes in ticks; every order of events within one is tried, and answers
// may be as late as they like.

const (
	leaseSegments = 2
	leaseLength   = 2 // L, in ticks
	leaseEnd      = 6 // the last tick
)

// leaseTries is how often a segment is sent.
var leaseTries = [leaseSegments]uint8{2, 1}

// never is a time that has not come. Real times begin at 1, so that 0 can be "not yet".
const never = 0

type leaseModel struct {
	now     uint8
	slot    [leaseSegments + 1]uint8
	sent    [leaseSegments]uint8 // PUTs on their way
	answer  [leaseSegments]bool  // an answer that says "ours" or 200 is on its way
	tries   [leaseSegments]uint8
	first   [leaseSegments]uint8 // when the first try began
	last    [leaseSegments]uint8 // when the newest try began
	durable [leaseSegments]bool
	next    uint8
	base    uint8 // the lowest segment that is not durable
	stopped bool

	probe  uint8 // when the probe on its way began
	probed uint8 // 0 not looked yet, 1 found missing, 2 found something
	leased uint8 // the lease is counted from here

	pos   uint8 // the successor's scan
	fence uint8 // when it fenced
	acked bool  // the successor has acked
	stale bool  // a read of S began after that
}

type leaseRules struct {
	lease      bool // reads need a lease at all
	wait       bool // the successor waits L after the fence
	fromFirst  bool // counted from the first try, not from the newest
	fromSend   bool // a probe counts from its beginning, not from its answer
	wholeFirst bool // only segments with all earlier ones durable count
	lowest     bool // the probe looks at the lowest segment that is not durable
}

var leaseProtocol = leaseRules{true, true, true, true, true, true}

func TestModelOfTheLease(t *testing.T) {
	trace, states := explore(leaseModel{now: 1}, leaseProtocol.next, staleRead)
	mustHold(t, trace, states, 100_000)
	for name, off := range map[string]func(*leaseRules){
		"no lease":                                 func(r *leaseRules) { r.lease = false },
		"the successor does not wait":              func(r *leaseRules) { r.wait = false },
		"counted from a later try":                 func(r *leaseRules) { r.fromFirst = false },
		"counted from the probe's answer":          func(r *leaseRules) { r.fromSend = false },
		"counted from a segment behind a gap":      func(r *leaseRules) { r.wholeFirst = false },
		"the probe looks beyond the first missing": func(r *leaseRules) { r.lowest = false },
	} {
		t.Run("without: "+name, func(t *testing.T) {
			rules := leaseProtocol
			off(&rules)
			trace, _ := explore(leaseModel{now: 1}, rules.next, staleRead)
			mustFail(t, trace)
		})
	}
}

// staleRead is I13.
func staleRead(s *leaseModel) string {
	if s.stale {
		return fmt.Sprintf("at tick %d a read of S begins after its successor's first ack", s.now)
	}
	return ""
}

func (o leaseRules) next(s leaseModel, to func(leaseModel, string)) {
	if s.stopped {
		return // it serves nothing any more
	}
	if s.now < leaseEnd {
		t := s
		t.now++
		to(t, fmt.Sprintf("tick %d", t.now))
	}
	for n := range uint8(leaseSegments) {
		o.put(s, n, to)
	}
	o.look(s, to)
	if s.acked && (!o.lease || s.leased != never && s.now < s.leased+leaseLength) {
		t := s
		t.stale = true
		to(t, "S serves a read")
	}
	for n := range uint8(leaseSegments) {
		o.deliver(s, n, to)
	}
	o.successor(s, to)
}

func (o leaseRules) put(s leaseModel, n uint8, to func(leaseModel, string)) {
	if n > s.next || s.durable[n] || s.tries[n] == leaseTries[n] {
		return
	}
	if n == s.next {
		s.next++
		s.first[n] = s.now
	}
	s.last[n] = s.now
	s.tries[n]++
	s.sent[n]++
	to(s, fmt.Sprintf("S puts %d", n))
}

// deliver applies a PUT, and brings or loses its answer. A 412 for our own bytes says durable, one for a fence stops S.
func (o leaseRules) deliver(s leaseModel, n uint8, to func(leaseModel, string)) {
	if s.sent[n] > 0 {
		t := s
		t.sent[n]--
		if t.slot[n] == slotEmpty {
			t.slot[n] = slotData
		}
		t.answer[n] = true // lost, if it never comes
		to(t, fmt.Sprintf("%d is applied", n))
	}
	if !s.answer[n] {
		return
	}
	s.answer[n] = false
	switch {
	case s.stopped || s.durable[n]:
	case s.slot[n] == slotFence:
		s.stopped = true
	default:
		s.durable[n], s.sent[n] = true, 0 // what is still on its way changes nothing
		o.extend(&s, n)
	}
	to(s, fmt.Sprintf("S hears of %d", n))
}

// extend counts the lease from a segment that became durable.
func (o leaseRules) extend(s *leaseModel, n uint8) {
	count := func(n uint8) {
		from := s.first[n]
		if !o.fromFirst {
			from = s.last[n]
		}
		s.leased = max(s.leased, from)
	}
	if !o.wholeFirst {
		count(n)
	}
	for s.base < leaseSegments && s.durable[s.base] {
		count(s.base)
		s.first[s.base], s.last[s.base] = never, never
		s.base++
	}
}

// look is the probe: sent, looked, heard.
func (o leaseRules) look(s leaseModel, to func(leaseModel, string)) {
	switch {
	case s.probe == never:
		s.probe, s.probed = s.now, 0
		to(s, "S probes")
	case s.probed == 0:
		at := s.base
		if !o.lowest {
			at = s.next
		}
		s.probed = 2
		if s.slot[at] == slotEmpty {
			s.probed = 1
		}
		to(s, fmt.Sprintf("the probe looks at %d", at))
	default:
		if s.probed == 1 {
			from := s.probe
			if !o.fromSend {
				from = s.now
			}
			s.leased = max(s.leased, from)
		}
		s.probe = never
		to(s, "S hears of the probe")
	}
}

func (o leaseRules) successor(s leaseModel, to func(leaseModel, string)) {
	switch {
	case s.fence == never && s.slot[s.pos] == slotData:
		s.pos++
		to(s, fmt.Sprintf("R goes on to %d", s.pos))
	case s.fence == never:
		s.slot[s.pos], s.fence = slotFence, s.now
		to(s, fmt.Sprintf("R fences at %d", s.pos))
	case !s.acked && (!o.wait || s.now >= s.fence+leaseLength):
		s.acked = true
		to(s, "R acks")
	}
}
