// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package wal_test

import (
	"fmt"
	"testing"
)

// The hand-over of one shard as a model (rule 15, with 11 and 12): three sessions, three records, any of them fenced and
// closed at any time though its process lives on, calls of the catalog that come late and twice, and answers of it that
// are old when they are used. I1, I2, I12, I13, and that the shard never waits for nobody. A session that dies is one that
// does nothing more: that is among the orders of events. The fence and the lease have models of their own; here a fenced
// session writes nothing and serves no read.

const (
	moveSessions = 3
	moveRecords  = 3
	moveEpochs   = 3
	moveDeaths   = 2
	nobody       = moveSessions
)

const ( // the shard in a session
	shardAbsent    = iota
	shardOpen      // takes puts
	shardReleasing // takes none
	shardPlaced    // RELEASE is on its way
	shardReleased  // RELEASE is durable
)

type moveSession struct {
	state    uint8 // in the catalog
	fenced   bool
	phase    uint8
	epoch    uint8
	next     uint8 // offset of the next put
	sent     bool  // a record is on its way: the last one given an offset
	from, to uint8 // durable in its log and not registered; once closed, the row (closed session, shard)
	over     uint8 // the last epoch that it released
	heard    uint8 // an answer of the catalog says that it owns this epoch
	begins   uint8 // and where the shard begins
	call     uint8 // FinishMove of this epoch is on its way, so often:
	calls    uint8
}

type moveModel struct {
	s      [moveSessions]moveSession
	owner  uint8 // the catalog's
	epoch  uint8
	next   uint8 // the end of the registered extents
	moving uint8
	wrote  [moveRecords]uint8 // the epoch that each offset's durable record is of
	twice  bool
	lost   bool
}

type moveRules struct {
	stopPuts  bool // puts end before the rest
	drain     bool // what is pending is durable before RELEASE
	pack      bool // and registered
	stopReads bool // reads end before RELEASE is durable
	remember  bool // a released epoch is not opened again
	keep      bool // nothing is given back once RELEASE is placed
	compare   bool // FinishMove is a compare-and-swap on owner and epoch
	anyway    bool // FinishMove ends the epoch though the move was called off
	callOff   bool // closing a session calls off what was to move to it
	durable   bool // FinishMove comes after RELEASE is durable
}

var moveProtocol = moveRules{true, true, true, true, true, true, true, true, true, true}

func TestModelOfMoves(t *testing.T) {
	first := moveModel{owner: 0, epoch: 1, moving: nobody}
	first.s[0].phase, first.s[0].epoch = shardOpen, 1
	trace, states := explore(first, moveProtocol.next, badMove(moveProtocol))
	mustHold(t, trace, states, 200_000)
	for name, off := range map[string]func(*moveRules){
		"puts go on meanwhile":                            func(r *moveRules) { r.stopPuts, r.drain = false, false },
		"RELEASE before what is pending":                  func(r *moveRules) { r.drain = false },
		"RELEASE before what is in the log is packed":     func(r *moveRules) { r.pack = false },
		"reads go on":                                     func(r *moveRules) { r.stopReads = false },
		"a late answer opens the released epoch":          func(r *moveRules) { r.remember = false },
		"the shard is given back after RELEASE":           func(r *moveRules) { r.keep = false },
		"FinishMove without compare-and-swap":             func(r *moveRules) { r.compare = false },
		"FinishMove refuses when the move was called off": func(r *moveRules) { r.anyway = false },
		"a move to a session that is over stays":          func(r *moveRules) { r.callOff = false },
	} {
		t.Run("without: "+name, func(t *testing.T) {
			rules := moveProtocol
			off(&rules)
			trace, _ := explore(first, rules.next, badMove(rules))
			mustFail(t, trace)
		})
	}
	// RELEASE's durability protects no record: all of them are in the index before. It lets the next owner begin without
	// waiting for the lease, and tells rebuild.
	t.Run("without: RELEASE is durable", func(t *testing.T) {
		rules := moveProtocol
		rules.durable = false
		trace, states := explore(first, rules.next, badMove(rules))
		mustHold(t, trace, states, 200_000)
	})
}

