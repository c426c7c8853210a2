// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package wal

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// bench drives a machine by hand. Times are milliseconds from the beginning.
type machineBench struct {
	t     *testing.T
	m     *machine
	start time.Time
	ms    int
}

func newBench(t *testing.T, p Params) *machineBench {
	start := time.Unix(1e9, 0)
	return &machineBench{t: t, m: newMachine(p, func() float64 { return 0.999999 }, start), start: start}
}

func (b *machineBench) now() time.Time { return b.start.Add(time.Duration(b.ms) * time.Millisecond) }

// do says what happens until nothing is left to do, as in "take 0; durable 0". Whatever is taken is taken whole.
func (b *machineBench) do() string {
	names := map[op]string{opTake: "take", opSend: "send", opVerify: "verify", opGiveUp: "give up", opProbe: "probe", opGiveUpProbe: "give up probe", opDurable: "durable"}
	var acts []string
	for {
		a, ok := b.m.next(b.now())
		if !ok {
			return strings.Join(acts, "; ")
		}
		switch a.op {
		case opTake:
			b.m.taken(b.now(), 0)
			acts = append(acts, fmt.Sprintf("take %d", a.n))
		case opProbed:
			acts = append(acts, fmt.Sprintf("probed %v", a.err))
		case opEnd:
			acts = append(acts, fmt.Sprintf("end %v", a.err))
		default:
			acts = append(acts, fmt.Sprintf("%s %d", names[a.op], a.n))
		}
	}
}

// expect moves the clock and compares what is done then. The machine must have asked to be woken by that time, or
// something must have come from outside.
func (b *machineBench) expect(ms int, want string) {
	b.t.Helper()
	b.ms = ms
	if got := b.do(); got != want {
		b.t.Errorf("at %d ms the machine does %q, want %q", ms, got, want)
	}
}

// wakes compares when the machine wants to be woken, in milliseconds; -1 for never before the stall.
func (b *machineBench) wakes(want int) {
	b.t.Helper()
	at := b.m.wake(b.now())
	got := -1
	if !at.IsZero() && at.Sub(b.start) < 29*time.Second {
		got = int(at.Sub(b.start).Round(time.Millisecond).Milliseconds())
	}
	if got != want {
		b.t.Errorf("at %d ms the machine wants to be woken at %d, want %d", b.ms, got, want)
	}
}

func (b *machineBench) pend(bytes int) { b.m.notify(b.now(), bytes) }

func (b *machineBench) ok(n uint64) { b.m.answer(b.now(), n, durable, nil) }

func (b *machineBench) lost(n uint64) { b.m.answer(b.now(), n, unknown, errors.New("no answer")) }

// quiet are object params without timeouts and twins, so that only the policy shows.
func quiet() Params {
	p := ObjectParams()
	p.AttemptTimeout, p.HedgeAfter = 0, 0
	return p
}

func TestIdleFlushesAtOnce(t *testing.T) {
	b := newBench(t, quiet())
	b.expect(0, "")
	b.pend(1)
	b.expect(0, "take 0")
	b.ms = 20
	b.ok(0)
	b.expect(20, "durable 0")
	b.pend(1)
	b.expect(20, "take 1")
}

func TestBusyLingers(t *testing.T) {
	b := newBench(t, quiet())
	b.pend(1)
	b.expect(0, "take 0")
	b.ms = 10
	b.pend(1)
	b.expect(10, "")
	b.wakes(60)
	if got := b.m.wakeBytes(); got != b.m.p.SegmentTarget {
		t.Errorf("while it lingers %d bytes wake it", got)
	}
	b.ms = 30
	b.pend(100)
	b.expect(59, "")
	b.expect(60, "take 1") // counted from the first byte
	b.wakes(-1)
}

func TestBusyFlushesWhenASlotFrees(t *testing.T) {
	b := newBench(t, quiet())
	b.pend(1)
	b.expect(0, "take 0")
	b.pend(1)
	b.expect(1, "")
	b.ms = 5
	b.ok(0)
	b.expect(5, "take 1; durable 0") // the medium first
}

