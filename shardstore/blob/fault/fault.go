// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package fault

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"syscall"

	"github.com/leatstream/leat/shardstore/blob"
)

// Op is an operation of blob.Store.
type Op string

// The operations.
const (
	Create Op = "create"
	Read   Op = "read"
	Stat   Op = "stat"
	List   Op = "list" // its key is the prefix
	Delete Op = "delete"

	Replace Op = "replace"
	Forget  Op = "forget" // its key is the prefix
)

// Kind is what goes wrong.
type Kind string

// Kinds for every operation. A kind that does not fit an operation does nothing.
const (
	None       Kind = ""            // no fault
	Refuse     Kind = "refuse"      // not done; answers Err
	LoseAnswer Kind = "lose-answer" // done; answers Err all the same
)

// Kinds for Create, Delete and Replace.
const (
	Late          Kind = "late"           // answers Err, done at Release
	Twice         Kind = "twice"          // done twice; the second answer comes back (412 of our own bytes)
	DuplicateLate Kind = "duplicate-late" // done and answered; done again at Release
)

// Kinds for Create alone: stores that break If-None-Match.
const (
	Overwrite Kind = "overwrite" // replaces what stands there, answers OK
	Pretend   Kind = "pretend"   // keeps what stands there, answers OK
)

// Kinds for Read alone.
const (
	Truncate Kind = "truncate" // the first N bytes (half if 0), without an error
	CutShort Kind = "cut"      // no bytes and io.ErrUnexpectedEOF
	Flip     Kind = "flip"     // one bit of byte N (modulo the length) is turned
)

// Fault is what befalls one call. The zero value is none.
type Fault struct {
	Kind Kind
	Err  error // of the kinds that answer one; ErrReset if nil
	N    int64 // see the kinds

	// Wait, if set, is called before the operation (Gate.Wait makes it slow).
	// Its error is answered and nothing is done.
	Wait func(context.Context) error
	// Hold is Wait after the operation and before its answer.
	Hold func(context.Context) error
}

// Hook chooses the fault of a call. It is called from many goroutines at once.
type Hook func(op Op, key string) Fault

// Errors that stores answer. All of them leave the outcome unknown to a caller,
// so none matches blob.ErrExists or blob.ErrNotFound.
var (
	ErrReset      = fmt.Errorf("fault: %w", syscall.ECONNRESET)
	ErrTimeout    = fmt.Errorf("fault: no answer in time: %w", context.DeadlineExceeded)
	ErrBucketGone = errors.New("fault: 404 NoSuchBucket: the bucket does not exist")
	ErrReadOnly   = fmt.Errorf("fault: %w", syscall.EROFS)
	ErrDiskFull   = fmt.Errorf("fault: %w", syscall.ENOSPC)
)

// Status is the answer of a store with an HTTP status other than 2xx: 412 is
// blob.ErrExists, everything else (409, 429, 5xx …) is unknown.
func Status(code int) error {
	if code == 412 {
		return fmt.Errorf("fault: 412 PreconditionFailed: %w", blob.ErrExists)
	}
	return fmt.Errorf("fault: status %d", code)
}

// Store wraps a blob.Store. Create one with New.
type Store struct {
	inner blob.Store

	mu     sync.Mutex
	hook   Hook
	counts Counts
	late   []delivery

	// overwriting keeps the delete and create of Overwrite together.
	overwriting sync.Mutex
}

var _ blob.Eraser = (*Store)(nil)

// New wraps inner. A nil hook means no faults.
func New(inner blob.Store, hook Hook) *Store {
	return &Store{inner: inner, hook: hook}
}

// SetHook replaces the hook for the calls that begin afterwards.
func (s *Store) SetHook(hook Hook) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hook = hook
}

// begin counts a call, chooses its fault and waits as that says.
func (s *Store) begin(ctx context.Context, op Op, key string) (Fault, error) {
	s.mu.Lock()
	hook := s.hook
	s.counts.call(op)
	s.mu.Unlock()
	var f Fault
	if hook != nil {
		f = hook(op, key)
	}
	if f.Kind != None || f.Wait != nil || f.Hold != nil {
		s.count(func(c *Counts) { c.Faults++ })
	}
	if f.Err == nil {
		f.Err = ErrReset
	}
	if f.Wait != nil {
		if err := f.Wait(ctx); err != nil {
			return f, fmt.Errorf("fault: %s %s: %w", op, key, err)
		}
	}
	if f.Kind == Refuse {
		return f, fmt.Errorf("%s %s: %w", op, key, f.Err)
	}
	return f, nil
}

// end waits as the fault says and loses the answer if it is to be lost.
func (f Fault) end(ctx context.Context, op Op, key string, err error) error {
	if f.Hold != nil {
		if held := f.Hold(ctx); held != nil {
			return fmt.Errorf("fault: %s %s: %w", op, key, held)
		}
	}
	if f.Kind == LoseAnswer {
		return fmt.Errorf("%s %s: %w", op, key, f.Err)
	}
	return err
}
