// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package shardstore

import (
	"context"
	"fmt"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore/segment"
)

// span is the puts of one Append that went into one batch. A batch that took none of them has no span: nobody writes an
// empty one, so nobody would end the wait for it.
type span struct {
	b     *batch
	first int // index of the first put that it took
	end   int // index after the last
}

// Append gives each record its offset and time, and returns when all that were taken are durable. Outcomes stand in
// the puts. The records' bytes are copied before Append returns. Records of one call to the same shard keep their order.
//
// A record whose CRC is not its Checksum MUST NOT be given: the log refuses to write it, and the process ends.
//
// An error is returned only when nothing at all was executed: KindUnavailable when the session is not live,
// KindThroughputExceeded when too much is not durable yet. A put to an encrypted stream whose key cannot be had is refused
// with KindUnavailable.
func (s *Store) Append(ctx context.Context, puts []Put) error {
	if err := s.cfg.Guard.Wrong(); err != nil {
		return err
	}
	var traced Span
	if s.cfg.Tracer != nil {
		ctx, traced = s.cfg.Tracer.Begin(ctx, "append")
	}
	spans, err := s.place(ctx, puts, traced != nil)
	if err != nil {
		if traced != nil {
			appended(traced, puts, nil, err)
		}
		return err
	}
	for _, sp := range spans {
		if err := s.settle(ctx, sp.b); err != nil {
			for i := sp.first; i < sp.end; i++ {
				if puts[i].Err == nil {
					puts[i].Err = err
				}
			}
		}
	}
	if traced != nil {
		appended(traced, puts, spans, nil)
	}
	return nil
}

// settle waits for the fate of a batch.
func (s *Store) settle(ctx context.Context, b *batch) error {
	select {
	case <-b.done:
		return b.err
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", ErrUnknownOutcome, ctx.Err())
	}
}

// place puts every record into the pending batches, in order, under the sequencer's lock. ctx is followed or not.
func (s *Store) place(ctx context.Context, puts []Put, followed bool) ([]span, error) {
	size := 0
	for i := range puts {
		size += puts[i].Record.Size() + recordOverhead
	}
	now := leat.Micros(s.cfg.Clock.Now())
	keys := s.sealsFor(puts)
	s.mu.Lock()
	if s.state != live {
		err := s.notLive()
		s.mu.Unlock()
		return nil, err
	}
	if err := s.overload(size); err != nil {
		s.mu.Unlock()
		s.stats.overloads.Add(1)
		return nil, err
	}
	var spans []span
	b := s.queue[len(s.queue)-1]
	for i := range puts {
		r := &puts[i].Record
		sh, err := s.taker(puts[i].Shard, r)
		var key segment.Key
		if err == nil {
			key, err = keys.of(puts[i].Shard.Stream)
		}
		if puts[i].Err = err; err != nil {
			continue
		}
		if b.bytes > 0 && b.bytes+r.Size() > s.cfg.Params.SegmentTarget {
			b = newBatch()
			s.queue = append(s.queue, b)
			s.encodeAhead()
		}
		b.seal(sh.key.Stream, key)
		s.placeOne(b, sh, r, now)
		if n := len(spans); n == 0 || spans[n-1].b != b {
			spans = append(spans, span{b: b, first: i})
			if followed {
				b.follow(ctx)
			}
		}
		spans[len(spans)-1].end = i + 1
	}
	if len(spans) > 0 {
		s.notify()
	}
	s.mu.Unlock()
	return spans, nil
}

// overload refuses what would not fit into the memory for records that are not durable, or not in the index. Store.mu
// is held.
func (s *Store) overload(size int) error {
	text := "the node has too many records that are not yet durable: retry after a pause"
	if s.unindexed.Load() > s.cfg.Params.UnindexedRuns {
		text = "packs could not be stored or registered for so long that the node cannot remember where more records are: retry when the catalog and the object store are back"
	} else if s.notDurable == 0 || s.notDurable+size <= s.cfg.Params.NotDurableBytes {
		return nil
	}
	return &leat.Error{Kind: leat.KindThroughputExceeded, Message: text, After: overloadPause, Err: ErrOverloaded}
}

// taker finds the shard that takes a record. Store.mu is held.
func (s *Store) taker(key leat.ShardKey, r *leat.Record) (*shard, error) {
	sh := s.shards[key]
	switch {
	case sh == nil || sh.unopened || sh.releasing:
		return nil, ErrNotOwned
	case sh.closing:
		return nil, sh.overtaken()
	case r.Size() > leat.MaxRecordBytes:
		return nil, leat.Invalid("data", "record of %d bytes is larger than the engine's limit of %d", r.Size(), leat.MaxRecordBytes)
	}
	return sh, nil
}

// placeOne gives a record the next offset of its shard. Store.mu is held.
func (s *Store) placeOne(b *batch, sh *shard, r *leat.Record, now int64) {
	size := r.Size() + recordOverhead
	if sh.open == nil || sh.openIn != b {
		sh.open, sh.openIn = segment.NewChunk(sh.key, sh.epoch, sh.next), b
		b.chunks, b.shards = append(b.chunks, sh.open), append(b.shards, sh)
		b.memory += chunkOverhead
		s.notDurable += chunkOverhead
	}
	sh.clock = max(sh.clock, now) // I9
	r.Offset, r.Time = sh.next, sh.clock
	sh.open.Append(r)
	sh.next++
	b.bytes += size
	b.memory += size
	s.notDurable += size
}

// notify tells the writer how much it has not taken: at least 1 when only control records wait. Store.mu is held, so
// that the writer hears the numbers in their order.
func (s *Store) notify() {
	n := 0
	for _, b := range s.queue {
		n += b.bytes
		if b.bytes == 0 && !b.empty() {
			n++
		}
	}
	s.writer.Notify(n)
}

// control puts a control record into the pending batch and waits until it is durable.
func (s *Store) control(ctx context.Context, c segment.Control) error {
	s.mu.Lock()
	if s.state == ended {
		err := s.notLive()
		s.mu.Unlock()
		return err
	}
	b := s.queue[len(s.queue)-1]
	b.controls = append(b.controls, c)
	s.notify()
	s.mu.Unlock()
	return s.settle(ctx, b)
}