func TestBusyFlushesAFullSegment(t *testing.T) {
	b := newBench(t, quiet())
	b.pend(1)
	b.expect(0, "take 0")
	for n := range 3 {
		b.pend(b.m.p.SegmentTarget)
		b.expect(n, fmt.Sprintf("take %d", n+1))
	}
	b.pend(b.m.p.SegmentTarget)
	b.expect(9, "") // K = 4 are in flight
	if got := b.m.wakeBytes(); got != 0 {
		t.Errorf("with all slots in use %d bytes wake it", got)
	}
	b.ok(2)
	b.expect(9, "take 4") // a slot is free, though nothing can be told
	b.ok(0)
	b.expect(9, "durable 0")
	b.ok(1)
	b.expect(9, "durable 1; durable 2")
}

func TestCapOnSegmentsThatAreNotFull(t *testing.T) {
	p := quiet()
	p.PutsPerSecond, p.Burst = 10, 2
	b := newBench(t, p)
	flush := func(n uint64, size int) {
		b.pend(size)
		b.expect(b.ms, fmt.Sprintf("take %d", n))
		b.ok(n)
		b.expect(b.ms, fmt.Sprintf("durable %d", n))
	}
	flush(0, 1)
	flush(1, 1)
	b.pend(1)
	b.expect(0, "")
	b.wakes(100)
	flush(2, p.SegmentTarget) // needs no token
	b.pend(1)
	b.expect(99, "")
	b.expect(101, "take 3")
	b.ok(3)
	b.do()
	b.ms = 10_000
	flush(4, 1) // no more than the burst is saved up
	flush(5, 1)
	b.pend(1)
	b.expect(10_000, "")
	b.wakes(10_100)
}

func TestLocalFilesCommitWhatGathered(t *testing.T) {
	b := newBench(t, FileParams())
	b.pend(1)
	b.expect(0, "take 0")
	b.pend(b.m.p.SegmentTarget * 3)
	b.expect(0, "")
	b.wakes(-1)
	b.ok(0)
	b.expect(1, "take 1; durable 0")
}

func TestWindowStopsBeforeAStuckSegment(t *testing.T) {
	p := quiet()
	p.PutsPerSecond = 0
	b := newBench(t, p)
	b.pend(p.SegmentTarget)
	b.expect(0, "take 0")
	for n := uint64(1); n < WindowSize; n++ {
		b.pend(p.SegmentTarget)
		b.expect(0, fmt.Sprintf("take %d", n))
		b.ok(n)
	}
	b.pend(p.SegmentTarget)
	b.expect(0, "")
	b.ok(0)
	if got := b.do(); !strings.HasPrefix(got, "take 16; durable 0; durable 1") {
		t.Errorf("when the stuck segment is durable the machine does %q", got)
	}
}

func TestUnknownsAreSentAgainThenLookedAt(t *testing.T) {
	p := quiet()
	p.RetryMin, p.RetryMax = 100*time.Millisecond, time.Second
	b := newBench(t, p)
	b.pend(1)
	b.expect(0, "take 0")
	b.lost(0)
	b.wakes(100)
	b.expect(100, "send 0")
	b.lost(0)
	b.expect(300, "verify 0") // two unknowns: look first
	b.m.verifiedAs(b.now(), 0, StateAbsent, nil)
	b.expect(300, "send 0")
	b.lost(0)
	b.expect(700, "verify 0") // and after each further one
	b.m.verifiedAs(b.now(), 0, 0, errors.New("no answer"))
	b.expect(1500, "send 0") // a look without an answer is no reason not to send
	b.lost(0)
	b.wakes(2500) // pauses are bounded
	b.expect(2500, "verify 0")
	b.m.verifiedAs(b.now(), 0, StateOurs, nil)
	b.expect(2500, "durable 0")
}

func TestForeignHeaderEndsTheSession(t *testing.T) {
	b := newBench(t, quiet())
	b.pend(1)
	b.expect(0, "take 0")
	b.lost(0)
	b.expect(100, "send 0")
	b.lost(0)
	b.expect(300, "verify 0")
	b.m.verifiedAs(b.now(), 0, StateForeign, nil)
	b.do()
	if !errors.Is(b.m.reason, ErrFenced) {
		t.Errorf("ended with %v", b.m.reason)
	}
}

