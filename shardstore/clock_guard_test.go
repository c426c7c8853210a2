// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package shardstore_test

import (
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore"
)

// twoClocks is a clock whose readings, wall and monotonic, are moved by a test. It stands still otherwise; timers never ring.
type twoClocks struct {
	mu         sync.Mutex
	start      time.Time
	wall, mono time.Duration
}

func newTwoClocks() *twoClocks { return &twoClocks{start: time.Now()} }

func (c *twoClocks) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.start.Add(c.wall)
	// Add moved both readings. The second word of a time.Time that has a monotonic reading is that reading.
	(*[2]int64)(unsafe.Pointer(&t))[1] += int64(c.mono - c.wall)
	return t
}

func (c *twoClocks) NewTimer(time.Duration) (<-chan time.Time, func()) { return nil, func() {} }

func (c *twoClocks) move(wall, mono time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wall, c.mono = c.wall+wall, c.mono+mono
}

// reference is the clock of a database: right, wrong by some time, or away.
type reference struct {
	clock *twoClocks
	mu    sync.Mutex
	off   time.Duration
	err   error
	asked int
}

func (f *reference) now() (time.Time, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked++
	return f.clock.Now().Round(0).Add(f.off), f.err
}

func (f *reference) set(off time.Duration, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.off, f.err = off, err
}

// Rule 19: a wall clock that departs from the monotonic one is believed only if another clock agrees.
func TestClockGuard(t *testing.T) {
	clock := newTwoClocks()
	ref := &reference{clock: clock}
	r := newRig(t).shards(1)
	r.clock, r.guard = clock, shardstore.NewClockGuard(clock, ref.now, r.logger)
	s := r.open()
	try := func() error {
		puts := []shardstore.Put{put(r.key(0), "x")}
		return errors.Join(s.Append(t.Context(), puts), puts[0].Err)
	}
	want := func(step string, ok bool) {
		t.Helper()
		err := try()
		if ok && err != nil || !ok && leat.KindOf(err) != leat.KindUnavailable {
			t.Errorf("%s: %v", step, err)
		}
	}
	want("at first", true)
	for range 100 { // slewing: 20 s of corrections over time, a little in each hour
		clock.move(time.Hour+200*time.Millisecond, time.Hour)
		want("slewed", true)
	}
	if ref.asked != 0 {
		t.Errorf("slewing made %d questions", ref.asked)
	}

	clock.move(8*time.Hour, time.Second) // a laptop that slept: the monotonic clock stood still
	want("slept", true)
	if ref.asked != 1 {
		t.Errorf("a sleep made %d questions", ref.asked)
	}

	ref.set(-time.Hour, nil) // the wall clock jumps, the reference says it is wrong
	clock.move(time.Hour, time.Millisecond)
	want("jumped forward", false)
	asked := ref.asked
	for range 100 {
		want("still wrong", false)
	}
	if ref.asked != asked {
		t.Errorf("refused puts made %d questions", ref.asked-asked)
	}
	clock.move(-time.Hour, time.Millisecond)
	want("set right", true)

	ref.set(0, errors.New("the database is away"))
	clock.move(-time.Minute, time.Millisecond)
	want("jumped back, and nobody to ask", false)
	ref.set(0, nil)
	clock.move(2*time.Second, 2*time.Second)
	want("jumped back, and the reference agrees", true)
	last := int64(0)
	for _, rec := range r.all(0) {
		if rec.Time < last {
			t.Errorf("record %d: times fall (I9)", rec.Offset)
		}
		last = rec.Time
	}
}

// A reference that does not answer holds up one put, not all.
func TestClockGuardWithAReferenceThatHangs(t *testing.T) {
	clock := newTwoClocks()
	asked, answer := make(chan struct{}), make(chan struct{})
	r := newRig(t).shards(1)
	r.clock = clock
	r.guard = shardstore.NewClockGuard(clock, func() (time.Time, error) {
		close(asked)
		<-answer
		return clock.Now(), nil
	}, r.logger)
	s := r.open()
	clock.move(time.Hour, 0)
	first := make(chan error)
	go func() { first <- s.Append(t.Context(), []shardstore.Put{put(r.key(0), "x")}) }()
	<-asked
	if err := s.Append(t.Context(), []shardstore.Put{put(r.key(0), "y")}); leat.KindOf(err) != leat.KindUnavailable {
		t.Errorf("a put while the reference is asked: %v", err)
	}
	close(answer)
	if err := <-first; err != nil {
		t.Errorf("the put that asked: %v", err)
	}
}

// A process may begin with a clock that is wrong: then the reference's time is what a jump is measured from.
func TestClockGuardThatBeginsWithAWrongClock(t *testing.T) {
	clock := newTwoClocks()
	ref := &reference{clock: clock, off: -48 * time.Hour}
	g := shardstore.NewClockGuard(clock, ref.now, slog.New(slog.DiscardHandler))
	if err := g.Ask(); leat.KindOf(err) != leat.KindUnavailable {
		t.Errorf("asked about a wrong clock: %v", err)
	}
	clock.move(time.Minute, time.Minute)
	if err := g.Wrong(); leat.KindOf(err) != leat.KindUnavailable || !g.HoldsExpiry() {
		t.Errorf("a minute later: %v", err)
	}
	clock.move(-48*time.Hour, time.Millisecond)
	if err := g.Wrong(); err != nil || g.HoldsExpiry() {
		t.Errorf("set right: %v", err)
	}
	ref.set(0, errors.New("the database is away"))
	if err := g.Ask(); leat.KindOf(err) != leat.KindUnavailable {
		t.Errorf("asked with nobody to ask: %v", err)
	}
	if err := g.Wrong(); err != nil {
		t.Errorf("a clock that has not jumped, with nobody to ask: %v", err)
	}
}

