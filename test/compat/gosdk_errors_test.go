// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package compat_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/smithy-go"

	"github.com/leatstream/leat/test/e2e/rig"
)

// Errors arrive as the SDK's own types, with AWS's words where they are known.
func TestGoSDKErrors(t *testing.T) {
	t.Parallel()
	k := client(t, dev(t))
	ctx := t.Context()
	create(t, k, "s", 1)

	_, err := k.DescribeStream(ctx, &kinesis.DescribeStreamInput{StreamName: aws.String("unknown")})
	fails[*types.ResourceNotFoundException](t, err, "Stream unknown under account "+account+" not found.")
	_, err = k.PutRecord(ctx, &kinesis.PutRecordInput{StreamARN: arnOf("unknown"), PartitionKey: aws.String("k"), Data: []byte("x")})
	fails[*types.ResourceNotFoundException](t, err, "Stream unknown under account "+account+" not found.")
	_, err = k.DescribeStreamSummary(ctx, &kinesis.DescribeStreamSummaryInput{StreamName: aws.String("s"), StreamARN: arnOf("other")})
	fails[smithy.APIError](t, err, "")
	_, err = k.DescribeStreamSummary(ctx, &kinesis.DescribeStreamSummaryInput{})
	fails[*types.InvalidArgumentException](t, err, "")
	_, err = k.GetShardIterator(ctx, &kinesis.GetShardIteratorInput{StreamName: aws.String("s"), ShardId: aws.String("shardId-000000000004"), ShardIteratorType: types.ShardIteratorTypeLatest})
	fails[*types.ResourceNotFoundException](t, err, "Shard shardId-000000000004 in stream s under account "+account+" does not exist")

	_, err = k.PutRecord(ctx, &kinesis.PutRecordInput{StreamName: aws.String("s"), PartitionKey: aws.String(""), Data: []byte("x")})
	fails[*types.ValidationException](t, err, "1 validation error detected: Value '' at 'partitionKey' failed to satisfy constraint: Member must have length greater than or equal to 1")
	_, err = k.CreateStream(ctx, &kinesis.CreateStreamInput{StreamName: aws.String("not a name"), ShardCount: aws.Int32(0)})
	fails[*types.ValidationException](t, err, "2 validation errors detected: ")
	_, err = k.CreateStream(ctx, &kinesis.CreateStreamInput{StreamName: aws.String("поток"), ShardCount: aws.Int32(1)})
	fails[*types.ValidationException](t, err, "at 'streamName' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+")
}

// What Leat does not do is refused, never done half: a dry run writes nothing.
func TestGoSDKDryRun(t *testing.T) {
	t.Parallel()
	k := client(t, dev(t))
	create(t, k, "s", 1)
	_, err := k.PutRecord(t.Context(), &kinesis.PutRecordInput{StreamName: aws.String("s"), PartitionKey: aws.String("k"), Data: []byte("dry"), DryRun: aws.Bool(true)})
	fails[*types.InvalidArgumentException](t, err, "dryRun is not supported")
	_, err = k.PutRecords(t.Context(), &kinesis.PutRecordsInput{StreamName: aws.String("s"), DryRun: aws.Bool(true), Records: []types.PutRecordsRequestEntry{{Data: []byte("dry"), PartitionKey: aws.String("k")}}})
	fails[*types.InvalidArgumentException](t, err, "dryRun is not supported")
	_, err = k.PutRecord(t.Context(), &kinesis.PutRecordInput{StreamName: aws.String("s"), PartitionKey: aws.String("k"), Data: []byte("wet"), DryRun: aws.Bool(false)})
	must(t, err)
	if got := read(t, k, iterator(t, k, "s", "shardId-000000000000"), 1); len(got) != 1 || string(got[0].Data) != "wet" {
		t.Errorf("%d records, the first is %q", len(got), got[0].Data)
	}
}