func TestAnswersAfterTheEndAreNotTold(t *testing.T) {
	b := newBench(t, quiet())
	b.pend(1)
	b.expect(0, "take 0")
	b.pend(b.m.p.SegmentTarget)
	b.expect(0, "take 1")
	b.ok(0)
	b.m.answer(b.now(), 1, fenced, ErrFenced)
	b.pend(b.m.p.SegmentTarget)
	b.expect(0, "durable 0; end segment 1: "+ErrFenced.Error()) // 0 lies below any fence
	b.ok(1)
	b.expect(1, "")
}

func TestTimeoutsGrow(t *testing.T) {
	p := quiet()
	p.AttemptTimeout, p.AttemptTimeoutMax = time.Second, 3*time.Second
	p.RetryMin, p.RetryMax = time.Millisecond, time.Millisecond
	b := newBench(t, p)
	b.pend(1)
	b.expect(0, "take 0")
	var gaps []int
	for range 4 {
		from := b.ms
		b.ms = int(b.m.wake(b.now()).Sub(b.start).Milliseconds())
		gaps = append(gaps, b.ms-from)
		b.expect(b.ms, "give up 0")
		switch s := b.m.slot(0); {
		case s.verifying:
			b.m.verifiedAs(b.now(), 0, StateAbsent, errors.New("given up"))
		default:
			b.lost(0)
		}
		b.ms++
		b.do()
	}
	if want := []int{1000, 2000, 3000, 3000}; !slices.Equal(gaps, want) {
		t.Errorf("tries were given up after %v ms, want %v", gaps, want)
	}
}

func TestHedge(t *testing.T) {
	p := quiet()
	p.HedgeAfter = time.Second
	b := newBench(t, p)
	b.pend(1)
	b.expect(0, "take 0")
	b.wakes(1000)
	b.expect(1000, "send 0")
	b.expect(5000, "") // one twin
	b.lost(0)
	b.expect(5000, "") // the other may still answer
	b.ok(0)
	b.expect(5000, "durable 0")
	b.m.answer(b.now(), 0, fenced, ErrFenced) // nothing is heard of a segment that is durable
	b.expect(5000, "")
}

func TestStall(t *testing.T) {
	b := newBench(t, quiet())
	b.pend(1)
	b.expect(0, "take 0")
	b.pend(b.m.p.SegmentTarget)
	b.expect(20_000, "take 1")
	b.ms = 25_000
	b.ok(1)
	b.expect(29_999, "") // 1 is durable, and nothing can be acked
	b.ms = 30_000
	b.do()
	if !errors.Is(b.m.reason, ErrStalled) {
		t.Errorf("after 30 s without progress: %v", b.m.reason)
	}
	idle := newBench(t, quiet())
	idle.expect(100_000, "")
	idle.pend(1)
	idle.expect(100_000, "take 0") // an idle time is no stall
}

func TestDrain(t *testing.T) {
	p := quiet()
	p.PutsPerSecond, p.Burst = 1, 1
	b := newBench(t, p)
	b.pend(1)
	b.expect(0, "take 0")
	b.pend(1)
	b.m.drain()
	b.expect(0, "take 1") // neither linger nor token
	b.ok(1)
	b.expect(1, "")
	b.ok(0)
	b.expect(2, "durable 0; durable 1; end <nil>")
	if !b.m.wake(b.now()).IsZero() || b.m.wakeBytes() != 0 {
		t.Error("after its end the machine wants to be woken")
	}
}

