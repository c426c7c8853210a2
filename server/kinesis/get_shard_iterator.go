// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package kinesis

import (
	"context"

	"github.com/leatstream/leat/server/broker"
)

// GetShardIterator: see broker.GetShardIterator for what it promises.
//
// Differs from AWS: a timestamp with a type other than AT_TIMESTAMP is refused. DryRun is refused.

type getShardIteratorInput struct {
	DryRun                 *bool      `json:"DryRun,omitempty" check:"reserved"`
	ShardId                *string    `json:"ShardId,omitempty" check:"required,pattern=shardId,len=1..128"`
	ShardIteratorType      *string    `json:"ShardIteratorType,omitempty" check:"required,enum=AFTER_SEQUENCE_NUMBER|LATEST|AT_TIMESTAMP|AT_SEQUENCE_NUMBER|TRIM_HORIZON"`
	StartingSequenceNumber *string    `json:"StartingSequenceNumber,omitempty" check:"pattern=sequenceNumber"`
	StreamARN              *string    `json:"StreamARN,omitempty" check:"pattern=streamARN,len=1..2048"`
	StreamId               *string    `json:"StreamId,omitempty" check:"pattern=streamId,len=1..24"`
	StreamName             *string    `json:"StreamName,omitempty" check:"pattern=streamName,len=1..128"`
	Timestamp              *timestamp `json:"Timestamp,omitempty"`
}

type getShardIteratorOutput struct {
	ShardIterator string `json:"ShardIterator"`
}

func (h *Handler) getShardIterator(ctx context.Context, c *call, in *getShardIteratorInput) (*getShardIteratorOutput, error) {
	stream, err := h.stream(c, in.StreamName, in.StreamARN, in.StreamId)
	if err != nil {
		return nil, err
	}
	it, err := h.broker.GetShardIterator(ctx, c.who, broker.GetShardIteratorRequest{Stream: stream, Shard: *in.ShardId, Start: broker.StartingPosition{
		Type: broker.IteratorType(*in.ShardIteratorType), SequenceNumber: value(in.StartingSequenceNumber), Timestamp: in.Timestamp.time(),
	}})
	if err != nil {
		return nil, err
	}
	return &getShardIteratorOutput{ShardIterator: it}, nil
}

// value returns the zero value where p is absent.
func value[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}
