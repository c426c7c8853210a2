// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/leatstream/leat"
)

// outcome is what one PutRecords said of one record.
type outcome struct {
	shard, sequence string
	err             error
}

// send puts a batch and settles what is known of it. It returns the records to send again, in their order, and why.
func (l *lane) send(batch []*item) (again []*item, why error) {
	p := l.p
	var mark *mark
	var outcomes []outcome
	err := l.connected()
	if err == nil {
		mark, err = l.mark(batch)
	}
	if err == nil {
		outcomes, err = l.attempt(batch)
	}
	if err != nil {
		outcomes = spread(len(batch), err)
	}
	var unknown []*item
	acked := 0
	for i, it := range batch {
		switch o := outcomes[i]; {
		case o.err == nil:
			acked++
			mark.note(o.sequence)
			l.ack(it, Placed{ShardID: o.shard, SequenceNumber: o.sequence})
		case doubtful(o.err) && p.opts.Unknown != UnknownRepeat:
			unknown = append(unknown, it)
			why = o.err
		default:
			why = worst(why, o.err)
			again = append(again, it)
		}
		l.count(it, outcomes[i].err)
	}
	l.progress(acked)
	again = l.retryable(again, outcomes, batch)
	if len(unknown) > 0 {
		again = merge(again, l.resolve(mark, unknown, why))
	}
	return again, why
}

// patience is how long the lane waits for a connection: as long as its records would be tried again.
func (l *lane) patience() time.Duration {
	o := &l.p.opts
	switch {
	case !l.stuck.IsZero():
		return min(o.AttemptTimeout, max(0, o.RetryFor-o.Clock.Now().Sub(l.stuck)))
	case o.RetryFor > 0:
		return min(o.AttemptTimeout, o.RetryFor)
	}
	return o.AttemptTimeout
}

// attempt makes one call.
func (l *lane) attempt(batch []*item) ([]outcome, error) {
	p := l.p
	records := make([]*Record, len(batch))
	for i, it := range batch {
		it.attempts++
		records[i] = &it.Record
	}
	p.stats.batches.Add(1)
	ctx, cancel := context.WithTimeout(p.ctx, p.opts.AttemptTimeout)
	defer cancel()
	// The connection that stood a moment ago may be gone: that is not waited for either, once the records are overdue.
	patience := max(l.patience(), time.Second)
	if p.opts.Nodes != nil {
		return p.opts.Nodes.putBatch(ctx, p.stream, records, patience), nil
	}
	return p.client.putBatch(ctx, p.stream, records, patience)
}

// connected waits for a connection.
func (l *lane) connected() error {
	if n := l.p.opts.Nodes; n != nil {
		return n.connected(l.p.ctx, l.patience())
	}
	return l.p.client.connected(l.p.ctx, l.patience())
}

