// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package kinesis_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/leatstream/leat/server/broker"
)

func TestDescribeStreamTellsAll(t *testing.T) {
	r := newRig(t, options{})
	r.stream("s", 3)
	got := r.sameInCBOR("DescribeStream", object{"StreamName": "s"})
	d, ok := got["StreamDescription"].(map[string]any)
	if !ok {
		t.Fatalf("%v", got)
	}
	recent(t, d["StreamCreationTimestamp"])
	shards := d["Shards"].([]any)
	delete(d, "StreamCreationTimestamp")
	delete(d, "Shards")
	if want := asked(t, object{
		"StreamName": "s", "StreamARN": arnOf("s"), "StreamStatus": "ACTIVE", "StreamModeDetails": object{"StreamMode": "PROVISIONED"},
		"HasMoreShards": false, "RetentionPeriodHours": 24, "EnhancedMonitoring": []object{{"ShardLevelMetrics": []string{}}}, "EncryptionType": "NONE",
	}); !closeTo(want, d) {
		t.Errorf("got  %v\nwant %v", d, want)
	}
	for i, want := range [][2]string{
		{"0", "113427455640312821154458202477256070484"},
		{"113427455640312821154458202477256070485", "226854911280625642308916404954512140969"},
		{"226854911280625642308916404954512140970", "340282366920938463463374607431768211455"},
	} {
		s := object(shards[i].(map[string]any))
		first, _ := s.at(t, "SequenceNumberRange", "StartingSequenceNumber").(string)
		if s["ShardId"] != fmt.Sprintf("shardId-%012d", i) || s.at(t, "HashKeyRange", "StartingHashKey") != want[0] || s.at(t, "HashKeyRange", "EndingHashKey") != want[1] || len(first) != 56 {
			t.Errorf("shard %d: %v", i, s)
		}
		if len(s) != 3 || len(s["SequenceNumberRange"].(map[string]any)) != 1 {
			t.Errorf("an open shard without parents has members of others: %v", s)
		}
	}
}

// recent checks a time in seconds.
func recent(t *testing.T, v any) {
	t.Helper()
	s, _ := v.(float64)
	if d := time.Since(time.UnixMilli(int64(s * 1000))); d < -time.Minute || d > time.Minute {
		t.Errorf("%v is not a time of just now in seconds", v)
	}
}

func TestDescribeStreamPages(t *testing.T) {
	r := newRig(t, options{})
	r.stream("s", 103)
	page := func(in object) (ids []string, more bool) {
		t.Helper()
		var out struct {
			StreamDescription struct {
				Shards        []struct{ ShardId string }
				HasMoreShards bool
			}
		}
		r.call("DescribeStream", in.with(object{"StreamName": "s"})).into(&out)
		for _, s := range out.StreamDescription.Shards {
			ids = append(ids, s.ShardId)
		}
		return ids, out.StreamDescription.HasMoreShards
	}
	for _, c := range []struct {
		in       object
		n        int
		from     int
		wantMore bool
	}{
		{object{}, 100, 0, true},
		{object{"Limit": 10000}, 100, 0, true},
		{object{"Limit": 2}, 2, 0, true},
		{object{"Limit": 2, "ExclusiveStartShardId": "shardId-000000000001"}, 2, 2, true},
		{object{"ExclusiveStartShardId": "shardId-99"}, 3, 100, false},
		{object{"ExclusiveStartShardId": "102"}, 0, 0, false},
	} {
		ids, more := page(c.in)
		if len(ids) != c.n || more != c.wantMore || (c.n > 0 && ids[0] != fmt.Sprintf("shardId-%012d", c.from)) {
			t.Errorf("%v: %d shards from %v, more %v", c.in, len(ids), ids, more)
		}
	}
	for _, limit := range []int{0, -1, 10001} {
		if got := r.call("DescribeStream", object{"StreamName": "s", "Limit": limit}).refused(400, "ValidationException"); !strings.Contains(got, fmt.Sprintf("Value '%d' at 'limit'", limit)) {
			t.Errorf("%q", got)
		}
	}
}

func TestDescribeStreamSummaryTellsAll(t *testing.T) {
	r := newRig(t, options{})
	r.stream("s", 3)
	_, err := r.broker.RegisterConsumer(t.Context(), who, broker.ConsumerRequest{Stream: "s", Consumer: "c"})
	r.must(err)
	got := r.sameInCBOR("DescribeStreamSummary", object{"StreamARN": arnOf("s")})
	d := got["StreamDescriptionSummary"].(map[string]any)
	recent(t, d["StreamCreationTimestamp"])
	delete(d, "StreamCreationTimestamp")
	if want := asked(t, object{
		"StreamName": "s", "StreamARN": arnOf("s"), "StreamStatus": "ACTIVE", "StreamModeDetails": object{"StreamMode": "PROVISIONED"},
		"RetentionPeriodHours": 24, "EnhancedMonitoring": []object{{"ShardLevelMetrics": []string{}}}, "EncryptionType": "NONE",
		"OpenShardCount": 3, "ConsumerCount": 1, "ChannelCount": 0, "MaxRecordSizeInKiB": 1024,
	}); !closeTo(want, d) {
		t.Errorf("got  %v\nwant %v", d, want)
	}
}

