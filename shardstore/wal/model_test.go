// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package wal_test

import (
	"fmt"
	"testing"
)

// The session log as a model: one owner (3 segments, 2 tries each, answers lost and late, trims and deletions), two
// recoverers, every interleaving. Rules 1, 2, 3, 6, 8, 10 and the compare-and-swap of rule 11; I4 and I6.

const (
	modelSegments   = 3
	modelPlaces     = modelSegments + 2
	modelRecoverers = 2
)

const ( // what stands at a place
	slotEmpty = iota
	slotData
	slotFence
)

const ( // a session's state in the catalog
	sessionLive = iota
	sessionFencing
	sessionClosed
)

const ( // a recoverer's phase
	phaseIdle = iota
	phaseScan
	phaseFenced
	phaseCommitted
	phaseRejected
)

type modelRecoverer struct{ phase, base, pos, fence uint8 }

type model struct {
	slot    [modelPlaces]uint8
	sent    [modelSegments]uint8 // PUTs on their way
	ok      [modelSegments]bool  // an answer 200 is on its way
	exists  [modelSegments]bool  // an answer 412 is on its way
	tries   [modelSegments]uint8
	durable [modelSegments]bool // to the owner's knowledge
	acked   [modelSegments]bool
	next    uint8
	stopped bool
	trim    uint8 // the catalog's
	ownTrim uint8 // what the owner believes
	session uint8
	final   uint8
	r       [modelRecoverers]modelRecoverer
	deletes uint8 // after recovery segments below may go
}

// modelRules are the rules that can be taken away.
type modelRules struct {
	inFlight  int
	prefixAck bool // 3: ack when all earlier segments are durable
	identity  bool // 2: a 412 is read back
	trimCAS   bool // 6: trims need a live session; a recoverer takes that away first
	keepFence bool // 8
	commitCAS bool // 11
}

func protocol(k int) modelRules {
	return modelRules{inFlight: k, prefixAck: true, identity: true, trimCAS: true, keepFence: true, commitCAS: true}
}

func TestModelOfTheProtocol(t *testing.T) {
	for _, k := range []int{2, 3} {
		t.Run(fmt.Sprintf("K=%d", k), func(t *testing.T) {
			if k == 3 && testing.Short() {
				t.Skip("a million and a half states")
			}
			rules := protocol(k)
			trace, states := explore(model{}, rules.next, lostAck)
			mustHold(t, trace, states, 1_000_000)
		})
	}
	for name, off := range map[string]func(*modelRules){
		"ack out of order (I3)":             func(r *modelRules) { r.prefixAck = false },
		"take a 412 for success":            func(r *modelRules) { r.identity = false },
		"trim without compare-and-swap":     func(r *modelRules) { r.trimCAS = false },
		"delete the fence (I6)":             func(r *modelRules) { r.keepFence = false },
		"commit without compare-and-swap":   func(r *modelRules) { r.commitCAS = false },
		"commit twice with many in flight ": func(r *modelRules) { r.commitCAS, r.inFlight = false, 3 },
	} {
		t.Run("without: "+name, func(t *testing.T) {
			rules := protocol(2)
			off(&rules)
			trace, _ := explore(model{}, rules.next, lostAck)
			mustFail(t, trace)
		})
	}
}

// lostAck is I4, and that nothing registered in a pack lies beyond the final.
func lostAck(s *model) string {
	if s.session != sessionClosed {
		return ""
	}
	for n := range uint8(modelSegments) {
		if s.acked[n] && n >= s.final {
			return fmt.Sprintf("segment %d was acked, the final is %d", n, s.final)
		}
	}
	if s.trim > s.final {
		return fmt.Sprintf("trimmed to %d, the final is %d", s.trim, s.final)
	}
	return ""
}

func (o modelRules) next(s model, to func(model, string)) {
	o.begin(s, to)
	for n := range uint8(modelSegments) {
		o.network(s, n, to)
		o.ack(s, n, to)
	}
	o.trimming(s, to)
	for x := range s.r {
		o.recover(s, x, to)
	}
}