func TestLeaseCountsFromTheFirstTry(t *testing.T) {
	b := newBench(t, quiet())
	leased := func(ms int) {
		t.Helper()
		if want := b.start.Add(time.Duration(ms) * time.Millisecond); !b.m.leased.Equal(want) {
			t.Errorf("the lease is counted from %v, want %d ms", b.m.leased.Sub(b.start), ms)
		}
	}
	b.pend(1)
	b.expect(10, "take 0")
	b.pend(b.m.p.SegmentTarget)
	b.expect(20, "take 1")
	b.ms = 30
	b.ok(1)
	if !b.m.leased.IsZero() {
		t.Error("a segment behind a gap counts")
	}
	b.lost(0)
	b.expect(200, "send 0")
	b.ms = 210
	b.ok(0)
	b.expect(210, "durable 0; durable 1")
	leased(20)
	b.m.wantProbe()
	b.expect(300, "probe 2")
	b.ms = 350
	b.m.probed(b.now(), false, StateAbsent, nil)
	b.expect(350, "probed <nil>")
	leased(300)
	b.m.wantProbe()
	b.expect(400, "probe 2")
	b.m.wantProbe()
	b.pend(1)
	b.expect(410, "take 2")
	b.m.probed(b.now(), false, StateForeign, nil) // may be our own segment 2
	b.expect(420, "probe 2")
	b.m.probed(b.now(), true, StateOurs, nil) // no fence at 2, but perhaps at 3
	b.expect(430, "durable 2; probe 3")
	leased(410)
	b.m.probed(b.now(), false, 0, errors.New("no answer"))
	if got := b.do(); !strings.Contains(got, "no answer") {
		t.Errorf("a probe without an answer tells %q", got)
	}
	leased(410)
	b.m.wantProbe()
	b.expect(500, "probe 3")
	b.m.probed(b.now(), false, StateForeign, nil)
	b.do()
	if !errors.Is(b.m.reason, ErrFenced) {
		t.Errorf("a fence found by a probe: %v", b.m.reason)
	}
}

func TestProbeIsGivenUp(t *testing.T) {
	p := quiet()
	p.AttemptTimeout, p.AttemptTimeoutMax = time.Second, time.Second
	b := newBench(t, p)
	b.m.wantProbe()
	b.expect(0, "probe 0")
	b.wakes(1000)
	b.expect(1000, "give up probe 0")
	b.expect(2000, "")
}

// Of callers that wait for their acks one half gathers while the other is written.
func TestSmallCommitsGather(t *testing.T) {
	p := FileParams()
	p.Gather = 50 * time.Millisecond
	b := newBench(t, p)
	b.pend(64)
	b.expect(0, "take 0")
	b.ms = 10
	b.pend(10)
	b.ok(0)
	b.expect(10, "durable 0")
	b.wakes(20) // no longer than the commit took
	if got := b.m.wakeBytes(); got != 37 {
		t.Errorf("%d bytes wake it, want half of 74", got)
	}
	b.pend(36)
	b.expect(11, "")
	b.pend(37)
	b.expect(12, "take 1")
	b.ms = 100
	b.ok(1)
	b.expect(100, "durable 1")
	b.pend(1)
	b.expect(149, "")
	b.wakes(150) // nor longer than Gather
	b.expect(150, "take 2")
}

// One caller alone waits for nobody, nor does what comes late, is as much as was written, or is large.
func TestCommitsThatDoNotGather(t *testing.T) {
	b := newBench(t, FileParams())
	commit := func(n uint64, size, pending int) {
		t.Helper()
		b.pend(size)
		b.expect(b.ms, fmt.Sprintf("take %d", n))
		b.ms += 10
		b.pend(pending)
		b.ok(n)
	}
	for n := range uint64(3) {
		commit(n, 100, 0)
		b.expect(b.ms, fmt.Sprintf("durable %d", n))
	}
	b.ms += 50
	commit(3, 1, 1)
	b.expect(b.ms, "take 4; durable 3")
	b.ok(4)
	b.expect(b.ms, "durable 4")
	commit(5, gatherMost+1, 1)
	b.expect(b.ms, "take 6; durable 5")
}

// A session that is drained waits for nobody either.
func TestDrainDoesNotGather(t *testing.T) {
	b := newBench(t, FileParams())
	b.pend(100)
	b.expect(0, "take 0")
	b.ms = 10
	b.pend(1)
	b.ok(0)
	b.expect(10, "durable 0")
	b.m.drain()
	b.expect(10, "take 1")
}
