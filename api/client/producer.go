// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"errors"
	"hash/maphash"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/semaphore"

	"github.com/leatstream/leat"
)

// Record is one message to put.
type Record struct {
	PartitionKey    string // 1 to 256 characters; records of one key keep their order, in each shard that explicit hash keys send them to
	ExplicitHashKey string // a decimal that overrides the MD5 of the key; empty for none
	Data            []byte // MUST NOT be changed before the outcome is known
}

// Placed is where an acknowledged record is.
type Placed struct {
	ShardID        string
	SequenceNumber string
	Attempts       int  // PutRecords calls that carried the record
	Found          bool // its fate was unknown, and UnknownResolve found it in the stream
}

// Producer batches records and puts them, as the Kinesis Producer Library does: many batches in flight, retries with
// backoff, bounded memory.
//
// Order: records of one partition key and one explicit hash key, or none, are acknowledged in the order in which they were put, and stand in their shard
// in that order. Each key belongs to one of a few lanes, a lane has one batch in flight, and what has to be sent again goes
// before anything later of its lane. This rests on the server: within one PutRecords, when a record is refused for its
// shard's limit, the later records of that shard are refused with it.
//
// All methods may be called concurrently. Close MUST be called.
type Producer struct {
	client *Client
	stream string
	opts   ProducerOptions
	lanes  []*lane
	seed   maphash.Seed
	budget *semaphore.Weighted
	finder *finder // with UnknownResolve
	stats  producerCounters

	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
	closed atomic.Bool
	rand   sync.Mutex // over opts.Rand
}

// recordOverhead is what a record costs in memory beside its bytes.
const recordOverhead = 160

// NewProducer starts a producer for a stream. It talks to nobody yet.
func NewProducer(c *Client, stream string, opts ProducerOptions) (*Producer, error) {
	if err := leat.ValidateStreamName(stream); err != nil {
		return nil, err
	}
	opts = opts.withDefaults()
	if err := opts.Validate(); err != nil {
		return nil, err
	}
	p := &Producer{
		client: c, stream: stream, opts: opts,
		seed: maphash.MakeSeed(), budget: semaphore.NewWeighted(opts.MaxOutstanding),
	}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	if opts.Unknown == UnknownResolve {
		p.finder = newFinder(c, stream, opts.Clock)
	}
	for range opts.Lanes {
		l := newLane(p)
		p.lanes = append(p.lanes, l)
		p.wg.Go(l.run)
	}
	return p, nil
}

// Put hands in one record of a key and returns its acknowledgement to come. It waits while MaxOutstanding bytes are on
// their way.
func (p *Producer) Put(ctx context.Context, key string, data []byte) (*Ack, error) {
	a := &Ack{done: make(chan struct{})}
	err := p.PutFunc(ctx, Record{PartitionKey: key, Data: data}, a.settle)
	if err != nil {
		return nil, err
	}
	return a, nil
}

// PutFunc hands in one record; done is called once with its fate, from a goroutine of the producer: it MUST return soon
// and MUST NOT call the producer. When PutFunc itself returns an error the record was not taken and done is not called.
func (p *Producer) PutFunc(ctx context.Context, r Record, done func(Placed, error)) error {
	if err := p.check(&r); err != nil {
		return err
	}
	weight := int64(len(r.PartitionKey) + len(r.Data) + recordOverhead)
	if err := p.budget.Acquire(ctx, weight); err != nil {
		return &leat.Error{Kind: leat.KindCanceled, Op: "Put", Message: "gave up waiting for earlier records", Err: err}
	}
	it := &item{Record: r, weight: weight, done: done}
	p.stats.outstanding.Add(weight)
	p.stats.put.Add(1)
	l := p.lanes[maphash.String(p.seed, r.PartitionKey)%uint64(len(p.lanes))]
	if !l.add(it) {
		p.release(it)
		p.stats.put.Add(-1)
		return errClosed()
	}
	return nil
}

