// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/broker"
)

func TestCreateStreamDefaults(t *testing.T) {
	r := newRig(t, broker.LimitsOff)
	for name, c := range map[string]struct {
		req    broker.CreateStreamRequest
		mode   leat.StreamMode
		shards int
	}{
		"nothing":     {broker.CreateStreamRequest{}, leat.ModeOnDemand, 4},
		"count":       {broker.CreateStreamRequest{Shards: 3}, leat.ModeProvisioned, 3},
		"on-demand":   {broker.CreateStreamRequest{Mode: leat.ModeOnDemand}, leat.ModeOnDemand, 4},
		"on-demand_2": {broker.CreateStreamRequest{Mode: leat.ModeOnDemand, Shards: 2}, leat.ModeOnDemand, 2},
	} {
		c.req.Stream = name
		d, err := r.CreateStream(t.Context(), who, c.req)
		r.must(err)
		if d.Mode != c.mode || d.OpenShards != c.shards || d.Retention != 24*time.Hour || d.MaxRecordBytes != 1<<20 || d.Status != leat.StreamCreating {
			t.Errorf("%s: %+v", name, d)
		}
		again, err := r.DescribeStream(t.Context(), who, broker.DescribeStreamRequest{Stream: name})
		r.must(err)
		if !again.Stream.Equal(&d.Stream) || len(again.Shards) != c.shards {
			t.Errorf("%s described as %+v", name, again)
		}
	}
	if r.kicks != 4 {
		t.Errorf("the control loop was woken %d times", r.kicks)
	}
	_, err := r.CreateStream(t.Context(), who, broker.CreateStreamRequest{Stream: "count", Shards: 1})
	r.wantKind(err, leat.KindInUse, "")
}

func TestCreateStreamRefuses(t *testing.T) {
	r := newRig(t, broker.LimitsOff)
	for field, reqs := range map[string][]broker.CreateStreamRequest{
		"stream":           {{Stream: "", Shards: 1}, {Stream: "a b", Shards: 1}, {Stream: strings.Repeat("a", 129), Shards: 1}},
		"shard_count":      {{Stream: "s", Shards: -1}, {Stream: "s", Shards: 10_001}, {Stream: "s", Mode: leat.ModeProvisioned}},
		"mode":             {{Stream: "s", Shards: 1, Mode: "SERVERLESS"}},
		"retention_hours":  {{Stream: "s", Shards: 1, Retention: 23 * time.Hour}, {Stream: "s", Shards: 1, Retention: 8761 * time.Hour}},
		"max_record_bytes": {{Stream: "s", Shards: 1, MaxRecordBytes: 1}, {Stream: "s", Shards: 1, MaxRecordBytes: 11 << 20}},
	} {
		for _, req := range reqs {
			_, err := r.CreateStream(t.Context(), who, req)
			r.wantKind(err, leat.KindInvalidArgument, field)
		}
	}
	if list, err := r.ListStreams(t.Context(), who, broker.ListStreamsRequest{}); err != nil || len(list.Streams) != 0 {
		t.Errorf("streams %v, %v", list, err)
	}
}

func TestAccountsAreApart(t *testing.T) {
	r := newRig(t, broker.LimitsOff)
	r.stream("s", 1)
	stranger := leat.Principal{Account: "111111111111", Name: "stranger"}
	_, err := r.DescribeStream(t.Context(), stranger, broker.DescribeStreamRequest{Stream: "s"})
	r.wantKind(err, leat.KindNotFound, "")
	arn := "arn:aws:kinesis:eu-west-1:000000000000:stream/s"
	_, err = r.DescribeStream(t.Context(), stranger, broker.DescribeStreamRequest{Stream: arn})
	r.wantKind(err, leat.KindAccessDenied, "")
	_, err = r.PutRecords(t.Context(), stranger, broker.PutRecordsRequest{Stream: arn, Puts: puts(1, 10, "k")})
	r.wantKind(err, leat.KindAccessDenied, "")
	if _, err = r.DescribeStream(t.Context(), who, broker.DescribeStreamRequest{Stream: arn}); err != nil {
		t.Errorf("by ARN: %v", err)
	}
	_, err = r.DescribeStream(t.Context(), who, broker.DescribeStreamRequest{Stream: strings.Replace(arn, "eu-west-1", "us-east-1", 1)})
	r.wantKind(err, leat.KindNotFound, "")
	_, err = r.DescribeStream(t.Context(), leat.Principal{}, broker.DescribeStreamRequest{Stream: "s"})
	r.wantKind(err, leat.KindAccessDenied, "")
}

