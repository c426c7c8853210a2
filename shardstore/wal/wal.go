// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package wal

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/leatstream/leat"
)

// How a session, or the recovery of one, ends.
var (
	// ErrFenced: another one ended the session; what was not told durable never counts.
	ErrFenced = errors.New("wal: the session is fenced")
	// ErrStalled: nothing became durable for Params.StallAfter. What is not durable may be found by recovery or not.
	ErrStalled = errors.New("wal: the session made no progress")
	// ErrFailed: the medium failed so that it can never be trusted again in this session (a failed fsync).
	ErrFailed = errors.New("wal: the medium of the session failed")
	// ErrStopped: the Writer's context ended before Drain.
	ErrStopped = errors.New("wal: the session was stopped")
	// ErrClosed answers Recover: closed/<session> stands, and what it says counts.
	ErrClosed = errors.New("wal: the session's end is decided already")
	// ErrStaleCatalog answers Recover: segments below others are missing, so trim is older than the log.
	ErrStaleCatalog = errors.New("wal: the catalog is older than the log")
)

// WindowSize bounds how far beyond the first segment that is not durable another one may be begun. An object at or
// beyond the first missing segment plus WindowSize cannot be the session's own doing (rule 10).
const WindowSize = 16

// State is what stands at the place of a segment.
type State uint8

// The states of a place.
const (
	StateAbsent  State = iota // nothing
	StateOurs                 // the very segment
	StateForeign              // a fence, or anything else
)

// String names the state.
func (s State) String() string {
	switch s {
	case StateAbsent:
		return "absent"
	case StateOurs:
		return "ours"
	}
	return "foreign"
}

// Driver is a medium for session logs: Objects is an object store, Files a local folder. Implementations MUST be safe
// for concurrent use and MUST NOT keep or change a segment's bytes after Write returned.
type Driver interface {
	// Begin prepares the log of a new session.
	Begin(ctx context.Context, s leat.SessionID) error
	// Write tries once to make segment n durable. nil: it is. ErrFenced: the session is over. ErrFailed: the session
	// must end and the medium cannot be asked again. Any other error: unknown; the same bytes may be sent again.
	Write(ctx context.Context, s leat.SessionID, n uint64, segment []byte) error
	// Verify reads back the header that stands at n and compares it with the one given, which holds the segment's
	// nonce. An empty header is nobody's. An error says nothing about what stands there.
	Verify(ctx context.Context, s leat.SessionID, n uint64, header []byte) (State, error)
	// Read returns bytes of segment n: off and length as in blob.Store.Read. blob.ErrNotFound when it is not there.
	Read(ctx context.Context, s leat.SessionID, n uint64, off, length int64) ([]byte, error)
	// Recover ends the log of a session that is over with a fence and returns what it holds from trim on (rule 10).
	// The caller MUST have moved the session from live to fencing before it read trim. It may run again, or on two
	// nodes at once: all of them return the same. ErrClosed, ErrStaleCatalog, or an error of KindCorrupt.
	Recover(ctx context.Context, s leat.SessionID, trim uint64, o RecoverOptions) (Recovered, error)
	// Remove deletes segment n, which MUST lie below a committed trim or belong to a closed session without rows
	// (rules 6 and 12). A fence is refused (rule 8); an absent segment is no error.
	Remove(ctx context.Context, s leat.SessionID, n uint64) error
}

// Separate is a Driver that keeps each segment by itself: one that Remove is not called for stays, whatever is removed
// around it.
type Separate interface{ Separate() }

// KeyPrefix begins the names of segments.
const KeyPrefix = "wal/"

// Key names segment n of a session: wal/<session>/<n as 20 digits>. Files uses it as a name too, though no object
// stands there.
func Key(s leat.SessionID, n uint64) string {
	return fmt.Sprintf("%s%020d", prefix(s), n)
}

// prefix begins the keys of a session's segments.
func prefix(s leat.SessionID) string { return KeyPrefix + s.String() + "/" }

// ParseKey undoes Key.
func ParseKey(key string) (s leat.SessionID, n uint64, ok bool) {
	rest, found := strings.CutPrefix(key, KeyPrefix)
	id, digits, cut := strings.Cut(rest, "/")
	if !found || !cut || len(digits) != 20 {
		return s, 0, false
	}
	s, err := leat.ParseID[leat.SessionID](id)
	if err != nil {
		return s, 0, false
	}
	n, err = strconv.ParseUint(digits, 10, 64)
	return s, n, err == nil && Key(s, n) == key
}
