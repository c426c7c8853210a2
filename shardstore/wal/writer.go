// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package wal

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"io"
	"log/slog"
	mathrand "math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/leatstream/leat"
)

// Source is what a Writer writes. All calls come from the goroutine of Run.
type Source interface {
	// Take freezes what is pending as segment n and returns a function that encodes it, which is called once, on a
	// goroutine of its own. The bytes MUST NOT be changed afterwards, unless Free gives them back: a late try may still
	// read them. Take is called in order of n, only when something is pending, and MUST Notify what remains.
	Take(n uint64) (encode func() []byte)
	// Durable says that segment n and all earlier ones are durable. Called in order.
	Durable(n uint64)
	// Free gives the bytes of a segment back: it is durable, Durable was called, and no try reads them any more. It is
	// not called for every segment: the bytes of those that are under way at the end are left to the garbage collector.
	Free(segment []byte)
}

// Options are what a Writer needs.
type Options struct {
	Driver  Driver
	Session leat.SessionID
	Source  Source
	Params  Params       // the zero value stands for ObjectParams
	Clock   leat.Clock   // nil for the machine's
	Logger  *slog.Logger // nil for none
	Rand    io.Reader    // seeds the jitter of retries; nil for crypto/rand
	// Follow returns the context for tries to write segment n, for traces; nil: as it is. It MUST NOT change when ctx ends.
	Follow func(ctx context.Context, n uint64) context.Context
}

// Writer is the log of one live session. Create one with NewWriter and call Run once.
type Writer struct {
	o       Options
	m       *machine
	pending atomic.Int64  // bytes that the source has and that are not taken
	wakeAt  atomic.Int64  // so many pending bytes wake Run; 0 for no amount
	kick    chan struct{} // wakes Run
	events  chan func()   // what tries, looks and callers have to say, run by Run
	stats   stats

	live    map[uint64]*written // segments taken and not durable; Run's own
	waiters []chan error        // of the probe; Run's own
	look    context.CancelFunc  // of the probe on its way
	tries   sync.WaitGroup      // goroutines under way

	leased  atomic.Pointer[time.Time] // the lease is counted from here; nil: none
	flushed atomic.Uint64
	next    atomic.Uint64

	stopped chan struct{} // closed when the end is decided
	err     error         // set before stopped is closed
}