// `leat dev` takes calls with any credentials, and with none.
func TestDevTakesAnyCredentials(t *testing.T) {
	t.Parallel()
	n := dev(t)
	for about, keys := range map[string]aws.CredentialsProvider{
		"none": aws.AnonymousCredentials{},
		"some": credentials.NewStaticCredentialsProvider("AKIA0000000000000000", "secret", "session"),
	} {
		_, err := client(t, n, func(o *kinesis.Options) { o.Credentials = keys }).ListStreams(t.Context(), &kinesis.ListStreamsInput{})
		if err != nil {
			t.Errorf("%s: %v", about, err)
		}
	}
}

// A put that is throttled says so with the type that SDKs repeat, and the SDK's own retries get it through.
func TestGoSDKRetriesThrottles(t *testing.T) {
	t.Parallel()
	n := dev(t, "--shard-limits", "aws")
	k := client(t, n)
	create(t, k, "s", 1)
	in := &kinesis.PutRecordInput{StreamName: aws.String("s"), PartitionKey: aws.String("k"), Data: make([]byte, 1<<20-1)}
	var err error
	rig.Eventually(t, rig.Patience, "a throttle", func() error {
		if _, err = k.PutRecord(t.Context(), in); err == nil {
			return errNotYet
		}
		return nil
	})
	fails[*types.ProvisionedThroughputExceededException](t, err, "Rate exceeded for shard shardId-000000000000 in stream s under account "+account)
	out, err := k.PutRecords(t.Context(), &kinesis.PutRecordsInput{StreamName: aws.String("s"), Records: []types.PutRecordsRequestEntry{{Data: in.Data, PartitionKey: in.PartitionKey}}})
	must(t, err)
	if aws.ToInt32(out.FailedRecordCount) == 1 && aws.ToString(out.Records[0].ErrorCode) != "ProvisionedThroughputExceededException" {
		t.Errorf("a record of a batch fails with %s", aws.ToString(out.Records[0].ErrorCode))
	}
	patient := client(t, n, func(o *kinesis.Options) { o.RetryMaxAttempts = 20 })
	for range 3 {
		_, err := patient.PutRecord(t.Context(), in)
		must(t, err)
	}
}

// A stream shows each of its states to those who poll for it.
func TestGoSDKSeesStates(t *testing.T) {
	t.Parallel()
	k := client(t, dev(t, "--transition-delay", "3s"))
	name := aws.String("s")
	is := func(want types.StreamStatus) {
		t.Helper()
		if got := summary(t, k, *name).StreamStatus; got != want {
			t.Errorf("it is %s, want %s", got, want)
		}
	}
	put := &kinesis.PutRecordInput{StreamName: name, PartitionKey: aws.String("k"), Data: []byte("x")}
	_, err := k.CreateStream(t.Context(), &kinesis.CreateStreamInput{StreamName: name, ShardCount: aws.Int32(2)})
	must(t, err)
	is(types.StreamStatusCreating)
	_, err = k.PutRecord(t.Context(), put)
	fails[*types.ResourceNotFoundException](t, err, "")
	before := active(t, k, *name).Shards

	_, err = k.MergeShards(t.Context(), &kinesis.MergeShardsInput{StreamName: name, ShardToMerge: before[0].ShardId, AdjacentShardToMerge: before[1].ShardId})
	must(t, err)
	is(types.StreamStatusUpdating)
	_, err = k.PutRecord(t.Context(), put) // reads and writes go on
	must(t, err)
	_, err = k.SplitShard(t.Context(), &kinesis.SplitShardInput{StreamName: name, ShardToSplit: before[0].ShardId, NewStartingHashKey: aws.String("17")})
	fails[*types.ResourceInUseException](t, err, "Stream s under account "+account+" not ACTIVE, instead in state UPDATING")
	active(t, k, *name)

	_, err = k.DeleteStream(t.Context(), &kinesis.DeleteStreamInput{StreamName: name})
	must(t, err)
	is(types.StreamStatusDeleting)
	gone(t, k, *name)
}
