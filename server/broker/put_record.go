// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"
	"strconv"

	"github.com/leatstream/leat"
)

// PutRecord promises: when it returns no error the record is durable at the place returned. An error other than
// KindUnknownOutcome says that it was certainly not written.
//
// SequenceNumberForOrdering is checked and otherwise needs nothing: the owner gives places in order of arrival, and an
// ack comes after the record is durable, so a record that is put after another's ack always comes after it. The number
// MUST be of this stream and of the record's own shard or one that it descends from; a producer that chains its numbers
// goes on through splits and merges.
//
// Differs from AWS: a number of another shard is refused, where AWS documents no check.

// PutRecordRequest is one record.
type PutRecordRequest struct {
	Stream                    string      // name or ARN
	Record                    leat.Record // partition key, explicit hash and data
	SequenceNumberForOrdering string      // of an earlier record; empty for none
}

// PutRecordResult is where the record is.
type PutRecordResult struct {
	Shard  leat.ShardKey
	Offset uint64
	Time   int64 // approximate arrival, microseconds since 1970
}

// PutRecord writes one record.
func (b *Broker) PutRecord(ctx context.Context, who leat.Principal, req PutRecordRequest) (PutRecordResult, error) {
	began := b.points.Now()
	if err := leat.ValidateRecord(&req.Record, leat.MaxRecordBytes); err != nil {
		return PutRecordResult{}, err
	}
	v, err := b.on(ctx, who, ActionPutRecord, (*Broker).writable, req.Stream)
	if err != nil {
		return PutRecordResult{}, err
	}
	if err := checkSize(&req.Record, v); err != nil {
		return PutRecordResult{}, err
	}
	puts := []Put{{Record: req.Record}}
	if req.SequenceNumberForOrdering != "" {
		if err := checkOrdering(v, &req.Record, req.SequenceNumberForOrdering); err != nil {
			return PutRecordResult{}, err
		}
	}
	err = b.put(ctx, v, puts)
	b.pointPuts(v, onePut, puts, err, began)
	if err != nil {
		return PutRecordResult{}, err
	}
	p := &puts[0]
	if p.Err != nil {
		return PutRecordResult{}, p.Err
	}
	return PutRecordResult{Shard: p.Shard, Offset: p.Record.Offset, Time: p.Record.Time}, nil
}

// checkOrdering refuses a number that is not of the record's shard or of an ancestor of it.
func checkOrdering(v *streamView, r *leat.Record, number string) error {
	const name = "sequence_number_for_ordering"
	ordinal, err := ordinalOf(number)
	if err != nil {
		return leat.Invalid(name, "sequence number %.80q is not one: it must be the 56 digits that a put returned", number)
	}
	if _, err := startAt(leat.ShardKey{Stream: v.ID, Ordinal: ordinal}, number); err != nil {
		return leat.Invalid(name, "sequence number %.80q was not given by stream %s", number, v.Name)
	}
	shard, ok := v.route(r.HashKey())
	if ok && !v.descends(shard, ordinal) {
		return leat.Invalid(name, "sequence number %s is of %s, but the record goes to %s", number, leat.ShardID(ordinal), leat.ShardID(shard))
	}
	return nil
}

// ordinalOf reads the shard out of a sequence number without checking it.
func ordinalOf(number string) (uint64, error) {
	if len(number) != sequenceLen {
		return 0, strconv.ErrSyntax
	}
	return strconv.ParseUint(number[1:13], 10, 64)
}
