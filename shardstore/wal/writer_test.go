// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package wal_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore/blob/fault"
	"github.com/leatstream/leat/shardstore/wal"
	"github.com/leatstream/leat/shardstore/wal/waltest"
)

// call is a driver's call that waits for the test's answer.
type call struct {
	verify bool
	n      uint64
	bytes  []byte // segment, or header
	ctx    context.Context
	reply  chan reply
}

type reply struct {
	state wal.State
	err   error
}

func (c call) answer(err error)              { c.reply <- reply{err: err} }
func (c call) found(s wal.State)             { c.reply <- reply{state: s} }
func (c call) String() string                { return fmt.Sprintf("verify %v segment %d", c.verify, c.n) }
func (c call) is(verify bool, n uint64) bool { return c.verify == verify && c.n == n }

// script is a driver that does what the test says.
type script struct {
	calls chan call
	deaf  bool // a call goes on though its context is over
}

func (d *script) ask(ctx context.Context, c call) reply {
	c.ctx, c.reply = ctx, make(chan reply, 1)
	d.calls <- c
	if d.deaf {
		return <-c.reply
	}
	select {
	case r := <-c.reply:
		return r
	case <-ctx.Done():
		return reply{err: ctx.Err()}
	}
}

func (d *script) Begin(context.Context, leat.SessionID) error { return nil }

func (d *script) Write(ctx context.Context, _ leat.SessionID, n uint64, b []byte) error {
	return d.ask(ctx, call{n: n, bytes: b}).err
}

func (d *script) Verify(ctx context.Context, _ leat.SessionID, n uint64, header []byte) (wal.State, error) {
	r := d.ask(ctx, call{verify: true, n: n, bytes: header})
	return r.state, r.err
}

func (d *script) Read(context.Context, leat.SessionID, uint64, int64, int64) ([]byte, error) {
	return nil, errors.ErrUnsupported
}

func (d *script) Recover(context.Context, leat.SessionID, uint64, wal.RecoverOptions) (wal.Recovered, error) {
	return wal.Recovered{}, errors.ErrUnsupported
}

func (d *script) Remove(context.Context, leat.SessionID, uint64) error { return errors.ErrUnsupported }

// rig is a Writer over a script, with a clock that the test moves.
type rig struct {
	t     *testing.T
	d     *script
	src   *waltest.Source
	w     *wal.Writer
	clock *waltest.Clock
	ran   chan error
	ended chan struct{}
}

func newRig(t *testing.T, p wal.Params) *rig {
	r := &rig{t: t, d: &script{calls: make(chan call)}, clock: waltest.NewClock(), ran: make(chan error, 1), ended: make(chan struct{})}
	g := waltest.NewSegments()
	r.src = waltest.NewSource(t, g)
	r.w = wal.NewWriter(wal.Options{Driver: r.d, Session: g.Session, Source: r.src, Params: p, Clock: r.clock, Rand: bytes.NewReader(make([]byte, 16))})
	r.src.Notify, r.src.Target = r.w.Notify, p.SegmentTarget
	ctx, stop := context.WithCancel(t.Context())
	go func() {
		r.ran <- r.w.Run(ctx)
		close(r.ended)
	}()
	t.Cleanup(func() {
		stop()
		for {
			select {
			case c := <-r.d.calls: // nobody waits for an answer any more
				c.answer(errors.New("the test is over"))
			case <-r.ended:
				r.w.Close()
				return
			}
		}
	})
	return r
}

const patience = 10 * time.Second

// call waits for the driver's next call.
func (r *rig) call(verify bool, n uint64) call {
	r.t.Helper()
	select {
	case c := <-r.d.calls:
		if !c.is(verify, n) {
			r.t.Fatalf("%v, want verify %v segment %d", c, verify, n)
		}
		return c
	case err := <-r.ran:
		r.t.Fatalf("Run = %v", err)
	case <-time.After(patience):
		r.t.Fatalf("no call came, want verify %v segment %d", verify, n)
	}
	panic("unreachable")
}

// pass moves the clock by d when the writer waits for it.
func (r *rig) pass(d time.Duration) {
	r.t.Helper()
	give := make(chan struct{})
	defer time.AfterFunc(patience, func() { close(give) }).Stop()
	if !r.clock.Armed(d, give) {
		r.t.Fatalf("the writer does not wait for a time within %v", d)
	}
	r.clock.Advance(d)
}

func (r *rig) end() error {
	r.t.Helper()
	select {
	case err := <-r.ran:
		return err
	case <-time.After(patience):
		r.t.Fatal("Run does not return")
		return nil
	}
}

