// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package kinesis

import (
	"context"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/broker"
)

// ListShards promises: shards in order of their ids, open and closed, as far as the filter admits them; the open ones
// cover the whole hash space once. A page has 1,000 at most, as with AWS; its NextToken lives 300 s and brings the
// filter along, so that it stands alone: with a StreamARN at most, of the same stream.
//
// Differs from AWS: nothing that a client can see.

type listShardsInput struct {
	StreamName              *string      `json:"StreamName,omitempty" check:"pattern=streamName,len=1..128"`
	StreamARN               *string      `json:"StreamARN,omitempty" check:"pattern=streamARN,len=1..2048"`
	StreamId                *string      `json:"StreamId,omitempty" check:"pattern=streamId,len=1..24"`
	NextToken               *string      `json:"NextToken,omitempty" check:"len=1..1048576"`
	ExclusiveStartShardId   *string      `json:"ExclusiveStartShardId,omitempty" check:"pattern=shardId,len=1..128"`
	MaxResults              *int32       `json:"MaxResults,omitempty" check:"range=1..10000"`
	StreamCreationTimestamp *timestamp   `json:"StreamCreationTimestamp,omitempty"`
	ShardFilter             *shardFilter `json:"ShardFilter,omitempty"`
}

type shardFilter struct {
	Type      *string    `json:"Type,omitempty" check:"required,enum=AFTER_SHARD_ID|AT_TRIM_HORIZON|FROM_TRIM_HORIZON|AT_LATEST|AT_TIMESTAMP|FROM_TIMESTAMP"`
	ShardId   *string    `json:"ShardId,omitempty" check:"pattern=shardId,len=1..128"`
	Timestamp *timestamp `json:"Timestamp,omitempty"`
}

type listShardsOutput struct {
	Shards    []shard `json:"Shards"`
	NextToken *string `json:"NextToken,omitempty"`
}

func (h *Handler) listShards(ctx context.Context, c *call, in *listShardsInput) (*listShardsOutput, error) {
	req, err := h.listing(c, in)
	if err != nil {
		return nil, err
	}
	res, err := h.broker.ListShards(ctx, c.who, req)
	if err == nil {
		err = sameCreation(&res.Stream, in.StreamCreationTimestamp)
	}
	if err != nil {
		return nil, err
	}
	return &listShardsOutput{Shards: shardsOf(res.Shards), NextToken: given(res.NextPageToken)}, nil
}

// listing begins a listing, or continues one.
func (h *Handler) listing(c *call, in *listShardsInput) (req broker.ListShardsRequest, err error) {
	req.PageSize = min(int(value(in.MaxResults)), leat.DefaultListShards)
	if in.NextToken != nil {
		req.PageToken, req.Stream = *in.NextToken, value(in.StreamARN)
		return req, in.alone()
	}
	if req.Stream, err = h.stream(c, in.StreamName, in.StreamARN, in.StreamId); err != nil {
		return req, err
	}
	req.After = value(in.ExclusiveStartShardId)
	if in.ShardFilter != nil {
		req.Filter = in.ShardFilter.native()
	}
	return req, nil
}

// alone refuses what a NextToken says already.
func (in *listShardsInput) alone() error {
	for _, member := range []struct {
		name  string
		given bool
	}{
		{"StreamName", in.StreamName != nil},
		{"StreamId", in.StreamId != nil},
		{"StreamCreationTimestamp", in.StreamCreationTimestamp != nil},
		{"ExclusiveStartShardId", in.ExclusiveStartShardId != nil},
		{"ShardFilter", in.ShardFilter != nil},
	} {
		if member.given {
			return leat.Invalid(member.name, "NextToken and %s cannot be provided together.", member.name)
		}
	}
	return nil
}

func (f *shardFilter) native() broker.ShardFilter {
	return broker.ShardFilter{Type: broker.FilterType(value(f.Type)), ShardID: value(f.ShardId), Timestamp: f.Timestamp.time()}
}

// sameCreation refuses a stream that was made at another time than the caller means: it is another one of the same
// name. The clock's second decides, because some clients keep no more of it.
func sameCreation(stream *leat.Stream, created *timestamp) error {
	if second := time.Second; created != nil && !stream.Created.Truncate(second).Equal(created.time().Truncate(second)) {
		return leat.Errorf(leat.KindNotFound, "Stream %s under account %s not found.", stream.Name, stream.Account)
	}
	return nil
}
