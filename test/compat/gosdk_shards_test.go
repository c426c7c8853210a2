// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package compat_test

import (
	"math/big"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

func walkReshard(t *testing.T, k *kinesis.Client) {
	create(t, k, "resharded", 2)
	const one, two = "shardId-000000000000", "shardId-000000000001"
	start := shards(t, k, "resharded", nil)
	_, err := k.MergeShards(t.Context(), &kinesis.MergeShardsInput{StreamName: aws.String("resharded"), ShardToMerge: aws.String(one), AdjacentShardToMerge: aws.String(one)})
	fails[*types.InvalidArgumentException](t, err, "")
	_, err = k.SplitShard(t.Context(), &kinesis.SplitShardInput{StreamName: aws.String("resharded"), ShardToSplit: aws.String(one), NewStartingHashKey: aws.String("0")})
	fails[*types.InvalidArgumentException](t, err, "")
	_, err = k.SplitShard(t.Context(), &kinesis.SplitShardInput{StreamName: aws.String("resharded"), ShardToSplit: aws.String("shardId-000000000009"), NewStartingHashKey: aws.String("5")})
	fails[*types.ResourceNotFoundException](t, err, "Could not find shard shardId-000000000009 in stream resharded")

	split(t, k, "resharded", start[0])
	all := shards(t, k, "resharded", nil)
	tiles(t, open(all))
	if len(all) != 4 || aws.ToString(all[2].ParentShardId) != one || aws.ToString(all[3].ParentShardId) != one || all[0].SequenceNumberRange.EndingSequenceNumber == nil {
		t.Fatalf("after a split: %d shards, the parents of the new ones are %v and %v", len(all), aws.ToString(all[2].ParentShardId), aws.ToString(all[3].ParentShardId))
	}
	for _, child := range all[2:] {
		if compare(*child.SequenceNumberRange.StartingSequenceNumber, *all[0].SequenceNumberRange.EndingSequenceNumber) <= 0 {
			t.Errorf("%s starts at %s, its parent ends at %s", *child.ShardId, *child.SequenceNumberRange.StartingSequenceNumber, *all[0].SequenceNumberRange.EndingSequenceNumber)
		}
	}
	merge(t, k, "resharded", all[3], all[1])
	all = shards(t, k, "resharded", nil)
	tiles(t, open(all))
	last := all[len(all)-1]
	parents := []string{aws.ToString(last.ParentShardId), aws.ToString(last.AdjacentParentShardId)}
	if len(all) != 5 || !slices.Contains(parents, "shardId-000000000003") || !slices.Contains(parents, two) {
		t.Errorf("after a merge: %d shards, the parents of %s are %v", len(all), *last.ShardId, parents)
	}
	_, err = k.MergeShards(t.Context(), &kinesis.MergeShardsInput{StreamName: aws.String("resharded"), ShardToMerge: aws.String(one), AdjacentShardToMerge: aws.String(two)})
	fails[error](t, err, "") // both are closed
}

// split cuts a shard in the middle and waits for it.
func split(tb testing.TB, k *kinesis.Client, stream string, shard types.Shard) {
	tb.Helper()
	from, _ := new(big.Int).SetString(*shard.HashKeyRange.StartingHashKey, 10)
	to, _ := new(big.Int).SetString(*shard.HashKeyRange.EndingHashKey, 10)
	middle := new(big.Int).Rsh(from.Add(from, to), 1)
	_, err := k.SplitShard(tb.Context(), &kinesis.SplitShardInput{StreamName: &stream, ShardToSplit: shard.ShardId, NewStartingHashKey: aws.String(middle.String())})
	must(tb, err)
	active(tb, k, stream)
}

// merge makes two neighbours one and waits for it.
func merge(tb testing.TB, k *kinesis.Client, stream string, lower, upper types.Shard) {
	tb.Helper()
	_, err := k.MergeShards(tb.Context(), &kinesis.MergeShardsInput{StreamARN: arnOf(stream), ShardToMerge: lower.ShardId, AdjacentShardToMerge: upper.ShardId})
	must(tb, err)
	active(tb, k, stream)
}

// compare compares two sequence numbers.
func compare(a, b string) int {
	x, _ := new(big.Int).SetString(a, 10)
	y, _ := new(big.Int).SetString(b, 10)
	return x.Cmp(y)
}

func walkUpdateShardCount(t *testing.T, k *kinesis.Client) {
	create(t, k, "scaled", 2)
	for _, target := range []int32{4, 3, 2} {
		before := int32(len(open(shards(t, k, "scaled", nil))))
		out, err := k.UpdateShardCount(t.Context(), &kinesis.UpdateShardCountInput{StreamName: aws.String("scaled"), TargetShardCount: &target, ScalingType: types.ScalingTypeUniformScaling})
		must(t, err)
		if aws.ToInt32(out.CurrentShardCount) != before || aws.ToInt32(out.TargetShardCount) != target || aws.ToString(out.StreamName) != "scaled" {
			t.Errorf("from %d to %d: it answers %d to %d of %s", before, target, aws.ToInt32(out.CurrentShardCount), aws.ToInt32(out.TargetShardCount), aws.ToString(out.StreamName))
		}
		active(t, k, "scaled")
		now := open(shards(t, k, "scaled", nil))
		if len(now) != int(target) {
			t.Errorf("%d open shards, want %d", len(now), target)
		}
		tiles(t, now)
	}
	all := shards(t, k, "scaled", nil)
	known := map[string]bool{}
	for _, s := range all {
		for _, parent := range []*string{s.ParentShardId, s.AdjacentParentShardId} {
			if parent != nil && !known[*parent] {
				t.Errorf("%s has the parent %s, which no shard before it is", *s.ShardId, *parent)
			}
		}
		known[*s.ShardId] = true
	}
}
