// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package journal_test

import (
	"fmt"
	"testing"
)

// The state machine of the package comment, without I/O: three writers, of which one is about to delete objects, a
// database that loses transactions at any point and is set back to a backup once, and a bucket in which writes land late.
// Every order of events is tried.

const (
	writers = 3
	deleter = 2 // writes a mark and its proof, then deletes
	places  = 8
)

// phase is how far a writer's transaction is.
type phase uint8

const (
	idle   phase = iota
	begun        // it holds the row of n
	looked       // and has seen that entry n+1 does not stand
	sent         // the entry is on its way
	stands       // the writer knows that its entry stands
	over         // nothing more is done: it was told an outcome, or died
)

// world is everything; it is comparable, so that the search knows where it was.
type world struct {
	log     [places + 2]uint8 // the writer + 1 whose entry stands at a number
	n       uint8             // the catalog's
	lock    uint8             // the writer + 1 whose transaction is open
	w       [writers]writer
	flying  [writers]uint8 // the number of an entry that is on its way
	told    [writers]bool  // as done
	refused [writers]bool  // as certainly not done
	marks   uint8          // entries of the deleter that are committed
	deleted bool
	unnamed bool  // the catalog does not name the objects any more; that is no journaled change
	saved   uint8 // n of the backup + 1
	named   bool  // by the backup
	set     bool  // back to the backup
	ended   bool  // the catalog is refused
}

type writer struct {
	phase phase
	at    uint8 // the number of its entry
}

// mutation is a rule left out.
type mutation string

const (
	correct     mutation = ""
	skipTaken   mutation = "an entry that stands is skipped, not caught up with"
	overwrite   mutation = "entries are not written if absent"
	noLook      mutation = "no look for an entry before the write, and a taken one passes for ours"
	noProof     mutation = "objects are deleted after the mark alone"
	noAsking    mutation = "the mark is written without asking whether the objects are still unnamed"
	noRefusal   mutation = "a catalog that misses two entries is caught up with"
	commitFirst mutation = "callers are told before the entry stands"
)

// next yields every world that may follow.
func (m mutation) next(s world, yield func(string, world)) {
	if s.ended {
		return
	}
	for i := range uint8(writers) {
		m.step(s, i, yield)
	}
	for i, at := range s.flying {
		if at > 0 {
			o := s
			o.flying[i] = 0
			if o.log[at] == 0 || m == overwrite {
				o.log[at] = uint8(i) + 1
			}
			yield(fmt.Sprintf("%d lands at %d", i, at), o)
		}
	}
	if s.saved == 0 {
		o := s
		o.saved, o.named = s.n+1, !s.unnamed
		yield("backup", o)
	} else if !s.set {
		o := s
		o.n, o.lock, o.unnamed, o.set = s.saved-1, 0, !s.named, true
		yield("restore", o)
	}
	if s.lock == 0 && s.log[s.n+1] != 0 && s.n < places {
		o := s
		if s.log[s.n+2] != 0 && m != noRefusal {
			o.ended = true
			yield("refuse", o)
		} else {
			o.n++
			yield("catch up", o)
		}
	}
	if !s.unnamed && s.marks == 0 {
		o := s
		o.unnamed = true
		yield("stop naming", o)
	}
	if s.marks > 0 && !s.deleted && (s.marks > 1 || m == noProof) && s.w[deleter].phase == idle {
		o := s
		o.deleted = true
		yield("delete", o)
	}
}

// step is what writer i may do.
func (m mutation) step(s world, i uint8, yield func(string, world)) {
	w := s.w[i]
	mine := s.lock == i+1
	act := func(what string, change func(o *world, w *writer)) {
		o := s
		change(&o, &o.w[i])
		yield(fmt.Sprintf("%d %s", i, what), o)
	}
	if mine { // the connection may break at any point; the writer learns of it later, or never
		act("loses its transaction", func(o *world, _ *writer) { o.lock = 0 })
	}
	switch w.phase {
	case idle:
		asks := i != deleter || s.unnamed || m == noAsking // each of its transactions looks whether that is still so
		if asks && s.lock == 0 && !s.told[i] && !s.refused[i] && s.n < places-1 {
			act("begins", func(o *world, w *writer) { o.lock, *w = i+1, writer{begun, s.n + 1} })
		}
	case begun:
		if s.log[w.at] != 0 && m != noLook {
			act("is behind", func(o *world, w *writer) { o.drop(i); m.taken(o, w) })
			break
		}
		act("looks", func(_ *world, w *writer) { w.phase = looked })
		act("gets no answer", func(o *world, w *writer) { o.drop(i); w.phase = over; o.refused[i] = true })
	case looked:
		act("sends", func(o *world, w *writer) { w.phase = sent; o.flying[i] = w.at })
		if m == commitFirst {
			act("tells", func(o *world, w *writer) { w.phase = sent; o.flying[i] = w.at; o.told[i] = true })
		}
	case sent:
		switch {
		case s.flying[i] != 0: // no answer yet: it may give up
			act("gives up", func(o *world, w *writer) { o.drop(i); w.phase = over })
		case s.log[w.at] == i+1 || m == noLook:
			act("knows", func(_ *world, w *writer) { w.phase = stands })
		default:
			act("is too late", func(o *world, w *writer) { o.drop(i); m.taken(o, w) })
		}
	case stands:
		if !mine { // COMMIT fails
			act("dies", func(_ *world, w *writer) { w.phase = over })
			break
		}
		act("commits", func(o *world, w *writer) { m.commit(o, i, w) })
		act("commits, and the answer is lost", func(o *world, w *writer) { m.commit(o, i, w); o.told[i] = s.told[i]; w.phase = over })
	}
}

