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
	listed   map[string]*shard // after a shard that has gone
}

// run reads shards side by side, and begins children when their parents have ended. It returns when nothing is left to
// read, ctx ends, or a shard fails.
func (r *Reader) run(ctx context.Context) error {
	shards, err := r.list(ctx)
	if err != nil {
		return err
	}
	p := newPlan(r.start, shards, r.opts.Checkpoints)
	r.places.Add(p.latest())
	r.place()
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
			if err := r.goOn(ctx, p, f); err != nil {
				g.Go(func() error { return err })
			}
		case <-ctx.Done():
			return g.Wait()
		}
	}
}

// goOn has the plan go on behind a shard that has ended. A child whose other parent the plan has not heard of waits for it, unless a listing shows that
// it has gone.
func (r *Reader) goOn(ctx context.Context, p *plan, f finish) (err error) {
	if !f.ended {
		return nil
	}
	p.end(f.id, f.children)
	if child := p.unknown(); child != "" {
		if f.listed, err = r.relist(ctx, child); err != nil {
			return err
		}
	}
	if f.listed != nil {
		p.learn(f.listed)
	}
	return nil
}

// relist lists the shards again. A listing from before a shard was made, which a node gives that cannot ask the catalog, does not do. Ids rise, and the
// highest one is of an open shard, which is always listed.
func (r *Reader) relist(ctx context.Context, made string) (shards map[string]*shard, err error) {
	err = r.persist(ctx, func() (err error) {
		if shards, err = r.client.listAll(ctx, r.stream); err != nil {
			return err
		}
		for id := range shards {
			if id >= made {
				return nil
			}
		}
		return &leat.Error{Kind: leat.KindUnavailable, Op: "Next", Message: "the shards that are listed are older than " + made}
	})
	return shards, err
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
	var listed map[string]*shard
	if err != nil {
		if listed, err = r.gone(ctx, n.id, err); err != nil {
			return err
		}
		last = &page{}
	}
	done := finish{id: n.id, ended: last.next == ""}
	if done.ended {
		if err := r.deliver(ctx, &page{shard: n.id, ended: true}); err != nil {
			return err
		}
		if len(r.opts.Shards) == 0 {
			done.children, done.listed = last.children, listed
		}
	}
	select {
	case finished <- done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// gone takes a shard for ended that failed because retention has removed it, and returns what is listed after that: its children, or theirs. Any other
// failure it returns.
func (r *Reader) gone(ctx context.Context, id string, failed error) (listed map[string]*shard, err error) {
	if e := asError(failed); e == nil || e.Kind != leat.KindNotFound || e.Field != "shard_id" {
		return nil, failed
	}
	listed, err = r.relist(ctx, id)
	if err == nil && listed[id] != nil {
		err = failed
	}
	return listed, err
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
