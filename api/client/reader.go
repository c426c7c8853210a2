// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"errors"
	"io"
	"iter"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/leatstream/leat"
)

// Start is where reading begins.
type Start struct {
	kind     startKind
	sequence string
	at       time.Time
}

type startKind int

const (
	startHorizon startKind = iota
	startLatest
	startTime
	startAt
	startAfter
)

// TrimHorizon begins at the oldest record kept.
func TrimHorizon() Start { return Start{} }

// Latest begins after the newest record of the moment at which the reader takes its place in a shard, soon after NewReader: Ready waits for that.
func Latest() Start { return Start{kind: startLatest} }

// AtTime begins at the first record that arrived at t or later.
func AtTime(t time.Time) Start { return Start{kind: startTime, at: t} }

// AtSequence begins at a record; for single shards alone.
func AtSequence(number string) Start { return Start{kind: startAt, sequence: number} }

// AfterSequence begins after a record; for single shards alone.
func AfterSequence(number string) Start { return Start{kind: startAfter, sequence: number} }

// ReadRecord is one record of a stream, as it was put.
type ReadRecord struct {
	ShardID        string
	SequenceNumber string
	PartitionKey   string
	Data           []byte
	Arrival        time.Time // approximate; never falls within a shard
}

// Checkpoint is how far a shard has been read.
type Checkpoint struct {
	SequenceNumber string `json:"sequence_number,omitempty"` // of the last record that Next returned
	Ended          bool   `json:"ended,omitempty"`           // the shard is closed and was read to its end
}

// Checkpoints are by shard id. They can be kept as JSON.
type Checkpoints map[string]Checkpoint

// ReaderOptions tune a Reader; zero values mean the defaults.
type ReaderOptions struct {
	// Checkpoints, of an earlier reader, take precedence over where NewReader begins. Shards that descend from theirs are
	// read from their beginning.
	Checkpoints Checkpoints
	// Shards reads these shards alone, and not their children: when Next returns io.EOF they have ended, and nobody reads what was put since then unless
	// the children are given to a reader too, once all their parents have ended.
	Shards []string
	// ToPresent ends the reader when each shard has been read to its present end.
	ToPresent bool
	// Consumer is the name of a registered consumer: records are then pushed as soon as they are durable. Without one
	// the reader asks for them.
	Consumer string
	// PageRecords is the most records of one answer: 10,000 by default and at most.
	PageRecords int
	// PagesAhead bounds the answers that are asked for or wait for Next, over all shards: 8 by default. Each may have
	// 10 MiB.
	PagesAhead int
	// PollMin and PollMax bound the pause between two questions at a shard's tail, which doubles while nothing comes:
	// 20 ms and 1 s by default.
	PollMin, PollMax time.Duration
	// RetryFor is how long a shard is tried again while the server does not answer: a minute by default, negative for no
	// retry.
	RetryFor time.Duration
	// BackoffMin and BackoffMax bound the pause before a read is tried again, which doubles: 50 ms and 2 s by default.
	BackoffMin, BackoffMax time.Duration
	// Clock is the machine's by default.
	Clock leat.Clock
}

func (o ReaderOptions) withDefaults() ReaderOptions {
	def(&o.PageRecords, leat.MaxGetRecords)
	def(&o.PagesAhead, 8)
	def(&o.PollMin, 20*time.Millisecond)
	def(&o.PollMax, time.Second)
	def(&o.RetryFor, time.Minute)
	def(&o.BackoffMin, 50*time.Millisecond)
	def(&o.BackoffMax, 2*time.Second)
	if o.Clock == nil {
		o.Clock = leat.SystemClock{}
	}
	return o
}

// Reader reads a stream through splits and merges: a shard's records in their order, and a child shard only after the
// ends of its parents have been returned. Among shards that do not descend from each other there is no order.
//
// Next and All are for one goroutine; Ready, Checkpoints and Close may be called from any. Close MUST be called.
type Reader struct {
	client *Client
	stream string
	start  Start
	opts   ReaderOptions

	pages  chan *page
	slots  chan struct{} // bounds pages asked for or waiting
	cancel context.CancelFunc
	done   chan struct{} // run has ended; failure may be read
	failed error

	places atomic.Int64  // that are to be taken at the ends of shards, and one for the plan
	placed chan struct{} // closed when they are

	page *page // in hand
	at   int   // index of the next record in it

	mu        sync.Mutex
	positions Checkpoints
}

