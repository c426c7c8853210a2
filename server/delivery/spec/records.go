// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"context"
	"errors"
	"io"
	"time"
)

// Record is one record of the source, on its way to an object. Data MUST NOT be changed: it aliases the store's memory.
type Record struct {
	Shard        uint64 // ordinal
	Sequence     string // its sequence number
	Offset       uint64
	Time         int64 // approximate arrival, microseconds since 1970
	PartitionKey string
	Data         []byte
}

// Output is what transforms made of a record, or of a part of it. Data MUST NOT be changed.
type Output struct {
	Source int // index of the Record it comes from
	Data   []byte
	Query  map[string]string // partition keys that a query gave: !{partitionKeyFromQuery:name}
	Lambda map[string]string // those that an endpoint or a module gave: !{partitionKeyFromLambda:name}
}

// Failure is a record, or a part of it, that cannot be delivered.
type Failure struct {
	Source   int
	Type     ErrorType
	Code     string // such as Firehose has them: "JQProcessing.Error"
	Message  string // for people; of bounded length
	Attempts int    // 0 means 1
	// Data is what could not be delivered where that is not the source record's own bytes (a part of an aggregate);
	// nil: those.
	Data []byte
}

// ErrorType is where in the error prefix a record goes: Firehose's firehose:error-output-type.
type ErrorType string

// The error types.
const (
	ProcessingFailed   ErrorType = "processing-failed"
	ConversionFailed   ErrorType = "format-conversion-failed"
	PartitioningFailed ErrorType = "partitioning-failed" // no keys, bad keys, or too many active partitions
	HTTPFailed         ErrorType = "http-endpoint-failed"
)

// Result is what a pipeline made of a batch. Every record of the batch is the source of at least one output, or of one
// failure, or is dropped; outputs are in the order of their sources.
type Result struct {
	Outputs []Output
	Failed  []Failure
	Dropped []int // sources that a filter took out
}

// Pipeline is the transforms of a Config, compiled. It may be used by several goroutines.
type Pipeline interface {
	// Apply transforms a batch. An error says that nothing of the batch is decided and that it can be tried again: an
	// endpoint that is down, or ErrRoom, when what comes of the batch has more than most bytes on its way. What is wrong with
	// a record is a Failure; which it is does not depend on most.
	Apply(ctx context.Context, batch []Record, most int64) (Result, error)
	// Close lets go of what the pipeline holds.
	Close() error
}

// ErrRoom says that more bytes come of records than there was room for.
var ErrRoom = errors.New("more is made of these records than there is room for")

// Encoder writes one object. The same calls MUST make the same bytes, always and everywhere.
type Encoder interface {
	// Add adds what one Output holds. An Unfit error says that the format cannot hold it and that the object is as if it
	// had not been added; every other error is the writer's.
	Add(data []byte) error
	// Close ends the object. It does not close the writer.
	Close() error
}

// Unfit says that a format cannot hold a record.
type Unfit struct {
	Code    string // such as "DataFormatConversion.ParseError"
	Message string
}

// Error returns the message.
func (e *Unfit) Error() string { return e.Message }

// NewEncoder makes an encoder that writes to w.
type NewEncoder func(w io.Writer) (Encoder, error)

// Key is what the name of an object is made of.
type Key struct {
	Delivery string    // the delivery stream's name
	Version  uint64    // of its Config
	Oldest   time.Time // arrival of the oldest record
	Seed     [16]byte  // from the delivery stream's id, the range and the partition: what is random for Firehose
	Error    ErrorType // of an object in the error prefix; otherwise empty
	Query    map[string]string
	Lambda   map[string]string
	Part     int // of several objects of one range and one partition; 0 is the first
}

// Namer makes the names of objects, from a Naming and the default extension.
type Namer interface {
	// Key returns an object's name. It is the same for the same argument, and differs where the seed or the part does. An
	// error is the record's: a partition key that is missing or that no object name can hold.
	Key(Key) (string, error)
	// Root is the part of all names that does not depend on anything, for listings.
	Root() string
}