// begin sends a new segment.
func (o modelRules) begin(s model, to func(model, string)) {
	inFlight := 0
	for n := range s.next {
		if !s.durable[n] {
			inFlight++
		}
	}
	if !s.stopped && s.next < modelSegments && inFlight < o.inFlight {
		n := s.next
		s.sent[n]++
		s.tries[n]++
		s.next++
		to(s, fmt.Sprintf("S puts %d", n))
	}
}

// network applies PUTs, loses and delivers answers, and lets the owner try again.
func (o modelRules) network(s model, n uint8, to func(model, string)) {
	if s.sent[n] > 0 {
		t := s
		t.sent[n]--
		if t.slot[n] == slotEmpty {
			t.slot[n], t.ok[n] = slotData, true
		} else {
			t.exists[n] = true
		}
		to(t, fmt.Sprintf("%d is applied", n))
	}
	if !s.stopped && n < s.next && !s.durable[n] && s.tries[n] < 2 {
		t := s
		t.sent[n]++
		t.tries[n]++
		to(t, fmt.Sprintf("S puts %d again", n))
	}
	if s.ok[n] {
		t := s
		t.ok[n] = false
		to(t, fmt.Sprintf("the answer to %d is lost", n))
		t.durable[n] = t.durable[n] || !t.stopped
		to(t, fmt.Sprintf("S hears 200 for %d", n))
	}
	if s.exists[n] {
		t := s
		t.exists[n] = false
		if !t.stopped && !t.durable[n] {
			ours := t.slot[n] == slotData || !o.identity
			t.durable[n], t.stopped = ours, !ours
		}
		to(t, fmt.Sprintf("S hears 412 for %d", n))
	}
}

func (o modelRules) ack(s model, n uint8, to func(model, string)) {
	if s.stopped || !s.durable[n] || s.acked[n] {
		return
	}
	for k := range n {
		if o.prefixAck && !s.durable[k] {
			return
		}
	}
	s.acked[n] = true
	to(s, fmt.Sprintf("S acks %d", n))
}

// trimming is the owner's packer, and deletion.
func (o modelRules) trimming(s model, to func(model, string)) {
	if !s.stopped && s.ownTrim < modelSegments && s.acked[s.ownTrim] && (!o.trimCAS || s.session == sessionLive) {
		t := s
		t.ownTrim++
		t.trim = max(t.trim, t.ownTrim)
		to(t, fmt.Sprintf("S trims to %d", t.ownTrim))
	}
	for n := range max(s.ownTrim, s.deletes) {
		if s.slot[n] == slotData {
			t := s
			t.slot[n] = slotEmpty
			to(t, fmt.Sprintf("%d is deleted", n))
		}
	}
	if !o.keepFence && s.session == sessionClosed && s.slot[s.final] == slotFence {
		s.slot[s.final] = slotEmpty
		to(s, "the fence is deleted")
	}
}

func (o modelRules) recover(s model, x int, to func(model, string)) {
	r := &s.r[x]
	switch r.phase {
	case phaseIdle:
		if s.session == sessionClosed {
			return
		}
		if o.trimCAS {
			s.session = sessionFencing
		}
		*r = modelRecoverer{phase: phaseScan, base: s.trim, pos: s.trim}
		to(s, fmt.Sprintf("R%d begins at %d", x, s.trim))
	case phaseScan:
		switch s.slot[r.pos] {
		case slotData:
			r.pos++
			to(s, fmt.Sprintf("R%d goes on to %d", x, r.pos))
		case slotFence:
			r.phase, r.fence = phaseFenced, r.pos
			to(s, fmt.Sprintf("R%d finds the fence at %d", x, r.pos))
		case slotEmpty:
			s.slot[r.pos] = slotFence
			r.phase, r.fence = phaseFenced, r.pos
			to(s, fmt.Sprintf("R%d fences at %d", x, r.pos))
		}
	case phaseFenced:
		if s.session == sessionClosed && o.commitCAS {
			r.phase = phaseRejected
			to(s, fmt.Sprintf("R%d is too late", x))
			return
		}
		s.session, s.final, s.deletes = sessionClosed, r.fence, r.fence
		r.phase = phaseCommitted
		to(s, fmt.Sprintf("R%d decides final %d", x, r.fence))
	}
}
