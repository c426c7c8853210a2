// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/api/client"
	leatv1 "github.com/leatstream/leat/api/leat/v1"
	"github.com/leatstream/leat/test/e2e/rig"
)

// bad is one wrong request on both edges. An edge that cannot say it has none.
type bad struct {
	about string
	kind  leat.Kind
	field string
	code  int // of HTTP
	grpc  func(context.Context, *client.Client) error
	path  string
	body  string // POST when there is one
}

func badInputs(iterator string) []bad {
	const records = "/v1/streams/s/records"
	put := func(r *leatv1.PutRecordRequest) func(context.Context, *client.Client) error {
		return func(ctx context.Context, c *client.Client) error {
			_, err := c.Records.PutRecord(ctx, r)
			return err
		}
	}
	get := func(token string) func(context.Context, *client.Client) error {
		return func(ctx context.Context, c *client.Client) error {
			_, err := c.Records.GetRecords(ctx, &leatv1.GetRecordsRequest{ShardIterator: token})
			return err
		}
	}
	large := make([]byte, leat.DefaultMaxRecordBytes)
	forged := forge(iterator, len(iterator)/2)
	return []bad{
		{"a record that is too large", leat.KindInvalidArgument, "data", 400, put(&leatv1.PutRecordRequest{Stream: "s", PartitionKey: "k", Data: large}), records, `{"partition_key":"k","data":"` + base64.StdEncoding.EncodeToString(large) + `"}`},
		{"an empty key", leat.KindInvalidArgument, "partition_key", 400, put(&leatv1.PutRecordRequest{Stream: "s"}), records, `{"data":"eA=="}`},
		{"a bad hash key", leat.KindInvalidArgument, "explicit_hash_key", 400, put(&leatv1.PutRecordRequest{Stream: "s", PartitionKey: "k", ExplicitHashKey: "340282366920938463463374607431768211456"}), records, `{"partition_key":"k","explicit_hash_key":"340282366920938463463374607431768211456"}`},
		{"bad base64", leat.KindInvalidArgument, "data", 400, nil, records, `{"partition_key":"k","data":"no base64!"}`},
		{"a key of the wrong type", leat.KindInvalidArgument, "partition_key", 400, nil, records, `{"partition_key":17}`},
		{"an unknown member", leat.KindInvalidArgument, "key", 400, nil, records, `{"key":"k"}`},
		{"no JSON", leat.KindInvalidArgument, "", 400, nil, records, `{"partition_key":`},
		{"a stream that is not there", leat.KindNotFound, "", 404, put(&leatv1.PutRecordRequest{Stream: "nobody", PartitionKey: "k"}), "/v1/streams/nobody/records", `{"partition_key":"k"}`},
		{"a batch with one bad record", leat.KindInvalidArgument, "records[1].partition_key", 400, func(ctx context.Context, c *client.Client) error {
			_, err := c.Records.PutRecords(ctx, &leatv1.PutRecordsRequest{Stream: "s", Records: []*leatv1.PutRecordsRequestEntry{{PartitionKey: "k"}, {}}})
			return err
		}, records + ":batch", `{"records":[{"partition_key":"k"},{}]}`},
		{"an empty batch", leat.KindInvalidArgument, "records", 400, func(ctx context.Context, c *client.Client) error {
			_, err := c.Records.PutRecords(ctx, &leatv1.PutRecordsRequest{Stream: "s"})
			return err
		}, records + ":batch", `{"records":[]}`},
		{"a forged iterator", leat.KindInvalidArgument, "shard_iterator", 400, get(forged), "/v1/records?shard_iterator=" + url.QueryEscape(forged), ""},
		{"an iterator that is none", leat.KindInvalidArgument, "shard_iterator", 400, get("none"), "/v1/records?shard_iterator=none", ""},
		{"a shard that is not there", leat.KindNotFound, "shard_id", 404, func(ctx context.Context, c *client.Client) error {
			_, err := c.Records.GetShardIterator(ctx, &leatv1.GetShardIteratorRequest{Stream: "s", ShardId: "9", Start: &leatv1.StartingPosition{Type: leatv1.StartingPositionType_STARTING_POSITION_TYPE_LATEST}})
			return err
		}, "/v1/streams/s/shards/9:iterator?start.type=STARTING_POSITION_TYPE_LATEST", ""},
		{"a stream that is there", leat.KindInUse, "", 409, func(ctx context.Context, c *client.Client) error {
			_, err := c.Streams.CreateStream(ctx, &leatv1.CreateStreamRequest{Stream: "s", ShardCount: 1})
			return err
		}, "/v1/streams", `{"stream":"s","shard_count":1}`},
		{"a bad name", leat.KindInvalidArgument, "stream", 400, func(ctx context.Context, c *client.Client) error {
			_, err := c.Streams.CreateStream(ctx, &leatv1.CreateStreamRequest{Stream: "a/b", ShardCount: 1})
			return err
		}, "/v1/streams", `{"stream":"a/b","shard_count":1}`},
		{"too many shards", leat.KindInvalidArgument, "shard_count", 400, func(ctx context.Context, c *client.Client) error {
			_, err := c.Streams.CreateStream(ctx, &leatv1.CreateStreamRequest{Stream: "x", ShardCount: 1 << 30})
			return err
		}, "/v1/streams", `{"stream":"x","shard_count":1073741824}`},
		{"shards that are not adjacent", leat.KindInvalidArgument, "adjacent_shard_id", 400, func(ctx context.Context, c *client.Client) error {
			_, err := c.Shards.MergeShards(ctx, &leatv1.MergeShardsRequest{Stream: "s", ShardId: "0", AdjacentShardId: "2"})
			return err
		}, "/v1/streams/s/shards/0:merge", `{"adjacent_shard_id":"2"}`},
		{"a consumer that is not there", leat.KindNotFound, "", 404, func(ctx context.Context, c *client.Client) error {
			_, err := c.Consumers.DescribeStreamConsumer(ctx, &leatv1.DescribeStreamConsumerRequest{Stream: "s", Consumer: "nobody"})
			return err
		}, "/v1/streams/s/consumers/nobody", ""},
		{"a path that is not there", leat.KindNotFound, "", 404, nil, "/v1/nowhere", ""},
	}
}