func TestListStreamsPages(t *testing.T) {
	r := newRig(t, broker.LimitsOff)
	for i := range 5 {
		r.stream(fmt.Sprint("s", i), 1)
	}
	var names []string
	req := broker.ListStreamsRequest{PageSize: 2}
	for {
		res, err := r.ListStreams(t.Context(), who, req)
		r.must(err)
		for _, s := range res.Streams {
			names = append(names, s.Name)
		}
		if req.PageToken = res.NextPageToken; req.PageToken == "" {
			break
		}
		r.must(r.DeleteStream(t.Context(), who, broker.DeleteStreamRequest{Stream: names[len(names)-1]}))
		r.settle()
	}
	if got := strings.Join(names, " "); got != "s0 s1 s2 s3 s4" {
		t.Errorf("listed %s", got)
	}
	res, err := r.ListStreams(t.Context(), who, broker.ListStreamsRequest{After: "s2"})
	r.must(err)
	if len(res.Streams) != 1 || res.Streams[0].Name != "s4" {
		t.Errorf("after s2: %v", res.Streams)
	}
}

func TestUpdateStream(t *testing.T) {
	r := newRig(t, broker.LimitsOff)
	r.stream("s", 1)
	week, large, mode := 7*24*time.Hour, 10<<20, leat.ModeOnDemand
	d, err := r.UpdateStream(t.Context(), who, broker.UpdateStreamRequest{Stream: "s", Retention: &week, MaxRecordBytes: &large, Mode: &mode})
	r.must(err)
	if d.Retention != week || d.MaxRecordBytes != large || d.Mode != mode || d.OpenShards != 1 {
		t.Errorf("%+v", d)
	}
	// The new maximum holds at once.
	if _, err := r.PutRecord(t.Context(), who, broker.PutRecordRequest{Stream: "s", Record: leat.Record{PartitionKey: "k", Data: make([]byte, 5<<20)}}); err != nil {
		t.Errorf("5 MiB: %v", err)
	}
	bad, none := 25*time.Hour+time.Minute, leat.StreamMode("")
	for field, req := range map[string]broker.UpdateStreamRequest{
		"settings.retention_hours": {Retention: &bad}, "settings.mode": {Mode: &none}, "settings": {},
	} {
		req.Stream = "s"
		_, err := r.UpdateStream(t.Context(), who, req)
		r.wantKind(err, leat.KindInvalidArgument, field)
	}
	r.must(r.SplitShard(t.Context(), who, broker.SplitShardRequest{Stream: "s", Shard: "0"}))
	if _, err := r.UpdateStream(t.Context(), who, broker.UpdateStreamRequest{Stream: "s", Retention: &week}); err != nil {
		t.Errorf("the value that it has, while UPDATING: %v", err)
	}
	day := 24 * time.Hour
	_, err = r.UpdateStream(t.Context(), who, broker.UpdateStreamRequest{Stream: "s", Retention: &day})
	r.wantKind(err, leat.KindInUse, "")
	if err.Error() != "Stream s under account 000000000000 not ACTIVE, instead in state UPDATING" {
		t.Errorf("text %q", err)
	}
}

func TestReshardRefuses(t *testing.T) {
	r := newRig(t, broker.LimitsOff)
	r.stream("s", 3)
	split := func(shard, key string) error {
		return r.SplitShard(t.Context(), who, broker.SplitShardRequest{Stream: "s", Shard: shard, NewStartingHashKey: key})
	}
	merge := func(a, b string) error {
		return r.MergeShards(t.Context(), who, broker.MergeShardsRequest{Stream: "s", Shard: a, Adjacent: b})
	}
	r.wantKind(split("9", ""), leat.KindNotFound, "")
	r.wantKind(split("x", ""), leat.KindInvalidArgument, "shard_id")
	r.wantKind(split("0", "-1"), leat.KindInvalidArgument, "new_starting_hash_key")
	r.wantKind(split("0", "0"), leat.KindInvalidArgument, "new_starting_hash_key")
	r.wantKind(split("0", "1"), leat.KindInvalidArgument, "new_starting_hash_key")
	r.wantKind(split("0", leat.SplitEvenly(3)[0].End.String()), leat.KindInvalidArgument, "new_starting_hash_key")
	r.wantKind(merge("0", "2"), leat.KindInvalidArgument, "adjacent_shard_id")
	r.wantKind(merge("1", "0"), leat.KindInvalidArgument, "adjacent_shard_id")
	r.wantKind(merge("0", "x"), leat.KindInvalidArgument, "adjacent_shard_id")
	r.wantKind(merge("0", "9"), leat.KindNotFound, "")
	d, err := r.DescribeStream(t.Context(), who, broker.DescribeStreamRequest{Stream: "s"})
	r.must(err)
	if d.Stream.Status != leat.StreamActive || len(d.Shards) != 3 {
		t.Errorf("refused calls changed the stream: %+v", d.Stream)
	}
	r.must(split("0", ""))
	r.wantKind(split("1", ""), leat.KindInUse, "")
	r.wantKind(merge("1", "2"), leat.KindInUse, "")
	r.settle()
	r.wantKind(split("0", ""), leat.KindInvalidArgument, "") // closed
}

