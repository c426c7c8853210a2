// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package kinesis

import (
	"context"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/broker"
)

// PutRecord: see broker.PutRecord for what it promises, and put_records.go for who owns the record's memory.
//
// Differs from AWS: a SequenceNumberForOrdering of another shard is refused, where AWS documents no check. DryRun is
// refused.

func (h *Handler) putRecord(ctx context.Context, c *call) error {
	m := h.puts.get()
	defer h.giveBack(c, m)
	if !c.wire.fastPut(c.body, m) {
		m.reset()
		if err := c.wire.decode(c.body, &m.one); err != nil {
			return err
		}
	}
	in := &m.one
	if err := check(in); err != nil {
		return err
	}
	stream, err := h.stream(c, in.StreamName, in.StreamARN, in.StreamId)
	if err != nil {
		return err
	}
	r := leat.Record{PartitionKey: *in.PartitionKey, Data: in.Data}
	if in.ExplicitHashKey != nil {
		hash, err := leat.ParseHashKey(*in.ExplicitHashKey)
		if err != nil {
			return err
		}
		r.ExplicitHash = &hash
	}
	c.lent = true
	res, err := h.broker.PutRecord(ctx, c.who, broker.PutRecordRequest{
		Stream: stream, Record: r, SequenceNumberForOrdering: value(in.SequenceNumberForOrdering),
	})
	c.lent = false
	if err != nil {
		return err
	}
	w := c.wire.writer(h.buf(c))
	w.object()
	w.encryption(h.encrypted(res.Shard.Stream))
	w.member("SequenceNumber")
	w.sequence(res.Shard, res.Offset)
	w.member("ShardId")
	w.shard(res.Shard.Ordinal)
	w.close()
	c.end(w.b)
	return nil
}
