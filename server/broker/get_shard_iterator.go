// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/leatstream/leat"
)

// GetShardIterator promises: the place is fixed now. LATEST is the end of what is visible at this moment, so a record
// that is acked after it returns is read through it, even when the first GetRecords comes later. TRIM_HORIZON, and
// AT_TIMESTAMP before the horizon, is the oldest record that is still kept when it is read.
//
// Iterators live five minutes, may be used again until then, and belong to one shard of one stream for ever: they
// cannot be made or changed by others.
//
// Differs from AWS: a timestamp with a type other than AT_TIMESTAMP is refused.

// IteratorType says where reading begins.
type IteratorType string

// The types of iterators.
const (
	TrimHorizon         IteratorType = "TRIM_HORIZON"
	Latest              IteratorType = "LATEST"
	AtSequenceNumber    IteratorType = "AT_SEQUENCE_NUMBER"
	AfterSequenceNumber IteratorType = "AFTER_SEQUENCE_NUMBER"
	AtTimestamp         IteratorType = "AT_TIMESTAMP"
)

// StartingPosition is a place in a shard as callers name it.
type StartingPosition struct {
	Type           IteratorType
	SequenceNumber string    // with AT_ and AFTER_SEQUENCE_NUMBER
	Timestamp      time.Time // with AT_TIMESTAMP
}

// GetShardIteratorRequest names a shard and a place in it.
type GetShardIteratorRequest struct {
	Stream string // name or ARN
	Shard  string // its id; short forms are accepted
	Start  StartingPosition
}

// GetShardIterator returns a token for GetRecords.
func (b *Broker) GetShardIterator(ctx context.Context, who leat.Principal, req GetShardIteratorRequest) (string, error) {
	ordinal, err := leat.ParseShardID(req.Shard)
	if err != nil {
		return "", err
	}
	if err := req.Start.check(); err != nil {
		return "", err
	}
	v, err := b.readableNamed(ctx, who, ActionGetShardIterator, req.Stream)
	if err != nil {
		return "", err
	}
	s, err := b.shard(ctx, v, ordinal)
	if err != nil {
		return "", err
	}
	offset, err := b.position(ctx, v, s, req.Start)
	if err != nil {
		return "", err
	}
	return b.sealIterator(iterator{shard: s.Key, offset: offset, issued: leat.Micros(b.clock.Now())}), nil
}

// check refuses combinations that have no meaning.
func (p *StartingPosition) check() error {
	wantsNumber := p.Type == AtSequenceNumber || p.Type == AfterSequenceNumber
	switch {
	case p.Type != TrimHorizon && p.Type != Latest && p.Type != AtTimestamp && !wantsNumber:
		return leat.Invalid("start.type", "iterator type %.40q must be one of TRIM_HORIZON, LATEST, AT_SEQUENCE_NUMBER, AFTER_SEQUENCE_NUMBER, AT_TIMESTAMP", p.Type)
	case wantsNumber && p.SequenceNumber == "":
		return leat.Invalid("start.sequence_number", "%s needs a sequence number", p.Type)
	case !wantsNumber && p.SequenceNumber != "":
		return leat.Invalid("start.sequence_number", "%s takes no sequence number", p.Type)
	case p.Type == AtTimestamp && p.Timestamp.IsZero():
		return leat.Invalid("start.timestamp", "%s needs a timestamp", p.Type)
	case p.Type != AtTimestamp && !p.Timestamp.IsZero():
		return leat.Invalid("start.timestamp", "%s takes no timestamp", p.Type)
	}
	return nil
}

// position turns a starting position into an offset of the shard.
func (b *Broker) position(ctx context.Context, v *streamView, s *leat.Shard, p StartingPosition) (offset uint64, err error) {
	switch p.Type {
	case TrimHorizon:
		return 0, nil // below the horizon a read goes on at it
	case Latest:
		bounds, err := b.engine.Bounds(ctx, s.Key)
		return bounds.Tail, refusal(err)
	case AtSequenceNumber:
		offset, err = startAt(s.Key, p.SequenceNumber)
	case AfterSequenceNumber:
		offset, err = startAfter(s.Key, p.SequenceNumber)
	case AtTimestamp:
		return b.locate(ctx, v, s, p.Timestamp)
	}
	if err != nil {
		return 0, within("start", err)
	}
	if !s.Open() {
		offset = min(offset, s.Final)
	}
	return offset, nil
}

// locate finds the first record at or after a time. Before the horizon that is TRIM_HORIZON.
func (b *Broker) locate(ctx context.Context, v *streamView, s *leat.Shard, at time.Time) (uint64, error) {
	now := b.clock.Now()
	if at.After(now) {
		return 0, leat.Invalid("start.timestamp", "timestamp %s is in the future: it is %s now", at.UTC().Format(time.RFC3339Nano), now.UTC().Format(time.RFC3339Nano))
	}
	if leat.Micros(at) <= b.expired(v) {
		return 0, nil
	}
	offset, err := b.engine.Locate(ctx, s.Key, leat.Micros(at))
	return offset, refusal(err)
}

// shard finds a shard of a stream; NotFound has the text of AWS for iterators. A shard that the directory does not
// know may be a child that has just been made: the catalog is asked once. KindUnavailable when it is away.
func (b *Broker) shard(ctx context.Context, v *streamView, ordinal uint64) (*leat.Shard, error) {
	if s := v.shard(ordinal); s != nil {
		return s, nil
	}
	if ordinal < leat.MaxOrdinal {
		now, err := b.directory.shared(ctx, streamName{v.Account, v.Name})
		if err != nil {
			return nil, err
		}
		if s := now.shard(ordinal); s != nil && now.ID == v.ID {
			return s, nil
		}
		if now.ID == v.ID && now.Status == leat.StreamUpdating && ordinal < now.NextOrdinal && !now.removed(ordinal) {
			// It may be a child whose parent's owner has told a reader of it before it could tell the catalog.
			return nil, moving(fmt.Errorf("stream %s is being resharded and has no shard %d yet", v.ID, ordinal))
		}
	}
	text := "Shard %s in stream %s under account %s does not exist"
	if ordinal > math.MaxInt32 { // which AWS takes for no number of a shard
		text = "Could not find shard %s in stream %s under account %s."
	}
	return nil, &leat.Error{Kind: leat.KindNotFound, Field: "shard_id", Message: fmt.Sprintf(text, leat.ShardID(ordinal), v.Name, v.Account)}
}

// within puts a request's member before the field that an error names.
func within(member string, err error) error {
	var e *leat.Error
	if !errors.As(err, &e) || e.Field == "" {
		return err
	}
	c := *e
	c.Field = member + "." + e.Field
	return &c
}
