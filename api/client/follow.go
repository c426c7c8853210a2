// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/leatstream/leat"
)

// follower reads one shard in order.
type follower struct {
	r     *Reader
	id    string
	start Start     // where to go on without an iterator: moves with what was read
	until time.Time // by the server's clock: what has arrived by then is the present; zero until known
	stood bool      // a subscription of this follower's stood once
}

// poll asks for page after page. It returns the last one: at the shard's end, or with ToPresent at its present end.
func (f *follower) poll(ctx context.Context) (_ *page, err error) {
	o := &f.r.opts
	iterator, wait := "", time.Duration(0)
	if f.start.kind == startLatest {
		if iterator, err = f.latest(ctx); err != nil {
			return nil, err
		}
	}
	for {
		if !pause(ctx, o.Clock, wait) {
			return nil, ctx.Err()
		}
		p, err := f.fetch(ctx, iterator)
		if err != nil {
			return nil, err
		}
		if p.next == "" || (o.ToPresent && f.present(p)) {
			return p, nil
		}
		iterator = p.next
		switch {
		case p.behind > 0 || len(p.records) > 0:
			wait = 0
		case wait == 0:
			wait = o.PollMin
		default:
			wait = min(2*wait, o.PollMax)
		}
	}
}

// latest takes the place at the shard's end. It waits for no slot: that may come free long after. A slow Next lets the iterator expire, and then the
// shard is gone on with from the time at which it was asked for.
func (f *follower) latest(ctx context.Context) (iterator string, err error) {
	err = f.r.persist(ctx, func() (err error) {
		asked := f.r.opts.Clock.Now()
		if iterator, err = f.r.client.iterator(ctx, f.r.stream, f.id, Latest()); err == nil {
			f.start = AtTime(asked)
		}
		return err
	})
	if err == nil {
		f.r.place()
	}
	return iterator, err
}

// fetch gets one page and delivers it. Pages take a slot from the question until Next has them.
func (f *follower) fetch(ctx context.Context, iterator string) (*page, error) {
	select {
	case f.r.slots <- struct{}{}:
		defer func() { <-f.r.slots }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	var p *page
	err := f.r.persist(ctx, func() (err error) {
		if iterator == "" {
			if iterator, err = f.r.client.iterator(ctx, f.r.stream, f.id, f.start); err != nil {
				return err
			}
		}
		p, err = f.r.client.getRecords(ctx, iterator, f.r.opts.PageRecords)
		if leat.KindOf(err) == leat.KindExpiredIterator {
			iterator = ""
			return &leat.Error{Kind: leat.KindUnavailable, Message: "a new iterator is needed", Err: silent{err}}
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return p, f.pass(ctx, p)
}

// pass delivers the records of a page and moves on behind them.
func (f *follower) pass(ctx context.Context, p *page) error {
	p.shard = f.id
	for _, r := range p.records {
		r.ShardID = f.id
	}
	if len(p.records) == 0 {
		f.stay()
		return nil
	}
	f.start = AfterSequence(p.records[len(p.records)-1].SequenceNumber)
	return f.r.deliver(ctx, p)
}

// stay keeps a shard that began at its tail, and was given nothing yet, from beginning at a later tail when its iterator
// expires: from now on it would go on at the time of the last answer. Clocks that differ make it see a little less or
// more of what arrived in between.
func (f *follower) stay() {
	if f.start.kind == startLatest || (f.start.kind == startTime && f.r.start.kind == startLatest) {
		f.start = AtTime(f.r.opts.Clock.Now())
	}
}

// present tells whether a page reaches what was the shard's end when its first page was read, so that a shard that is
// written to all the time is read to an end as well. The server's clock comes from its own answer: arrival of the last
// record plus how far that is behind.
func (f *follower) present(p *page) bool {
	if p.behind == 0 {
		return true
	}
	if len(p.records) == 0 {
		return false
	}
	last := p.records[len(p.records)-1].Arrival
	if f.until.IsZero() {
		f.until = last.Add(p.behind)
	}
	return last.After(f.until)
}

// push subscribes, again and again, since a subscription lasts five minutes. It returns the last event.
func (f *follower) push(ctx context.Context) (last *page, err error) {
	for {
		var broken error
		err = f.r.persist(ctx, func() error {
			if last, broken = f.subscribe(ctx); last == nil {
				return f.mayPass(broken)
			}
			return nil // it got on: what follows is a new failure, with all of RetryFor before it
		})
		switch {
		case err != nil:
			return nil, err
		case broken != nil && (!repeatable(broken) || !pause(ctx, f.r.opts.Clock, f.r.opts.BackoffMin)):
			return nil, broken
		case broken == nil && last != nil && (last.next == "" || (f.r.opts.ToPresent && f.present(last))):
			return last, nil
		}
	}
}

// mayPass has a refusal tried again that says that the consumer is subscribed already: the server may not have seen yet that the connection of this
// follower's own former subscription broke. For RetryFor, since it may be somebody else's.
func (f *follower) mayPass(err error) error {
	if f.stood && leat.KindOf(err) == leat.KindInUse {
		return &leat.Error{Kind: leat.KindUnavailable, Op: "Next", Message: "the shard is subscribed to already under this consumer's name, not by this reader any more", Err: err}
	}
	return err
}

// subscribe delivers the events of one subscription and returns the last one; nil when there was none.
func (f *follower) subscribe(ctx context.Context) (last *page, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	sub, err := f.r.client.subscribe(ctx, f.r.stream, f.id, f.r.opts.Consumer, f.start)
	if err != nil {
		return nil, err
	}
	for {
		p, err := sub.next()
		if errors.Is(err, io.EOF) {
			return last, nil
		}
		if leat.KindOf(err) == leat.KindCanceled && ctx.Err() == nil { // by the server: this reader took nothing in for too long
			err = &leat.Error{Kind: leat.KindUnavailable, Op: "Next", Message: "the server ended the subscription", Err: err}
		}
		if err != nil {
			return last, err
		}
		if !f.stood && f.start.kind == startLatest {
			f.r.place()
		}
		last, f.stood = p, true
		if err := f.pass(ctx, p); err != nil {
			return last, err
		}
		if p.next == "" || (f.r.opts.ToPresent && f.present(p)) {
			return p, nil
		}
		f.start = AfterSequence(p.next)
	}
}