func TestListStreamsPages(t *testing.T) {
	r := newRig(t, options{})
	none := r.sameInCBOR("ListStreams", object{})
	if want := asked(t, object{"StreamNames": []string{}, "StreamSummaries": []string{}, "HasMoreStreams": false}); !closeTo(want, map[string]any(none)) {
		t.Errorf("no streams: %v", none)
	}
	for _, name := range []string{"b", "a", "c"} {
		r.stream(name, 1)
	}
	type page struct {
		StreamNames     []string
		HasMoreStreams  bool
		NextToken       string
		StreamSummaries []object
	}
	list := func(in object) (p page) {
		t.Helper()
		r.call("ListStreams", in).into(&p)
		return p
	}
	first := list(object{"Limit": 2})
	if strings.Join(first.StreamNames, "") != "ab" || !first.HasMoreStreams || first.NextToken == "" || len(first.StreamSummaries) != 2 {
		t.Fatalf("%+v", first)
	}
	s := first.StreamSummaries[1]
	recent(t, s["StreamCreationTimestamp"])
	if s["StreamName"] != "b" || s["StreamARN"] != arnOf("b") || s["StreamStatus"] != "ACTIVE" || s.at(t, "StreamModeDetails", "StreamMode") != "PROVISIONED" {
		t.Errorf("%v", s)
	}
	for _, in := range []object{{"NextToken": first.NextToken}, {"ExclusiveStartStreamName": "b"}, {"ExclusiveStartStreamName": "bb", "Limit": 10000}} {
		if p := list(in); strings.Join(p.StreamNames, "") != "c" || p.HasMoreStreams || p.NextToken != "" {
			t.Errorf("%v: %+v", in, p)
		}
	}
	r.call("ListStreams", object{"NextToken": "forged"}).refused(400, "InvalidArgumentException")
	r.call("ListStreams", object{"Limit": 0}).refused(400, "ValidationException")
	r.call("ListStreams", object{"ExclusiveStartStreamName": "a b"}).refused(400, "ValidationException")
}

func TestDeleteStreamWithConsumers(t *testing.T) {
	r := newRig(t, options{})
	r.stream("s", 1)
	_, err := r.broker.RegisterConsumer(t.Context(), who, broker.ConsumerRequest{Stream: "s", Consumer: "c"})
	r.must(err)
	for _, in := range []object{{"StreamName": "s"}, {"StreamName": "s", "EnforceConsumerDeletion": false}} {
		r.call("DeleteStream", in).refused(400, "ResourceInUseException")
	}
	r.call("DeleteStream", object{"StreamName": "s", "EnforceConsumerDeletion": "true"}).refused(400, "SerializationException")
	r.call("DeleteStream", object{"StreamName": "s", "EnforceConsumerDeletion": true}).empty()
	r.poll("the stream to be gone", func() bool {
		return r.call("DescribeStreamSummary", object{"StreamName": "s"}).code == 400
	})
	r.call("DescribeStream", object{"StreamName": "s"}).refused(400, "ResourceNotFoundException")
}

func TestStreamsAreSeenInTheirStates(t *testing.T) {
	t.Parallel()
	r := newRig(t, options{transition: 2 * time.Second}) // longer than two calls take on a busy machine
	see := func(status string, shards int) {
		t.Helper()
		d := r.call("DescribeStream", object{"StreamName": "s"}).object()
		s := r.summary("s")
		if d.at(t, "StreamDescription", "StreamStatus") != status || s["StreamStatus"] != status {
			t.Errorf("%v, %v: want %s", d, s, status)
		}
		if got := d.at(t, "StreamDescription", "Shards").([]any); len(got) != shards || s["OpenShardCount"] != float64(shards) {
			t.Errorf("%s with %d shards: %v", status, len(got), s)
		}
	}
	r.call("CreateStream", object{"StreamName": "s", "ShardCount": 1}).empty()
	see("CREATING", 0)
	r.call("GetShardIterator", object{"StreamName": "s", "ShardId": "0", "ShardIteratorType": "LATEST"}).refused(400, "ResourceNotFoundException")
	r.call("IncreaseStreamRetentionPeriod", object{"StreamName": "s", "RetentionPeriodHours": 48}).refused(400, "ResourceInUseException")
	r.active("s")
	see("ACTIVE", 1)
	r.call("SplitShard", object{"StreamName": "s", "ShardToSplit": "0", "NewStartingHashKey": "170141183460469231731687303715884105728"}).empty()
	if got := r.summary("s")["StreamStatus"]; got != "UPDATING" {
		t.Errorf("a stream that is resharded is %v", got)
	}
	r.active("s")
	r.call("DeleteStream", object{"StreamName": "s"}).empty()
	see("DELETING", 0)
	r.poll("the stream to be gone", func() bool { return r.call("DescribeStreamSummary", object{"StreamName": "s"}).code == 400 })
}