// forge changes one character of a token.
func forge(token string, at int) string {
	other := "A"
	if token[at] == 'A' {
		other = "B"
	}
	return token[:at] + other + token[at+1:]
}

// Wrong requests get the right kind of error on both edges of a live process, name the member that is wrong, and change
// nothing.
func TestBadInputChangesNothing(t *testing.T) {
	t.Parallel()
	n := rig.Dev(t, "dev", filepath.Join(t.TempDir(), "data"))
	n.Start(t)
	rig.Must(t, n.Env(), "stream", "create", "s", "--shards", "3")
	rig.Must(t, n.Env(), "put", "s", "the only record", "--key", "k")
	c := n.Dial(t)
	it, err := c.Records.GetShardIterator(t.Context(), &leatv1.GetShardIteratorRequest{Stream: "s", ShardId: "0", Start: &leatv1.StartingPosition{Type: leatv1.StartingPositionType_STARTING_POSITION_TYPE_TRIM_HORIZON}})
	if err != nil {
		t.Fatal(err)
	}
	state := func() []string {
		return []string{rig.Must(t, n.Env(), "stream", "list", "-o", "json"), rig.Must(t, n.Env(), "stream", "describe", "s", "-o", "json"), rig.Must(t, n.Env(), "get", "s", "-o", "json")}
	}
	before := state()
	for _, b := range badInputs(it.GetShardIterator()) {
		t.Run(b.about, func(t *testing.T) {
			if b.grpc != nil {
				err := b.grpc(t.Context(), c)
				var e *leat.Error
				if !errors.As(err, &e) || e.Kind != b.kind || e.Field != b.field || e.Message == "" {
					t.Errorf("gRPC answers %#v, want %v of %q", e, b.kind, b.field)
				}
			}
			method := http.MethodGet
			if b.body != "" {
				method = http.MethodPost
			}
			code, body := rest(t, n, method, b.path, "", b.body)
			kind, field, message := readError(t, body)
			if code != b.code || kind != b.kind.String() || field != b.field || message == "" {
				t.Errorf("REST answers %d, %s of %q (%s), want %d, %v of %q", code, kind, field, message, b.code, b.kind, b.field)
			}
		})
	}
	for at := range len(it.GetShardIterator()) {
		_, err := c.Records.GetRecords(t.Context(), &leatv1.GetRecordsRequest{ShardIterator: forge(it.GetShardIterator(), at)})
		if leat.KindOf(err) != leat.KindInvalidArgument {
			t.Errorf("an iterator with another character at %d: %v", at, err)
		}
	}
	if after := state(); !reflect.DeepEqual(before, after) {
		t.Errorf("bad input has changed something:\n%s\n%s", before, after)
	}
}

// readError reads the body of a REST error: a gRPC status with its ErrorInfo.
func readError(t *testing.T, body string) (kind, field, message string) {
	t.Helper()
	var e struct {
		Message string
		Details []struct {
			Type     string `json:"@type"`
			Reason   string
			Metadata map[string]string
		}
	}
	if err := json.Unmarshal([]byte(body), &e); err != nil {
		t.Fatalf("the error is not JSON: %v\n%s", err, body)
	}
	for _, d := range e.Details {
		if strings.HasSuffix(d.Type, "ErrorInfo") {
			return d.Reason, d.Metadata["field"], e.Message
		}
	}
	return "", "", e.Message
}