// NewWriter makes a Writer. It panics if Options are incomplete; wrong Params are an error of Run.
func NewWriter(o Options) *Writer {
	if o.Driver == nil || o.Source == nil || o.Session.IsZero() {
		panic("wal: Options need Driver, Source and Session")
	}
	if o.Params == (Params{}) {
		o.Params = ObjectParams()
	}
	if o.Clock == nil {
		o.Clock = leat.SystemClock{}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	w := &Writer{
		o: o, kick: make(chan struct{}, 1), events: make(chan func()),
		live: make(map[uint64]*written), stopped: make(chan struct{}),
	}
	w.m = newMachine(o.Params, jitter(o.Rand), o.Clock.Now())
	w.wakeAt.Store(1)
	return w
}

// jitter returns random numbers in [0, 1).
func jitter(r io.Reader) func() float64 {
	if r == nil {
		r = rand.Reader
	}
	var seed [16]byte
	if _, err := io.ReadFull(r, seed[:]); err != nil {
		return func() float64 { return 0.5 } // retries that are not spread are still retries
	}
	return mathrand.New(mathrand.NewPCG(binary.LittleEndian.Uint64(seed[:]), binary.LittleEndian.Uint64(seed[8:]))).Float64
}

// Notify says how many bytes the source has now that are not taken. The source MUST call it under the lock that orders
// its own changes, so that the last call tells the truth. It costs two atomic operations, and a wake-up when that many
// bytes change what the Writer does.
func (w *Writer) Notify(pending int) {
	w.pending.Store(int64(pending))
	if at := w.wakeAt.Load(); at > 0 && int64(pending) >= at {
		w.wake()
	}
}

func (w *Writer) wake() {
	select {
	case w.kick <- struct{}{}:
	default:
	}
}

// Run writes until the session ends: nil after Drain, otherwise an error that matches ErrFenced, ErrStalled, ErrFailed
// or ErrStopped (ctx ended). It MUST be called once. After ErrStalled a try that the medium does not give back may
// still be under way; Close waits for it.
func (w *Writer) Run(ctx context.Context) error {
	if err := w.o.Params.Validate(); err != nil {
		w.finish(err)
		return err
	}
	tries, cancel := context.WithCancel(ctx)
	defer cancel()
	w.loop(ctx, tries)
	cancel()
	if !isStall(w.err) {
		w.tries.Wait()
	}
	return w.err
}

// Close waits until every goroutine of a Writer whose Run has returned is gone. It may be called twice.
func (w *Writer) Close() { w.tries.Wait() }

// loop feeds the machine and does what it says until the end.
func (w *Writer) loop(ctx, tries context.Context) {
	alarm := alarm{clock: w.o.Clock}
	defer alarm.stop()
	for {
		now := w.turn(tries)
		if w.ended() {
			return
		}
		if at := w.wakeAt.Load(); at > 0 && w.pending.Load() >= at {
			continue // came between the turn and the new threshold
		}
		select {
		case <-w.kick:
		case f := <-w.events:
			f()
		case <-alarm.at(now, w.m.wake(now)):
			alarm.rang()
		case <-ctx.Done():
			w.m.end(stopped(ctx))
		}
	}
}

// turn does everything that is due and tells the world where the machine stands.
func (w *Writer) turn(ctx context.Context) time.Time {
	now := w.o.Clock.Now()
	for {
		w.m.notify(now, int(w.pending.Load()))
		a, ok := w.m.next(now)
		if !ok {
			break
		}
		w.do(ctx, now, a)
		now = w.o.Clock.Now()
	}
	w.publish()
	return now
}

// do carries out one action. now is not later than the moment at which anything of it reaches the medium.
func (w *Writer) do(ctx context.Context, now time.Time, a action) {
	switch a.op {
	case opTake:
		w.take(ctx, now, a.n)
	case opSend:
		w.stats.retries.Add(1)
		w.send(ctx, w.live[a.n])
	case opVerify:
		w.verify(ctx, w.live[a.n])
	case opGiveUp:
		w.live[a.n].cancel()
	case opProbe:
		w.probe(ctx, a.n)
	case opGiveUpProbe:
		w.look()
	case opProbed:
		w.probed(a.err)
	case opDurable:
		w.durable(now, a.n)
	case opEnd:
		w.finish(a.err)
	}
}

// publish tells other goroutines what the machine knows.
func (w *Writer) publish() {
	if t := w.m.leased; !t.IsZero() {
		if old := w.leased.Load(); old == nil || !old.Equal(t) {
			w.leased.Store(&t)
		}
	}
	w.next.Store(w.m.nextN())
	w.flushed.Store(w.m.told)
	w.wakeAt.Store(int64(w.m.wakeBytes()))
}

func (w *Writer) finish(err error) {
	w.err = err
	w.wakeAt.Store(0)
	close(w.stopped)
}

// ended tells whether finish was called.
func (w *Writer) ended() bool {
	select {
	case <-w.stopped:
		return true
	default:
		return false
	}
}

// Drain makes everything pending durable and then ends the Writer: Run returns nil. The source MUST NOT get more
// meanwhile. It returns Run's error when the session ends otherwise.
func (w *Writer) Drain(ctx context.Context) error {
	w.tell(ctx, w.m.drain)
	select {
	case <-w.stopped:
		return w.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// tell has f run by Run. false when the Writer or ctx ended first: then f never runs.
func (w *Writer) tell(ctx context.Context, f func()) bool {
	select {
	case w.events <- f:
		return true
	case <-w.stopped:
	case <-ctx.Done():
	}
	return false
}

// say has f run by Run unless the Writer ended: how tries and looks report, whose own context may be over.
func (w *Writer) say(f func()) {
	select {
	case w.events <- f:
	case <-w.stopped:
	}
}

// Next is the number of the next segment to be taken.
func (w *Writer) Next() uint64 { return w.next.Load() }

// Flushed is the number of segments that were told durable: all below it are.
func (w *Writer) Flushed() uint64 { return w.flushed.Load() }
