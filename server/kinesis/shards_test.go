// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package kinesis_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/broker"
)

type wireShard struct {
	ShardId, ParentShardId, AdjacentParentShardId string
	HashKeyRange                                  struct{ StartingHashKey, EndingHashKey string }
	SequenceNumberRange                           struct{ StartingSequenceNumber, EndingSequenceNumber string }
}

// shards lists every shard of a stream.
func (r *rig) shards(name string) []wireShard {
	r.t.Helper()
	var out struct{ Shards []wireShard }
	r.call("ListShards", object{"StreamName": name}).into(&out)
	return out.Shards
}

// lineage writes shards as id<parent,adjacent parent; an open one has a plus.
func lineage(shards []wireShard) string {
	var out []string
	short := strings.NewReplacer("shardId-00000000000", "")
	for _, s := range shards {
		text := short.Replace(s.ShardId)
		if s.SequenceNumberRange.EndingSequenceNumber == "" {
			text += "+"
		}
		if s.ParentShardId != "" {
			text += "<" + short.Replace(s.ParentShardId)
		}
		if s.AdjacentParentShardId != "" {
			text += "," + short.Replace(s.AdjacentParentShardId)
		}
		out = append(out, text)
	}
	return strings.Join(out, " ")
}

func TestSplitAndMerge(t *testing.T) {
	r := newRig(t, options{})
	r.stream("s", 2)
	split := object{"StreamName": "s", "ShardToSplit": "shardId-1", "NewStartingHashKey": "255211775190703847597530955573826158592"}
	r.call("SplitShard", split).empty()
	r.active("s")
	if got := lineage(r.shards("s")); got != "0+ 1 2+<1 3+<1" {
		t.Errorf("after the split: %s", got)
	}
	r.call("MergeShards", object{"StreamARN": arnOf("s"), "ShardToMerge": "0", "AdjacentShardToMerge": "shardId-000000000002"}).empty()
	r.active("s")
	shards := r.shards("s")
	if got := lineage(shards); got != "0 1 2<1 3+<1 4+<0,2" {
		t.Errorf("after the merge: %s", got)
	}
	if end, start := shards[1].SequenceNumberRange.EndingSequenceNumber, shards[2].SequenceNumberRange.StartingSequenceNumber; len(end) != 56 || start <= end {
		t.Errorf("a child starts at %s, its parent ends at %s", start, end)
	}
	if h := shards[4].HashKeyRange; h.StartingHashKey != "0" || h.EndingHashKey != "255211775190703847597530955573826158591" {
		t.Errorf("the merged shard has %v", h)
	}
	if got, want := r.call("SplitShard", split).refused(400, "InvalidArgumentException"),
		"Shard shardId-000000000001 in stream s under account "+account+" has already been merged or split, and thus is not eligible for merging or splitting."; got != want {
		t.Errorf("%q", got)
	}
}

