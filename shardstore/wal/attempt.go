// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package wal

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/leatstream/leat/shardstore/segment"
)

// outcome is how one try ended.
type outcome uint8

const (
	unknown outcome = iota
	durable
	fenced
	failed
)

func outcomeOf(err error) outcome {
	switch {
	case err == nil:
		return durable
	case errors.Is(err, ErrFenced):
		return fenced
	case errors.Is(err, ErrFailed):
		return failed
	}
	return unknown
}

// written is a segment that was taken and is not durable.
type written struct {
	n       uint64
	first   time.Time
	encode  func() []byte // nil once it ran
	encoded chan struct{} // closed when bytes stand
	bytes   []byte        // the frozen buffer

	ctx    context.Context // of the tries under way; nil for none
	cancel context.CancelFunc

	users   int  // tries and looks that may read bytes; Run's own
	settled bool // told durable; Run's own
}

// header is nil until the segment is encoded.
func (s *written) header() []byte {
	select {
	case <-s.encoded:
		return s.bytes[:min(len(s.bytes), segment.HeaderSize)]
	default:
		return nil
	}
}

// take makes segment n and begins its first try.
func (w *Writer) take(ctx context.Context, now time.Time, n uint64) {
	s := &written{n: n, first: now, encoded: make(chan struct{})}
	s.encode = w.o.Source.Take(n)
	w.live[n] = s
	w.m.taken(now, int(w.pending.Load()))
	w.next.Store(n + 1)
	w.begin(ctx, s)
	s.users++
	try := s.ctx
	w.tries.Go(func() {
		s.bytes = s.encode()
		s.encode = nil
		close(s.encoded)
		w.stats.sent(len(s.bytes))
		w.try(try, s)
	})
}

// begin gives the tries that follow a context of their own, unless some are under way.
func (w *Writer) begin(ctx context.Context, s *written) {
	if s.ctx == nil || s.ctx.Err() != nil {
		if w.o.Follow != nil {
			ctx = w.o.Follow(ctx, s.n)
		}
		s.ctx, s.cancel = context.WithCancel(ctx)
	}
}

// send tries once more: the same bytes to the same place (rule 1).
func (w *Writer) send(ctx context.Context, s *written) {
	w.begin(ctx, s)
	s.users++
	try := s.ctx
	w.tries.Go(func() {
		// A twin may be due before a slow encoding is done.
		select {
		case <-s.encoded:
			w.try(try, s)
		case <-try.Done():
			w.answer(s, try.Err())
		}
	})
}

func (w *Writer) try(ctx context.Context, s *written) {
	w.answer(s, w.o.Driver.Write(ctx, w.o.Session, s.n, s.bytes))
}

// answer hands a try's end to Run.
func (w *Writer) answer(s *written, err error) {
	w.say(func() {
		r := outcomeOf(err)
		if r == unknown {
			w.stats.unknowns.Add(1)
			w.o.Logger.Debug("segment not known to be durable", "session", w.o.Session, "segment", s.n, "error", err)
		}
		w.m.answer(w.o.Clock.Now(), s.n, r, err)
		w.left(s)
	})
}

// verify reads the header of a segment back.
func (w *Writer) verify(ctx context.Context, s *written) {
	w.begin(ctx, s)
	s.users++
	look := s.ctx
	w.stats.verifies.Add(1)
	w.tries.Go(func() {
		state, err := w.o.Driver.Verify(look, w.o.Session, s.n, s.header())
		w.say(func() {
			w.m.verifiedAs(w.o.Clock.Now(), s.n, state, err)
			w.left(s)
		})
	})
}

// left notes that a try or a look reads the bytes no more.
func (w *Writer) left(s *written) {
	s.users--
	w.free(s)
}

// free gives the bytes back to the source when nothing needs them any more.
func (w *Writer) free(s *written) {
	if s.settled && s.users == 0 {
		w.o.Source.Free(s.bytes)
		s.bytes = nil
	}
}

// durable tells the source, and lets go of the segment and of twins under way.
func (w *Writer) durable(now time.Time, n uint64) {
	s := w.live[n]
	s.cancel()
	delete(w.live, n)
	w.stats.latency.observe(now.Sub(s.first))
	w.flushed.Store(n + 1)
	w.publish()
	w.o.Source.Durable(n)
	s.settled = true
	w.free(s)
}

func isStall(err error) bool { return errors.Is(err, ErrStalled) }

func stopped(ctx context.Context) error {
	return fmt.Errorf("%w: %w", ErrStopped, context.Cause(ctx))
}
