// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package shardstore

import (
	"log/slog"
	"sync"
	"time"

	"github.com/leatstream/leat"
)

// A wall clock may depart this far from the monotonic clock before puts stop (data-plane.md, rule 19).
const maxClockJump = time.Second

// holdAfterJump is for how long nothing expires after a jump ahead that no other clock confirmed.
const holdAfterJump = time.Hour

// clockGuard refuses puts while the wall clock is not to be trusted. Slow corrections (NTP slewing) move the base along;
// a jump is believed only when the reference clock agrees.
type clockGuard struct {
	clock     leat.Clock
	reference func() (time.Time, error)
	log       *slog.Logger

	mu     sync.Mutex
	base   time.Time // wall and monotonic reading that agreed
	bad    bool
	asking bool      // somebody asks the reference
	next   time.Time // when a jump is looked at again
	held   time.Time // until when nothing expires, by the monotonic clock: after a jump ahead that nobody confirmed
}

func newClockGuard(c leat.Clock, reference func() (time.Time, error), log *slog.Logger) *clockGuard {
	return &clockGuard{clock: c, reference: reference, log: log, base: c.Now()}
}

// holds tells whether nothing may expire, because the wall clock jumped ahead and nobody said that it is right. Whoever sets it right within the
// time has lost nothing.
func (g *clockGuard) holds() bool {
	now := g.clock.Now()
	g.mu.Lock()
	defer g.mu.Unlock()
	return now.Before(g.held)
}

// errClock refuses puts.
func errClock() error {
	return &leat.Error{Kind: leat.KindUnavailable, Message: "this node's clock has jumped and its records would have wrong times: set the clock right", After: maxClockJump}
}

// ClockWrong says why the wall clock is not to be trusted now; nil: it is.
func (s *Store) ClockWrong() error { return s.guard.check() }

// HoldsExpiry tells whether nothing may be taken for expired now: the wall clock is not to be trusted, or has jumped ahead of late and
// nobody said that it is right.
func (s *Store) HoldsExpiry() bool { return s.guard.check() != nil || s.guard.holds() }

// check returns nil when the wall clock is to be trusted. Housekeeping calls it too, so that the base of an idle node moves
// along with slow corrections. At most one caller at a time asks the reference; the others are refused
// meanwhile.
func (g *clockGuard) check() error {
	now := g.clock.Now()
	g.mu.Lock()
	jump, ok := g.judge(now)
	if ok {
		g.mu.Unlock()
		return nil
	}
	if g.bad && now.Before(g.next) || g.asking {
		g.mu.Unlock()
		return errClock()
	}
	g.asking = true
	g.mu.Unlock()
	ref, err := g.reference()
	return g.decide(jump, ref, err)
}

// judge compares the two readings of now with those of the base; false for a jump that the reference has to judge.
// mu is held.
func (g *clockGuard) judge(now time.Time) (jump time.Duration, ok bool) {
	elapsed := now.Sub(g.base)
	jump = now.Round(0).Sub(g.base.Round(0)) - elapsed
	switch {
	case jump.Abs() <= maxClockJump:
		if g.bad {
			g.bad = false
			g.log.Warn("the wall clock is right again: puts go on")
		}
		if elapsed > 10*time.Second && jump.Abs() < maxClockJump/4 {
			g.base = now
		}
		return jump, true
	case g.reference == nil:
		g.log.Warn("the wall clock jumped; there is no other clock to ask, so it is believed: what expires by it is kept for another hour", "jump", jump)
		g.base = now
		if g.held = now; jump > 0 {
			g.held = now.Add(holdAfterJump)
		}
		return jump, true
	}
	return jump, false
}

// decide ends the asking with what the reference said.
func (g *clockGuard) decide(jump time.Duration, ref time.Time, err error) error {
	now := g.clock.Now()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.asking, g.next = false, now.Add(maxClockJump)
	if err == nil && now.Sub(ref).Abs() <= maxClockJump {
		g.log.Warn("the wall clock jumped and the reference clock agrees with it: puts go on", "jump", jump)
		g.base, g.bad = now, false
		return nil
	}
	if !g.bad {
		g.log.Error("the wall clock jumped: puts are refused until it is right again", "jump", jump, "reference_error", err)
	}
	g.bad = true
	return errClock()
}
