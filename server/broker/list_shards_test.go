// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker_test

import (
	"testing"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/broker"
)

// history makes a stream whose shards are: 0 and 1 from the beginning; 0 split into 2 and 3 an hour later; 3 and 1
// merged into 4 another hour later.
func history(r *rig) (begin, split, merged time.Time) {
	r.t.Helper()
	begin = r.clock.Now()
	r.stream("s", 2)
	r.clock.Advance(time.Hour)
	split = r.clock.Now()
	r.must(r.SplitShard(r.t.Context(), who, broker.SplitShardRequest{Stream: "s", Shard: "0"}))
	r.settle()
	r.clock.Advance(time.Hour)
	merged = r.clock.Now()
	r.must(r.MergeShards(r.t.Context(), who, broker.MergeShardsRequest{Stream: "s", Shard: "3", Adjacent: "1"}))
	r.settle()
	r.clock.Advance(time.Hour)
	return begin, split, merged
}

func TestListShardsFilters(t *testing.T) {
	r := newRig(t, broker.LimitsOff)
	begin, split, merged := history(r)
	list := func(f broker.ShardFilter) string {
		t.Helper()
		res, err := r.ListShards(t.Context(), who, broker.ListShardsRequest{Stream: "s", Filter: f})
		r.must(err)
		return ids(res.Shards)
	}
	minute := time.Minute
	for _, c := range []struct {
		filter broker.ShardFilter
		want   string
	}{
		{broker.ShardFilter{}, "0 1 2 3 4"},
		{broker.ShardFilter{Type: broker.FilterAtLatest}, "2 4"},
		{broker.ShardFilter{Type: broker.FilterAtTrimHorizon}, "0 1"},
		{broker.ShardFilter{Type: broker.FilterFromTrimHorizon}, "0 1 2 3 4"},
		{broker.ShardFilter{Type: broker.FilterAtTimestamp, Timestamp: begin.Add(-minute)}, "0 1"},
		{broker.ShardFilter{Type: broker.FilterAtTimestamp, Timestamp: begin.Add(minute)}, "0 1"},
		{broker.ShardFilter{Type: broker.FilterAtTimestamp, Timestamp: split}, "0 1 2 3"}, // parent and children touch here
		{broker.ShardFilter{Type: broker.FilterAtTimestamp, Timestamp: split.Add(minute)}, "1 2 3"},
		{broker.ShardFilter{Type: broker.FilterAtTimestamp, Timestamp: merged.Add(minute)}, "2 4"},
		{broker.ShardFilter{Type: broker.FilterFromTimestamp, Timestamp: begin.Add(minute)}, "0 1 2 3 4"},
		{broker.ShardFilter{Type: broker.FilterFromTimestamp, Timestamp: split.Add(minute)}, "1 2 3 4"},
		{broker.ShardFilter{Type: broker.FilterFromTimestamp, Timestamp: merged.Add(minute)}, "2 4"},
		{broker.ShardFilter{Type: broker.FilterAfterShardID, ShardID: "shardId-000000000002"}, "3 4"},
		{broker.ShardFilter{Type: broker.FilterAfterShardID, ShardID: "4"}, ""},
	} {
		if got := list(c.filter); got != c.want {
			t.Errorf("%+v: %q, want %q", c.filter, got, c.want)
		}
	}
	// A day later the first shards are beyond the horizon.
	r.clock.Advance(24*time.Hour - 90*time.Minute)
	if got := list(broker.ShardFilter{Type: broker.FilterAtTrimHorizon}); got != "1 2 3" {
		t.Errorf("at the trim horizon: %q", got)
	}
	if got := list(broker.ShardFilter{Type: broker.FilterFromTrimHorizon}); got != "1 2 3 4" {
		t.Errorf("from the trim horizon: %q", got)
	}
}

