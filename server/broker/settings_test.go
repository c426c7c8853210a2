// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker_test

import (
	"testing"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/broker"
)

func TestRetentionHasADirection(t *testing.T) {
	r := newRig(t, broker.LimitsOff)
	r.stream("s", 1)
	update := func(hours int, direction broker.RetentionDirection) error {
		d := time.Duration(hours) * time.Hour
		_, err := r.UpdateStream(t.Context(), who, broker.UpdateStreamRequest{Stream: "s", Retention: &d, Direction: direction})
		return err
	}
	r.must(update(24, broker.RetentionIncrease)) // Terraform does it on each create
	r.must(update(48, broker.RetentionIncrease))
	r.wantKind(update(25, broker.RetentionIncrease), leat.KindInvalidArgument, "settings.retention_hours")
	r.wantKind(update(49, broker.RetentionDecrease), leat.KindInvalidArgument, "settings.retention_hours")
	r.must(update(48, broker.RetentionDecrease))
	r.must(update(24, broker.RetentionDecrease))
	r.wantText(update(23, broker.RetentionDecrease), leat.KindInvalidArgument, "Minimum allowed retention period is 24 hours. Requested retention period (23 hours) is too short.")
	r.wantText(update(8761, broker.RetentionIncrease), leat.KindInvalidArgument, "Maximum allowed retention period is 8760 hours. Requested retention period (8761 hours) is too long.")
}

func TestWarmThroughput(t *testing.T) {
	r := newRig(t, broker.LimitsOff)
	d, err := r.CreateStream(t.Context(), who, broker.CreateStreamRequest{Stream: "s", WarmThroughput: 6})
	r.must(err)
	if d.WarmThroughput != 6 || d.OpenShards != 6 || d.Mode != leat.ModeOnDemand {
		t.Errorf("%+v", d)
	}
	r.settle()
	set := func(stream string, n int) (broker.StreamDescription, error) {
		return r.UpdateStream(t.Context(), who, broker.UpdateStreamRequest{Stream: stream, WarmThroughput: &n})
	}
	d, err = set("s", 9)
	r.must(err)
	if d.Status != leat.StreamUpdating || d.TargetShards != 9 {
		t.Errorf("%+v", d)
	}
	if _, err := set("s", 9); err != nil {
		t.Errorf("the value that it has, while UPDATING: %v", err)
	}
	_, err = set("s", 10)
	r.wantKind(err, leat.KindInUse, "")
	r.settle()
	if d := r.describe("s"); d.Status != leat.StreamActive || d.OpenShards != 9 || d.WarmThroughput != 9 {
		t.Errorf("%+v", d)
	}
	d, err = set("s", 0) // what it has grown to is for scaling by load to take away
	if err != nil || d.WarmThroughput != 0 || d.OpenShards != 9 || d.Status != leat.StreamActive {
		t.Errorf("%+v, %v", d, err)
	}
	r.stream("p", 1)
	_, err = set("p", 1)
	r.wantKind(err, leat.KindInvalidArgument, "settings.warm_throughput_mibps")
	_, err = set("s", 10_241)
	r.wantKind(err, leat.KindInvalidArgument, "settings.warm_throughput_mibps")
	_, err = r.CreateStream(t.Context(), who, broker.CreateStreamRequest{Stream: "q", Shards: 1, WarmThroughput: 1})
	r.wantKind(err, leat.KindInvalidArgument, "warm_throughput_mibps")
}

func TestScaleLimits(t *testing.T) {
	r := newRig(t, broker.LimitsOff, func(c *broker.Config) { c.ScaleLimits = broker.ScaleLimitsAWS })
	r.stream("s", 5)
	scale := func(target int) error {
		_, err := r.ScaleStream(t.Context(), who, broker.ScaleStreamRequest{Stream: "s", Target: target})
		if err == nil {
			r.settle()
		}
		return err
	}
	r.wantText(scale(11), leat.KindLimitExceeded,
		"UpdateShardCount cannot scale up over double your current open shard count. Current open shard count: 5, Target shard count: 11")
	r.wantText(scale(2), leat.KindLimitExceeded,
		"UpdateShardCount cannot scale down below half your current open shard count. Current open shard count: 5, Target shard count: 2")
	r.must(scale(3))
	r.must(scale(6))
	for i := range 8 {
		r.must(scale(5 + i%2))
	}
	r.wantText(scale(5), leat.KindLimitExceeded, "Stream s under account 000000000000 was scaled 10 times in the last 24 hours: 10 are allowed.")
	r.must(scale(6)) // what it has is no call that counts
	r.clock.Advance(24 * time.Hour)
	r.must(scale(5))
}

