// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"
	"strconv"
	"time"

	"github.com/leatstream/leat"
)

// ListShards promises: shards in order of their ids, open and closed, as far as a filter admits them. The open shards
// always cover the whole hash space once. A listing that is continued by its page token keeps its filter, and its
// times are those of the first page. It is answered from memory when the catalog is away.
//
// Differs from AWS: with a page token the stream may be named too, if it is the same.

// FilterType says which shards are listed.
type FilterType string

// The filters. A shard lived from its creation to its closing, both included.
const (
	FilterNone            FilterType = ""
	FilterAfterShardID    FilterType = "AFTER_SHARD_ID"    // those with higher ids
	FilterAtTrimHorizon   FilterType = "AT_TRIM_HORIZON"   // those that lived at the oldest moment still kept
	FilterFromTrimHorizon FilterType = "FROM_TRIM_HORIZON" // those that lived at or after it
	FilterAtLatest        FilterType = "AT_LATEST"         // those open now
	FilterAtTimestamp     FilterType = "AT_TIMESTAMP"      // those that lived at a time
	FilterFromTimestamp   FilterType = "FROM_TIMESTAMP"    // those that lived at or after it
)

// ShardFilter chooses shards of a stream.
type ShardFilter struct {
	Type      FilterType
	ShardID   string    // with AFTER_SHARD_ID
	Timestamp time.Time // with AT_ and FROM_TIMESTAMP
}

// ListShardsRequest begins or continues a listing.
type ListShardsRequest struct {
	Stream    string      // name or ARN; optional with PageToken
	PageToken string      // of the page before; it brings the filter along
	Filter    ShardFilter // of the first page
	After     string      // a shard id: begin after it (AWS: ExclusiveStartShardId)
	PageSize  int         // 1 to 10,000; 0 means 1,000
}

// ListShardsResult is one page.
type ListShardsResult struct {
	Stream        leat.Stream
	Shards        []leat.Shard
	NextPageToken string // empty on the last page
}

// ListShards lists the shards of a stream.
func (b *Broker) ListShards(ctx context.Context, who leat.Principal, req ListShardsRequest) (ListShardsResult, error) {
	size, err := pageSize(req.PageSize, leat.DefaultListShards)
	if err != nil {
		return ListShardsResult{}, err
	}
	v, p, err := b.beginShards(ctx, who, req)
	if err != nil {
		return ListShardsResult{}, err
	}
	res := ListShardsResult{Stream: v.Stream}
	res.Shards, res.NextPageToken, err = b.pageOfShards(v, p, size)
	return res, err
}

// beginShards finds the stream, and where and with what filter the listing goes on.
func (b *Broker) beginShards(ctx context.Context, who leat.Principal, req ListShardsRequest) (*streamView, page, error) {
	if req.PageToken == "" {
		v, err := b.described(ctx, who, ActionListShards, req.Stream)
		if err != nil {
			return nil, page{}, err
		}
		p, err := firstShards(v, req, b.clock.Now(), b.expired(v))
		return v, p, err
	}
	p, err := b.openPage(req.PageToken, string(ActionListShards))
	if err != nil {
		return nil, page{}, err
	}
	if req.Filter.Type != FilterNone || req.After != "" {
		return nil, page{}, leat.Invalid("page_token", "a page token brings its filter along: give no other")
	}
	id, err := leat.ParseID[leat.StreamID](p.Scope)
	if err != nil || p.Filter == nil {
		return nil, page{}, errToken(ActionListShards)
	}
	v, err := b.byID(ctx, who, ActionListShards, id, req.Stream, "page_token")
	return v, p, err
}

// firstShards turns filters that are relative to now, or to what has expired, into fixed times.
func firstShards(v *streamView, req ListShardsRequest, now time.Time, expired int64) (page, error) {
	f, p := req.Filter, page{List: string(ActionListShards), Scope: v.ID.String()}
	timed := f.Type == FilterAtTimestamp || f.Type == FilterFromTimestamp
	switch {
	case !timed && !f.Timestamp.IsZero():
		return page{}, leat.Invalid("filter.timestamp", "filter %s takes no timestamp", f.Type)
	case timed && f.Timestamp.IsZero():
		return page{}, leat.Invalid("filter.timestamp", "filter %s needs a timestamp", f.Type)
	case timed && f.Timestamp.After(now):
		return page{}, leat.Invalid("filter.timestamp", "timestamp %s is in the future", f.Timestamp.UTC().Format(time.RFC3339Nano))
	case f.Type != FilterAfterShardID && f.ShardID != "":
		return page{}, leat.Invalid("filter.shard_id", "filter %s takes no shard id", f.Type)
	}
	var err error
	p.After, err = laterShard(req.After, f.ShardID)
	if err != nil {
		return page{}, err
	}
	switch f.Type {
	case FilterNone, FilterAtLatest:
	case FilterAfterShardID:
		if f.ShardID == "" {
			return page{}, leat.Invalid("filter.shard_id", "filter %s needs a shard id", f.Type)
		}
		f = ShardFilter{}
	case FilterAtTrimHorizon:
		f = ShardFilter{Type: FilterAtTimestamp, Timestamp: v.began(time.Time{}, expired)}
	case FilterFromTrimHorizon:
		f = ShardFilter{Type: FilterFromTimestamp, Timestamp: v.began(time.Time{}, expired)}
	case FilterAtTimestamp, FilterFromTimestamp:
		f.Timestamp = v.began(f.Timestamp, expired)
	default:
		return page{}, leat.Invalid("filter.type", "filter %.40q is not one of AFTER_SHARD_ID, AT_TRIM_HORIZON, FROM_TRIM_HORIZON, AT_LATEST, AT_TIMESTAMP, FROM_TIMESTAMP", f.Type)
	}
	p.Filter = &f
	return p, nil
}

// laterShard returns the higher ordinal of two shard ids, in decimal; either may be empty.
func laterShard(ids ...string) (after string, err error) {
	high := uint64(0)
	for _, id := range ids {
		if id == "" {
			continue
		}
		ordinal, err := leat.ParseShardID(id)
		if err != nil {
			return "", err
		}
		high = max(high, ordinal)
		after = strconv.FormatUint(high, 10)
	}
	return after, nil
}

// began moves a time that lies before the oldest moment still kept to that moment: the horizon, or the birth of the
// stream's first shards.
func (v *streamView) began(t time.Time, expired int64) time.Time {
	if h := time.UnixMicro(expired); t.Before(h) {
		t = h
	}
	if len(v.shards) > 0 && t.Before(v.lived(&v.shards[0])) {
		t = v.lived(&v.shards[0])
	}
	return t
}

// lived is when a shard began: a child the moment its parent closed, so that no moment between the two is without a
// shard.
func (v *streamView) lived(s *leat.Shard) time.Time {
	if s.Parent != nil {
		if parent := v.shard(*s.Parent); parent != nil && !parent.Open() {
			return parent.Closed
		}
	}
	return s.Created
}

func (f *ShardFilter) admits(v *streamView, s *leat.Shard) bool {
	switch f.Type {
	case FilterAtLatest:
		return s.Open()
	case FilterAtTimestamp:
		return !v.lived(s).After(f.Timestamp) && (s.Open() || !s.Closed.Before(f.Timestamp))
	case FilterFromTimestamp:
		return s.Open() || !s.Closed.Before(f.Timestamp)
	default:
		return true
	}
}
