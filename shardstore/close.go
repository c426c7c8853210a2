// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package shardstore

import (
	"context"
	"errors"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore/segment"
)

// drainTries is how often a drain asks a catalog that does not answer: what is not packed is found again in the log.
const drainTries = 3

// errLeft says that a drain left records to recovery.
var errLeft = leat.Errorf(leat.KindUnavailable, "the session is closed, but some of its records are not in the index: recovery finds them in its log")

// Close drains the session: no more puts, everything pending durable and packed, no more reads, then a durable CLOSE
// record. After a nil return the session left nothing to recover; after an error it is over too, nothing is lost, and it
// MUST be recovered. It ends when ctx does at the latest. It may be called twice: the second call waits for the first.
func (s *Store) Close(ctx context.Context) error {
	s.mu.Lock()
	first := s.state == live
	if first {
		s.state = draining
	}
	s.mu.Unlock()
	if !first {
		select {
		case <-s.done:
			return s.Err()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	s.over(s.drain(ctx))
	s.cancel()
	<-s.done
	return s.Err()
}

// drain packs what the log holds and writes CLOSE, so that the next session finds nothing of ours to read back.
func (s *Store) drain(ctx context.Context) error {
	if err := s.flush(ctx); err != nil {
		return err
	}
	s.rest()
	packed := s.packRest(ctx)
	s.mu.Lock()
	if s.state == draining {
		// The next owner may begin as soon as CLOSE is durable (rule 13).
		s.state, s.reason = closing, packed
	}
	s.mu.Unlock()
	closed := s.control(ctx, segment.Control{Kind: segment.ControlClose})
	if packed == nil && closed == nil {
		packed = s.nothingLeft(ctx) // always, by this code's reasoning; but a clean end deletes the log
	}
	err := errors.Join(packed, closed)
	// Before the writer ends: whoever hears of that first, here or in run, takes what is noted by then for the whole truth.
	s.mu.Lock()
	if s.reason == nil {
		s.reason = err
	}
	s.mu.Unlock()
	return errors.Join(err, s.writer.Drain(ctx))
}

// packRest packs everything that is durable, and tells whether that is all.
func (s *Store) packRest(ctx context.Context) error {
	pause := 100 * time.Millisecond
	for try := 1; ; try++ {
		err := s.packer.round(ctx, true)
		if err != nil && try < drainTries && !errors.Is(err, ErrFenced) && s.sleep(ctx, pause) == nil {
			pause *= 4
			continue
		}
		if err == nil {
			err = s.nothingLeft(ctx)
		}
		return err
	}
}

// nothingLeft returns nil when everything durable is in the index.
func (s *Store) nothingLeft(ctx context.Context) error {
	left, err := s.packer.left(ctx)
	if left || err != nil {
		return errors.Join(errLeft, err)
	}
	return nil
}

// flush waits until everything pending now is durable and the packer has it. The newest batch may be empty while the one
// before it is full: a record that did not fit was refused after room had been made for it.
func (s *Store) flush(ctx context.Context) error {
	s.mu.Lock()
	last := s.telling // or nil
	if n := len(s.taken); n > 0 {
		last = s.taken[n-1]
	}
	for _, b := range s.queue {
		if !b.empty() {
			last = b
		}
	}
	s.mu.Unlock()
	if last == nil {
		return nil
	}
	return s.settle(ctx, last)
}