// check refuses what the server would refuse together with everybody else in its batch.
func (p *Producer) check(r *Record) error {
	if p.closed.Load() {
		return errClosed()
	}
	if err := leat.ValidateRecord(&leat.Record{PartitionKey: r.PartitionKey, Data: r.Data}, p.opts.MaxRecordBytes); err != nil {
		return err
	}
	if r.ExplicitHashKey != "" {
		_, err := leat.ParseHashKey(r.ExplicitHashKey)
		return err
	}
	return nil
}

func errClosed() error {
	return &leat.Error{Kind: leat.KindCanceled, Op: "Put", Message: "the producer is closed"}
}

func (p *Producer) release(it *item) {
	p.stats.outstanding.Add(-it.weight)
	p.budget.Release(it.weight)
}

// Flush sends what waits and returns when the fate of every record that was put before is known; an error only when ctx
// ends first.
func (p *Producer) Flush(ctx context.Context) error {
	for _, l := range p.lanes {
		l.hurry()
	}
	for _, l := range p.lanes {
		select {
		case <-l.settled():
		case <-ctx.Done():
			return &leat.Error{Kind: leat.KindCanceled, Op: "Flush", Message: "gave up waiting for records on their way", Err: ctx.Err()}
		}
	}
	return nil
}

// Close refuses new records, flushes, and ends the producer's goroutines. When ctx ends first the records still on their
// way fail: with KindCanceled when they were never sent, with KindUnknownOutcome otherwise. It may be called twice.
func (p *Producer) Close(ctx context.Context) error {
	p.closed.Store(true)
	for _, l := range p.lanes {
		l.close()
	}
	err := p.Flush(ctx)
	p.cancel()
	p.wg.Wait()
	return err
}

// ProducerStats counts since the producer began.
type ProducerStats struct {
	Put         int64 // records handed in
	Acked       int64 // records acknowledged, those found included
	AckedBytes  int64 // their data and keys
	Failed      int64 // records given up
	Batches     int64 // PutRecords calls
	Retried     int64 // records sent again
	Throttled   int64 // records refused for a limit
	Unknown     int64 // records whose fate was not known after a call
	Found       int64 // of these, found in the stream
	Outstanding int64 // bytes on their way now
}

type producerCounters struct {
	put, acked, ackedBytes, failed, batches, retried, throttled, unknown, found, outstanding atomic.Int64
}

// Stats returns the counters; they are not taken at one instant.
func (p *Producer) Stats() ProducerStats {
	s := &p.stats
	return ProducerStats{
		Put: s.put.Load(), Acked: s.acked.Load(), AckedBytes: s.ackedBytes.Load(), Failed: s.failed.Load(),
		Batches: s.batches.Load(), Retried: s.retried.Load(), Throttled: s.throttled.Load(),
		Unknown: s.unknown.Load(), Found: s.found.Load(), Outstanding: s.outstanding.Load(),
	}
}

// Ack is the fate to come of one record.
type Ack struct {
	done   chan struct{}
	placed Placed
	err    error
}

func (a *Ack) settle(placed Placed, err error) {
	a.placed, a.err = placed, err
	close(a.done)
}

// Done is closed when the fate is known.
func (a *Ack) Done() <-chan struct{} { return a.done }

// Wait returns where the record is, or why it was given up; KindCanceled when ctx ends first, and then the record may
// still be acknowledged.
func (a *Ack) Wait(ctx context.Context) (Placed, error) {
	select {
	case <-a.done:
		return a.placed, a.err
	case <-ctx.Done():
		return Placed{}, &leat.Error{Kind: leat.KindCanceled, Op: "Put", Message: "gave up waiting for the acknowledgement", Err: ctx.Err()}
	}
}

// fatal tells whether no later attempt can succeed.
func fatal(err error) bool {
	switch leat.KindOf(err) {
	case leat.KindThroughputExceeded, leat.KindUnavailable, leat.KindUnknownOutcome, leat.KindInternal:
		return false
	case leat.KindLimitExceeded: // without a hint it is a quota or a budget that is used up: somebody must act
		var e *leat.Error
		return !errors.As(err, &e) || e.After == 0
	}
	return true
}
