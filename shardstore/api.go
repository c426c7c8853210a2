// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package shardstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/leatstream/leat"
)

// Put is one record on its way into a shard. Append fills in the outcome.
type Put struct {
	Shard  leat.ShardKey
	Record leat.Record // CRC set by the caller, where the record entered; Offset and Time set by Append
	Err    error       // nil: the record is durable at Record.Offset
}

// errNothingSaid stands in a put until an engine has said what became of it.
var errNothingSaid = fmt.Errorf("%w: the engine said nothing of the record", ErrUnknownOutcome)

// Ask hands puts to an engine, a Store or what stands for one, which sets the error of each: to nil where the record is
// durable. Who acknowledges does not take silence for a yes: should an engine ever return without an error and without an
// outcome, the record's fate is unknown.
func Ask(ctx context.Context, e interface {
	Append(ctx context.Context, puts []Put) error
}, puts []Put) error {
	for i := range puts {
		puts[i].Err = errNothingSaid
	}
	return e.Append(ctx, puts)
}

// The outcomes of a Put that are not faults of the request. All but ErrUnknownOutcome say that the record was certainly
// not written.
var (
	// ErrNotOwned: the shard is not open on this node.
	ErrNotOwned = errors.New("shardstore: shard is not owned here")
	// ErrResharded: the shard was closed by a split or merge; its children take the record.
	ErrResharded = errors.New("shardstore: shard is closed")
	// ErrOverloaded: the bound of memory not yet durable is reached.
	ErrOverloaded = errors.New("shardstore: too much not yet durable")
	// ErrUnknownOutcome: the session ended before the record's segment was known to be durable.
	ErrUnknownOutcome = errors.New("shardstore: session ended before the record was known to be durable")
)

// ReshardedError is an ErrResharded that says what became of the shard: the reshard is durable.
type ReshardedError struct {
	Reshard *Reshard // MUST NOT be changed
}

// Error says no more than ErrResharded does.
func (e *ReshardedError) Error() string { return ErrResharded.Error() }

// Is matches ErrResharded.
func (e *ReshardedError) Is(target error) bool { return target == ErrResharded }

// Page is what one read of a shard found.
type Page struct {
	Records []leat.Record // alias the store's memory: MUST NOT be changed
	Next    uint64        // offset to ask for next: beyond the last record, or the horizon where that was skipped to
	Horizon uint64        // the lowest offset still kept
	Tail    uint64        // the offset after the newest visible record
	Checked bool          // each record was compared with its checksum as it was taken from the store's memory, in this process
	Ended   bool          // the shard is closed and Next is its end
	Became  *Reshard      // of a page that has Ended: what closed the shard, if this session did; MUST NOT be changed
	Behind  time.Duration // 0 when Next is the tail; otherwise the age of the last record returned, or of the position
}

// ReadLimits bounds one read.
type ReadLimits struct {
	Records int   // at most; at least one record is returned where there is one
	Bytes   int   // of data and partition keys
	MinTime int64 // microseconds: records older than this are skipped as expired; 0 for none
	Limited bool  // the shard's limits of reads hold for it: for who counts at the shard's owner; the store does not
	Look    bool  // it is the server's own, and counted as nobody's read: for the same; the store does not care
}

// Bounds is where a shard begins and ends now.
type Bounds struct {
	Epoch    uint64
	Horizon  uint64
	Tail     uint64 // visible
	LastTime int64  // of the newest visible record
	Closed   bool
}

// Assignment hands a shard to a session that now owns it.
type Assignment struct {
	Shard    leat.ShardKey
	Epoch    uint64
	Horizon  uint64
	Next     uint64 // the offset after the last registered extent
	LastTime int64  // of the last record registered or in Pending; the shard's clock starts there
	Closed   bool   // by a reshard: it takes no records
	Extents  int    // number of registered extents
	Pending  []Pending
}

// Pending are extents of a shard that are still only in the segments of a closed session (data-plane.md, rule 12).
type Pending struct {
	Session leat.SessionID
	Extents []Extent
}
