// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore"
)

// DescribeShard promises: one shard as the catalog has it, its family, where it begins and ends now, and the objects that
// hold its records as far as they are packed. What is newer than the last pack is in the session log, which is not listed.
//
// AWS has no such operation.

// ShardDescription is a shard and what is known of it.
type ShardDescription struct {
	Stream       StreamDescription
	Shard        leat.Shard
	Parents      []leat.Shard // as far as they are still known
	Children     []leat.Shard
	Below, Above *leat.Shard // the open neighbours of an open shard
	Bounds       *ShardBounds
	Extents      int
	Packed       uint64 // records in extents
	PackedBytes  uint64 // of data and keys in them
	Objects      []ShardObject
}

// ShardBounds is where a shard begins and ends now.
type ShardBounds struct {
	Horizon, Tail uint64    // offsets: the lowest that is kept, and the one after the newest
	Newest        time.Time // of the newest record; zero when there is none
}

// ShardObject is a run of a shard's records in an object.
type ShardObject struct {
	Object         string
	First, Records uint64
	Bytes          int64
	From, To       time.Time
}

// objectsTold is how many runs are listed, the newest first.
const objectsTold = 50

// DescribeShard describes a shard of a stream.
func (b *Broker) DescribeShard(ctx context.Context, who leat.Principal, stream, shard string) (ShardDescription, error) {
	ordinal, err := leat.ParseShardID(shard)
	if err != nil {
		return ShardDescription{}, err
	}
	v, err := b.described(ctx, who, ActionListShards, stream)
	if err != nil {
		return ShardDescription{}, err
	}
	s, err := b.shard(ctx, v, ordinal)
	if err != nil {
		return ShardDescription{}, err
	}
	d := ShardDescription{Stream: v.describe(), Shard: *s, Children: v.childrenOf(ordinal)}
	for _, p := range []*uint64{s.Parent, s.AdjacentParent} {
		if p == nil {
			continue
		}
		if parent := v.shard(*p); parent != nil {
			d.Parents = append(d.Parents, *parent)
		}
	}
	d.Below, d.Above = v.neighbours(s)
	if bounds, err := b.engine.Bounds(ctx, s.Key); err == nil { // a shard that nobody serves now is described without them
		d.Bounds = &ShardBounds{Horizon: bounds.Horizon, Tail: bounds.Tail}
		if bounds.LastTime > 0 {
			d.Bounds.Newest = time.UnixMicro(bounds.LastTime)
		}
	}
	kept, err := b.catalog.Extents(ctx, []leat.ShardKey{s.Key})
	if err != nil {
		return ShardDescription{}, away(err)
	}
	d.objects(kept[0].Extents)
	return d, nil
}

func (d *ShardDescription) objects(extents []shardstore.Extent) {
	d.Extents = len(extents)
	for i := range extents {
		e := &extents[len(extents)-1-i]
		d.Packed += e.Count
		d.PackedBytes += uint64(e.Bytes)
		if i < objectsTold {
			d.Objects = append(d.Objects, ShardObject{
				Object: e.Object, First: e.First, Records: e.Count, Bytes: e.Len, From: time.UnixMicro(e.MinTime), To: time.UnixMicro(e.MaxTime),
			})
		}
	}
}

// neighbours returns the open shards beside an open one; nil at the ends.
func (v *streamView) neighbours(s *leat.Shard) (below, above *leat.Shard) {
	at, ok := v.at(s.Range.Start)
	if !ok || v.shards[v.open[at]].Key != s.Key {
		return nil, nil
	}
	if at > 0 {
		below = &v.shards[v.open[at-1]]
	}
	if at+1 < len(v.open) {
		above = &v.shards[v.open[at+1]]
	}
	return below, above
}

// ShardTail returns the offsets between which a shard has records now: from the lowest that is kept to the one after the
// newest. Both are the same where it has none.
func (b *Broker) ShardTail(ctx context.Context, who leat.Principal, stream, shard string) (tail, horizon uint64, err error) {
	ordinal, err := leat.ParseShardID(shard)
	if err != nil {
		return 0, 0, err
	}
	v, err := b.readableNamed(ctx, who, ActionGetShardIterator, stream)
	if err != nil {
		return 0, 0, err
	}
	s, err := b.shard(ctx, v, ordinal)
	if err != nil {
		return 0, 0, err
	}
	bounds, err := b.engine.Bounds(ctx, s.Key)
	return bounds.Tail, bounds.Horizon, refusal(err)
}
