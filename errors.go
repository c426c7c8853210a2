// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package leat

import (
	"errors"
	"fmt"
	"time"
)

// Kind classes every error that a caller can meet. The list is closed: each edge has one table from Kind to its
// own codes, and a test shows that the tables are complete.
type Kind uint8

// The kinds of error.
const (
	// KindInternal is a fault of Leat's own: logged whole, told to nobody. May have been executed.
	KindInternal Kind = iota
	// KindInvalidArgument is a request that can never succeed as it stands; Field names the culprit.
	KindInvalidArgument
	// KindNotFound is a stream, shard or consumer that does not exist.
	KindNotFound
	// KindInUse is a resource that exists already or whose state forbids the operation now.
	KindInUse
	// KindLimitExceeded is a quota or a rate of control-plane calls.
	KindLimitExceeded
	// KindThroughputExceeded is a shard's or node's limit on records; retry after RetryAfter.
	KindThroughputExceeded
	// KindExpiredIterator is a shard iterator older than five minutes.
	KindExpiredIterator
	// KindExpiredToken is a page token older than five minutes.
	KindExpiredToken
	// KindUnauthenticated is a missing or wrong credential.
	KindUnauthenticated
	// KindAccessDenied is a known caller without permission.
	KindAccessDenied
	// KindUnsupported is a feature that is not built; it is refused by name.
	KindUnsupported
	// KindUnavailable is a node that cannot serve now. The operation was certainly not executed: retry.
	KindUnavailable
	// KindUnknownOutcome is a write whose fate is not known: it may have been executed.
	KindUnknownOutcome
	// KindCorrupt is stored data that fails its checks.
	KindCorrupt
	// KindCanceled is a caller that went away or ran out of time.
	KindCanceled

	kindEnd
)

var kindNames = [kindEnd]string{
	KindInternal: "INTERNAL", KindInvalidArgument: "INVALID_ARGUMENT", KindNotFound: "NOT_FOUND", KindInUse: "RESOURCE_IN_USE",
	KindLimitExceeded: "LIMIT_EXCEEDED", KindThroughputExceeded: "THROUGHPUT_EXCEEDED", KindExpiredIterator: "EXPIRED_ITERATOR",
	KindExpiredToken: "EXPIRED_TOKEN", KindUnauthenticated: "UNAUTHENTICATED", KindAccessDenied: "ACCESS_DENIED",
	KindUnsupported: "UNSUPPORTED", KindUnavailable: "UNAVAILABLE", KindUnknownOutcome: "UNKNOWN_OUTCOME",
	KindCorrupt: "CORRUPT", KindCanceled: "CANCELED",
}

// String returns the kind in UPPER_SNAKE, as the native API sends it.
func (k Kind) String() string {
	if k < kindEnd {
		return kindNames[k]
	}
	return fmt.Sprintf("KIND_%d", uint8(k))
}

// Kinds lists every kind, for the tables of the edges and their tests.
func Kinds() []Kind {
	ks := make([]Kind, kindEnd)
	for i := range ks {
		ks[i] = Kind(i)
	}
	return ks
}

// KindByName finds a kind by its UPPER_SNAKE name.
func KindByName(name string) (Kind, bool) {
	for i, n := range kindNames {
		if n == name {
			return Kind(i), true
		}
	}
	return KindInternal, false
}

// Error is the one error type that crosses package borders.
type Error struct {
	Kind    Kind
	Op      string        // the operation, where one is known ("PutRecords")
	Field   string        // the member of the request that is wrong, as the native API spells it
	Message string        // for the caller: names the value and the remedy; never a secret
	After   time.Duration // a hint for retries; 0 means none
	Err     error         // the cause, for the log alone
}

// Error joins what is known into one line.
func (e *Error) Error() string {
	s := e.Message
	if s == "" {
		s = e.Kind.String()
	}
	if e.Op != "" {
		s = e.Op + ": " + s
	}
	if e.Err != nil {
		if cause := e.Err.Error(); cause != "" {
			s += ": " + cause
		}
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Errorf makes an error of a kind. A %w verb keeps the cause for the log.
func Errorf(kind Kind, format string, args ...any) *Error {
	wrapped := fmt.Errorf(format, args...)
	return &Error{Kind: kind, Message: wrapped.Error(), Err: quiet(errors.Unwrap(wrapped))}
}

// Invalid makes an InvalidArgument error that names the field.
func Invalid(field, format string, args ...any) *Error {
	return &Error{Kind: KindInvalidArgument, Field: field, Message: fmt.Sprintf(format, args...)}
}

// KindOf returns the kind of the first *Error in the chain; KindInternal when there is none.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return KindInternal
}

// quiet keeps a cause reachable by errors.Is and As without printing it a second time.
func quiet(err error) error {
	if err == nil {
		return nil
	}
	return quietError{err}
}

type quietError struct{ err error }

func (quietError) Error() string   { return "" }
func (q quietError) Unwrap() error { return q.err }