func TestQuotas(t *testing.T) {
	r := newRig(t, broker.LimitsOff, func(c *broker.Config) { c.Quotas = broker.Quotas{Shards: 6, OnDemandStreams: 1} })
	r.stream("s", 3)
	stranger := leat.Principal{Account: "111111111111"}
	create := func(who leat.Principal, req broker.CreateStreamRequest) error {
		_, err := r.CreateStream(t.Context(), who, req)
		return err
	}
	r.wantText(create(who, broker.CreateStreamRequest{Stream: "t", Shards: 4}), leat.KindLimitExceeded,
		"This request would exceed the shard limit for the account 000000000000 in eu-west-1. Current shard count for the account: 3. Limit: 6. Number of additional shards that would have resulted from this request: 4.")
	r.must(create(stranger, broker.CreateStreamRequest{Stream: "t", Shards: 4}))
	r.must(create(who, broker.CreateStreamRequest{Stream: "o", Mode: leat.ModeOnDemand, Shards: 1}))
	r.wantKind(create(who, broker.CreateStreamRequest{Stream: "o2", Mode: leat.ModeOnDemand, Shards: 1}), leat.KindLimitExceeded, "")
	r.settle()
	_, err := r.ScaleStream(t.Context(), who, broker.ScaleStreamRequest{Stream: "s", Target: 6})
	r.wantKind(err, leat.KindLimitExceeded, "")
	_, err = r.ScaleStream(t.Context(), who, broker.ScaleStreamRequest{Stream: "s", Target: 5})
	r.must(err)
	// What a stream is on its way to counts already.
	r.wantKind(r.SplitShard(t.Context(), who, broker.SplitShardRequest{Stream: "o", Shard: "0"}), leat.KindLimitExceeded, "")
	if l, err := r.Limits(t.Context(), who); err != nil || l != (broker.AccountLimits{OpenShards: 6, ShardLimit: 6, OnDemandStreams: 1, OnDemandStreamLimit: 1}) {
		t.Errorf("%+v, %v", l, err)
	}
	r.settle()
	r.must(r.DeleteStream(t.Context(), who, broker.DeleteStreamRequest{Stream: "s"}))
	if l, err := r.Limits(t.Context(), who); err != nil || l.OpenShards != 1 {
		t.Errorf("a stream that is being deleted counts: %+v, %v", l, err)
	}
	r.must(create(who, broker.CreateStreamRequest{Stream: "u", Shards: 5}))
}

// The texts are those of AWS (kinesis-semantics 8 to 10).
func TestStatesAndMissingShards(t *testing.T) {
	r := newRig(t, broker.LimitsOff)
	_, err := r.CreateStream(t.Context(), who, broker.CreateStreamRequest{Stream: "s", Shards: 2})
	r.must(err)
	put := func() error {
		_, err := r.PutRecord(t.Context(), who, broker.PutRecordRequest{Stream: arn, Record: leat.Record{PartitionKey: "k"}})
		return err
	}
	iterator := func(shard string) error {
		_, err := r.GetShardIterator(t.Context(), who, broker.GetShardIteratorRequest{Stream: "s", Shard: shard, Start: broker.StartingPosition{Type: broker.TrimHorizon}})
		return err
	}
	split := func(shard string) error {
		return r.SplitShard(t.Context(), who, broker.SplitShardRequest{Stream: "s", Shard: shard})
	}
	const gone = "Stream s under account 000000000000 not found."
	r.wantText(put(), leat.KindNotFound, gone)
	r.wantText(iterator("0"), leat.KindNotFound, gone)
	r.wantText(split("0"), leat.KindInUse, "Stream s under account 000000000000 not ACTIVE, instead in state CREATING")
	r.settle()
	r.must(put())
	r.wantText(iterator("5"), leat.KindNotFound, "Shard shardId-000000000005 in stream s under account 000000000000 does not exist")
	r.wantText(iterator("2147483648"), leat.KindNotFound, "Could not find shard shardId-002147483648 in stream s under account 000000000000.")
	r.wantText(split("5"), leat.KindNotFound, "Could not find shard shardId-000000000005 in stream s under account 000000000000.")
	r.must(split("0"))
	r.wantText(split("1"), leat.KindInUse, "Stream s under account 000000000000 not ACTIVE, instead in state UPDATING")
	r.must(put())
	r.must(iterator("0"))
	r.settle()
	r.consumer("s", "c")
	r.wantText(r.DeleteStream(t.Context(), who, broker.DeleteStreamRequest{Stream: "s"}), leat.KindInUse,
		"Stream s under account 000000000000 has 1 registered consumers: deregister them, or enforce their deletion.")
	r.must(r.DeleteStream(t.Context(), who, broker.DeleteStreamRequest{Stream: "s", EnforceConsumerDeletion: true}))
	if d := r.describe("s"); d.Status != leat.StreamDeleting {
		t.Errorf("%+v", d)
	}
	r.wantText(put(), leat.KindNotFound, gone)
	r.wantText(split("1"), leat.KindInUse, "Stream s under account 000000000000 not ACTIVE, instead in state DELETING")
}
