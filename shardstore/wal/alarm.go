// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package wal

import (
	"time"

	"github.com/leatstream/leat"
)

// alarm is one timer that is set anew only when its time changes.
type alarm struct {
	clock  leat.Clock
	set    time.Time // zero: not set
	c      <-chan time.Time
	cancel func()
}

// at returns a channel that receives at t; nil for the zero time.
func (a *alarm) at(now, t time.Time) <-chan time.Time {
	if t.IsZero() {
		// A timer that is still set costs one turn without work, less than setting it again.
		return a.c
	}
	if !a.set.IsZero() && !t.Before(a.set) {
		return a.c // rings early, and is set again then
	}
	a.stop()
	a.c, a.cancel = a.clock.NewTimer(max(t.Sub(now), 0))
	a.set = t
	return a.c
}

// rang says that the channel has received.
func (a *alarm) rang() { a.set, a.c, a.cancel = time.Time{}, nil, nil }

func (a *alarm) stop() {
	if a.cancel != nil {
		a.cancel()
	}
	a.rang()
}
