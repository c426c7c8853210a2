// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package leat

import (
	"fmt"
	"os"
	"strconv"
	"time"
)

// SystemClock is the machine's clock.
type SystemClock struct{}

// Now returns time.Now().
func (SystemClock) Now() time.Time {
	t := time.Now()
	if wrong != nil {
		t = wrong.at(t)
	}
	return t
}

// NewTimer wraps time.NewTimer.
func (SystemClock) NewTimer(d time.Duration) (<-chan time.Time, func()) {
	if wrong != nil {
		d = wrong.lasting(d)
	}
	t := time.NewTimer(d)
	return t.C, func() { t.Stop() }
}

// wrongClocks is set by the linker (-X) in the binary that fault tests run, and nowhere else. SystemClock is wrong then
// where the environment says so: LEATTEST_CLOCK_OFFSET ahead of the machine's clock when the process starts, and
// LEATTEST_CLOCK_DRIFT parts per million too fast.
var wrongClocks string

// wrong is nil where SystemClock is the machine's.
var wrong = func() *wrongClock {
	if wrongClocks == "" {
		return nil
	}
	return &wrongClock{
		began:  time.Now(),
		offset: fromEnv("LEATTEST_CLOCK_OFFSET", time.ParseDuration),
		drift:  fromEnv("LEATTEST_CLOCK_DRIFT", func(s string) (int64, error) { return strconv.ParseInt(s, 10, 32) }),
	}
}()

type wrongClock struct {
	began  time.Time
	offset time.Duration
	drift  int64 // parts per million
}

const million = 1_000_000

// at moves the wall clock and the monotonic reading alike.
func (w *wrongClock) at(t time.Time) time.Time {
	return t.Add(w.offset + t.Sub(w.began)/million*time.Duration(w.drift))
}

// lasting is how long the machine takes for what d is by this clock.
func (w *wrongClock) lasting(d time.Duration) time.Duration {
	return d - d/million*time.Duration(w.drift)
}

func fromEnv[T any](name string, parse func(string) (T, error)) (v T) {
	s := os.Getenv(name)
	if s == "" {
		return v
	}
	v, err := parse(s)
	if err != nil {
		panic(fmt.Sprintf("%s: %v", name, err))
	}
	return v
}
