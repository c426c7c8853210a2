// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker_test

import (
	"context"
	"testing"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/broker"
)

// With the catalog gone, puts, reads, listings and subscriptions of what is known go on; changes are refused as
// certainly not executed.
func TestServesWithoutTheCatalog(t *testing.T) {
	r := newRig(t, broker.LimitsOff)
	s := r.stream("s", 2)
	r.consumer("s", "c")
	sub := r.subscribe("c", fromStart)
	sub.next()
	sub.cancel()
	_ = sub.end()
	r.must(r.db.Close())
	r.clock.Advance(time.Hour)

	low := leat.SplitEvenly(2)[0].Start
	if _, err := r.PutRecord(t.Context(), who, broker.PutRecordRequest{Stream: "s", Record: leat.Record{PartitionKey: "k", ExplicitHash: &low, Data: []byte("x")}}); err != nil {
		t.Errorf("put: %v", err)
	}
	if got := r.from("s", fromStart); got != "x" {
		t.Errorf("read %q", got)
	}
	if res, err := r.ListShards(t.Context(), who, broker.ListShardsRequest{Stream: "s"}); err != nil || len(res.Shards) != 2 {
		t.Errorf("shards %v, %v", res, err)
	}
	if d, err := r.DescribeStream(t.Context(), who, broker.DescribeStreamRequest{Stream: "s"}); err != nil || d.Stream.ID != s.ID {
		t.Errorf("described %v, %v", d, err)
	}
	if res, err := r.ListStreams(t.Context(), who, broker.ListStreamsRequest{}); err != nil || len(res.Streams) != 1 {
		t.Errorf("streams %v, %v", res, err)
	}
	sub = r.subscribe("c", fromStart)
	if e := sub.next(); text(e.Records) != "x" {
		t.Errorf("pushed %q", text(e.Records))
	}

	r.wantKind(r.SplitShard(t.Context(), who, broker.SplitShardRequest{Stream: "s", Shard: "0"}), leat.KindUnavailable, "")
	_, err := r.PutRecord(t.Context(), who, broker.PutRecordRequest{Stream: "unknown", Record: leat.Record{PartitionKey: "k"}})
	r.wantKind(err, leat.KindUnavailable, "") // perhaps there is such a stream
	_, err = r.PutRecord(t.Context(), who, broker.PutRecordRequest{Stream: "unknown", Record: leat.Record{PartitionKey: "k"}})
	r.wantKind(err, leat.KindUnavailable, "") // that it was asked about a moment ago tells nothing
	for range 2 {                             // perhaps another node has split the shard
		_, err = r.GetShardIterator(t.Context(), who, broker.GetShardIteratorRequest{Stream: "s", Shard: "2", Start: fromStart})
		r.wantKind(err, leat.KindUnavailable, "")
	}
}

// What another node changes is seen within a poll, and a poll without a change reads nothing but the revision.
func TestDirectoryFollowsTheCatalog(t *testing.T) {
	r := newRig(t, broker.LimitsOff)
	ctx, cancel := context.WithCancel(within(t))
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	if !r.clock.untilArmed(ctx, 100*time.Millisecond) {
		t.Fatal("it does not poll")
	}
	if !r.Directory().Loaded() {
		t.Fatal("not loaded after the first poll")
	}
	d, err := r.CreateStream(t.Context(), who, broker.CreateStreamRequest{Stream: "s", Shards: 1})
	r.must(err)
	r.carryOut()
	status := func() leat.StreamStatus {
		s, _ := r.Directory().Stream(d.ID)
		return s.Status
	}
	if status() != leat.StreamCreating {
		t.Fatalf("the directory knows of %q", status())
	}
	r.clock.Advance(100 * time.Millisecond)
	r.clock.untilArmed(ctx, 900*time.Millisecond)
	r.clock.Advance(900 * time.Millisecond)
	r.clock.untilArmed(ctx, 100*time.Millisecond)
	if status() != leat.StreamActive {
		t.Errorf("after a poll the directory knows of %q", status())
	}
	r.must(r.catalog.BeginDelete(t.Context(), d.ID, true))
	r.carryOut()
	r.clock.Advance(100 * time.Millisecond)
	r.clock.untilArmed(ctx, 900*time.Millisecond)
	r.Directory().Stale() // does not wait for the poll
	r.clock.untilArmed(ctx, 100*time.Millisecond)
	if _, ok := r.Directory().Stream(d.ID); ok {
		t.Error("a stream that is gone is still known")
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Run: %v", err)
	}
}