func (r *rig) wait(c <-chan struct{}) {
	r.t.Helper()
	select {
	case <-c:
	case <-time.After(patience):
		r.t.Fatal("not durable")
	}
}

func isOpen(c <-chan struct{}) bool {
	select {
	case <-c:
		return false
	default:
		return true
	}
}

func full() wal.Params {
	p := wal.ObjectParams()
	p.SegmentTarget = 10 // so that tests fill segments
	return p
}

func TestAcksComeInOrder(t *testing.T) {
	r := newRig(t, full())
	a := r.src.Append(10)
	first := r.call(false, 0)
	b := r.src.Append(10)
	second := r.call(false, 1)
	c := r.src.Append(10)
	third := r.call(false, 2)
	third.answer(nil)
	second.answer(nil)
	r.wait(drained(r, func() { first.answer(nil) }))
	for i, c := range []<-chan struct{}{a, b, c} {
		if isOpen(c) {
			t.Errorf("append %d was not told", i)
		}
	}
	if r.w.Flushed() != 3 || r.w.Next() != 3 {
		t.Errorf("flushed %d, next %d", r.w.Flushed(), r.w.Next())
	}
}

// drained calls Drain, which asks for everything to be told, and then f.
func drained(r *rig, f func()) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := r.w.Drain(r.t.Context()); err != nil {
			r.t.Errorf("Drain = %v", err)
		}
	}()
	f()
	return done
}

func TestTheSameBytesAreSentAgain(t *testing.T) {
	r := newRig(t, wal.ObjectParams())
	done := r.src.Append(1)
	first := r.call(false, 0)
	first.answer(fault.ErrReset)
	r.pass(50 * time.Millisecond)
	second := r.call(false, 0)
	second.answer(fault.ErrTimeout)
	r.pass(100 * time.Millisecond)
	look := r.call(true, 0)
	if !bytes.Equal(look.bytes, waltest.Header(first.bytes)) {
		t.Error("another header is looked for than was sent")
	}
	look.found(wal.StateAbsent)
	third := r.call(false, 0)
	for _, c := range []call{second, third} {
		if &c.bytes[0] != &first.bytes[0] || len(c.bytes) != len(first.bytes) {
			t.Error("a try sends another buffer than the first")
		}
	}
	third.answer(nil)
	r.wait(done)
	if st := r.w.Stats(); st.Segments != 1 || st.Retries != 2 || st.Unknowns != 2 || st.Verifies != 1 || st.Bytes != uint64(len(first.bytes)) {
		t.Errorf("stats %+v", st)
	}
}

func TestFoundOursIsDurable(t *testing.T) {
	r := newRig(t, wal.ObjectParams())
	done := r.src.Append(1)
	r.call(false, 0).answer(fault.ErrReset)
	r.pass(50 * time.Millisecond)
	r.call(false, 0).answer(fault.ErrReset)
	r.pass(100 * time.Millisecond)
	r.call(true, 0).found(wal.StateOurs)
	r.wait(done)
}

func TestTriesTimeOut(t *testing.T) {
	p := wal.ObjectParams()
	p.HedgeAfter = 0
	r := newRig(t, p)
	done := r.src.Append(1)
	c := r.call(false, 0)
	r.pass(p.AttemptTimeout)
	select {
	case <-c.ctx.Done():
	case <-time.After(patience):
		t.Fatal("the try goes on")
	}
	r.pass(p.RetryMin)
	r.call(false, 0).answer(nil)
	r.wait(done)
}

func TestTwins(t *testing.T) {
	r := newRig(t, wal.ObjectParams())
	done := r.src.Append(1)
	slow := r.call(false, 0)
	r.pass(wal.ObjectParams().HedgeAfter)
	r.call(false, 0).answer(nil)
	r.wait(done)
	select {
	case <-slow.ctx.Done(): // nobody needs it any more
	case <-time.After(patience):
		t.Fatal("the slow twin goes on")
	}
}

// A segment's bytes are the source's again when it is durable and its last try is over, not before.
func TestBytesComeBack(t *testing.T) {
	r := newRig(t, wal.ObjectParams())
	r.d.deaf = true
	done := r.src.Append(1)
	slow := r.call(false, 0)
	was := bytes.Clone(slow.bytes)
	r.pass(wal.ObjectParams().HedgeAfter)
	r.call(false, 0).answer(nil)
	r.wait(done)
	done = r.src.Append(1)
	r.call(false, 1).answer(nil)
	r.wait(done)
	freed := func(n int) {
		t.Helper()
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for end := time.Now().Add(patience); r.src.Freed() != n; <-tick.C {
			if time.Now().After(end) {
				t.Fatalf("%d segments came back, want %d", r.src.Freed(), n)
			}
		}
	}
	freed(1)
	if !bytes.Equal(slow.bytes, was) {
		t.Error("the bytes changed during a try")
	}
	slow.answer(nil)
	freed(2)
}

