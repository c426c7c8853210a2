// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package client

import (
	"slices"
	"sync"
	"time"

	"github.com/leatstream/leat"
)

// item is one record on its way.
type item struct {
	Record
	seq      uint64 // its place in the lane
	weight   int64  // of the budget
	queued   time.Time
	attempts int
	failing  time.Time // of its first failure
	doubt    bool      // an attempt may have written it
	done     func(Placed, error)
}

func (it *item) size() int { return len(it.PartitionKey) + len(it.Data) }

// lane keeps the order of its keys: its records wait in one queue, in the order of Put, and one batch of them is on its
// way at a time. What has to be sent again goes back to the front.
type lane struct {
	p    *Producer
	wake chan struct{} // one token: something changed that run waits for

	mu       sync.Mutex
	queue    []*item
	bytes    int    // in queue
	next     uint64 // seq of the next record
	hurried  uint64 // records below it do not linger
	pending  uint64 // the lowest seq whose fate is not known; next when there is none
	waiters  []waiter
	closed   bool
	lastSent time.Time

	// Of run alone.
	failures int       // batches in a row without any progress
	stuck    time.Time // since when
}

// waiter is a Flush that waits for the fate of the records below a seq.
type waiter struct {
	below uint64
	done  chan struct{}
}

func newLane(p *Producer) *lane { return &lane{p: p, wake: make(chan struct{}, 1)} }

// add takes a record in; false when the lane is closed.
func (l *lane) add(it *item) bool {
	it.queued = l.p.opts.Clock.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	it.seq = l.next
	l.next++
	wasFull := l.full()
	l.queue = append(l.queue, it)
	l.bytes += it.size()
	if len(l.queue) == 1 || (!wasFull && l.full()) {
		l.kick()
	}
	return true
}

// full tells whether a batch waits that need not linger. l.mu is held.
func (l *lane) full() bool {
	return len(l.queue) >= l.p.opts.BatchRecords || l.bytes >= l.p.opts.BatchBytes
}

// kick wakes run.
func (l *lane) kick() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// hurry sends what waits now without lingering.
func (l *lane) hurry() {
	l.mu.Lock()
	l.hurried = l.next
	l.mu.Unlock()
	l.kick()
}

// settled returns a channel that is closed when the fate of every record so far is known.
func (l *lane) settled() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	w := waiter{below: l.next, done: make(chan struct{})}
	if l.pending >= w.below {
		close(w.done)
	} else {
		l.waiters = append(l.waiters, w)
	}
	return w.done
}

func (l *lane) close() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.kick()
}

// run sends batch after batch until the lane is closed and empty, or the producer is cut off.
func (l *lane) run() {
	for {
		batch := l.take()
		if batch == nil {
			break
		}
		again, err := l.send(batch)
		l.giveBack(again)
		if len(again) > 0 {
			l.backOff(err)
		}
	}
	l.drop()
}

// take waits for the next batch; nil when there will be none.
func (l *lane) take() []*item {
	for {
		batch, wait, end := l.cut()
		if batch != nil || end {
			return batch
		}
		var timer <-chan time.Time
		stop := func() {}
		if wait > 0 {
			timer, stop = l.p.opts.Clock.NewTimer(wait)
		}
		select {
		case <-l.wake:
		case <-timer:
		case <-l.p.ctx.Done():
		}
		stop()
	}
}

// cut takes a batch off the queue when one is due; otherwise it says how long to wait, 0 for a wake-up alone.
func (l *lane) cut() (batch []*item, wait time.Duration, end bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.p.ctx.Err() != nil {
		return nil, 0, true
	}
	if len(l.queue) == 0 {
		return nil, 0, l.closed
	}
	if wait := l.linger(); wait > 0 {
		return nil, wait, false
	}
	n, bytes := 1, l.queue[0].size()
	for n < len(l.queue) && n < l.p.opts.BatchRecords && bytes+l.queue[n].size() <= l.p.opts.BatchBytes {
		bytes += l.queue[n].size()
		n++
	}
	batch = slices.Clone(l.queue[:n])
	clear(l.queue[:n])
	l.queue = l.queue[n:]
	l.bytes -= bytes
	return batch, 0, false
}

// linger says how long the queue should still fill: not at all when a batch is full, sent again, flushed, or the lane
// has been idle. l.mu is held.
func (l *lane) linger() time.Duration {
	o := &l.p.opts
	head := l.queue[0]
	if o.Linger <= 0 || l.full() || l.closed || head.attempts > 0 || head.seq < l.hurried {
		return 0
	}
	if head.queued.Sub(l.lastSent) > o.Linger {
		return 0
	}
	return o.Linger - o.Clock.Now().Sub(head.queued)
}

// giveBack puts what must be sent again to the front, in its order, and tells those who wait for the rest.
func (l *lane) giveBack(again []*item) {
	now := l.p.opts.Clock.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lastSent = now
	if len(again) > 0 {
		l.queue = slices.Concat(again, l.queue)
		for _, it := range again {
			l.bytes += it.size()
		}
	}
	l.pending = l.next
	if len(l.queue) > 0 {
		l.pending = l.queue[0].seq
	} else {
		l.failures, l.stuck = 0, time.Time{} // what comes next has all of RetryFor before it
	}
	l.waiters = slices.DeleteFunc(l.waiters, func(w waiter) bool {
		if l.pending < w.below {
			return false
		}
		close(w.done)
		return true
	})
}

// backOff waits before the next attempt: at least as long as the server asks, otherwise a time that doubles with each
// failure in a row, less up to half of it by chance.
func (l *lane) backOff(err error) {
	o := &l.p.opts
	d := min(o.BackoffMin<<min(l.failures, 20), o.BackoffMax)
	l.p.rand.Lock()
	d -= time.Duration(o.Rand.Int64N(int64(d)/2 + 1))
	l.p.rand.Unlock()
	pause(l.p.ctx, o.Clock, max(d, retryAfter(err)))
}

// retryAfter is the server's hint.
func retryAfter(err error) time.Duration {
	if e := asError(err); e != nil {
		return min(e.After, 30*time.Second)
	}
	return 0
}

// drop ends a lane that was cut off: what waits was not sent, or failed before.
func (l *lane) drop() {
	l.mu.Lock()
	l.closed = true
	rest := l.queue
	l.queue, l.bytes = nil, 0
	l.mu.Unlock()
	for _, it := range rest {
		l.fail(it, &leat.Error{Kind: leat.KindCanceled, Op: "Put", Message: "the producer was closed before the record was written"})
	}
	l.giveBack(nil)
}