// badMove tells what is wrong with a state.
func badMove(o moveRules) func(*moveModel) string {
	return func(m *moveModel) string {
		records := m.records()
		switch {
		case m.twice:
			return "two durable records have one offset"
		case m.lost:
			return "an owner begins before the end of the durable records"
		case m.owner != nobody && m.s[m.owner].state == sessionClosed:
			return "a closed session owns the shard"
		case m.moving != nobody && m.s[m.moving].state == sessionClosed:
			return "the shard is to move to a closed session"
		}
		for i := range m.s {
			s := &m.s[i]
			reads := s.phase == shardOpen || s.phase == shardReleasing || !o.stopReads && s.phase >= shardPlaced
			if reads && !s.fenced && s.visible() < records {
				return fmt.Sprintf("%c serves a read that does not show a record", 'A'+i)
			}
			if s.phase == shardReleased && int(m.owner) == i && m.epoch == s.epoch && s.state == sessionLive {
				t := *m
				o.finish(&t, i, s.epoch)
				if t == *m {
					return "a released shard waits for ever"
				}
			}
		}
		return ""
	}
}

// records counts what is durable.
func (m *moveModel) records() (n uint8) {
	for n < moveRecords && m.wrote[n] > 0 {
		n++
	}
	return n
}

func (s *moveSession) visible() uint8 {
	if s.sent {
		return s.next - 1
	}
	return s.next
}

func (o moveRules) next(m moveModel, to func(moveModel, string)) {
	for i := range m.s {
		o.serve(m, i, to)
		o.release(m, i, to)
		o.catalog(m, i, to)
		o.end(m, i, to)
	}
}

// serve is puts and packs of a session.
func (o moveRules) serve(m moveModel, i int, to func(moveModel, string)) {
	name := 'A' + i
	s := &m.s[i]
	takes := s.phase == shardOpen || !o.stopPuts && s.phase >= shardReleasing && s.phase <= shardPlaced
	if takes && !s.sent && s.next < moveRecords {
		t := m
		t.s[i].next++
		t.s[i].sent = true
		to(t, fmt.Sprintf("%c takes a record at %d", name, s.next))
	}
	if s.sent && !s.fenced {
		t := m
		at := s.next - 1
		t.twice = t.twice || t.wrote[at] > 0
		t.wrote[at] = s.epoch
		t.s[i].sent, t.s[i].to = false, s.next
		to(t, fmt.Sprintf("%c's record %d is durable", name, at))
	}
	if s.state != sessionLive || int(m.owner) != i || m.epoch != s.epoch || s.phase == shardAbsent {
		return
	}
	if s.from < s.to && s.from == m.next {
		t := m
		t.next, t.s[i].from = s.to, s.to
		to(t, fmt.Sprintf("%c packs up to %d", name, s.to))
	}
	for j := range m.s {
		if d := &m.s[j]; d.state == sessionClosed && d.from < d.to && d.from == m.next {
			t := m
			t.next, t.s[j].from = d.to, d.to
			to(t, fmt.Sprintf("%c adopts what %c left", name, 'A'+j))
		}
	}
}

// release is what the engine does for rule 15.
func (o moveRules) release(m moveModel, i int, to func(moveModel, string)) {
	name := 'A' + i
	s := &m.s[i]
	step := func(phase uint8, act string) {
		t := m
		t.s[i].phase = phase
		if phase == shardPlaced {
			t.s[i].over = s.epoch
		}
		to(t, fmt.Sprintf("%c %s", name, act))
	}
	switch s.phase {
	case shardOpen:
		if int(m.owner) == i && m.epoch == s.epoch && m.moving != nobody {
			step(shardReleasing, "begins to release")
		}
	case shardReleasing:
		step(shardOpen, "gives the shard back")
		drained := !s.sent || !o.drain
		packed := s.from == s.to && m.next == s.visible() || !o.pack
		if drained && packed {
			step(shardPlaced, "places RELEASE")
		}
	case shardPlaced:
		if !s.fenced || !o.durable {
			step(shardReleased, "has RELEASE durable")
		}
	case shardReleased:
		if !o.keep {
			step(shardOpen, "gives the shard back after all")
		}
		if s.calls == 0 {
			t := m
			t.s[i].call, t.s[i].calls = s.epoch, 2
			to(t, fmt.Sprintf("%c calls FinishMove", name))
		}
	}
}

