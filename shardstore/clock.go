// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package shardstore

import (
	"cmp"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/leatstream/leat"
)

// A wall clock may depart this far from the monotonic clock before puts stop (data-plane.md, rule 19).
const maxClockJump = time.Second

// holdAfterJump is for how long nothing expires after a jump ahead that no other clock confirmed.
const holdAfterJump = time.Hour

// ClockGuard says whether the wall clock is to be trusted. Slow corrections (NTP slewing) move the base along; a jump is believed only when the
// reference clock agrees. One guard MUST serve all sessions of a process: what it knows of the clock does not end with a session, and a jump
// between two of them is seen.
type ClockGuard struct {
	clock     leat.Clock
	reference func() (time.Time, error)
	log       *slog.Logger

	mu     sync.Mutex
	base   time.Time     // a reading whose monotonic part counts: it was this time when
	wall   time.Time     // a wall clock that is right showed this one
	bad    error         // what is wrong with the wall clock; nil: nothing that is known
	asking bool          // somebody asks the reference because of a jump
	next   time.Time     // when a jump is looked at again
	held   time.Time     // until when nothing expires, by the monotonic clock: after a jump ahead that nobody confirmed
	ahead  time.Duration // by how much the wall clock may be ahead until then
}

// NewClockGuard takes the wall clock for right until it jumps, or until Ask. The reference is another clock, the database's or the bucket's, nil
// where there is none, as on a laptop that slept. It MUST return within some seconds.
func NewClockGuard(c leat.Clock, reference func() (time.Time, error), log *slog.Logger) *ClockGuard {
	g := &ClockGuard{clock: c, reference: reference, log: log}
	g.believe(c.Now())
	return g
}

// Wrong says why the wall clock is not to be trusted now; nil: it is. Housekeeping asks it too, so that the base of an idle node moves along with
// slow corrections.
func (g *ClockGuard) Wrong() error {
	_, err := g.now()
	return err
}

// HoldsExpiry tells whether nothing may be taken for expired now: the wall clock is not to be trusted, or has jumped ahead of late and
// nobody said that it is right.
func (g *ClockGuard) HoldsExpiry() bool {
	now, err := g.now()
	return err != nil || g.holds(now)
}

// Ask compares the wall clock with the reference though it may not have jumped: a process may have begun with a clock that was wrong. It refuses
// one that cannot be compared.
func (g *ClockGuard) Ask() error {
	if g.reference == nil {
		return nil
	}
	_, err := g.ask()
	return err
}

// now is a reading of the wall clock that is to be trusted, or why there is none. At most one caller at a time asks the reference; the others are
// refused meanwhile.
func (g *ClockGuard) now() (time.Time, error) {
	now := g.clock.Now()
	g.mu.Lock()
	if g.judge(now) {
		g.mu.Unlock()
		return now, nil
	}
	if g.bad != nil && now.Before(g.next) || g.asking {
		defer g.mu.Unlock()
		return now, cmp.Or(g.bad, errJumped())
	}
	g.asking = true
	g.mu.Unlock()
	return g.ask()
}

// holds tells whether nothing may expire, because the wall clock jumped ahead and nobody said that it is right. Whoever sets it right within the
// time has lost nothing.
func (g *ClockGuard) holds(now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return now.Before(g.held)
}

// errJumped refuses what needs the time while it is not known how wrong the wall clock is.
func errJumped() error {
	return &leat.Error{Kind: leat.KindUnavailable, Message: "this node's clock has jumped and its records would have wrong times: set the clock right", After: maxClockJump}
}

func errOff(off time.Duration) error {
	return &leat.Error{
		Kind: leat.KindUnavailable, After: maxClockJump,
		Message: fmt.Sprintf("this node's clock is wrong by %v beside the database's: set it right (NTP), records would have wrong times", off.Round(time.Millisecond)),
	}
}

// jump is by how much the wall clock is ahead of what the base says. mu is held.
func (g *ClockGuard) jump(now time.Time) time.Duration {
	return now.Round(0).Sub(g.wall) - now.Sub(g.base)
}

// believe makes a reading the base. mu is held.
func (g *ClockGuard) believe(now time.Time) { g.base, g.wall = now, now.Round(0) }

// judge compares a reading with the base; false for a jump that the reference has to judge. mu is held.
func (g *ClockGuard) judge(now time.Time) bool {
	jump := g.jump(now)
	switch {
	case jump.Abs() <= maxClockJump:
		if g.bad != nil {
			g.bad = nil
			g.log.Warn("the wall clock is right again: puts go on")
		}
		if now.Sub(g.base) > 10*time.Second && jump.Abs() < maxClockJump/4 {
			g.believe(now)
		}
		return true
	case g.reference == nil:
		g.log.Warn("the wall clock jumped; there is no other clock to ask, so it is believed: what expires by it is kept for another hour", "jump", jump)
		g.believe(now)
		g.hold(now, jump)
		return true
	}
	return false
}

// hold keeps everything from expiring for an hour after a jump ahead. A jump back ends that only where it undoes what has jumped ahead; another
// leaves the clock ahead. mu is held.
func (g *ClockGuard) hold(now time.Time, jump time.Duration) {
	if !now.Before(g.held) {
		g.ahead = 0
	}
	g.ahead = max(0, g.ahead+jump)
	switch {
	case jump > 0:
		g.held = now.Add(holdAfterJump)
	case g.ahead <= maxClockJump:
		g.held = now
	}
}

// ask does what Ask and now say of the reference.
func (g *ClockGuard) ask() (now time.Time, err error) {
	before := g.clock.Now()
	ref, err := g.reference()
	now = g.clock.Now()
	// The reference was read at some time between the two. How much passed is told by the monotonic clock: the other may jump meanwhile.
	off := max(now.Round(0).Sub(ref)-now.Sub(before), ref.Sub(now.Round(0)))
	g.mu.Lock()
	defer g.mu.Unlock()
	g.asking, g.next = false, now.Add(maxClockJump)
	jump := g.jump(now)
	jumped := jump.Abs() > maxClockJump
	if err == nil && off <= maxClockJump {
		if jumped {
			g.log.Warn("the wall clock jumped and the reference clock agrees with it: puts go on", "jump", jump)
		}
		g.believe(now)
		g.bad = nil
		return now, nil
	}
	if err != nil && !jumped {
		return now, &leat.Error{Kind: leat.KindUnavailable, Message: "the reference clock, which is to say whether this node's is right, does not answer", Err: err, After: maxClockJump}
	}
	if !jumped { // then the base was wrong: from here on it is what the reference says
		g.base, g.wall = now, ref
	}
	if g.bad == nil {
		g.log.Error("the wall clock is wrong: puts are refused until it is right again", "jump", jump, "off", off, "reference_error", err)
	}
	if g.bad = cmp.Or(g.bad, errJumped()); err == nil {
		g.bad = errOff(off)
	}
	return now, g.bad
}
