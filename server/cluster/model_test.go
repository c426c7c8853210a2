// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"fmt"
	"testing"
)

// The model of sessions that share a shard: who may be suspected at any time, fenced, decided, closed; who takes, opens,
// releases; what a zombie may still do; and when a setting is in force. Every interleaving is searched in small worlds. Leadership is not in it: anybody may do a leader's step at any time, as two leaders would.
//
// What a step reads from the catalog and what it does with that later are two steps, with anything in between. Writing a
// record and acking it are one: the log's own model (shardstore/wal) takes that apart.

const (
	modelSessions = 3 // at most
	modelRecords  = 2 // at most
	nobody        = -1
)

// worlds are how much there is of everything. Settings and ownership are searched apart.
type worlds struct {
	sessions, records, epochs int
	settings                  bool
}

// Of a session in the catalog.
const (
	catNone = iota
	catLive
	catFencing
	catClosed // unclean
	catClean
)

// broken are rules taken away; the search must then find harm.
type broken struct {
	worlds
	noOutlast     bool // rule 13: a new owner does not wait for the read lease of the fenced
	noFence       bool // rule 10: the end is decided without a fence in the log
	takeOwned     bool // a shard that has an owner is taken
	forgetRelease bool // rule 15: a session opens again in an epoch that it has released
	skipFencing   bool // a setting is in force while a session that is being fenced does not know it
	learnEarly    bool // a session learns the settings before it is registered
}

type mSession struct {
	cat                        int8
	over                       bool // the process knows that the session is over
	table                      int8 // the epoch in which its table says that it owns the shard; 0: not
	read, readNext             int8 // what it read from the catalog, to open with
	open, next                 int8 // in the engine: the epoch, and the next offset
	inLog                      int8 // the epoch of the shard's records in the log that no RELEASE has ended
	fenced, decided, leaseOver bool
	drained                    bool // CLOSE is durable
	released                   int8 // an epoch
	learned, knows             bool
}

type mState struct {
	s          [modelSessions]mSession
	owner      int8
	epoch      int8
	next       int8 // where the index and the closings say that the shard ends
	acked      [modelRecords + 1]int8
	ackedEpoch int8 // the highest epoch that has acked
	changing   bool // a setting is on its way
	inForce    bool
}

// harm returns what went wrong in a step from a state.
type harm string

type step struct {
	name string
	to   mState
	harm harm
}

// steps lists all that can happen in a state.
func (b broken) steps(st mState) (all []step) {
	add := func(name string, i int, h harm, change func(*mState, *mSession)) {
		to := st
		change(&to, &to.s[i])
		all = append(all, step{fmt.Sprintf("%s %d", name, i), to, h})
	}
	for i := range b.sessions {
		b.own(st, i, add)
		b.others(st, i, add)
	}
	if b.settings && !st.changing {
		add("change a setting", 0, "", func(to *mState, _ *mSession) { to.changing = true })
	}
	if st.changing && !st.inForce && b.allKnow(st) {
		add("put it in force", 0, "", func(to *mState, _ *mSession) { to.inForce = true })
	}
	return all
}

func (b broken) allKnow(st mState) bool {
	for _, s := range st.s {
		if (s.cat == catLive || s.cat == catFencing && !b.skipFencing) && !s.knows {
			return false
		}
	}
	return true
}

type adder func(name string, i int, h harm, change func(*mState, *mSession))

// own are the steps of a session's own process, zombie or not.
func (b broken) own(st mState, i int, add adder) {
	s := st.s[i]
	if s.cat == catNone {
		add("register", i, "", func(_ *mState, s *mSession) { s.cat = catLive })
		if !b.learnEarly {
			return
		}
	}
	if s.over {
		return
	}
	if !s.learned || s.knows != st.changing {
		if s.cat != catNone || b.learnEarly && !s.learned {
			add("learn", i, "", func(to *mState, s *mSession) { s.learned, s.knows = true, to.changing })
		}
	}
	if s.cat == catNone || !s.learned {
		return
	}
	b.owning(st, i, add)
	if s.open > 0 {
		b.serving(st, i, add)
	}
}

// owning are taking and opening.
func (b broken) owning(st mState, i int, add adder) {
	s := st.s[i]
	if s.cat == catLive && int(st.epoch) < b.epochs && (st.owner == nobody || b.takeOwned && int(st.owner) != i) {
		add("take", i, "", func(to *mState, _ *mSession) { to.owner, to.epoch = int8(i), to.epoch+1 })
	}
	table := int8(0)
	if int(st.owner) == i {
		table = st.epoch
	}
	if table != s.table {
		add("look", i, "", func(_ *mState, s *mSession) { s.table = table })
	}
	mine := int(st.owner) == i && st.epoch == s.table
	if s.table > 0 && s.open != s.table && s.read != s.table && mine && (s.released < s.table || b.forgetRelease) && (b.outlasted(st) || b.noOutlast) {
		add("read the shard", i, "", func(to *mState, s *mSession) { s.read, s.readNext = s.table, to.next })
	}
	if s.read > s.open && !s.drained {
		add("open", i, "", func(_ *mState, s *mSession) { s.open, s.next, s.inLog, s.read = s.read, s.readNext, s.read, 0 })
	}
	if s.released > 0 && int(st.owner) == i && st.epoch == s.released && int(st.epoch) < b.epochs && s.cat == catLive {
		for j := range st.s {
			if j != i && st.s[j].cat == catLive {
				add(fmt.Sprintf("hand over to %d from", j), i, "", func(to *mState, _ *mSession) { to.owner, to.epoch = int8(j), to.epoch+1 })
			}
		}
	}
}