// catalog is calls of the catalog and their answers.
func (o moveRules) catalog(m moveModel, i int, to func(moveModel, string)) {
	name := 'A' + i
	s := &m.s[i]
	if s.calls > 0 {
		t := m
		t.s[i].calls--
		o.finish(&t, i, s.call)
		to(t, fmt.Sprintf("%c's FinishMove of epoch %d arrives", name, s.call))
	}
	if s.state == sessionLive && int(m.owner) == i {
		for j := range m.s {
			if j != i && m.moving == nobody && m.epoch < moveEpochs && m.s[j].state == sessionLive {
				t := m
				t.moving = uint8(j)
				to(t, fmt.Sprintf("the shard is to move from %c to %c", name, 'A'+j))
			}
		}
		if m.moving != nobody {
			t := m
			t.moving = nobody
			to(t, "the move is called off")
		}
		if m.epoch != s.heard && (m.epoch != s.epoch || s.phase >= shardPlaced) {
			t := m
			t.s[i].heard, t.s[i].begins = m.epoch, m.end()
			to(t, fmt.Sprintf("%c hears that it owns epoch %d", name, m.epoch))
		}
	}
	if s.state == sessionLive && m.owner == nobody && m.epoch < moveEpochs {
		t := m
		t.owner = uint8(i)
		t.epoch++
		to(t, fmt.Sprintf("%c takes the shard in epoch %d", name, t.epoch))
	}
	if s.heard > 0 {
		t := m
		o.open(&t, i)
		to(t, fmt.Sprintf("%c uses what it heard of epoch %d", name, s.heard))
	}
}

// end is where an owner begins: after the extents that are registered and those that closed sessions left.
func (m *moveModel) end() uint8 {
	end := m.next
	for range m.s {
		for j := range m.s {
			if d := &m.s[j]; d.state == sessionClosed && d.from <= end && end < d.to {
				end = d.to
			}
		}
	}
	return end
}

// open begins to serve what the session heard to own.
func (o moveRules) open(m *moveModel, i int) {
	s := &m.s[i]
	epoch, begins := s.heard, s.begins
	s.heard, s.begins = 0, 0
	known := s.phase != shardAbsent && s.phase < shardPlaced && s.epoch >= epoch
	if known || s.epoch > epoch || s.fenced || o.remember && s.over >= epoch {
		return
	}
	m.lost = m.lost || m.epoch == epoch && begins < m.records()
	s.phase, s.epoch, s.next, s.sent, s.from, s.to = shardOpen, epoch, begins, false, begins, begins
}

// finish is FinishMove in the catalog.
func (o moveRules) finish(m *moveModel, i int, epoch uint8) {
	same := int(m.owner) == i && m.epoch == epoch && m.s[i].state == sessionLive
	if o.compare && !same || !o.anyway && m.moving == nobody || m.epoch > moveEpochs {
		return
	}
	m.owner = nobody
	if m.moving != nobody && m.s[m.moving].state == sessionLive {
		m.owner = m.moving
	}
	m.epoch++
	m.moving = nobody
}

// end fences and closes a session.
func (o moveRules) end(m moveModel, i int, to func(moveModel, string)) {
	name := 'A' + i
	s := &m.s[i]
	switch {
	case s.state == sessionLive:
		over := 0
		for j := range m.s {
			if m.s[j].state != sessionLive {
				over++
			}
		}
		if over < moveDeaths {
			m.s[i].state = sessionFencing
			to(m, fmt.Sprintf("the fencing of %c begins", name))
		}
	case !s.fenced:
		m.s[i].fenced = true
		to(m, fmt.Sprintf("%c is fenced", name))
	case s.state == sessionFencing:
		m.s[i].state = sessionClosed
		m.s[i].sent, m.s[i].phase = false, shardAbsent
		if int(m.owner) == i {
			m.owner, m.moving = nobody, nobody
		}
		if int(m.moving) == i && o.callOff {
			m.moving = nobody
		}
		to(m, fmt.Sprintf("%c is closed", name))
	}
}