// A wall clock that jumps while the reference is asked is not the one that the reference agreed with.
func TestClockGuardThatIsAskedInAJump(t *testing.T) {
	clock := newTwoClocks()
	g := shardstore.NewClockGuard(clock, func() (time.Time, error) {
		defer clock.move(48*time.Hour, time.Second)
		return clock.Now().Round(0), nil
	}, slog.New(slog.DiscardHandler))
	if err := g.Ask(); leat.KindOf(err) != leat.KindUnavailable {
		t.Errorf("it agreed: %v", err)
	}
}

// Without another clock a jump is believed.
func TestClockGuardWithoutReference(t *testing.T) {
	clock := newTwoClocks()
	r := newRig(t).shards(1)
	r.clock = clock
	r.open()
	r.put(0, "x")
	clock.move(8*time.Hour, time.Second)
	r.put(0, "y")
	clock.move(-9*time.Hour, time.Second)
	r.put(0, "z")
	r.wantAll(0, []string{"x", "y", "z"})
}

// aDay keeps records for a day.
func aDay(now time.Time) shardstore.Retention {
	return shardstore.Retention{ExpiredBefore: leat.Micros(now.Add(-24 * time.Hour)), Keep: 24 * time.Hour}
}

// A wall clock that jumps in the middle of a round of housekeeping makes nothing expire in that round.
func TestRetentionInAJump(t *testing.T) {
	clock := newTwoClocks()
	r := newRig(t).shards(1)
	r.clock, r.retention = clock, aDay
	s := r.open()
	r.put(0, "expired")
	r.must(s.Pack(t.Context()))
	clock.move(25*time.Hour, 25*time.Hour)
	r.put(0, "kept")
	r.must(s.Pack(t.Context()))
	r.retention = func(now time.Time) shardstore.Retention {
		clock.move(48*time.Hour, time.Millisecond)
		return aDay(now)
	}
	r.must(s.Housekeep(t.Context()))
	if b, err := s.Bounds(t.Context(), r.key(0)); err != nil || b.Horizon != 1 {
		t.Errorf("the horizon is at %d, %v", b.Horizon, err)
	}
}

// By a jump ahead that nobody confirmed nothing expires for an hour: whoever sets the clock right within it has lost nothing.
func TestRetentionAfterAnUnconfirmedJump(t *testing.T) {
	clock := newTwoClocks()
	r := newRig(t).shards(1)
	r.clock, r.guard, r.retention = clock, shardstore.NewClockGuard(clock, nil, r.logger), aDay
	s := r.open()
	r.put(0, "x")
	r.must(s.Pack(t.Context()))
	horizon := func(want uint64, when string) {
		t.Helper()
		if held := r.guard.HoldsExpiry(); held != (want == 0 && when != "with the clock set right") {
			t.Errorf("%s readers are told that records have not expired: %v", when, held)
		}
		r.must(s.Housekeep(t.Context()))
		if b, err := s.Bounds(t.Context(), r.key(0)); err != nil || b.Horizon != want {
			t.Fatalf("%s the horizon is at %d, want %d, %v", when, b.Horizon, want, err)
		}
	}
	clock.move(48*time.Hour, time.Second)
	horizon(0, "after a jump of two days")
	clock.move(59*time.Minute, 59*time.Minute)
	horizon(0, "almost an hour later")
	clock.move(-2*time.Second, time.Millisecond)
	horizon(0, "after a correction that leaves it ahead")
	clock.move(-48*time.Hour+2*time.Second, time.Second)
	horizon(0, "with the clock set right")
	clock.move(48*time.Hour, time.Second)
	horizon(0, "after another jump")
	clock.move(61*time.Minute, 61*time.Minute)
	horizon(1, "an hour after it")
}

// By a wrong clock nothing expires.
func TestRetentionWithAWrongClock(t *testing.T) {
	clock := newTwoClocks()
	ref := &reference{clock: clock}
	r := newRig(t).shards(1)
	r.clock, r.guard = clock, shardstore.NewClockGuard(clock, ref.now, r.logger)
	r.retention = aDay
	s := r.open()
	r.put(0, "x")
	if err := s.Pack(t.Context()); err != nil {
		t.Fatal(err)
	}
	ref.set(-48*time.Hour, nil)
	clock.move(48*time.Hour, time.Second)
	if err := s.Housekeep(t.Context()); leat.KindOf(err) != leat.KindUnavailable {
		t.Errorf("housekeeping by a wrong clock: %v", err)
	}
	if b, err := s.Bounds(t.Context(), r.key(0)); err != nil || b.Horizon != 0 {
		t.Fatalf("the horizon moved to %d, %v", b.Horizon, err)
	}
	ref.set(0, nil) // it was right after all: two days have passed
	clock.move(2*time.Second, 2*time.Second)
	if err := s.Housekeep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if b, err := s.Bounds(t.Context(), r.key(0)); err != nil || b.Horizon != 1 {
		t.Fatalf("the horizon is at %d, %v", b.Horizon, err)
	}
}
