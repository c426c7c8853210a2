// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package grpcapi_test

import (
	"context"
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	leatv1 "github.com/leatstream/leat/api/leat/v1"
)

// badInput is one wrong request as each edge sends it. An edge that cannot say it has none.
type badInput struct {
	name   string
	want   fault
	grpc   func(ctx context.Context, r *rig) error
	method string
	path   string
	body   any
}

func trimHorizon() *leatv1.StartingPosition {
	return &leatv1.StartingPosition{Type: leatv1.StartingPositionType_STARTING_POSITION_TYPE_TRIM_HORIZON}
}

type object = map[string]any

func put(req *leatv1.PutRecordRequest) func(context.Context, *rig) error {
	return func(ctx context.Context, r *rig) error {
		_, err := r.records.PutRecord(ctx, req)
		return err
	}
}

func putAll(n int, change func([]*leatv1.PutRecordsRequestEntry)) func(context.Context, *rig) error {
	return func(ctx context.Context, r *rig) error {
		all := make([]*leatv1.PutRecordsRequestEntry, n)
		for i := range all {
			all[i] = &leatv1.PutRecordsRequestEntry{PartitionKey: "k", Data: []byte("d")}
		}
		if change != nil {
			change(all)
		}
		_, err := r.records.PutRecords(ctx, &leatv1.PutRecordsRequest{Stream: "s", Records: all})
		return err
	}
}

func entries(n int, change func([]object)) object {
	all := make([]object, n)
	for i := range all {
		all[i] = object{"partitionKey": "k", "data": "ZA=="}
	}
	if change != nil {
		change(all)
	}
	return object{"records": all}
}

func iterator(req *leatv1.GetShardIteratorRequest) func(context.Context, *rig) error {
	return func(ctx context.Context, r *rig) error {
		_, err := r.records.GetShardIterator(ctx, req)
		return err
	}
}

func get(token string, limit int32) func(context.Context, *rig) error {
	return func(ctx context.Context, r *rig) error {
		_, err := r.records.GetRecords(ctx, &leatv1.GetRecordsRequest{ShardIterator: token, Limit: limit})
		return err
	}
}

func invalid(field string) fault { return fault{"INVALID_ARGUMENT", field} }

var notFound = fault{"NOT_FOUND", ""}

