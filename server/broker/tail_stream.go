// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"
	"sync"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore"
)

// TailStream promises: a sample of what is put into a stream from now on, a few records at a time, for people to look at. It
// says how many records it has passed over. What it costs depends on how many are shown and not on how many are put: it waits
// on the shards' tails and reads the newest records alone, at most twice a second from each shard. A caller that takes its
// time is skipped over more.
//
// It is not for programs, which must not miss a record: those use GetRecords or Subscribe. It is not counted as a read and
// takes nothing of the shards' limits, whichever node owns them.
//
// AWS has no such operation.

// TailStreamRequest says what to follow.
type TailStreamRequest struct {
	Stream    string // name or ARN
	Shard     string // its id; empty for all open shards, as far as tailShards goes
	PerSecond int    // records at most, 1 to 500; 0 means 20
}

// TailBatch is some of the newest records of one shard.
type TailBatch struct {
	Shard   leat.ShardKey
	Records []leat.Record // MUST NOT be changed: they alias the store's memory
	Skipped uint64        // that were put since the batch before and are not here
}

const (
	tailShards = 32                     // followed at once
	tailPause  = 500 * time.Millisecond // between reads of a shard
	tailLasts  = 15 * time.Minute
	tailBytes  = 1 << 20
	tailMost   = 500
)

// TailStream calls send with samples until ctx ends, send fails, or a quarter of an hour is over.
func (b *Broker) TailStream(ctx context.Context, who leat.Principal, req TailStreamRequest, send func(TailBatch) error) error {
	if req.PerSecond < 0 || req.PerSecond > tailMost {
		return leat.Invalid("per_second", "%d records a second must be from 1 to %d", req.PerSecond, tailMost)
	}
	v, err := b.readableNamed(ctx, who, ActionGetRecords, req.Stream)
	if err != nil {
		return err
	}
	t := &tail{b: b, view: v, out: make(chan TailBatch)}
	var shards []leat.ShardKey
	if req.Shard != "" {
		ordinal, err := leat.ParseShardID(req.Shard)
		if err != nil {
			return err
		}
		s, err := b.shard(ctx, v, ordinal)
		if err != nil {
			return err
		}
		shards = append(shards, s.Key)
	} else {
		for _, at := range v.open[:min(len(v.open), tailShards)] {
			shards = append(shards, v.shards[at].Key)
		}
	}
	perSecond := req.PerSecond
	if perSecond == 0 {
		perSecond = 20
	}
	t.quota = max(1, int(float64(perSecond)*tailPause.Seconds())/max(1, len(shards)))
	ctx, cancel := context.WithTimeout(ctx, tailLasts)
	defer t.followers.Wait()
	defer cancel()
	for _, k := range shards {
		bounds, err := b.engine.Bounds(ctx, k)
		if err != nil && leat.KindOf(refusal(err)) != leat.KindUnavailable {
			return refusal(err)
		}
		t.followers.Go(func() { t.follow(ctx, k, bounds.Tail) })
	}
	for {
		select {
		case batch := <-t.out:
			if err := send(batch); err != nil {
				return err
			}
		case <-b.draining:
			return nil
		case <-ctx.Done():
			return nil
		}
	}
}

// tail is one running TailStream: a goroutine for each shard, which waits for the caller to take what it has read.
type tail struct {
	b         *Broker
	view      *streamView
	quota     int // records of one read
	out       chan TailBatch
	followers sync.WaitGroup
}

func (t *tail) follow(ctx context.Context, shard leat.ShardKey, next uint64) {
	for ctx.Err() == nil {
		batch, page, err := t.newest(ctx, shard, next)
		if err != nil {
			if leat.KindOf(refusal(err)) == leat.KindNotFound || !t.b.pause(ctx, pushRetryLast) {
				return
			}
			continue
		}
		next = page.Next
		if len(batch.Records) > 0 || batch.Skipped > 0 {
			select {
			case t.out <- batch:
			case <-ctx.Done():
				return
			}
		}
		if page.Ended {
			t.descend(ctx, shard, page.Became)
			return
		}
		if !t.b.pause(ctx, tailPause) {
			return
		}
	}
}

// newest waits until there is something from next on, and reads as much of the newest of it as may be shown.
func (t *tail) newest(ctx context.Context, shard leat.ShardKey, next uint64) (TailBatch, shardstore.Page, error) {
	if err := t.b.engine.Wait(ctx, shard, next); err != nil {
		return TailBatch{}, shardstore.Page{}, err
	}
	bounds, err := t.b.engine.Bounds(ctx, shard)
	if err != nil {
		return TailBatch{}, shardstore.Page{}, err
	}
	from := next
	if quota := uint64(t.quota); bounds.Tail > next+quota {
		from = bounds.Tail - quota
	}
	page, err := t.b.engine.Read(ctx, shard, from, shardstore.ReadLimits{Records: t.quota, Bytes: tailBytes, MinTime: t.b.expired(t.view), Look: true})
	if err != nil {
		return TailBatch{}, shardstore.Page{}, err
	}
	if _, err := checked(shard, &page); err != nil {
		return TailBatch{}, shardstore.Page{}, err
	}
	return TailBatch{Shard: shard, Records: page.Records, Skipped: from - next}, page, nil
}

// descend goes on with the children of a shard that has ended.
func (t *tail) descend(ctx context.Context, shard leat.ShardKey, became *shardstore.Reshard) {
	for range reroutes {
		if children := t.b.children(ctx, t.view, shard.Ordinal, became); len(children) > 0 {
			for _, c := range children {
				if *c.Parent == shard.Ordinal { // the child of a merge is followed once
					t.followers.Go(func() { t.follow(ctx, c.Key, 0) })
				}
			}
			return
		}
		if !t.b.pause(ctx, tailPause) {
			return
		}
	}
}
