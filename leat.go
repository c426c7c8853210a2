// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

// Package leat is the vocabulary of Leat: streams, shards, records, hash keys, sequence numbers and errors.
//
// It imports the standard library alone, decides nothing and does no I/O; every other package speaks in its words.
// The invariants of the whole system, I1 to I15, are listed in ARCHITECTURE.md.
package leat

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"time"
)

// StreamID is a random 128-bit identity of one stream. A stream that is deleted and made again under the same name
// has another id, so nothing kept of the old one (iterators, sequence numbers) can be used on the new one.
type StreamID [16]byte

// SessionID is a random 128-bit identity of one life of one node's log. It is never used again.
type SessionID [16]byte

// ClusterID names one Leat cluster: one catalog and one bucket prefix.
type ClusterID [16]byte

// KeyID is a random 128-bit identity of one of the keys that seal a stream's records; zero is none.
type KeyID [16]byte

// String returns 32 lower-case hexadecimal digits.
func (id StreamID) String() string { return hex.EncodeToString(id[:]) }

// String returns 32 lower-case hexadecimal digits.
func (id SessionID) String() string { return hex.EncodeToString(id[:]) }

// String returns 32 lower-case hexadecimal digits.
func (id ClusterID) String() string { return hex.EncodeToString(id[:]) }

// String returns 32 lower-case hexadecimal digits.
func (id KeyID) String() string { return hex.EncodeToString(id[:]) }

// MarshalText returns the hexadecimal digits, so that ids read well in JSON.
func (id StreamID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText undoes MarshalText.
func (id *StreamID) UnmarshalText(b []byte) (err error) {
	*id, err = ParseID[StreamID](string(b))
	return err
}

// MarshalText returns the hexadecimal digits, so that ids read well in JSON.
func (id SessionID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText undoes MarshalText.
func (id *SessionID) UnmarshalText(b []byte) (err error) {
	*id, err = ParseID[SessionID](string(b))
	return err
}

// MarshalText returns the hexadecimal digits, so that ids read well in JSON.
func (id KeyID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText undoes MarshalText.
func (id *KeyID) UnmarshalText(b []byte) (err error) {
	*id, err = ParseID[KeyID](string(b))
	return err
}

// IsZero tells whether the id was never set.
func (id SessionID) IsZero() bool { return id == SessionID{} }

// IsZero tells whether the id was never set.
func (id StreamID) IsZero() bool { return id == StreamID{} }

// IsZero tells whether there is no key.
func (id KeyID) IsZero() bool { return id == KeyID{} }

// NewID reads a random identity from r; nil means crypto/rand. It panics when randomness fails, since a repeated
// identity would break the log's invariants.
func NewID[T StreamID | SessionID | ClusterID | KeyID](r io.Reader) T {
	if r == nil {
		r = rand.Reader
	}
	var b [16]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		panic(fmt.Sprintf("leat: no randomness for an identity: %v", err))
	}
	return T(b)
}

// ParseID reads the 32 hexadecimal digits of an identity.
func ParseID[T StreamID | SessionID | ClusterID | KeyID](s string) (T, error) {
	var b [16]byte
	if len(s) != 32 {
		return T(b), Errorf(KindInvalidArgument, "identity %q must have 32 hexadecimal digits", s)
	}
	if _, err := hex.Decode(b[:], []byte(s)); err != nil {
		return T(b), Errorf(KindInvalidArgument, "identity %q must have 32 hexadecimal digits", s)
	}
	return T(b), nil
}

// ShardKey names a shard for ever: its stream and its ordinal in that stream. Children of a split or merge have
// higher ordinals than their parents.
type ShardKey struct {
	Stream  StreamID
	Ordinal uint64
}

// String returns stream/shardId-….
func (k ShardKey) String() string { return k.Stream.String() + "/" + ShardID(k.Ordinal) }

// Compare orders by stream, then ordinal: the order of shards inside segments and packs.
func (k ShardKey) Compare(o ShardKey) int {
	for i := range k.Stream {
		if k.Stream[i] != o.Stream[i] {
			if k.Stream[i] < o.Stream[i] {
				return -1
			}
			return 1
		}
	}
	switch {
	case k.Ordinal < o.Ordinal:
		return -1
	case k.Ordinal > o.Ordinal:
		return 1
	}
	return 0
}

// Micros converts a wall-clock time to the microseconds since 1970 that the log and the catalog store.
func Micros(t time.Time) int64 { return t.UnixMicro() }

// Clock tells the time. Tests hand in their own.
type Clock interface {
	// Now returns the wall clock with a monotonic reading, as time.Now does.
	Now() time.Time
	// NewTimer returns a channel that receives once after d, and a function that stops it.
	NewTimer(d time.Duration) (c <-chan time.Time, stop func())
}