func badPuts() []badInput {
	large, key := make([]byte, 1<<20), strings.Repeat("ä", 257)
	post := http.MethodPost
	one, many := "/v1/streams/s/records", "/v1/streams/s/records:batch"
	return []badInput{
		{"record too large", invalid("data"), put(&leatv1.PutRecordRequest{Stream: "s", PartitionKey: "k", Data: large}), post, one, object{"partitionKey": "k", "data": large}},
		{"empty key", invalid("partition_key"), put(&leatv1.PutRecordRequest{Stream: "s"}), post, one, object{"data": "ZA=="}},
		{"long key", invalid("partition_key"), put(&leatv1.PutRecordRequest{Stream: "s", PartitionKey: key}), post, one, object{"partitionKey": key}},
		{"hash key beyond 2^128", invalid("explicit_hash_key"), put(&leatv1.PutRecordRequest{Stream: "s", PartitionKey: "k", ExplicitHashKey: "340282366920938463463374607431768211456"}), post, one, object{"partitionKey": "k", "explicitHashKey": "340282366920938463463374607431768211456"}},
		{"hash key in hexadecimal", invalid("explicit_hash_key"), put(&leatv1.PutRecordRequest{Stream: "s", PartitionKey: "k", ExplicitHashKey: "0xff"}), post, one, object{"partitionKey": "k", "explicitHashKey": "0xff"}},
		{"ordering number of nobody", invalid("sequence_number_for_ordering"), put(&leatv1.PutRecordRequest{Stream: "s", PartitionKey: "k", SequenceNumberForOrdering: strings.Repeat("4", 56)}), post, one, object{"partitionKey": "k", "sequenceNumberForOrdering": strings.Repeat("4", 56)}},
		{"unknown stream", notFound, put(&leatv1.PutRecordRequest{Stream: "nobody", PartitionKey: "k"}), post, "/v1/streams/nobody/records", object{"partitionKey": "k"}},
		{"stream name with a space", invalid("stream"), put(&leatv1.PutRecordRequest{Stream: "a b", PartitionKey: "k"}), post, "/v1/streams/a%20b/records", object{"partitionKey": "k"}},
		{"bad base64", invalid("data"), nil, post, one, `{"partitionKey": "k", "data": "not base64!"}`},
		{"bad base64 in a batch", invalid("records[1].data"), nil, post, many, `{"records": [{"partitionKey": "k"}, {"partitionKey": "k", "data": "*"}]}`},
		{"data that is a number", invalid("data"), nil, post, one, `{"partitionKey": "k", "data": 17}`},
		{"key that is a number", invalid("partition_key"), nil, post, one, `{"partitionKey": 17}`},
		{"records that are an object", invalid("records"), nil, post, many, `{"records": {"partitionKey": "k"}}`},
		{"unknown member", invalid("partitionkey"), nil, post, one, `{"partitionkey": "k"}`},
		{"unknown member of a record", invalid("records[0].Data"), nil, post, many, `{"records": [{"partitionKey": "k", "Data": ""}]}`},
		{"not JSON", invalid(""), nil, post, one, `{"partitionKey": "k"`},
		{"an array", invalid("the body"), nil, post, one, `["k"]`},
		{"no records", invalid("records"), putAll(0, nil), post, many, entries(0, nil)},
		{"501 records", invalid("records"), putAll(501, nil), post, many, entries(501, nil)},
		{"10 MiB and more", invalid("records"), putAll(11, func(all []*leatv1.PutRecordsRequestEntry) {
			for _, e := range all {
				e.Data = large[:1<<20-1]
			}
		}), post, many, entries(11, func(all []object) {
			for _, e := range all {
				e["data"] = large[:1<<20-1]
			}
		})},
		{"one of a batch too large", invalid("records[2].data"), putAll(3, func(all []*leatv1.PutRecordsRequestEntry) { all[2].Data = large }), post, many, entries(3, func(all []object) { all[2]["data"] = large })},
		{"one of a batch without key", invalid("records[1].partition_key"), putAll(3, func(all []*leatv1.PutRecordsRequestEntry) { all[1].PartitionKey = "" }), post, many, entries(3, func(all []object) { delete(all[1], "partitionKey") })},
		{"one of a batch with a bad hash key", invalid("records[0].explicit_hash_key"), putAll(3, func(all []*leatv1.PutRecordsRequestEntry) { all[0].ExplicitHashKey = "-1" }), post, many, entries(3, func(all []object) { all[0]["explicitHashKey"] = "-1" })},
	}
}