func TestReshardsThatAreRefused(t *testing.T) {
	r := newRig(t, options{})
	r.stream("s", 3)
	const in = " in stream s under account " + account
	for _, c := range []struct {
		operation       string
		in              object
		exception, want string
	}{
		{"SplitShard", object{"ShardToSplit": "shardId-5", "NewStartingHashKey": "9"}, "ResourceNotFoundException", "Could not find shard shardId-000000000005" + in + "."},
		{"SplitShard", object{"ShardToSplit": "ABKLFD8", "NewStartingHashKey": "9"}, "ResourceNotFoundException", "Could not find shard ABKLFD8" + in + "."},
		{"SplitShard", object{"ShardToSplit": "0", "NewStartingHashKey": "1"}, "InvalidArgumentException", "NewStartingHashKey 1 used in SplitShard() on shard shardId-000000000000" + in +
			" is not both greater than one plus the shard's StartingHashKey 0 and less than the shard's EndingHashKey 113427455640312821154458202477256070484."},
		{"SplitShard", object{"ShardToSplit": "2", "NewStartingHashKey": "999999999999999999999999999999999999999"}, "InvalidArgumentException", ""},
		{"MergeShards", object{"ShardToMerge": "0", "AdjacentShardToMerge": "5"}, "ResourceNotFoundException", "Could not find shard shardId-000000000005" + in + "."},
		{"MergeShards", object{"ShardToMerge": "0", "AdjacentShardToMerge": "2.14E4"}, "ResourceNotFoundException", "Could not find shard 2.14E4" + in + "."},
		{"MergeShards", object{"ShardToMerge": "0", "AdjacentShardToMerge": "2"}, "InvalidArgumentException", "Shards shardId-000000000000 and shardId-000000000002" + in + " are not an adjacent pair of shards eligible for merging"},
		{"MergeShards", object{"ShardToMerge": "1", "AdjacentShardToMerge": "0"}, "InvalidArgumentException", "Shards shardId-000000000001 and shardId-000000000000" + in + " are not an adjacent pair of shards eligible for merging"},
	} {
		got := r.call(c.operation, c.in.with(object{"StreamName": "s"})).refused(400, c.exception)
		if got == "" || (c.want != "" && got != c.want) {
			t.Errorf("%s %v: %q", c.operation, c.in, got)
		}
	}
	const null = " failed to satisfy constraint: Member must not be null"
	for operation, want := range map[string]string{
		"SplitShard":       "2 validation errors detected: Value null at 'newStartingHashKey'" + null + "; Value null at 'shardToSplit'" + null,
		"MergeShards":      "2 validation errors detected: Value null at 'shardToMerge'" + null + "; Value null at 'adjacentShardToMerge'" + null,
		"UpdateShardCount": "2 validation errors detected: Value null at 'scalingType'" + null + "; Value null at 'targetShardCount'" + null,
	} {
		if got := r.call(operation, object{"StreamName": "s"}).refused(400, "ValidationException"); got != want {
			t.Errorf("%s: %q", operation, got)
		}
	}
	if got := lineage(r.shards("s")); got != "0+ 1+ 2+" {
		t.Errorf("refused requests changed the shards: %s", got)
	}
}

func TestUpdateShardCount(t *testing.T) {
	r := newRig(t, options{})
	r.stream("s", 2)
	for _, c := range []struct{ target, current int }{{3, 2}, {1, 3}, {1, 1}} {
		got := r.call("UpdateShardCount", object{"StreamName": "s", "TargetShardCount": c.target, "ScalingType": "UNIFORM_SCALING"}).object()
		if want := asked(t, object{"StreamName": "s", "StreamARN": arnOf("s"), "CurrentShardCount": c.current, "TargetShardCount": c.target}); !closeTo(want, map[string]any(got)) {
			t.Errorf("%v, want %v", got, want)
		}
		r.active("s")
		if n := strings.Count(lineage(r.shards("s")), "+"); n != c.target {
			t.Errorf("%d open shards, want %d", n, c.target)
		}
	}
	got := r.call("UpdateShardCount", object{"StreamName": "s", "TargetShardCount": 0, "ScalingType": "X"}).refused(400, "ValidationException")
	if want := "2 validation errors detected: Value 'X' at 'scalingType' failed to satisfy constraint: Member must satisfy enum value set: [UNIFORM_SCALING]; " +
		"Value '0' at 'targetShardCount' failed to satisfy constraint: Member must have value greater than or equal to 1"; got != want {
		t.Errorf("%q", got)
	}
}

func TestReshardsNeedAnActiveStream(t *testing.T) {
	t.Parallel()
	r := newRig(t, options{transition: time.Second}) // longer than two calls take on a busy machine
	r.stream("s", 2)
	r.call("UpdateShardCount", object{"StreamName": "s", "TargetShardCount": 1, "ScalingType": "UNIFORM_SCALING"}).object()
	for operation, in := range map[string]object{
		"UpdateShardCount": {"TargetShardCount": 2, "ScalingType": "UNIFORM_SCALING"},
		"SplitShard":       {"ShardToSplit": "1", "NewStartingHashKey": "255211775190703847597530955573826158592"},
	} {
		if got, want := r.call(operation, in.with(object{"StreamName": "s"})).refused(400, "ResourceInUseException"),
			"Stream s under account "+account+" not ACTIVE, instead in state UPDATING"; got != want {
			t.Errorf("%s: %q", operation, got)
		}
	}
	r.active("s")
}

