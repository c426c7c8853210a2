// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/catalog"
)

// ListScaleEvents promises: what on-demand scaling did to a stream, and why, newest first. The last 1,000 are kept, and
// go with the stream.
//
// AWS has no such operation.

// ScaleEvent is one decision of on-demand scaling.
type ScaleEvent struct {
	At     time.Time
	Action string   // split, merge, or hold: a hot shard was not split
	Shards []string // ids of the parents; of a hold the shard's own
	Reason string
}

// defaultScaleEvents and maxScaleEvents bound one answer.
const (
	defaultScaleEvents = 100
	maxScaleEvents     = 1000
)

// ListScaleEvents returns up to limit events of a stream, 1 to 1,000; 0 means 100.
func (b *Broker) ListScaleEvents(ctx context.Context, who leat.Principal, stream string, limit int) ([]ScaleEvent, error) {
	if limit < 0 || limit > maxScaleEvents {
		return nil, leat.Invalid("limit", "limit %d must be from 1 to %d", limit, maxScaleEvents)
	}
	if limit == 0 {
		limit = defaultScaleEvents
	}
	v, err := b.described(ctx, who, ActionDescribeStream, stream)
	if err != nil {
		return nil, err
	}
	kept, err := b.catalog.ScaleEvents(ctx, v.ID, limit)
	if err != nil {
		return nil, away(err)
	}
	all := make([]ScaleEvent, len(kept))
	for i := range kept {
		all[i] = eventOf(&kept[i])
	}
	return all, nil
}

func eventOf(kept *catalog.ScaleEvent) ScaleEvent {
	e := ScaleEvent{At: kept.At, Action: string(kept.Action), Reason: kept.Reason}
	for _, ordinal := range kept.Shards {
		e.Shards = append(e.Shards, leat.ShardID(ordinal))
	}
	return e
}
