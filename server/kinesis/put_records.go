// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package kinesis

import (
	"context"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/broker"
)

// PutRecords: see broker.PutRecords for what it promises.
//
// Data and partition keys are given to the broker as views of the request's body and of pooled memory, which are used
// again once the answer is made. That is safe because the engine copies every byte of a record before Append returns
// (shardstore.Append: Chunk.Append copies under the sequencer's lock, also where the caller goes away while it waits),
// the broker returns after the engine, and nobody keeps a part of a record but in an error's text, which is a copy.
//
// Differs from AWS: a member that comes twice is refused. DryRun is refused.

func (h *Handler) putRecords(ctx context.Context, c *call) error {
	m := h.puts.get()
	defer h.giveBack(c, m)
	if !c.wire.fastPuts(c.body, m) {
		m.reset()
		if err := c.wire.decode(c.body, &m.in); err != nil {
			return err
		}
	}
	if err := m.in.check(); err != nil {
		return err
	}
	stream, err := h.stream(c, m.in.StreamName, m.in.StreamARN, m.in.StreamId)
	if err != nil {
		return err
	}
	if err := m.fill(); err != nil {
		return err
	}
	c.lent = true
	failed, err := h.broker.PutRecords(ctx, c.who, broker.PutRecordsRequest{Stream: stream, Puts: m.puts})
	c.lent = false
	if err != nil {
		return err
	}
	w := c.wire.writer(h.buf(c))
	w.object()
	w.encryption(h.encrypted(m.puts[0].Shard.Stream))
	w.member("FailedRecordCount")
	w.count(int64(failed))
	w.member("Records")
	w.list(len(m.puts))
	for i := range m.puts {
		w.item()
		outcome(&w, &m.puts[i])
	}
	w.unlist()
	w.close()
	c.end(w.b)
	if failed > 0 {
		h.logFailures(c, m.puts)
	}
	return nil
}

// check is check(in), but for the records of the usual kind: those are looked at by hand, and one stands for all.
func (in *putRecordsInput) check() error {
	if !in.usual() {
		return check(in)
	}
	few := *in
	few.Records = in.Records[:1]
	return check(&few)
}

// usual is a quick look at the records: true says that check finds nothing wrong with them.
func (in *putRecordsInput) usual() bool {
	ok := len(in.Records) > 0 && len(in.Records) <= leat.MaxPutRecords
	for i := 0; ok && i < len(in.Records); i++ {
		e := &in.Records[i]
		ok = e.Data != nil && len(e.Data) <= leat.MaxRecordBytes &&
			e.PartitionKey != nil && *e.PartitionKey != "" && len(*e.PartitionKey) <= leat.MaxPartitionKeyChars && // bytes, so it is too strict
			(e.ExplicitHashKey == nil || isDecimal(*e.ExplicitHashKey, maxHashDigits))
	}
	return ok
}

// fill makes puts of the entries that were read.
func (m *putMemory) fill() error {
	for i := range m.in.Records {
		e := &m.in.Records[i]
		p := broker.Put{Record: leat.Record{PartitionKey: *e.PartitionKey, Data: e.Data}}
		if e.ExplicitHashKey != nil {
			hash, err := leat.ParseHashKey(*e.ExplicitHashKey)
			if err != nil {
				return err
			}
			m.hashes = append(m.hashes, hash) // has the capacity, so that pointers stay right
			p.Record.ExplicitHash = &m.hashes[len(m.hashes)-1]
		}
		m.puts = append(m.puts, p)
	}
	return nil
}

// outcome writes what became of one record. AWS has two codes: one says that the record was certainly not written and
// may be put again, the other says nothing.
func outcome(w *writer, p *broker.Put) {
	w.object()
	defer w.close()
	if p.Err == nil {
		w.member("SequenceNumber")
		w.sequence(p.Shard, p.Record.Offset)
		w.member("ShardId")
		w.shard(p.Shard.Ordinal)
		return
	}
	code, message := "InternalFailure", "Internal Service Failure"
	if again(p.Err) {
		code, message = "ProvisionedThroughputExceededException", kindOf(p.Err).Message
	}
	w.member("ErrorCode")
	w.text(code)
	w.member("ErrorMessage")
	w.text(message)
}

// again tells whether a record was certainly not written and may be put again.
func again(err error) bool {
	k := kindOf(err).Kind
	return k == leat.KindThroughputExceeded || k == leat.KindUnavailable
}

// logFailures says in one line what is told to nobody else. That the caller went away is no failure of ours.
func (h *Handler) logFailures(c *call, puts []broker.Put) {
	var first error
	n := 0
	for i := range puts {
		if err := puts[i].Err; err != nil && !again(err) && c.r.Context().Err() == nil {
			if n++; first == nil {
				first = err
			}
		}
	}
	if n > 0 {
		h.log.ErrorContext(c.r.Context(), "records failed", "request_id", c.id, "records", n, "kind", kindOf(first).Kind.String(), "error", first)
	}
}

// encrypted tells whether a stream's records are encrypted at rest.
func (h *Handler) encrypted(id leat.StreamID) bool {
	s, ok := h.broker.Directory().Stream(id)
	return ok && s.EncryptionKey != ""
}