// mark notes where the shards are before a batch is sent, for resolve.
func (l *lane) mark(batch []*item) (*mark, error) {
	if l.p.finder == nil {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(l.p.ctx, l.p.opts.AttemptTimeout)
	defer cancel()
	m, err := l.p.finder.mark(ctx, batch)
	if err != nil {
		return nil, notSent(err)
	}
	return m, nil
}

// notSent says of an error of a call that wrote nothing that no record was written: it is tried again.
func notSent(err error) error {
	switch leat.KindOf(err) {
	case leat.KindUnknownOutcome, leat.KindInternal, leat.KindCanceled:
		return &leat.Error{Kind: leat.KindUnavailable, Op: "Put", Message: fmt.Sprintf("could not look at the stream before writing: %v", err), Err: silent{err}}
	}
	return err
}

// spread gives an error of a whole call to its records. A refusal that names one record is about that one alone; the
// others were not written.
func spread(records int, err error) []outcome {
	outcomes := make([]outcome, records)
	culprit := -1
	if e := asError(err); e != nil && e.Kind == leat.KindInvalidArgument {
		culprit = namedRecord(e.Field)
	}
	for i := range outcomes {
		outcomes[i].err = err
		if culprit >= 0 && culprit < records && culprit != i {
			outcomes[i].err = errInnocent
		}
	}
	return outcomes
}

// errInnocent is the outcome of records that were refused together with a bad one.
var errInnocent = &leat.Error{Kind: leat.KindUnavailable, Op: "Put", Message: "another record of the batch was refused"}

// namedRecord reads the index out of "records[12].data"; -1 when there is none.
func namedRecord(field string) int {
	var i int
	if n, err := fmt.Sscanf(field, "records[%d]", &i); n != 1 || err != nil {
		return -1
	}
	return i
}

// doubtful tells whether a record with this outcome may have been written.
func doubtful(err error) bool {
	kind := leat.KindOf(err)
	return kind == leat.KindUnknownOutcome || kind == leat.KindInternal
}

// worst keeps the error that asks for the longest pause.
func worst(a, b error) error {
	if a == nil || retryAfter(b) > retryAfter(a) {
		return b
	}
	return a
}

func (l *lane) count(it *item, err error) {
	s := &l.p.stats
	switch {
	case err == nil:
	case doubtful(err):
		it.doubt = true
		s.unknown.Add(1)
	case leat.KindOf(err) == leat.KindThroughputExceeded:
		s.throttled.Add(1)
	}
}

// progress notes how a batch went, for backOff and for lanes that are stuck.
func (l *lane) progress(acked int) {
	switch {
	case acked > 0:
		l.failures, l.stuck = 0, time.Time{}
	case l.stuck.IsZero():
		l.stuck = l.p.opts.Clock.Now()
	default:
		l.failures++
	}
}

// retryable gives up the records that cannot succeed any more, or have been tried for long enough, and returns the rest.
func (l *lane) retryable(failed []*item, outcomes []outcome, batch []*item) (again []*item) {
	now := l.p.opts.Clock.Now()
	i := 0
	for _, it := range failed {
		for batch[i] != it {
			i++
		}
		err := outcomes[i].err
		if errors.Is(err, errInnocent) {
			again = append(again, it)
			continue
		}
		if it.failing.IsZero() {
			it.failing = now
		}
		if fatal(err) || l.overdue(it, now) {
			l.fail(it, err)
			continue
		}
		l.p.stats.retried.Add(1)
		again = append(again, it)
	}
	return again
}

// overdue tells whether a record has failed for RetryFor, or the whole lane has.
func (l *lane) overdue(it *item, now time.Time) bool {
	limit := l.p.opts.RetryFor
	if limit < 0 || l.p.ctx.Err() != nil {
		return true
	}
	return now.Sub(it.failing) >= limit || (!l.stuck.IsZero() && now.Sub(l.stuck) >= limit)
}

func (l *lane) ack(it *item, placed Placed) {
	p := l.p
	placed.Attempts = it.attempts
	if p.finder != nil {
		p.finder.acked(placed.ShardID, placed.SequenceNumber)
	}
	p.stats.acked.Add(1)
	p.stats.ackedBytes.Add(int64(it.size()))
	p.release(it)
	it.done(placed, nil)
}

// fail gives a record up. Once an attempt has left its fate open no later refusal closes it.
func (l *lane) fail(it *item, err error) {
	if it.doubt && leat.KindOf(err) != leat.KindUnknownOutcome {
		err = &leat.Error{Kind: leat.KindUnknownOutcome, Op: "Put", Message: fmt.Sprintf("the record may or may not have been written: %v", err), Err: silent{err}}
	}
	l.p.stats.failed.Add(1)
	l.p.release(it)
	it.done(Placed{Attempts: it.attempts}, err)
}

// merge joins two runs of records by their place in the lane.
func merge(a, b []*item) []*item {
	out := make([]*item, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		if a[0].seq < b[0].seq {
			out, a = append(out, a[0]), a[1:]
		} else {
			out, b = append(out, b[0]), b[1:]
		}
	}
	return append(append(out, a...), b...)
}