// outlasted tells whether nobody who was fenced serves reads any more.
func (b broken) outlasted(st mState) bool {
	for _, s := range st.s {
		if s.cat == catClosed && !s.leaseOver {
			return false
		}
	}
	return true
}

// serving are the steps of a session that has the shard open.
func (b broken) serving(st mState, i int, add adder) {
	s := st.s[i]
	switch {
	case s.fenced:
		add("meet the fence", i, "", func(_ *mState, s *mSession) { s.over, s.open = true, 0 })
	case int(s.next) < b.records:
		h := harm("")
		if st.acked[s.next] != 0 {
			h = "an offset has two values (I1, I2)"
		}
		if st.ackedEpoch > s.open {
			h = "an earlier epoch acks after a later one (I12)"
		}
		if st.inForce && !s.knows {
			h = "a record is acked without a setting that is in force"
		}
		add("ack", i, h, func(to *mState, s *mSession) {
			to.acked[s.next], to.ackedEpoch = int8(i+1), max(to.ackedEpoch, s.open)
			s.next++
		})
	}
	if !s.leaseOver && st.ackedEpoch > s.open {
		add("serve a read", i, "a read is served after the successor's first ack (I13)", func(*mState, *mSession) {})
	}
	if !s.fenced {
		add("release", i, "", func(to *mState, s *mSession) {
			to.next = max(to.next, s.next) // packed and registered before
			s.released, s.open, s.inLog = s.open, 0, 0
		})
		add("drain", i, "", func(_ *mState, s *mSession) { s.open, s.drained, s.over = 0, true, true })
	}
}

// others are the steps that anybody may do to a session, at any time and many times.
func (b broken) others(st mState, i int, add adder) {
	s := st.s[i]
	shut := func(to *mState, s *mSession, cat int8) {
		s.cat = cat
		if s.inLog > 0 {
			to.next = max(to.next, s.next)
		}
		if int(to.owner) == i {
			to.owner = nobody
		}
	}
	switch s.cat {
	case catLive:
		add("suspect", i, "", func(_ *mState, s *mSession) { s.cat = catFencing })
		if s.drained {
			add("close in order", i, "", func(to *mState, s *mSession) { shut(to, s, catClean) })
		}
	case catFencing:
		if !s.fenced && !b.noFence {
			add("fence", i, "", func(_ *mState, s *mSession) { s.fenced = true })
		}
		if (s.fenced || b.noFence) && !s.decided {
			add("decide", i, "", func(_ *mState, s *mSession) { s.decided = true })
		}
		if s.decided {
			add("close", i, "", func(to *mState, s *mSession) { shut(to, s, catClosed) })
		}
	}
	if (s.fenced || b.noFence && s.decided) && !s.leaseOver {
		add("the lease runs out", i, "", func(_ *mState, s *mSession) { s.leaseOver = true })
	}
}

// search visits every state that can be reached, and returns the way to the first harm.
func (b broken) search(limit int) (states int, way []string, found harm) {
	type edge struct {
		from mState
		name string
	}
	start := mState{owner: nobody}
	for i := range b.sessions {
		if !b.settings {
			start.s[i].cat, start.s[i].learned = catLive, true
		}
	}
	came := map[mState]edge{start: {}}
	queue := []mState{start}
	for len(queue) > 0 {
		st := queue[0]
		queue = queue[1:]
		for _, next := range b.steps(st) {
			if next.harm != "" {
				way = []string{next.name}
				for at := st; at != start; at = came[at].from {
					way = append([]string{came[at].name}, way...)
				}
				return len(came), way, next.harm
			}
			if _, seen := came[next.to]; !seen {
				came[next.to] = edge{st, next.name}
				queue = append(queue, next.to)
			}
		}
		if len(came) > limit {
			return len(came), nil, "too many states"
		}
	}
	return len(came), nil, ""
}

func TestModelOfSessions(t *testing.T) {
	t.Parallel()
	const most = 1_500_000
	chain := worlds{sessions: 3, records: 1, epochs: 3} // the successor dies too
	back := worlds{sessions: 2, records: 2, epochs: 4}  // shards go and come back
	setting := worlds{sessions: 2, records: 1, epochs: 2, settings: true}
	for _, w := range []worlds{chain, back, setting} {
		states, way, found := broken{worlds: w}.search(most)
		if found != "" {
			t.Fatalf("%+v: %s, by: %v (%d states)", w, found, way, states)
		}
		t.Logf("%+v: %d states", w, states)
	}
	for name, b := range map[string]broken{
		"no outlast":     {worlds: back, noOutlast: true},
		"no fence":       {worlds: back, noFence: true},
		"take owned":     {worlds: back, takeOwned: true},
		"forget release": {worlds: back, forgetRelease: true},
		"skip fencing":   {worlds: setting, skipFencing: true},
		"learn early":    {worlds: setting, learnEarly: true},
	} {
		states, way, found := b.search(most)
		if way == nil {
			t.Errorf("%s: no harm was found in %d states (%s)", name, states, found)
			continue
		}
		t.Logf("%s: %s after %d states, by %v", name, found, states, way)
	}
}
