// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package wal

import (
	"errors"
	"fmt"
	"time"
)

// Params are the sizes and times of a session log (data-plane.md, "Starting parameters").
type Params struct {
	SegmentTarget int // pending bytes that make a segment full: with a slot free they wait for no more
	SegmentMax    int // bytes that a Source keeps a segment to, unless a single record is larger

	Linger        time.Duration // how long pending bytes wait for more while a segment is in flight
	InFlight      int           // K: segments sent and not durable, 1 to WindowSize
	Gather        time.Duration // with nothing in flight: how long, at most, to wait for those whose records were told durable last; 0 for not
	PutsPerSecond float64       // of segments that are not full; 0 for no cap
	Burst         int           // such segments that may go at once after a quiet time

	StallAfter time.Duration // no progress for so long ends the session
	Lease      time.Duration // L of rule 13; 0 where a lock proves that no other session can begin

	AttemptTimeout    time.Duration // of the first try, doubled with each unknown; 0 for none
	AttemptTimeoutMax time.Duration
	RetryMin          time.Duration // pause after the first unknown, doubled with each
	RetryMax          time.Duration
	HedgeAfter        time.Duration // a try without an answer for so long gets a twin; 0 for never
}

// ObjectParams suits an object store and a balance of latency and cost. A segment is full with 2.75 MiB, so that callers who have
// 8 MiB on their way use three slots and not two; what gathers while no slot is free makes one of up to 4 MiB.
func ObjectParams() Params {
	return Params{
		SegmentTarget: 11 << 18, SegmentMax: 8 << 20,
		Linger: 50 * time.Millisecond, InFlight: 4, PutsPerSecond: 10, Burst: 10,
		StallAfter: 30 * time.Second, Lease: 1500 * time.Millisecond,
		AttemptTimeout: 5 * time.Second, AttemptTimeoutMax: 10 * time.Second,
		RetryMin: 50 * time.Millisecond, RetryMax: 2 * time.Second, HedgeAfter: time.Second,
	}
}

// CostParams sends fewer and larger segments: a record waits up to a quarter of a second.
func CostParams() Params {
	p := ObjectParams()
	p.SegmentTarget, p.Linger, p.PutsPerSecond, p.Burst = 4<<20, 250*time.Millisecond, 4, 4
	return p
}

// LatencyParams sends more and smaller segments: requests cost about ten times as much under load.
func LatencyParams() Params {
	p := ObjectParams()
	p.Linger, p.InFlight, p.PutsPerSecond, p.Burst = 10*time.Millisecond, 8, 100, 100
	p.HedgeAfter = 300 * time.Millisecond
	return p
}

// FileParams suits a local folder: one commit at a time takes whatever has gathered, and a file lock stands in for
// the lease.
func FileParams() Params {
	return Params{
		SegmentTarget: 4 << 20, SegmentMax: 8 << 20, InFlight: 1, Gather: 500 * time.Microsecond,
		StallAfter: 30 * time.Second, RetryMin: 100 * time.Millisecond, RetryMax: 2 * time.Second,
	}
}

// Validate tells all that is wrong, joined.
func (p Params) Validate() error {
	var errs []error
	need := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf("wal: "+format, args...))
		}
	}
	need(p.SegmentTarget > 0, "SegmentTarget %d must be positive", p.SegmentTarget)
	need(p.SegmentMax >= p.SegmentTarget, "SegmentMax %d must not be below SegmentTarget %d", p.SegmentMax, p.SegmentTarget)
	need(p.InFlight >= 1 && p.InFlight <= WindowSize, "InFlight %d must be 1 to %d", p.InFlight, WindowSize)
	need(p.PutsPerSecond >= 0, "PutsPerSecond %g must not be negative", p.PutsPerSecond)
	need(p.PutsPerSecond == 0 || p.Burst >= 1, "Burst %d must be at least 1", p.Burst)
	need(p.StallAfter > 0, "StallAfter %v must be positive", p.StallAfter)
	need(p.RetryMin > 0 && p.RetryMax >= p.RetryMin, "RetryMin %v must be positive and at most RetryMax %v", p.RetryMin, p.RetryMax)
	need(p.AttemptTimeoutMax >= p.AttemptTimeout, "AttemptTimeoutMax %v must not be below AttemptTimeout %v", p.AttemptTimeoutMax, p.AttemptTimeout)
	for name, d := range map[string]time.Duration{"Linger": p.Linger, "Gather": p.Gather, "Lease": p.Lease, "AttemptTimeout": p.AttemptTimeout, "HedgeAfter": p.HedgeAfter} {
		need(d >= 0, "%s %v must not be negative", name, d)
	}
	return errors.Join(errs...)
}
