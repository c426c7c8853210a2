// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore"
)

const (
	heartbeat      = 5 * time.Second // between events, at most
	pushRecords    = 10_000
	pushBytes      = 1 << 20 // of one event: small enough to flow, large enough to be cheap
	pushRetryFirst = 10 * time.Millisecond
	pushRetryLast  = time.Second
)

// push is one running subscription. One goroutine runs it; a second one stands in Engine.Wait while nothing is visible,
// so that the heartbeat and the end are not held up by it.
type push struct {
	b      *Broker
	view   *streamView
	shard  leat.ShardKey
	next   uint64        // offset
	behind time.Duration // at the last page
	send   func(Event) error

	paid   bucket        // of bytes, where the limits of AWS hold
	retry  time.Duration // the next pause after a fault that will pass
	failed error         // that fault, until a read succeeds again

	tail  chan error // of the goroutine in Engine.Wait; nil when there is none
	waits sync.WaitGroup
	told  bool // the first event was sent
	beat  <-chan time.Time
	unset func() // stops beat
}

func newPush(b *Broker, v *streamView, shard leat.ShardKey, next uint64, send func(Event) error) *push {
	return &push{b: b, view: v, shard: shard, next: next, send: send, paid: newBucket(leat.ShardBytesOut, b.clock.Now()), unset: func() {}}
}

// run pushes until the shard or the subscription's time ends. Each turn sends what is visible and then waits: for the
// tail to move, for a pause to pass, or for the heartbeat.
func (p *push) run(ctx context.Context) error {
	defer p.waits.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	over, stop := p.b.clock.NewTimer(leat.SubscriptionTime)
	defer stop()
	defer func() { p.unset() }()
	for {
		pause, ended, err := p.turn(ctx)
		if err != nil || ended {
			return p.because(ctx, err)
		}
		if !p.told { // nothing is visible: say at once that the subscription stands, or that it does not
			if err = p.failed; err == nil {
				err = p.event(nil)
			}
			if err != nil {
				return p.because(ctx, err)
			}
		}
		again, err := p.idle(ctx, over, pause)
		if err != nil || !again {
			return p.because(ctx, err)
		}
	}
}

// because prefers the reason for which a subscription was ended to what it met by being ended.
func (p *push) because(ctx context.Context, err error) error {
	var e *leat.Error
	if cause := context.Cause(ctx); errors.As(cause, &e) {
		return cause
	}
	return err
}

// turn reads and sends once. A pause of 0 means that the next turn waits for the tail; a negative one that it need not
// wait at all.
func (p *push) turn(ctx context.Context) (pause time.Duration, ended bool, err error) {
	if v := p.b.directory.snap.Load().byID[p.shard.Stream]; v != nil {
		p.view = v // retention may have been raised: what it keeps now is not passed over
	}
	if p.b.metered(p.view) {
		if owed := p.paid.lacks(p.b.clock.Now(), 1); owed > 0 {
			return owed, false, nil
		}
	}
	lim := shardstore.ReadLimits{Records: pushRecords, Bytes: pushBytes, MinTime: p.b.expired(p.view)}
	if wait := p.b.rates.owed(p.view.Account, p.b.quotasOf(p.view.Account).BytesOut); wait > 0 {
		if p.told {
			return wait, false, nil
		}
		lim.Records = 1 // on credit: without it the first event would say that nothing is there, and a reader to the present would end
	}
	page, err := p.b.engine.Read(ctx, p.shard, p.next, lim)
	if err != nil {
		pause, err = p.fault(ctx, refusal(err))
		return pause, false, err
	}
	p.failed = nil
	size, err := checked(p.shard, &page)
	if err != nil {
		return 0, false, err
	}
	p.paid.spend(float64(size))
	p.b.rates.charge(p.view.Account, size)
	if !p.b.shared {
		p.b.countRead(p.view, p.shard, &page, size, &shardstore.ReadLimits{})
	}
	moved := page.Next != p.next
	p.next, p.behind = page.Next, page.Behind
	if page.Ended {
		return p.end(ctx, &page)
	}
	p.retry = 0
	if len(page.Records) > 0 {
		err = p.event(page.Records)
	}
	if moved && page.Next < page.Tail {
		return -1, false, err
	}
	return 0, false, err
}