// drop ends a writer's transaction, unless it is over and another holds the row.
func (s *world) drop(i uint8) {
	if s.lock == i+1 {
		s.lock = 0
	}
}

// taken begins again after another's entry was found, with the one after it in the mutation.
func (m mutation) taken(s *world, w *writer) {
	*w = writer{}
	if m == skipTaken {
		s.n++
	}
}

func (m mutation) commit(s *world, i uint8, w *writer) {
	s.n, s.lock = w.at, 0
	*w = writer{}
	if i != deleter {
		s.told[i] = true
		return
	}
	if s.marks++; s.marks > 1 {
		s.told[i] = true
	}
}

// wrong says which promise a world breaks.
func (s *world) wrong() string {
	in := func(i int, upTo uint8) bool {
		for at := uint8(1); at <= upTo; at++ {
			if s.log[at] == uint8(i)+1 {
				return true
			}
		}
		return false
	}
	for i := range writers {
		if s.told[i] && !in(i, places) {
			return fmt.Sprintf("%d was told as done and is in no entry", i)
		}
		if s.refused[i] && i != deleter && in(i, places) {
			return fmt.Sprintf("%d was told as certainly not done and is in an entry", i)
		}
	}
	if s.n > 0 && s.log[s.n] == 0 {
		return "the catalog is ahead of the journal"
	}
	if !s.set && s.ended {
		return "a catalog that was never set back is refused"
	}
	if s.lock == 0 && !s.ended && s.log[s.n+1] == 0 { // up to date: it would serve
		for i := range writers {
			if s.told[i] && !in(i, s.n) {
				return fmt.Sprintf("a catalog serves without %d, which was told as done", i)
			}
		}
		if s.deleted && !s.unnamed {
			return "a catalog serves that names what was deleted"
		}
	}
	return ""
}

// search tries every order of events and returns the first broken promise, with the way to it.
func (m mutation) search(limit int) (worlds int, wrong string) {
	type from struct {
		world
		event string
	}
	came := map[world]from{{}: {}}
	queue := []world{{}}
	for len(queue) > 0 && wrong == "" && len(came) < limit {
		s := queue[0]
		queue = queue[1:]
		m.next(s, func(event string, o world) {
			if _, seen := came[o]; seen || wrong != "" {
				return
			}
			came[o] = from{s, event}
			queue = append(queue, o)
			if bad := o.wrong(); bad != "" {
				wrong = bad
				for at := o; at != (world{}); at = came[at].world {
					wrong = came[at].event + "; " + wrong
				}
			}
		})
	}
	return len(came), wrong
}

func TestModel(t *testing.T) {
	const limit = 3_000_000
	worlds, wrong := correct.search(limit)
	if wrong != "" {
		t.Fatal(wrong)
	}
	if worlds < 10_000 || worlds == limit {
		t.Errorf("%d worlds were tried", worlds)
	}
	t.Logf("%d worlds", worlds)
}

// Each rule is needed: without it a promise is broken within a few steps.
func TestModelFindsMutations(t *testing.T) {
	for _, m := range []mutation{skipTaken, overwrite, noLook, noProof, noAsking, noRefusal, commitFirst} {
		t.Run(string(m), func(t *testing.T) {
			worlds, wrong := m.search(3_000_000)
			if wrong == "" {
				t.Fatalf("nothing went wrong in %d worlds", worlds)
			}
			t.Logf("after %d worlds: %s", worlds, wrong)
		})
	}
}