func badReads() []badInput {
	const of = "/v1/streams/s/shards/0:iterator?start.type="
	forged := base64.RawURLEncoding.EncodeToString(make([]byte, 57))
	future := time.Now().Add(time.Hour)
	g := http.MethodGet
	return []badInput{
		{"forged iterator", invalid("shard_iterator"), get(forged, 0), g, "/v1/records?shardIterator=" + forged, nil},
		{"iterator that is none", invalid("shard_iterator"), get("AAAA", 0), g, "/v1/records?shardIterator=AAAA", nil},
		{"iterator missing", invalid("shard_iterator"), get("", 0), g, "/v1/records", nil},
		{"limit too high", invalid("limit"), get(forged, 10_001), g, "/v1/records?limit=10001&shardIterator=" + forged, nil},
		{"limit that is a word", invalid("limit"), nil, g, "/v1/records?limit=many&shardIterator=" + forged, nil},
		{"unknown parameter", invalid("iterator"), nil, g, "/v1/records?iterator=" + forged, nil},
		{"position missing", invalid("start"), iterator(&leatv1.GetShardIteratorRequest{Stream: "s", ShardId: "0"}), g, "/v1/streams/s/shards/0:iterator", nil},
		{"position of no type", invalid("start.type"), iterator(&leatv1.GetShardIteratorRequest{Stream: "s", ShardId: "0", Start: &leatv1.StartingPosition{}}), g, of + "STARTING_POSITION_TYPE_UNSPECIFIED", nil},
		{"position of an unknown type", invalid("start.type"), nil, g, of + "NEWEST", nil},
		{"number missing", invalid("start.sequence_number"), iterator(&leatv1.GetShardIteratorRequest{Stream: "s", ShardId: "0", Start: &leatv1.StartingPosition{Type: leatv1.StartingPositionType_STARTING_POSITION_TYPE_AT_SEQUENCE_NUMBER}}), g, of + "STARTING_POSITION_TYPE_AT_SEQUENCE_NUMBER", nil},
		{"number of nobody", invalid("start.sequence_number"), iterator(&leatv1.GetShardIteratorRequest{Stream: "s", ShardId: "0", Start: &leatv1.StartingPosition{Type: leatv1.StartingPositionType_STARTING_POSITION_TYPE_AT_SEQUENCE_NUMBER, SequenceNumber: strings.Repeat("4", 56)}}), g, of + "STARTING_POSITION_TYPE_AT_SEQUENCE_NUMBER&start.sequenceNumber=" + strings.Repeat("4", 56), nil},
		{"time in the future", invalid("start.timestamp"), iterator(&leatv1.GetShardIteratorRequest{Stream: "s", ShardId: "0", Start: &leatv1.StartingPosition{Type: leatv1.StartingPositionType_STARTING_POSITION_TYPE_AT_TIMESTAMP, Timestamp: timestamppb.New(future)}}), g, of + "STARTING_POSITION_TYPE_AT_TIMESTAMP&start.timestamp=" + url.QueryEscape(future.UTC().Format(time.RFC3339)), nil},
		{"time that is none", invalid("start.timestamp"), nil, g, of + "STARTING_POSITION_TYPE_AT_TIMESTAMP&start.timestamp=noon", nil},
		{"shard id that is none", invalid("shard_id"), iterator(&leatv1.GetShardIteratorRequest{Stream: "s", ShardId: "first", Start: trimHorizon()}), g, "/v1/streams/s/shards/first:iterator?start.type=STARTING_POSITION_TYPE_LATEST", nil},
		{"unknown shard", fault{"NOT_FOUND", "shard_id"}, iterator(&leatv1.GetShardIteratorRequest{Stream: "s", ShardId: "7", Start: trimHorizon()}), g, "/v1/streams/s/shards/7:iterator?start.type=STARTING_POSITION_TYPE_LATEST", nil},
		{"iterator of an unknown stream", notFound, iterator(&leatv1.GetShardIteratorRequest{Stream: "nobody", ShardId: "0", Start: trimHorizon()}), g, "/v1/streams/nobody/shards/0:iterator?start.type=STARTING_POSITION_TYPE_LATEST", nil},
		{"unknown consumer", notFound, func(ctx context.Context, r *rig) error {
			c, err := r.records.SubscribeToShard(ctx, &leatv1.SubscribeToShardRequest{Stream: "s", Consumer: "nobody", ShardId: "0", Start: trimHorizon()})
			if err == nil {
				_, err = c.Recv()
			}
			return err
		}, g, "/v1/streams/s/consumers/nobody/shards/0:subscribe?start.type=STARTING_POSITION_TYPE_LATEST", nil},
	}
}