// NewReader starts to read a stream. Begin is TrimHorizon, Latest or AtTime; with one shard in opts.Shards it may also be
// a sequence number.
func NewReader(c *Client, stream string, begin Start, opts ReaderOptions) (*Reader, error) {
	if err := leat.ValidateStreamName(stream); err != nil {
		return nil, err
	}
	opts = opts.withDefaults()
	if opts.PageRecords < 1 || opts.PageRecords > leat.MaxGetRecords || opts.PagesAhead < 1 {
		return nil, leat.Invalid("PageRecords", "PageRecords %d must be from 1 to %d, and PagesAhead %d above 0", opts.PageRecords, leat.MaxGetRecords, opts.PagesAhead)
	}
	if begin.kind >= startAt && len(opts.Shards) != 1 {
		return nil, leat.Invalid("Start", "a sequence number is a place in one shard: name that shard in Shards")
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := &Reader{
		client: c, stream: stream, start: begin, opts: opts,
		pages: make(chan *page), slots: make(chan struct{}, opts.PagesAhead),
		cancel: cancel, done: make(chan struct{}), placed: make(chan struct{}), positions: Checkpoints{},
	}
	r.places.Store(1)
	maps.Copy(r.positions, opts.Checkpoints)
	go func() {
		defer close(r.done)
		r.failed = r.run(ctx)
	}()
	return r, nil
}

// Ready returns when the reader has its places: one that begins at Latest returns what is put after that. For other readers it need not be called. Its
// errors are those of Next.
func (r *Reader) Ready(ctx context.Context) error {
	select {
	case <-r.placed:
		return nil
	case <-ctx.Done():
		return &leat.Error{Kind: leat.KindCanceled, Op: "Ready", Message: "gave up waiting for a reader's places", Err: ctx.Err()}
	case <-r.done:
		return r.over()
	}
}

// place notes that one of the places is taken.
func (r *Reader) place() {
	if r.places.Add(-1) == 0 {
		close(r.placed)
	}
}

// Next returns the next record. It waits for one, and returns io.EOF when there will be none: with ToPresent, or when
// the shards asked for have ended. After another error the reader can be made again from its Checkpoints.
func (r *Reader) Next(ctx context.Context) (*ReadRecord, error) {
	for {
		if r.page != nil && r.at < len(r.page.records) {
			rec := r.page.records[r.at]
			r.at++
			r.advance(rec)
			return rec, nil
		}
		if err := r.turn(ctx); err != nil {
			return nil, err
		}
	}
}

// turn takes the next page.
func (r *Reader) turn(ctx context.Context) error {
	select {
	case p := <-r.pages:
		r.page, r.at = p, 0
		if p.ended && len(p.records) == 0 {
			r.end(p.shard)
		}
		return nil
	case <-ctx.Done():
		return &leat.Error{Kind: leat.KindCanceled, Op: "Next", Message: "gave up waiting for a record", Err: ctx.Err()}
	case <-r.done:
		return r.over()
	}
}

// over says why there are no more records. The reader is done.
func (r *Reader) over() error {
	switch {
	case r.failed == nil:
		return io.EOF
	case asError(r.failed) == nil: // the reader's own context
		return &leat.Error{Kind: leat.KindCanceled, Op: "Next", Message: "the reader is closed", Err: r.failed}
	}
	return r.failed
}

// advance notes a record that is about to be returned.
func (r *Reader) advance(rec *ReadRecord) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.positions[rec.ShardID] = Checkpoint{SequenceNumber: rec.SequenceNumber}
}

// end notes that a shard has been read to its end.
func (r *Reader) end(shardID string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.positions[shardID]
	c.Ended = true
	r.positions[shardID] = c
}

// Checkpoints returns how far each shard has been read, the last record that Next returned included, whether its work is done or not: what is to be gone
// on from after a crash is taken after that work and before the next Next, so by the goroutine that calls Next. Shards of which
// nothing has been returned yet are absent: a reader made from these begins them where NewReader says, so one that began
// at Latest misses what such a shard is given in between.
func (r *Reader) Checkpoints() Checkpoints {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.positions)
}

// All ranges over the records until there are none, ctx ends, or the body breaks. The last pair may carry an error.
func (r *Reader) All(ctx context.Context) iter.Seq2[*ReadRecord, error] {
	return func(yield func(*ReadRecord, error) bool) {
		for {
			rec, err := r.Next(ctx)
			if errors.Is(err, io.EOF) || !yield(rec, err) || err != nil {
				return
			}
		}
	}
}

// Close ends the reader and its goroutines. It may be called twice.
func (r *Reader) Close() error {
	r.cancel()
	<-r.done
	return nil
}
