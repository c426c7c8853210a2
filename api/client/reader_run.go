// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/leatstream/leat"
)

// page is some records of one shard on their way to Next.
type page struct {
	shard    string
	records  []*ReadRecord
	next     string        // iterator; of a pushed page the sequence number to go on after; empty at the shard's end
	behind   time.Duration // 0 when caught up
	children []*shard      // at the shard's end
	ended    bool          // the shard's end itself, without records
}

// finish is a shard that is no longer read: it has ended, or was read to its present end.
type finish struct {
	id       string
	ended    bool
	children []*shard
}

// run reads shards side by side, and begins children when their parents have ended. It returns when nothing is left to
// read, ctx ends, or a shard fails.
func (r *Reader) run(ctx context.Context) error {
	shards, err := r.list(ctx)
	if err != nil {
		return err
	}
	p := newPlan(r.start, shards, r.opts.Checkpoints)
	g, ctx := errgroup.WithContext(ctx)
	finished := make(chan finish)
	running := 0
	for {
		for _, n := range p.ready() {
			running++
			g.Go(func() error { return r.follow(ctx, n, finished) })
		}
		if running == 0 {
			return g.Wait()
		}
		select {
		case f := <-finished:
			running--
			if f.ended {
				p.end(f.id, f.children)
			}
		case <-ctx.Done():
			return g.Wait()
		}
	}
}

// list returns the shards to read.
func (r *Reader) list(ctx context.Context) (shards map[string]*shard, err error) {
	err = r.persist(ctx, func() error {
		shards, err = r.client.listAll(ctx, r.stream)
		return err
	})
	if err != nil || len(r.opts.Shards) == 0 {
		return shards, err
	}
	only := map[string]*shard{}
	for _, name := range r.opts.Shards {
		ordinal, err := leat.ParseShardID(name)
		if err != nil {
			return nil, err
		}
		id := leat.ShardID(ordinal)
		if shards[id] == nil {
			return nil, &leat.Error{Kind: leat.KindNotFound, Op: "Next", Field: "shard_id", Message: "stream " + r.stream + " has no shard " + id}
		}
		only[id] = &shard{id: id, hashes: shards[id].hashes}
	}
	return only, nil
}

// follow reads one shard and reports that it is finished.
func (r *Reader) follow(ctx context.Context, n *node, finished chan<- finish) error {
	f := &follower{r: r, id: n.id, start: n.start}
	var last *page
	var err error
	if r.opts.Consumer != "" {
		last, err = f.push(ctx)
	} else {
		last, err = f.poll(ctx)
	}
	if err != nil {
		return err
	}
	done := finish{id: n.id, ended: last.next == ""}
	if done.ended {
		if err := r.deliver(ctx, &page{shard: n.id, ended: true}); err != nil {
			return err
		}
		if len(r.opts.Shards) == 0 {
			done.children = last.children
		}
	}
	select {
	case finished <- done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// deliver hands a page to Next. It returns when Next has taken it, so that whatever is delivered later, of a child for
// one, is returned later.
func (r *Reader) deliver(ctx context.Context, p *page) error {
	select {
	case r.pages <- p:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// persist repeats a read until it succeeds, has failed for RetryFor, or fails for good.
func (r *Reader) persist(ctx context.Context, read func() error) error {
	since := r.opts.Clock.Now()
	for wait := r.opts.BackoffMin; ; wait = min(2*wait, r.opts.BackoffMax) {
		err := read()
		if err == nil || !repeatable(err) || ctx.Err() != nil || r.opts.Clock.Now().Sub(since) >= r.opts.RetryFor {
			return err
		}
		if !pause(ctx, r.opts.Clock, max(wait, retryAfter(err))) {
			return err
		}
	}
}

// repeatable tells whether a read may succeed when it is tried again.
func repeatable(err error) bool {
	return slices.Contains([]leat.Kind{
		leat.KindUnavailable, leat.KindThroughputExceeded, leat.KindUnknownOutcome, leat.KindInternal,
	}, leat.KindOf(err))
}
