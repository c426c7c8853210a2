// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/tracing"
	"github.com/leatstream/leat/shardstore"
)

// PutRecords promises: one malformed or oversize record refuses the whole call and nothing is written; otherwise every
// record has its own outcome, in the order asked. A record without an error is durable. A record with an error was
// certainly not written, except for KindUnknownOutcome. Records of one call have no order among each other; a record
// put after an ack comes after the acked one in its shard.
//
// Differs from AWS: nothing that a client can see. AWS sends two codes per record; the edge maps kinds to them.

// PutRecordsRequest is up to 500 records and 10 MiB of data and keys.
type PutRecordsRequest struct {
	Stream string // name or ARN
	Puts   []Put  // the caller fills in Record.PartitionKey, ExplicitHash and Data; the broker everything else
}

// reroutes bounds how often records of a closed shard are tried again on its children, and how long that may take:
// about a second in all.
const (
	reroutes       = 9
	reroutePause   = 2 * time.Millisecond // before the second try; doubled each time
	rerouteCeiling = 256 * time.Millisecond
)

// PutRecords writes records and leaves each outcome in its put: Err, and where that is nil Shard, Record.Offset and
// Record.Time. It returns how many have failed. An error says that the whole call was refused.
func (b *Broker) PutRecords(ctx context.Context, who leat.Principal, req PutRecordsRequest) (failed int, err error) {
	began := b.points.Now()
	if err := checkPuts(req.Puts); err != nil {
		return 0, err
	}
	v, err := b.on(ctx, who, ActionPutRecords, (*Broker).writable, req.Stream)
	if err != nil {
		return 0, err
	}
	for i := range req.Puts {
		if err := checkSize(&req.Puts[i].Record, v); err != nil {
			return 0, inRecord(i, err)
		}
	}
	err = b.put(ctx, v, req.Puts)
	b.pointPuts(v, manyPuts, req.Puts, err, began)
	if err != nil {
		return 0, err
	}
	for i := range req.Puts {
		if req.Puts[i].Err != nil {
			failed++
		}
	}
	return failed, nil
}

// checkPuts checks what does not depend on the stream.
func checkPuts(puts []Put) error {
	switch {
	case len(puts) == 0:
		return leat.Invalid("records", "PutRecords needs at least one record")
	case len(puts) > leat.MaxPutRecords:
		return leat.Invalid("records", "PutRecords with %d records: %d at most", len(puts), leat.MaxPutRecords)
	}
	total := 0
	for i := range puts {
		if err := leat.ValidateRecord(&puts[i].Record, leat.MaxRecordBytes); err != nil {
			return inRecord(i, err)
		}
		total += puts[i].Record.Size()
	}
	if total > leat.MaxPutRecordsBytes {
		return leat.Invalid("records", "PutRecords with %d bytes of data and partition keys: %d at most", total, leat.MaxPutRecordsBytes)
	}
	return nil
}

func checkSize(r *leat.Record, v *streamView) error {
	if r.Size() > v.MaxRecordBytes {
		return leat.ValidateRecord(r, v.MaxRecordBytes)
	}
	return nil
}

// inRecord says which record of a call an error is about.
func inRecord(i int, err error) error {
	var e *leat.Error
	if !errors.As(err, &e) {
		return err
	}
	c := *e
	c.Field = fmt.Sprintf("records[%d].%s", i, e.Field)
	c.Message = fmt.Sprintf("record %d: %s", i, e.Message)
	return &c
}

// put routes, meters, appends and counts. It returns an error only when nothing at all was executed.
func (b *Broker) put(ctx context.Context, v *streamView, puts []Put) error {
	err := b.admitBytesIn(v, puts)
	if err == nil {
		err = b.write(ctx, v, puts)
	}
	if b.tracer != nil {
		tracePuts(b.tracer.Current(ctx), puts)
	}
	if !b.shared {
		b.flows.wrote(v, puts, err)
	}
	return err
}

// tracePuts says in a request's span how much it is about, and how much of it has failed.
func tracePuts(request tracing.Span, puts []Put) {
	if !request.Followed() {
		return
	}
	bytes, failed, one := 0, 0, true
	for i := range puts {
		bytes += puts[i].Record.Size()
		one = one && puts[i].Shard == puts[0].Shard
		if puts[i].Err != nil {
			failed++
		}
	}
	request.Size(len(puts), bytes)
	request.Number("leat.failed_records", int64(failed))
	if one {
		request.Text("leat.shard", leat.ShardID(puts[0].Shard.Ordinal))
	}
}

func (b *Broker) write(ctx context.Context, v *streamView, puts []Put) error {
	for i := range puts {
		puts[i].Record.CRC = puts[i].Record.Checksum() // where the record enters
		b.route(v, &puts[i])
	}
	ready := b.admit(v, puts, !b.shared && b.metered(v))
	return those(puts, ready, func(part []Put) error { return b.append(ctx, v, part) })
}