func TestFenced(t *testing.T) {
	r := newRig(t, full())
	lost := r.src.Append(10)
	first := r.call(false, 0)
	also := r.src.Append(10)
	second := r.call(false, 1)
	second.answer(fmt.Errorf("%w: a fence", wal.ErrFenced))
	if err := r.end(); !errors.Is(err, wal.ErrFenced) {
		t.Fatalf("Run = %v", err)
	}
	first.answer(nil)
	if !isOpen(lost) || !isOpen(also) {
		t.Error("an append was told durable after the fence")
	}
	if r.w.Leased() || !r.w.LeaseUntil().IsZero() {
		t.Error("a fenced session serves")
	}
	if err := r.w.Probe(t.Context()); !errors.Is(err, wal.ErrFenced) {
		t.Errorf("Probe = %v", err)
	}
	if err := r.w.Drain(t.Context()); !errors.Is(err, wal.ErrFenced) {
		t.Errorf("Drain = %v", err)
	}
	r.src.Append(1) // hurts nobody
}

func TestFailed(t *testing.T) {
	r := newRig(t, wal.FileParams())
	lost := r.src.Append(1)
	r.call(false, 0).answer(fmt.Errorf("%w: fdatasync", wal.ErrFailed))
	if err := r.end(); !errors.Is(err, wal.ErrFailed) {
		t.Fatalf("Run = %v", err)
	}
	if !isOpen(lost) {
		t.Error("told durable after a failed sync")
	}
}

// TestStalledByAHungDisk: the session ends though the disk gives the write back only later.
func TestStalledByAHungDisk(t *testing.T) {
	d := &hung{began: make(chan struct{}), free: make(chan struct{})}
	g, clock := waltest.NewSegments(), waltest.NewClock()
	src := waltest.NewSource(t, g)
	p := wal.FileParams()
	w := wal.NewWriter(wal.Options{Driver: d, Session: g.Session, Source: src, Params: p, Clock: clock})
	src.Notify = w.Notify
	ran := make(chan error, 1)
	go func() { ran <- w.Run(t.Context()) }()
	lost := src.Append(1)
	<-d.began
	if !clock.Armed(p.StallAfter, nil) {
		t.Fatal("not waiting for the stall")
	}
	clock.Advance(p.StallAfter)
	if err := <-ran; !errors.Is(err, wal.ErrStalled) {
		t.Fatalf("Run = %v", err)
	}
	close(d.free)
	w.Close()
	w.Close()
	if !isOpen(lost) {
		t.Error("told durable after the stall")
	}
}

type hung struct {
	script
	began, free chan struct{}
}

func (d *hung) Write(context.Context, leat.SessionID, uint64, []byte) error {
	close(d.began)
	<-d.free
	return nil
}

func TestStallNamesTheCause(t *testing.T) {
	p := wal.ObjectParams()
	p.AttemptTimeout, p.HedgeAfter = 0, 0
	r := newRig(t, p)
	r.src.Append(1)
	r.call(false, 0).answer(fault.ErrBucketGone)
	r.pass(p.RetryMin)
	r.call(false, 0)
	r.pass(p.StallAfter)
	if err := r.end(); !errors.Is(err, wal.ErrStalled) || !errors.Is(err, fault.ErrBucketGone) {
		t.Errorf("Run = %v", err)
	}
}

func TestStopped(t *testing.T) {
	d := &script{calls: make(chan call, 100)}
	g := waltest.NewSegments()
	src := waltest.NewSource(t, g)
	w := wal.NewWriter(wal.Options{Driver: d, Session: g.Session, Source: src, Params: wal.ObjectParams()})
	src.Notify = w.Notify
	ctx, stop := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- w.Run(ctx) }()
	src.Append(1)
	<-d.calls
	stop()
	if err := <-ran; !errors.Is(err, wal.ErrStopped) || !errors.Is(err, context.Canceled) {
		t.Errorf("Run = %v", err)
	}
	if err := w.Probe(t.Context()); !errors.Is(err, wal.ErrStopped) {
		t.Errorf("Probe = %v", err)
	}
}

func TestDrainGivesUpWithItsCaller(t *testing.T) {
	r := newRig(t, wal.ObjectParams())
	r.src.Append(1)
	c := r.call(false, 0)
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := r.w.Drain(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Drain = %v", err)
	}
	r.wait(drained(r, func() { c.answer(nil) }))
	if err := r.end(); err != nil {
		t.Errorf("Run = %v", err)
	}
}