// end sends the last event, with the children. Until they are known the subscription stays.
func (p *push) end(ctx context.Context, page *shardstore.Page) (pause time.Duration, ended bool, err error) {
	children := p.b.children(ctx, p.view, p.shard.Ordinal, page.Became)
	if len(children) > 0 {
		return 0, true, p.give(Event{Stream: p.view.Stream, Shard: p.shard, Records: page.Records, Behind: p.behind, Children: children})
	}
	if len(page.Records) > 0 {
		if err := p.event(page.Records); err != nil {
			return 0, false, err
		}
	}
	return p.backoff(), false, nil
}

// fault decides whether an error passes: then it is a pause. The end of the stream does not pass. What has not passed
// when a heartbeat is due ends the subscription, since an empty event would say that there is nothing to read: the
// shard may be served by another node by now.
func (p *push) fault(ctx context.Context, err error) (pause time.Duration, _ error) {
	kind := leat.KindOf(err)
	if kind != leat.KindUnavailable && kind != leat.KindThroughputExceeded {
		return 0, err
	}
	p.failed = err
	p.b.directory.Stale()
	v, gone := p.b.directory.findID(ctx, p.shard.Stream)
	if gone != nil {
		if leat.KindOf(gone) == leat.KindNotFound {
			return 0, gone
		}
		return p.backoff(), nil
	}
	if !v.serves() {
		return 0, errNoStream(Resource{Account: v.Account, Stream: v.Name})
	}
	p.view = v
	return p.backoff(), nil
}

func (p *push) backoff() time.Duration {
	p.retry = min(max(2*p.retry, pushRetryFirst), pushRetryLast)
	return p.retry
}

// idle waits as turn said, sends empty events meanwhile, and tells whether there is another turn.
func (p *push) idle(ctx context.Context, over <-chan time.Time, pause time.Duration) (again bool, err error) {
	var rest <-chan time.Time
	switch {
	case pause > 0:
		var stop func()
		rest, stop = p.b.clock.NewTimer(pause)
		defer stop()
	case pause == 0:
		p.await(ctx)
	default:
		at := make(chan time.Time)
		close(at)
		rest = at
	}
	for {
		select {
		case <-over:
			return false, nil
		case <-p.b.draining:
			return false, nil
		case <-ctx.Done():
			return false, refusal(ctx.Err())
		case <-rest:
			return true, nil
		case <-p.beat:
			if p.failed != nil {
				return false, p.failed
			}
			if err := p.event(nil); err != nil {
				return false, err
			}
		case err := <-p.tail:
			p.tail = nil
			if err == nil {
				return true, nil
			}
			pause, err := p.fault(ctx, refusal(err))
			if err != nil {
				return false, err
			}
			return p.idle(ctx, over, pause)
		}
	}
}

// await has one goroutine stand in Engine.Wait for the next offset.
func (p *push) await(ctx context.Context) {
	if p.tail != nil {
		return
	}
	tail, next := make(chan error, 1), p.next
	p.tail = tail
	p.waits.Go(func() { tail <- p.b.engine.Wait(ctx, p.shard, next) })
}

// event sends records, or a sign of life, and sets the next heartbeat.
func (p *push) event(records []leat.Record) error {
	p.unset()
	p.beat, p.unset = p.b.clock.NewTimer(heartbeat)
	p.told = true
	return p.give(Event{
		Stream: p.view.Stream, Shard: p.shard, Records: records, Behind: p.behind,
		Continuation: continuation(p.shard, p.next),
	})
}

// give sends an event, and counts what the client has got.
func (p *push) give(e Event) error {
	if err := p.send(e); err != nil || len(e.Records) == 0 {
		return err
	}
	size := int64(0)
	for i := range e.Records {
		size += int64(e.Records[i].Size())
	}
	p.b.meter.CountPush(&e.Stream, int64(len(e.Records)), size)
	return nil
}