func TestScaleStream(t *testing.T) {
	r := newRig(t, broker.LimitsOff)
	r.stream("s", 2)
	for _, c := range []struct{ target, before int }{{5, 2}, {5, 5}, {1, 5}, {8, 1}} {
		now, err := r.ScaleStream(t.Context(), who, broker.ScaleStreamRequest{Stream: "s", Target: c.target})
		if err != nil || now != c.before {
			t.Fatalf("scale to %d: %d, %v", c.target, now, err)
		}
		r.settle()
		open, err := r.ListShards(t.Context(), who, broker.ListShardsRequest{Stream: "s", Filter: broker.ShardFilter{Type: broker.FilterAtLatest}})
		r.must(err)
		if len(open.Shards) != c.target {
			t.Errorf("%d open shards: want %d", len(open.Shards), c.target)
		}
	}
	for _, bad := range []int{0, -1, 10_001} {
		_, err := r.ScaleStream(t.Context(), who, broker.ScaleStreamRequest{Stream: "s", Target: bad})
		r.wantKind(err, leat.KindInvalidArgument, "target_shard_count")
	}
	_, err := r.ScaleStream(t.Context(), who, broker.ScaleStreamRequest{Stream: "s", Target: 4})
	r.must(err)
	_, err = r.ScaleStream(t.Context(), who, broker.ScaleStreamRequest{Stream: "s", Target: 2})
	r.wantKind(err, leat.KindInUse, "")
}

func TestConsumers(t *testing.T) {
	r := newRig(t, broker.LimitsOff)
	r.stream("s", 1)
	c, err := r.RegisterConsumer(t.Context(), who, broker.ConsumerRequest{Stream: "s", Consumer: "c0"})
	r.must(err)
	if c.Status != leat.ConsumerCreating || c.In.Name != "s" {
		t.Errorf("%+v", c)
	}
	_, err = r.RegisterConsumer(t.Context(), who, broker.ConsumerRequest{Stream: "s", Consumer: "c0"})
	r.wantKind(err, leat.KindInUse, "")
	r.clock.Advance(20 * time.Millisecond)
	c, err = r.DescribeConsumer(t.Context(), who, broker.ConsumerRequest{Stream: "s", Consumer: "c0"})
	if err != nil || c.Status != leat.ConsumerActive {
		t.Errorf("%+v, %v", c, err)
	}
	for i := 1; i < 20; i++ {
		r.consumer("s", fmt.Sprint("c", i))
	}
	_, err = r.RegisterConsumer(t.Context(), who, broker.ConsumerRequest{Stream: "s", Consumer: "c20"})
	r.wantKind(err, leat.KindLimitExceeded, "")
	var names []string
	req := broker.ListConsumersRequest{Stream: "s", PageSize: 7}
	for {
		res, err := r.ListConsumers(t.Context(), who, req)
		r.must(err)
		for _, c := range res.Consumers {
			names = append(names, c.Name)
		}
		if req.PageToken = res.NextPageToken; req.PageToken == "" {
			break
		}
	}
	if len(names) != 20 || names[0] != "c0" || names[19] != "c9" {
		t.Errorf("listed %v", names)
	}
	if _, n, err := r.DescribeStreamSummary(t.Context(), who, "s"); err != nil || n != 20 {
		t.Errorf("%d consumers, %v", n, err)
	}
	r.must(r.DeregisterConsumer(t.Context(), who, broker.ConsumerRequest{Stream: "s", Consumer: "c0"}))
	r.wantKind(r.DeregisterConsumer(t.Context(), who, broker.ConsumerRequest{Stream: "s", Consumer: "c0"}), leat.KindNotFound, "")
	r.wantKind(r.DeleteStream(t.Context(), who, broker.DeleteStreamRequest{Stream: "s"}), leat.KindInUse, "")
	r.must(r.DeleteStream(t.Context(), who, broker.DeleteStreamRequest{Stream: "s", EnforceConsumerDeletion: true}))
	r.must(r.DeleteStream(t.Context(), who, broker.DeleteStreamRequest{Stream: "s"}))
}