func TestListShardsFilters(t *testing.T) {
	r := newRig(t, options{})
	r.stream("s", 1)
	before := time.Now()
	r.call("SplitShard", object{"StreamName": "s", "ShardToSplit": "0", "NewStartingHashKey": "170141183460469231731687303715884105728"}).empty()
	r.active("s")
	closed := time.Now()
	r.poll("a later millisecond", func() bool { return time.Since(closed) > 2*time.Millisecond })
	seconds := func(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }
	for _, c := range []struct {
		filter object
		want   string
	}{
		{object{"Type": "AT_LATEST"}, "1+<0 2+<0"},
		{object{"Type": "AT_TRIM_HORIZON"}, "0"},
		{object{"Type": "FROM_TRIM_HORIZON"}, "0 1+<0 2+<0"},
		{object{"Type": "AFTER_SHARD_ID", "ShardId": "shardId-000000000001"}, "2+<0"},
		{object{"Type": "AT_TIMESTAMP", "Timestamp": seconds(before)}, "0"},
		{object{"Type": "FROM_TIMESTAMP", "Timestamp": seconds(time.Now())}, "1+<0 2+<0"},
		{object{"Type": "FROM_TIMESTAMP", "Timestamp": 1}, "0 1+<0 2+<0"},
	} {
		var out struct{ Shards []wireShard }
		r.call("ListShards", object{"StreamName": "s", "ShardFilter": c.filter}).into(&out)
		if got := lineage(out.Shards); got != c.want {
			t.Errorf("%v: %s, want %s", c.filter, got, c.want)
		}
	}
	for _, filter := range []object{
		{"Type": "AFTER_SHARD_ID"}, {"Type": "AT_TIMESTAMP"}, {"Type": "AT_LATEST", "ShardId": "0"}, {"Type": "AT_TIMESTAMP", "Timestamp": seconds(time.Now().Add(time.Hour))},
	} {
		r.call("ListShards", object{"StreamName": "s", "ShardFilter": filter}).refused(400, "InvalidArgumentException")
	}
	got := r.call("ListShards", object{"StreamName": "s", "ShardFilter": object{}}).refused(400, "ValidationException")
	if want := "1 validation error detected: Value null at 'shardFilter.type' failed to satisfy constraint: Member must not be null"; got != want {
		t.Errorf("%q", got)
	}
	r.sameInCBOR("ListShards", object{"StreamName": "s"})
}

func TestListShardsPages(t *testing.T) {
	r := newRig(t, options{})
	r.stream("s", 5)
	r.stream("other", 1)
	type page struct {
		Shards    []wireShard
		NextToken string
	}
	var first, second page
	r.call("ListShards", object{"StreamName": "s", "MaxResults": 3}).into(&first)
	if lineage(first.Shards) != "0+ 1+ 2+" || first.NextToken == "" {
		t.Fatalf("%+v", first)
	}
	for _, in := range []object{{}, {"StreamARN": arnOf("s")}, {"MaxResults": 10000}} {
		second = page{}
		r.call("ListShards", in.with(object{"NextToken": first.NextToken})).into(&second)
		if lineage(second.Shards) != "3+ 4+" || second.NextToken != "" {
			t.Errorf("%v: %+v", in, second)
		}
	}
	for member, value := range map[string]any{
		"StreamName": "s", "StreamCreationTimestamp": 1, "ExclusiveStartShardId": "0", "ShardFilter": object{"Type": "AT_LATEST"},
	} {
		got := r.call("ListShards", object{"NextToken": first.NextToken, member: value}).refused(400, "InvalidArgumentException")
		if want := fmt.Sprintf("NextToken and %s cannot be provided together.", member); got != want {
			t.Errorf("%q", got)
		}
	}
	r.call("ListShards", object{"NextToken": first.NextToken, "StreamARN": arnOf("other")}).refused(400, "InvalidArgumentException")
	r.call("ListShards", object{"NextToken": "forged"}).refused(400, "InvalidArgumentException")
	r.call("ListShards", object{"StreamName": "s", "MaxResults": 0}).refused(400, "ValidationException")
	var rest page
	r.call("ListShards", object{"StreamName": "s", "ExclusiveStartShardId": "shardId-000000000003"}).into(&rest)
	if lineage(rest.Shards) != "4+" {
		t.Errorf("after a shard: %+v", rest)
	}
}