func TestLeaseAndProbe(t *testing.T) {
	p := wal.ObjectParams()
	r := newRig(t, p)
	if r.w.Leased() {
		t.Error("leased before anything is durable")
	}
	start := r.clock.Now()
	done := r.src.Append(1)
	c := r.call(false, 0)
	r.clock.Advance(400 * time.Millisecond)
	c.answer(nil)
	r.wait(done)
	if got, want := r.w.LeaseUntil(), start.Add(p.Lease); !got.Equal(want) || !r.w.Leased() {
		t.Errorf("leased until %v, want %v", got, want)
	}
	r.clock.Advance(p.Lease - 400*time.Millisecond)
	if r.w.Leased() {
		t.Error("leased at the end of the lease")
	}

	var probers sync.WaitGroup
	probe := func(want error) {
		probers.Go(func() {
			if err := r.w.Probe(r.t.Context()); !errors.Is(err, want) {
				t.Errorf("Probe = %v, want %v", err, want)
			}
		})
	}
	start = r.clock.Now()
	probe(nil)
	look := r.call(true, 1)
	for range 50 {
		probe(nil) // they share the one on its way, or one more after it
	}
	r.clock.Advance(time.Second)
	look.found(wal.StateAbsent)
	joined := make(chan struct{})
	go func() { probers.Wait(); close(joined) }()
	extra := 0
	for waiting := true; waiting; {
		select {
		case c := <-r.d.calls:
			extra++
			c.found(wal.StateAbsent)
		case <-joined:
			waiting = false
		}
	}
	if st := r.w.Stats(); st.Probes != uint64(1+extra) || extra > 50 {
		t.Errorf("%d probes, %d looks", st.Probes, 1+extra)
	}
	if got, want := r.w.LeaseUntil(), start.Add(p.Lease); got.Before(want) || !r.w.Leased() {
		t.Errorf("after the probe leased until %v, want at least %v", got, want)
	}

	probe(fault.ErrReset)
	r.call(true, 1).answer(fault.ErrReset)
	probers.Wait()
	probe(wal.ErrFenced)
	r.call(true, 1).found(wal.StateForeign)
	probers.Wait()
	if err := r.end(); !errors.Is(err, wal.ErrFenced) || r.w.Leased() {
		t.Errorf("Run = %v, leased %v", err, r.w.Leased())
	}
}

func TestProbeGivesUpWithItsCallerAndAlone(t *testing.T) {
	p := wal.ObjectParams()
	r := newRig(t, p)
	ctx, stop := context.WithCancel(t.Context())
	asked := make(chan error, 1)
	go func() { asked <- r.w.Probe(ctx) }()
	c := r.call(true, 0)
	stop()
	if err := <-asked; !errors.Is(err, context.Canceled) {
		t.Errorf("Probe = %v", err)
	}
	r.pass(p.AttemptTimeout)
	select {
	case <-c.ctx.Done():
	case <-time.After(patience):
		t.Error("the look goes on")
	}
	go func() {
		err := r.w.Probe(t.Context())
		for err != nil && t.Context().Err() == nil { // it joined the one that is being given up
			err = r.w.Probe(t.Context())
		}
		asked <- err
	}()
	r.call(true, 0).found(wal.StateAbsent)
	if err := <-asked; err != nil {
		t.Errorf("Probe after one that was given up = %v", err)
	}
}

func TestWithoutALease(t *testing.T) {
	r := newRig(t, wal.FileParams())
	if err := r.w.Probe(t.Context()); err != nil || r.w.Leased() {
		t.Errorf("Probe = %v, leased %v", err, r.w.Leased())
	}
	done := r.src.Append(1)
	r.call(false, 0).answer(nil)
	r.wait(done)
	r.clock.Advance(1000 * time.Hour)
	if !r.w.Leased() {
		t.Error("a session whose folder is locked serves no reads")
	}
	r.wait(drained(r, func() {}))
	if r.w.Leased() {
		t.Error("a drained session serves")
	}
}

func TestNewWriterNeedsItsParts(t *testing.T) {
	g := waltest.NewSegments()
	for name, o := range map[string]wal.Options{
		"no driver":  {Session: g.Session, Source: waltest.NewSource(t, g)},
		"no source":  {Session: g.Session, Driver: &script{}},
		"no session": {Driver: &script{}, Source: waltest.NewSource(t, g)},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: taken", name)
				}
			}()
			wal.NewWriter(o)
		}()
	}
}