func badChanges() []badInput {
	post, patch := http.MethodPost, http.MethodPatch
	create := func(req *leatv1.CreateStreamRequest) func(context.Context, *rig) error {
		return func(ctx context.Context, r *rig) error {
			_, err := r.streams.CreateStream(ctx, req)
			return err
		}
	}
	update := func(s *leatv1.StreamSettings) func(context.Context, *rig) error {
		return func(ctx context.Context, r *rig) error {
			_, err := r.streams.UpdateStream(ctx, &leatv1.UpdateStreamRequest{Stream: "s", Settings: s})
			return err
		}
	}
	return []badInput{
		{"stream that exists", fault{"RESOURCE_IN_USE", ""}, create(&leatv1.CreateStreamRequest{Stream: "s", ShardCount: 1}), post, "/v1/streams", object{"stream": "s", "shardCount": 1}},
		{"stream without a name", invalid("stream"), create(&leatv1.CreateStreamRequest{ShardCount: 1}), post, "/v1/streams", object{"shardCount": 1}},
		{"no shards", invalid("shard_count"), create(&leatv1.CreateStreamRequest{Stream: "t", Mode: leatv1.StreamMode_STREAM_MODE_PROVISIONED}), post, "/v1/streams", object{"stream": "t", "mode": "STREAM_MODE_PROVISIONED"}},
		{"too many shards", invalid("shard_count"), create(&leatv1.CreateStreamRequest{Stream: "t", ShardCount: 10_001}), post, "/v1/streams", object{"stream": "t", "shardCount": 10_001}},
		{"shards that are a word", invalid("shard_count"), nil, post, "/v1/streams", object{"stream": "t", "shardCount": "two"}},
		{"half a shard", invalid("shard_count"), nil, post, "/v1/streams", object{"stream": "t", "shardCount": 1.5}},
		{"unknown mode", invalid("mode"), create(&leatv1.CreateStreamRequest{Stream: "t", Mode: 9}), post, "/v1/streams", object{"stream": "t", "mode": "SERVERLESS"}},
		{"short retention", invalid("retention_hours"), create(&leatv1.CreateStreamRequest{Stream: "t", RetentionHours: 23}), post, "/v1/streams", object{"stream": "t", "retentionHours": 23}},
		{"retention of an existing stream", invalid("settings.retention_hours"), update(&leatv1.StreamSettings{RetentionHours: 9000}), patch, "/v1/streams/s", object{"retentionHours": 9000}},
		{"setting that is none", invalid("settings.retention"), nil, patch, "/v1/streams/s", object{"retention": 48}},
		{"setting of a wrong type", invalid("settings.retention_hours"), nil, patch, "/v1/streams/s", object{"retentionHours": "two days"}},
		{"no setting", invalid("settings"), update(&leatv1.StreamSettings{}), "", "", nil},
		{"split outside the range", invalid("new_starting_hash_key"), func(ctx context.Context, r *rig) error {
			_, err := r.shards.SplitShard(ctx, &leatv1.SplitShardRequest{Stream: "s", ShardId: "0", NewStartingHashKey: "0"})
			return err
		}, post, "/v1/streams/s/shards/0:split", object{"newStartingHashKey": "0"}},
		{"merge of strangers", notFound, func(ctx context.Context, r *rig) error {
			_, err := r.shards.MergeShards(ctx, &leatv1.MergeShardsRequest{Stream: "s", ShardId: "0", AdjacentShardId: "9"})
			return err
		}, post, "/v1/streams/s/shards/0:merge", object{"adjacentShardId": "9"}},
		{"scale to nothing", invalid("target_shard_count"), func(ctx context.Context, r *rig) error {
			_, err := r.shards.ScaleStream(ctx, &leatv1.ScaleStreamRequest{Stream: "s"})
			return err
		}, post, "/v1/streams/s:scale", object{}},
		{"forged page token", invalid("page_token"), func(ctx context.Context, r *rig) error {
			_, err := r.shards.ListShards(ctx, &leatv1.ListShardsRequest{Stream: "s", PageToken: "AAAA"})
			return err
		}, http.MethodGet, "/v1/streams/s/shards?pageToken=AAAA", nil},
		{"delete of an unknown stream", notFound, func(ctx context.Context, r *rig) error {
			_, err := r.streams.DeleteStream(ctx, &leatv1.DeleteStreamRequest{Stream: "nobody"})
			return err
		}, http.MethodDelete, "/v1/streams/nobody", nil},
	}
}

// Bad input of each kind gets the right error on both edges and changes nothing.
func TestBadInput(t *testing.T) {
	r := newRig(t, options{})
	r.stream("s", 1)
	before := r.state()
	var all []badInput
	all = append(all, badPuts()...)
	all = append(all, badReads()...)
	all = append(all, badChanges()...)
	for _, c := range all {
		t.Run(c.name, func(t *testing.T) {
			if c.grpc != nil {
				if got := faultOf(c.grpc(t.Context(), r)); got != c.want {
					t.Errorf("gRPC answered %v: want %v", got, c.want)
				}
			}
			if c.path == "" {
				return
			}
			a := r.rest(c.method, c.path, c.body)
			if got := a.fault(); got != c.want {
				t.Errorf("REST answered %d %v: want %v\n%.500s", a.code, got, c.want, a.body)
			}
			if len(a.body) > 2000 {
				t.Errorf("the error has %d bytes: it repeats the request", len(a.body))
			}
		})
	}
	if after := r.state(); !proto.Equal(before, after) {
		t.Errorf("bad input changed the stream:\n%v\n%v", before, after)
	}
	if n := len(r.all("s")); n != 0 {
		t.Errorf("%d records were written", n)
	}
	list, err := r.streams.ListStreams(t.Context(), &leatv1.ListStreamsRequest{})
	r.must(err)
	if len(list.GetStreams()) != 1 {
		t.Errorf("%d streams", len(list.GetStreams()))
	}
}

func (r *rig) state() *leatv1.DescribeStreamResponse {
	r.t.Helper()
	d, err := r.streams.DescribeStream(r.t.Context(), &leatv1.DescribeStreamRequest{Stream: "s"})
	r.must(err)
	return d
}