// listing may describe nothing, once a test says so.
type listing struct{ alone atomic.Bool }

func (l *listing) Authorize(_ context.Context, _ leat.Principal, action broker.Action, _ broker.Resource) error {
	if l.alone.Load() && !strings.HasPrefix(string(action), "List") {
		return leat.Errorf(leat.KindAccessDenied, "%s is not allowed", action)
	}
	return nil
}

func TestStreamCreationTimestampTellsStreamsApart(t *testing.T) {
	may := &listing{}
	r := newRig(t, options{authorizer: may})
	r.stream("s", 1)
	d, _, err := r.broker.DescribeStreamSummary(t.Context(), who, "s")
	r.must(err)
	may.alone.Store(true)
	for _, c := range []struct {
		operation string
		in        object
	}{{"ListShards", object{"StreamName": "s"}}, {"ListStreamConsumers", object{"StreamARN": arnOf("s")}}} {
		r.call(c.operation, c.in.with(object{"StreamCreationTimestamp": d.Created.Unix()})).object()
		r.call(c.operation, c.in.with(object{"StreamCreationTimestamp": float64(d.Created.UnixMilli()) / 1000})).object()
		r.call(c.operation, c.in.with(object{"StreamCreationTimestamp": d.Created.Unix() - 5})).refused(400, "ResourceNotFoundException")
	}
}

func TestListStreamConsumersPages(t *testing.T) {
	r := newRig(t, options{})
	r.stream("s", 1)
	if got := r.sameInCBOR("ListStreamConsumers", object{"StreamARN": arnOf("s")}); !closeTo(map[string]any(got), asked(t, object{"Consumers": []string{}})) {
		t.Errorf("no consumers: %v", got)
	}
	for _, name := range []string{"b", "a", "c"} {
		_, err := r.broker.RegisterConsumer(t.Context(), who, broker.ConsumerRequest{Stream: "s", Consumer: name})
		r.must(err)
	}
	type page struct {
		Consumers []object
		NextToken string
	}
	var first, second page
	r.call("ListStreamConsumers", object{"StreamARN": arnOf("s"), "MaxResults": 2}).into(&first)
	if len(first.Consumers) != 2 || first.NextToken == "" {
		t.Fatalf("%+v", first)
	}
	c := first.Consumers[0]
	recent(t, c["ConsumerCreationTimestamp"])
	if arn, _ := c["ConsumerARN"].(string); c["ConsumerName"] != "a" || !strings.HasPrefix(arn, arnOf("s")+"/consumer/a:") || len(c) != 4 {
		t.Errorf("%v", c)
	}
	r.call("ListStreamConsumers", object{"StreamARN": arnOf("s"), "NextToken": first.NextToken}).into(&second)
	if len(second.Consumers) != 1 || second.Consumers[0]["ConsumerName"] != "c" || second.NextToken != "" {
		t.Errorf("%+v", second)
	}
	r.call("ListStreamConsumers", object{"StreamARN": arnOf("s"), "NextToken": first.NextToken, "StreamCreationTimestamp": 1}).refused(400, "InvalidArgumentException")
	r.call("ListStreamConsumers", object{"StreamARN": arnOf("s"), "NextToken": "forged"}).refused(400, "InvalidArgumentException")
	r.call("ListStreamConsumers", object{}).refused(400, "ValidationException")
}
