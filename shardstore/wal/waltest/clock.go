// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

// Package waltest has what tests of session logs need: a clock that stands still until it is told, and the suite that
// every driver passes.
package waltest

import (
	"slices"
	"sync"
	"time"

	"github.com/leatstream/leat"
)

// Clock is a leat.Clock that a test moves. Create one with NewClock.
type Clock struct {
	mu     sync.Mutex
	now    time.Time
	timers []*timer
	set    chan struct{} // closed when a timer is set
	auto   bool
}

type timer struct {
	at time.Time
	c  chan time.Time
}

var _ leat.Clock = (*Clock)(nil)

// NewClock returns a clock that stands at some moment of 2026.
func NewClock() *Clock {
	return &Clock{now: time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC), set: make(chan struct{})}
}

// NewSkippingClock returns a clock that jumps to the time of each timer as soon as it is set: whoever waits, waits no
// real time. Only for code that has one goroutine waiting at a time.
func NewSkippingClock() *Clock {
	c := NewClock()
	c.auto = true
	return c
}

// Now implements leat.Clock.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// NewTimer implements leat.Clock.
func (c *Clock) NewTimer(d time.Duration) (<-chan time.Time, func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := &timer{c.now.Add(d), make(chan time.Time, 1)}
	if c.auto && t.at.After(c.now) {
		c.now = t.at
	}
	if !t.at.After(c.now) {
		t.c <- c.now
		return t.c, func() {}
	}
	c.timers = append(c.timers, t)
	close(c.set)
	c.set = make(chan struct{})
	return t.c, func() { c.stop(t) }
}

func (c *Clock) stop(t *timer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.timers = slices.DeleteFunc(c.timers, func(o *timer) bool { return o == t })
}

// Advance moves the clock and rings the timers whose time has come.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	c.timers = slices.DeleteFunc(c.timers, func(t *timer) bool {
		if t.at.After(c.now) {
			return false
		}
		t.c <- c.now
		return true
	})
}

// Armed returns when a timer is set that rings within d, or when give is closed: false.
func (c *Clock) Armed(d time.Duration, give <-chan struct{}) bool {
	for {
		c.mu.Lock()
		set := c.set
		for _, t := range c.timers {
			if !t.at.After(c.now.Add(d)) {
				c.mu.Unlock()
				return true
			}
		}
		c.mu.Unlock()
		select {
		case <-set:
		case <-give:
			return false
		}
	}
}
