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

// clockGuard refuses puts while the wall clock is not to be trusted. Slow corrections (NTP slewing) move the base along;
// a jump is believed only when the reference clock agrees.
type clockGuard struct {
	clock     leat.Clock
	reference func() (time.Time, error)
	log       *slog.Logger

	mu   sync.Mutex
	base time.Time // wall and monotonic reading that agreed
	bad  bool
	next time.Time // when a jump is looked at again
}

func newClockGuard(c leat.Clock, reference func() (time.Time, error), log *slog.Logger) *clockGuard {
	return &clockGuard{clock: c, reference: reference, log: log, base: c.Now()}
}

// check returns nil when puts may go on.
func (g *clockGuard) check() error {
	now := g.clock.Now()
	g.mu.Lock()
	defer g.mu.Unlock()
	elapsed := now.Sub(g.base)
	jump := now.Round(0).Sub(g.base.Round(0)) - elapsed
	if jump.Abs() <= maxClockJump {
		if g.bad {
			g.bad = false
			g.log.Warn("the wall clock is right again: puts go on")
		}
		if elapsed > 10*time.Second && jump.Abs() < maxClockJump/4 {
			g.base = now
		}
		return nil
	}
	return g.jumped(now, jump)
}

// jumped decides about a departure of more than a second. mu is held.
func (g *clockGuard) jumped(now time.Time, jump time.Duration) error {
	if g.reference == nil {
		g.log.Warn("the wall clock jumped; there is no other clock to ask, so it is believed", "jump", jump)
		g.base = now
		return nil
	}
	if !g.bad || now.Sub(g.next) >= 0 {
		g.next = now.Add(maxClockJump)
		ref, err := g.reference()
		if err == nil && now.Sub(ref).Abs() <= maxClockJump {
			g.log.Warn("the wall clock jumped and the reference clock agrees with it: puts go on", "jump", jump)
			g.base, g.bad = now, false
			return nil
		}
		if !g.bad {
			g.log.Error("the wall clock jumped: puts are refused until it is right again", "jump", jump, "reference_error", err)
		}
		g.bad = true
	}
	return &leat.Error{Kind: leat.KindUnavailable, Message: "this node's clock has jumped and its records would have wrong times: set the clock right", After: maxClockJump}
}
