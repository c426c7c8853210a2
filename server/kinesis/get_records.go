// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package kinesis

import (
	"context"

	"github.com/leatstream/leat/server/broker"
)

// GetRecords: see broker.GetRecords for what it promises. The iterator alone is enough; a stream that is named too must
// be its stream.
//
// Differs from AWS: EncryptionType is the stream's as it is now, also for records that were put before that was changed.
// DryRun is refused.

type getRecordsInput struct {
	DryRun        *bool   `json:"DryRun,omitempty" check:"reserved"`
	Limit         *int32  `json:"Limit,omitempty" check:"range=1..10000"`
	ShardIterator *string `json:"ShardIterator,omitempty" check:"required,len=1..512"`
	StreamARN     *string `json:"StreamARN,omitempty" check:"pattern=streamARN,len=1..2048"`
	StreamId      *string `json:"StreamId,omitempty" check:"pattern=streamId,len=1..24"`
}

func (h *Handler) getRecords(ctx context.Context, c *call) error {
	in := new(getRecordsInput)
	if err := c.wire.decode(c.body, in); err != nil {
		return err
	}
	if err := check(in); err != nil {
		return err
	}
	var stream string
	if in.StreamARN != nil || in.StreamId != nil {
		var err error
		if stream, err = h.stream(c, nil, in.StreamARN, in.StreamId); err != nil {
			return err
		}
	}
	res, err := h.broker.GetRecords(ctx, c.who, broker.GetRecordsRequest{Stream: stream, Iterator: *in.ShardIterator, Limit: int(value(in.Limit))})
	if err != nil {
		return err
	}
	w := c.wire.writer(h.buf(c))
	w.page(&page{
		shard: res.Shard, records: res.Records, encrypted: res.Stream.EncryptionKey != "",
		behind: res.Behind, children: res.Children, next: res.Next,
	})
	c.end(w.b)
	return nil
}