// By a wrong clock all closed shards may seem to have expired: who begins with those that lived at the oldest moment would never read them.
func TestListShardsByAWrongClock(t *testing.T) {
	r := newRig(t, broker.LimitsOff)
	history(r)
	r.jumped = true
	r.clock.Advance(100 * time.Hour)
	for filter, want := range map[broker.FilterType]string{broker.FilterAtTrimHorizon: "0 1", broker.FilterFromTrimHorizon: "0 1 2 3 4"} {
		res, err := r.ListShards(t.Context(), who, broker.ListShardsRequest{Stream: "s", Filter: broker.ShardFilter{Type: filter}})
		r.must(err)
		if got := ids(res.Shards); got != want {
			t.Errorf("%s: %q, want %q", filter, got, want)
		}
	}
}

func TestListShardsRefuses(t *testing.T) {
	r := newRig(t, broker.LimitsOff)
	now := r.clock.Now()
	r.stream("s", 1)
	for _, c := range []struct {
		req   broker.ListShardsRequest
		field string
	}{
		{broker.ListShardsRequest{Filter: broker.ShardFilter{Type: "ALL"}}, "filter.type"},
		{broker.ListShardsRequest{Filter: broker.ShardFilter{Type: broker.FilterAtTimestamp}}, "filter.timestamp"},
		{broker.ListShardsRequest{Filter: broker.ShardFilter{Type: broker.FilterFromTimestamp, Timestamp: now.Add(time.Hour)}}, "filter.timestamp"},
		{broker.ListShardsRequest{Filter: broker.ShardFilter{Type: broker.FilterAtLatest, Timestamp: now}}, "filter.timestamp"},
		{broker.ListShardsRequest{Filter: broker.ShardFilter{Type: broker.FilterAfterShardID}}, "filter.shard_id"},
		{broker.ListShardsRequest{Filter: broker.ShardFilter{Type: broker.FilterAtLatest, ShardID: "0"}}, "filter.shard_id"},
		{broker.ListShardsRequest{After: "zero"}, ""},
		{broker.ListShardsRequest{PageSize: -1}, "page_size"},
		{broker.ListShardsRequest{PageSize: 10_001}, "page_size"},
		{broker.ListShardsRequest{PageToken: "x"}, "page_token"},
	} {
		c.req.Stream = "s"
		_, err := r.ListShards(t.Context(), who, c.req)
		r.wantKind(err, leat.KindInvalidArgument, c.field)
	}
}

func TestPagesOfShards(t *testing.T) {
	r := newRig(t, broker.LimitsOff)
	history(r)
	r.stream("other", 3)
	var got []string
	req := broker.ListShardsRequest{Stream: "s", PageSize: 2, Filter: broker.ShardFilter{Type: broker.FilterFromTrimHorizon}}
	var tokens []string
	for {
		res, err := r.ListShards(t.Context(), who, req)
		r.must(err)
		got = append(got, ids(res.Shards))
		if res.NextPageToken == "" {
			break
		}
		tokens = append(tokens, res.NextPageToken)
		req = broker.ListShardsRequest{PageToken: res.NextPageToken, PageSize: 2} // the token names the stream
	}
	if len(got) != 3 || got[0] != "0 1" || got[1] != "2 3" || got[2] != "4" {
		t.Errorf("pages %q", got)
	}
	for _, bad := range []broker.ListShardsRequest{
		{PageToken: tokens[0], Stream: "other"},
		{PageToken: tokens[0], Stream: "s", Filter: broker.ShardFilter{Type: broker.FilterAtLatest}},
		{PageToken: tokens[0][:len(tokens[0])-2] + "AA"},
	} {
		_, err := r.ListShards(t.Context(), who, bad)
		r.wantKind(err, leat.KindInvalidArgument, "page_token")
	}
	_, err := r.DescribeStream(t.Context(), who, broker.DescribeStreamRequest{Stream: "s", PageToken: tokens[0]})
	r.wantKind(err, leat.KindInvalidArgument, "page_token") // of another listing
	r.clock.Advance(5*time.Minute + time.Second)
	_, err = r.ListShards(t.Context(), who, broker.ListShardsRequest{PageToken: tokens[0]})
	r.wantKind(err, leat.KindExpiredToken, "")
}
