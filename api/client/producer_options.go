// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package client

import (
	"errors"
	"math/rand/v2"
	"time"

	"github.com/leatstream/leat"
)

// UnknownPolicy says what a Producer does with records whose fate is not known: the connection was lost before the
// answer came, or the server said so itself.
type UnknownPolicy int

// The policies for records whose fate is not known.
const (
	// UnknownRepeat sends them again. A record may then stand twice in the stream, as with Kinesis.
	UnknownRepeat UnknownPolicy = iota
	// UnknownResolve reads the shards from the last known position on, takes what it finds there as acknowledged and
	// sends the rest again. Records are recognised by key and data, so a record is counted as this producer's when
	// another producer has put the very same key and data since that position. A request that a server still executes
	// after ResolveSettle is not found, and then stands twice.
	UnknownResolve
	// UnknownFail gives them up with KindUnknownOutcome.
	UnknownFail
)

// ProducerOptions tune a Producer; zero values mean the defaults.
type ProducerOptions struct {
	// BatchRecords is the most records in one PutRecords: 500 by default and at most.
	BatchRecords int
	// BatchBytes is the most data and keys in one PutRecords, but for a single record that is larger: 1 MiB by default,
	// 10 MiB at most.
	BatchBytes int
	// Linger is how long a busy lane waits for a batch to fill: 5 ms by default, negative for not at all. A lane that
	// has been idle sends at once.
	Linger time.Duration
	// Lanes is the number of batches in flight: 8 by default, 1024 at most. Records of one key share a lane.
	Lanes int
	// MaxOutstanding bounds the bytes that are put and not acknowledged: 64 MiB by default, 11 MiB at least. Put waits
	// beyond it.
	MaxOutstanding int64
	// MaxRecordBytes is the stream's own limit on data and key: 10 MiB by default. Larger records are refused by Put.
	MaxRecordBytes int
	// RetryFor is how long a record is tried again after its first failure, and how long a lane that makes no progress at
	// all goes on: a minute by default, negative for no retry.
	RetryFor time.Duration
	// AttemptTimeout bounds one PutRecords: 30 s by default.
	AttemptTimeout time.Duration
	// BackoffMin and BackoffMax bound the pause before a retry, which doubles: 50 ms and 5 s by default.
	BackoffMin, BackoffMax time.Duration
	// Unknown is what happens to records whose fate is not known: UnknownRepeat by default.
	Unknown UnknownPolicy
	// ResolveSettle is how long UnknownResolve waits before it looks, for requests that are still being executed: 1 s by
	// default, negative for not at all.
	ResolveSettle time.Duration
	// Nodes, where they are given, get each record at the node that serves its shard; otherwise all of them go to the
	// producer's client, and that node passes on what it does not serve. Records that are looked for (UnknownResolve) are
	// looked for by the producer's client.
	Nodes *Nodes
	// Clock and Rand are the machine's by default; tests hand in their own. Rand is used under a lock.
	Clock leat.Clock
	Rand  *rand.Rand
}

// withDefaults fills in zero values.
func (o ProducerOptions) withDefaults() ProducerOptions {
	def(&o.BatchRecords, leat.MaxPutRecords)
	def(&o.BatchBytes, 1<<20)
	def(&o.Linger, 5*time.Millisecond)
	def(&o.Lanes, 8)
	def(&o.MaxOutstanding, 64<<20)
	def(&o.MaxRecordBytes, leat.MaxRecordBytes)
	def(&o.RetryFor, time.Minute)
	def(&o.AttemptTimeout, 30*time.Second)
	def(&o.BackoffMin, 50*time.Millisecond)
	def(&o.BackoffMax, 5*time.Second)
	def(&o.ResolveSettle, time.Second)
	if o.Clock == nil {
		o.Clock = leat.SystemClock{}
	}
	if o.Rand == nil {
		o.Rand = rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	}
	return o
}

func def[T comparable](v *T, value T) {
	var zero T
	if *v == zero {
		*v = value
	}
}

// Validate tells everything that is out of bounds, joined.
func (o *ProducerOptions) Validate() error {
	var errs []error
	check := func(ok bool, field, format string, args ...any) {
		if !ok {
			errs = append(errs, leat.Invalid(field, format, args...))
		}
	}
	check(o.BatchRecords > 0 && o.BatchRecords <= leat.MaxPutRecords, "BatchRecords", "BatchRecords %d must be from 1 to %d", o.BatchRecords, leat.MaxPutRecords)
	check(o.BatchBytes > 0 && o.BatchBytes <= leat.MaxPutRecordsBytes, "BatchBytes", "BatchBytes %d must be from 1 to %d", o.BatchBytes, leat.MaxPutRecordsBytes)
	check(o.Lanes > 0 && o.Lanes <= 1024, "Lanes", "Lanes %d must be from 1 to 1024", o.Lanes)
	check(o.MaxOutstanding >= 11<<20, "MaxOutstanding", "MaxOutstanding %d must be 11 MiB or more", o.MaxOutstanding)
	check(o.MaxRecordBytes > 0 && o.MaxRecordBytes <= leat.MaxRecordBytes, "MaxRecordBytes", "MaxRecordBytes %d must be from 1 to %d", o.MaxRecordBytes, leat.MaxRecordBytes)
	check(o.AttemptTimeout > 0, "AttemptTimeout", "AttemptTimeout %s must be above 0", o.AttemptTimeout)
	check(o.BackoffMin > 0 && o.BackoffMin <= o.BackoffMax, "BackoffMin", "BackoffMin %s must be above 0 and at most BackoffMax %s", o.BackoffMin, o.BackoffMax)
	check(o.Unknown >= UnknownRepeat && o.Unknown <= UnknownFail, "Unknown", "Unknown %d is no policy", o.Unknown)
	return errors.Join(errs...)
}
