// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package jqlimit

import (
	"context"
	"time"
)

// Steps is a context that ends after a number of steps: gojq asks it at each step, so that the same query over the same
// record ends at the same place on every machine.
type Steps struct {
	context.Context
	left int
}

// WithSteps allows so many steps of jq's machine. A million are some fifty to a hundred milliseconds.
func WithSteps(ctx context.Context, n int) *Steps { return &Steps{Context: ctx, left: n} }

// Over tells whether they are used up.
func (s *Steps) Over() bool { return s.left < 0 }

// ended is the Done of steps that are used up.
var ended = func() <-chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// Done counts.
func (s *Steps) Done() <-chan struct{} {
	if s.left--; s.left < 0 {
		return ended
	}
	if s.left&1023 == 0 {
		return s.Context.Done()
	}
	return nil
}

// Err says why it has ended.
func (s *Steps) Err() error {
	if s.left < 0 {
		return context.DeadlineExceeded
	}
	return s.Context.Err()
}

// Deadline has none of its own.
func (s *Steps) Deadline() (time.Time, bool) { return s.Context.Deadline() }
