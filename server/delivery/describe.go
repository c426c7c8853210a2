// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"context"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/delivery/spec"
)

// Describe returns a delivery stream and where it is in each shard, as far as the shards can be asked now.
func (e *Engine) Describe(ctx context.Context, account, name string) (spec.Description, error) {
	d, err := e.tables.one(ctx, account, name)
	if err != nil {
		return spec.Description{}, err
	}
	out := spec.Description{Delivery: d}
	tracks, err := e.tables.cursors(ctx, d.ID)
	if err != nil {
		return out, err
	}
	if out.Backfills, err = e.tables.backfills(ctx, d.ID); err != nil {
		return out, err
	}
	for _, c := range tracks[""] {
		out.Shards = append(out.Shards, e.progress(ctx, &d, c))
	}
	for i := range out.Backfills {
		b := &out.Backfills[i]
		b.Done = true
		for _, c := range tracks[b.ID] {
			p := e.progress(ctx, &d, c)
			p.Lag = 0 // it is about history
			b.Shards = append(b.Shards, p)
			b.Done = b.Done && p.Done
		}
	}
	return out, nil
}

// progress says where a cursor is. A shard that cannot be asked is not behind as far as anybody knows.
func (e *Engine) progress(ctx context.Context, d *spec.Delivery, c cursor) spec.Progress {
	p := spec.Progress{Shard: c.ordinal, Start: c.start, Next: c.next, Tail: c.next, Done: c.done, Reason: c.reason, Since: c.since}
	if c.time != 0 {
		p.Delivered = timeOf(c.time)
	}
	if c.stop >= 0 {
		p.Tail = max(c.next, uint64(c.stop))
	}
	if c.done {
		return p
	}
	key := leat.ShardKey{Stream: d.Stream, Ordinal: c.ordinal}
	if b, err := e.cfg.Records.Bounds(ctx, key); err == nil && c.stop < 0 {
		p.Tail = max(c.next, b.Tail)
	}
	if p.Tail > c.next {
		p.Lag = e.lag(ctx, key, c.next)
	}
	return p
}

// lag is the age of the record at an offset.
func (e *Engine) lag(ctx context.Context, key leat.ShardKey, at uint64) time.Duration {
	t, ok := e.arrival(ctx, key, at)
	if !ok {
		return 0
	}
	return max(e.cfg.Clock.Now().Sub(timeOf(t)), time.Millisecond)
}
