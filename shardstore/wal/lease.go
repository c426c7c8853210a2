// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package wal

import (
	"bytes"
	"context"
	"time"
)

// Leased tells whether reads may be served now (rule 13). Both readings of the clock must agree: the monotonic one
// stands still while a machine is suspended. Params.Lease 0 means always, while the session lives.
func (w *Writer) Leased() bool {
	until := w.LeaseUntil()
	if until.IsZero() {
		return false
	}
	now := w.o.Clock.Now()
	return now.Before(until) && now.Round(0).Before(until.Round(0))
}

// LeaseUntil is until when reads may be served: the start of the first try of the newest segment that is durable with
// all earlier ones, or of a probe that found no fence, plus Params.Lease. The zero time when the session has ended or
// nothing is durable yet.
func (w *Writer) LeaseUntil() time.Time {
	from := w.leased.Load()
	if from == nil || w.ended() {
		return time.Time{}
	}
	if w.o.Params.Lease == 0 {
		return from.AddDate(1000, 0, 0)
	}
	return from.Add(w.o.Params.Lease)
}

// Probe looks whether the lowest segment that is not durable is missing and extends the lease from the moment at which
// it began. Calls that come while a look is on its way share it, so the caller asks Leased again. The error matches
// ErrFenced when a fence stands there; then the session ends too. Without a lease to extend it only tells whether the
// session lives.
func (w *Writer) Probe(ctx context.Context) error {
	if w.ended() {
		return w.reason()
	}
	if w.o.Params.Lease == 0 {
		return nil
	}
	answer := make(chan error, 1)
	asked := w.tell(ctx, func() {
		w.waiters = append(w.waiters, answer)
		w.m.wantProbe()
	})
	if !asked {
		if w.ended() {
			return w.reason()
		}
		return ctx.Err()
	}
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-w.stopped:
		return w.reason()
	}
}

// reason is why an ended Writer ended.
func (w *Writer) reason() error {
	if w.err == nil {
		return ErrStopped
	}
	return w.err
}

// probe reads the header at n back.
func (w *Writer) probe(ctx context.Context, n uint64) {
	var header []byte
	if s := w.live[n]; s != nil {
		header = bytes.Clone(s.header()) // the segment's memory is used again as soon as it is durable
	}
	w.stats.probes.Add(1)
	look, cancel := context.WithCancel(ctx)
	w.look = cancel
	w.tries.Go(func() {
		defer cancel()
		state, err := w.o.Driver.Verify(look, w.o.Session, n, header)
		w.say(func() { w.m.probed(w.o.Clock.Now(), len(header) > 0, state, err) })
	})
}

// probed answers everyone who waits.
func (w *Writer) probed(err error) {
	w.publish()
	for _, c := range w.waiters {
		c <- err
	}
	w.waiters = nil
}
