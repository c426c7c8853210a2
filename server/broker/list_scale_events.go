// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"
	"fmt"
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
	Action string   // one of the constants
	Shards []string // ids of the parents; of a hold the shard's own
	Reason string
}

// What on-demand scaling does.
const (
	ScaleSplit = string(catalog.ScaleSplit)
	ScaleMerge = string(catalog.ScaleMerge)
	ScaleHold  = string(catalog.ScaleHold) // a hot shard was not split; the reason says what to do
)

// ListScaleEventsRequest names a page of a stream's scaling log.
type ListScaleEventsRequest struct {
	Stream    string // name or ARN
	PageSize  int    // 1 to 10,000; 0 means 100
	PageToken string
}

// ListScaleEventsResult is one page.
type ListScaleEventsResult struct {
	Events        []ScaleEvent
	NextPageToken string // empty on the last page
}

const defaultListScaleEvents = 100

// ListScaleEvents lists what on-demand scaling did to a stream.
func (b *Broker) ListScaleEvents(ctx context.Context, who leat.Principal, req ListScaleEventsRequest) (res ListScaleEventsResult, err error) {
	size, err := pageSize(req.PageSize, defaultListScaleEvents)
	if err != nil {
		return res, err
	}
	v, err := b.described(ctx, who, ActionListScaleEvents, req.Stream)
	if err != nil {
		return res, err
	}
	p := page{List: "ListScaleEvents", Scope: v.ID.String()}
	var before catalog.ScaleEventPlace
	if req.PageToken != "" {
		sent, err := b.openPage(req.PageToken, p.List)
		if err != nil {
			return res, err
		}
		if _, err := fmt.Sscanf(sent.After, "%d-%d", &before.At, &before.Number); err != nil || sent.Scope != p.Scope {
			return res, errToken(Action(p.List))
		}
	}
	kept, err := b.catalog.ScaleEvents(ctx, v.ID, before, size+1)
	if err != nil {
		return res, away(err)
	}
	if len(kept) > size {
		kept = kept[:size]
		last := kept[size-1].Place
		p.After = fmt.Sprintf("%d-%d", last.At, last.Number)
		if res.NextPageToken, err = b.sealPage(p); err != nil {
			return res, err
		}
	}
	for i := range kept {
		res.Events = append(res.Events, eventOf(&kept[i]))
	}
	return res, nil
}

func eventOf(kept *catalog.ScaleEvent) ScaleEvent {
	e := ScaleEvent{At: kept.At, Action: string(kept.Action), Reason: kept.Reason}
	for _, ordinal := range kept.Shards {
		e.Shards = append(e.Shards, leat.ShardID(ordinal))
	}
	return e
}
