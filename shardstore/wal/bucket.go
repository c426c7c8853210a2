// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package wal

import "time"

// bucket limits how many segments that are not full are sent a second. A rate of 0 limits nothing.
type bucket struct {
	rate   float64 // tokens a second
	burst  float64
	tokens float64
	at     time.Time // when tokens was counted
}

func newBucket(rate float64, burst int, now time.Time) bucket {
	return bucket{rate: rate, burst: float64(burst), tokens: float64(burst), at: now}
}

func (b *bucket) fill(now time.Time) {
	if d := now.Sub(b.at); d > 0 {
		b.tokens = min(b.burst, b.tokens+b.rate*d.Seconds())
		b.at = now
	}
}

// ready tells whether a token is there.
func (b *bucket) ready(now time.Time) bool {
	if b.rate == 0 {
		return true
	}
	b.fill(now)
	return b.tokens >= 1
}

// take takes a token.
func (b *bucket) take(now time.Time) {
	if b.rate > 0 {
		b.fill(now)
		b.tokens--
	}
}

// readyAt is when a token will be there.
func (b *bucket) readyAt(now time.Time) time.Time {
	if b.ready(now) {
		return now
	}
	// A nanosecond more than computed, so that rounding cannot make the caller come too early again and again.
	return now.Add(time.Duration((1-b.tokens)/b.rate*float64(time.Second)) + 1)
}