// those hands the puts at some indexes to do, where there are any, and keeps their outcomes unless all are refused.
func those(puts []Put, at []int, do func([]Put) error) error {
	switch len(at) {
	case 0:
		return nil
	case len(puts):
		return do(puts)
	}
	part := make([]Put, len(at))
	for i, from := range at {
		part[i] = puts[from]
	}
	if err := do(part); err != nil {
		return err
	}
	for i, to := range at {
		puts[to] = part[i]
	}
	return nil
}

// route finds the open shard of a record. In a stream that takes writes the open shards cover every hash key.
func (b *Broker) route(v *streamView, p *Put) {
	h := p.Record.HashKey()
	at, ok := v.at(h)
	if !ok {
		p.Shard, p.Err = leat.ShardKey{Stream: v.ID}, moving(fmt.Errorf("no open shard of stream %s takes hash key %s", v.ID, h))
		return
	}
	p.Shard, p.Err = v.shards[v.open[at]].Key, nil
	if !b.shared {
		b.flows.routed(v, at, h, &p.Record)
	}
}

// admit takes each record's share of its shard's limits, where they hold, and returns the indexes of those that may go on.
func (b *Broker) admit(v *streamView, puts []Put, metered bool) []int {
	ready := make([]int, 0, len(puts))
	full := map[uint64]time.Duration{} // once a record of a shard is refused, those after it are: its producer puts them again in order
	for i := range puts {
		p := &puts[i]
		if p.Err == nil && metered {
			wait, refused := full[p.Shard.Ordinal]
			if !refused {
				wait = b.meters.put(p.Shard, p.Record.Size())
			}
			if wait > 0 {
				full[p.Shard.Ordinal] = wait
				p.Err = throttled(v, p.Shard.Ordinal, wait)
			}
		}
		if p.Err == nil {
			ready = append(ready, i)
		}
	}
	return ready
}

// metered tells whether the per-shard limits hold for a stream. On-demand streams have none: their shards follow the load.
func (b *Broker) metered(v *streamView) bool {
	return b.limits == LimitsAWS && v.Mode == leat.ModeProvisioned
}

// throttled has the text of AWS.
func throttled(v *streamView, ordinal uint64, wait time.Duration) error {
	return &leat.Error{
		Kind:    leat.KindThroughputExceeded,
		Message: fmt.Sprintf("Rate exceeded for shard %s in stream %s under account %s.", leat.ShardID(ordinal), v.Name, v.Account),
		After:   wait,
	}
}

// append hands records to the engine. Those that a split or merge has overtaken were certainly not written: they go to
// the children as soon as the directory knows them, within about a second.
func (b *Broker) append(ctx context.Context, v *streamView, puts []Put) error {
	if err := shardstore.Ask(ctx, b.engine, puts); err != nil {
		return refusal(err)
	}
	pause := reroutePause
	for range reroutes {
		overtaken := find(puts, shardstore.ErrResharded)
		if len(overtaken) == 0 {
			break
		}
		v = b.refreshed(ctx, v)
		if !b.redirect(v, puts, overtaken) && !b.redirect(b.heard(ctx, v, puts, overtaken), puts, overtaken) {
			if !b.pause(ctx, pause) {
				break
			}
			pause = min(2*pause, rerouteCeiling)
			continue
		}
		b.appendAgain(ctx, puts, overtaken)
	}
	lost := len(find(puts, shardstore.ErrNotOwned)) > 0
	for i := range puts {
		puts[i].Err = putOutcome(puts[i].Err)
	}
	if lost {
		b.directory.Stale()
	}
	return nil
}

// heard tells the directory what overtook records, as the owner of their shards says it: the catalog cannot be asked, or
// was not told yet.
func (b *Broker) heard(ctx context.Context, v *streamView, puts []Put, overtaken []int) *streamView {
	for _, i := range overtaken {
		var over *shardstore.ReshardedError
		if errors.As(puts[i].Err, &over) {
			v = b.became(ctx, v, over.Reshard)
		}
	}
	return v
}

// redirect points overtaken records at their new shards; false when the directory does not know any of these yet.
func (b *Broker) redirect(v *streamView, puts []Put, overtaken []int) (moved bool) {
	for _, i := range overtaken {
		was := puts[i].Shard
		ordinal, ok := v.route(puts[i].Record.HashKey())
		if ok && ordinal != was.Ordinal {
			puts[i].Shard.Ordinal = ordinal
			moved = true
		}
	}
	return moved
}

// appendAgain repeats those records of a call. What is refused as a whole is refused for each of them.
func (b *Broker) appendAgain(ctx context.Context, puts []Put, again []int) {
	part := make([]Put, len(again))
	for i, at := range again {
		part[i] = puts[at]
	}
	err := shardstore.Ask(ctx, b.engine, part)
	for i, at := range again {
		if err != nil {
			part[i].Err = refusal(err)
		}
		puts[at] = part[i]
	}
}

func find(puts []Put, target error) (at []int) {
	for i := range puts {
		if puts[i].Err != nil && errors.Is(puts[i].Err, target) {
			at = append(at, i)
		}
	}
	return at
}

// pause waits; false when the caller went away.
func (b *Broker) pause(ctx context.Context, d time.Duration) bool {
	c, stop := b.clock.NewTimer(d)
	defer stop()
	select {
	case <-c:
		return true
	case <-ctx.Done():
		return false
	}
}
