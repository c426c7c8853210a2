// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package compat_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/leatstream/leat/test/e2e/rig"
)

func walkCreateStream(t *testing.T, k *kinesis.Client) {
	_, err := k.CreateStream(t.Context(), &kinesis.CreateStreamInput{
		StreamName: aws.String("created"), ShardCount: aws.Int32(3), MaxRecordSizeInKiB: aws.Int32(2048),
		StreamModeDetails: &types.StreamModeDetails{StreamMode: types.StreamModeProvisioned},
		Tags:              map[string]string{"team": "one"},
	})
	must(t, err)
	s := active(t, k, "created")
	if len(s.Shards) != 3 || s.StreamModeDetails.StreamMode != types.StreamModeProvisioned || aws.ToString(s.StreamARN) != *arnOf("created") {
		t.Errorf("it is %d shards in mode %s, %s", len(s.Shards), s.StreamModeDetails.StreamMode, aws.ToString(s.StreamARN))
	}
	tags, err := k.ListTagsForStream(t.Context(), &kinesis.ListTagsForStreamInput{StreamName: aws.String("created")})
	must(t, err)
	if len(tags.Tags) != 1 || *tags.Tags[0].Key != "team" || *tags.Tags[0].Value != "one" {
		t.Errorf("its tags are %v", tags.Tags)
	}
	if size := summary(t, k, "created").MaxRecordSizeInKiB; aws.ToInt32(size) != 2048 {
		t.Errorf("its largest record is %d KiB", aws.ToInt32(size))
	}
	_, err = k.CreateStream(t.Context(), &kinesis.CreateStreamInput{StreamName: aws.String("created"), ShardCount: aws.Int32(1)})
	fails[*types.ResourceInUseException](t, err, "created")

	// Without a count and a mode it is what AWS documents: on demand, with four shards.
	_, err = k.CreateStream(t.Context(), &kinesis.CreateStreamInput{
		StreamName: aws.String("created-on-demand"), StreamModeDetails: &types.StreamModeDetails{StreamMode: types.StreamModeOnDemand},
	})
	must(t, err)
	s = active(t, k, "created-on-demand")
	if len(s.Shards) != 4 || s.StreamModeDetails.StreamMode != types.StreamModeOnDemand {
		t.Errorf("it is %d shards in mode %s", len(s.Shards), s.StreamModeDetails.StreamMode)
	}
}

func walkDeleteStream(t *testing.T, k *kinesis.Client) {
	create(t, k, "deleted", 1)
	register(t, k, "deleted", "keeps-it")
	_, err := k.DeleteStream(t.Context(), &kinesis.DeleteStreamInput{StreamName: aws.String("deleted")})
	fails[*types.ResourceInUseException](t, err, "deleted")
	_, err = k.DeleteStream(t.Context(), &kinesis.DeleteStreamInput{StreamARN: arnOf("deleted"), EnforceConsumerDeletion: aws.Bool(true)})
	must(t, err)
	gone(t, k, "deleted")
	create(t, k, "deleted", 2) // the name is free, and nothing of the old stream is left
	if n := aws.ToInt32(summary(t, k, "deleted").ConsumerCount); n != 0 {
		t.Errorf("it has %d consumers of the deleted stream", n)
	}
}

// gone waits until a stream does not exist, as the SDK's own waiter sees it.
func gone(tb testing.TB, k *kinesis.Client, name string) {
	tb.Helper()
	must(tb, kinesis.NewStreamNotExistsWaiter(k, func(o *kinesis.StreamNotExistsWaiterOptions) {
		o.MinDelay, o.MaxDelay = 20*time.Millisecond, 200*time.Millisecond
	}).Wait(tb.Context(), &kinesis.DescribeStreamInput{StreamName: &name}, rig.Patience))
}

func walkDescribeStream(t *testing.T, k *kinesis.Client) {
	create(t, k, "described", 5)
	in := &kinesis.DescribeStreamInput{StreamARN: arnOf("described"), Limit: aws.Int32(2)}
	var ids []string
	for {
		out, err := k.DescribeStream(t.Context(), in)
		must(t, err)
		s := out.StreamDescription
		if age := time.Since(aws.ToTime(s.StreamCreationTimestamp)); age < -time.Second || age > time.Hour {
			t.Errorf("it was created %v ago", age)
		}
		if aws.ToInt32(s.RetentionPeriodHours) != 24 || s.EncryptionType != types.EncryptionTypeNone || s.StreamStatus != types.StreamStatusActive {
			t.Errorf("retention %d h, encryption %q, status %s", aws.ToInt32(s.RetentionPeriodHours), s.EncryptionType, s.StreamStatus)
		}
		if len(s.EnhancedMonitoring) != 1 || len(s.EnhancedMonitoring[0].ShardLevelMetrics) != 0 {
			t.Errorf("monitoring of a fresh stream is %v, AWS answers one empty set", s.EnhancedMonitoring)
		}
		for _, shard := range s.Shards {
			ids = append(ids, *shard.ShardId)
		}
		if !*s.HasMoreShards {
			break
		}
		if len(s.Shards) != 2 {
			t.Fatalf("a page of %d shards", len(s.Shards))
		}
		in.ExclusiveStartShardId = aws.String(ids[len(ids)-1])
	}
	if len(ids) != 5 || ids[0] != "shardId-000000000000" || ids[4] != "shardId-000000000004" {
		t.Errorf("the pages hold %v", ids)
	}
}

func walkDescribeStreamSummary(t *testing.T, k *kinesis.Client) {
	create(t, k, "summed", 2)
	register(t, k, "summed", "one")
	s := summary(t, k, "summed")
	if aws.ToInt32(s.OpenShardCount) != 2 || aws.ToInt32(s.ConsumerCount) != 1 || aws.ToInt32(s.MaxRecordSizeInKiB) != 1024 {
		t.Errorf("%d shards, %d consumers, records to %d KiB", aws.ToInt32(s.OpenShardCount), aws.ToInt32(s.ConsumerCount), aws.ToInt32(s.MaxRecordSizeInKiB))
	}
	if aws.ToString(s.StreamARN) != *arnOf("summed") || aws.ToString(s.StreamName) != "summed" || s.StreamModeDetails.StreamMode != types.StreamModeProvisioned {
		t.Errorf("%s %s %v", aws.ToString(s.StreamARN), aws.ToString(s.StreamName), s.StreamModeDetails)
	}
	_, err := k.DescribeStreamSummary(t.Context(), &kinesis.DescribeStreamSummaryInput{StreamName: aws.String("summed"), StreamARN: arnOf("summed")})
	must(t, err)
}

// summary is what DescribeStreamSummary says.
func summary(tb testing.TB, k *kinesis.Client, name string) *types.StreamDescriptionSummary {
	tb.Helper()
	out, err := k.DescribeStreamSummary(tb.Context(), &kinesis.DescribeStreamSummaryInput{StreamName: &name})
	must(tb, err)
	return out.StreamDescriptionSummary
}

// Other walks make streams meanwhile: only this one's are looked at.
func walkListStreams(t *testing.T, k *kinesis.Client) {
	const n = 7
	for i := range n {
		create(t, k, fmt.Sprintf("listed-%d", i), 1)
	}
	seen := map[string]int{}
	pages := kinesis.NewListStreamsPaginator(k, &kinesis.ListStreamsInput{Limit: aws.Int32(3)})
	for pages.HasMorePages() {
		out, err := pages.NextPage(t.Context())
		must(t, err)
		if len(out.StreamNames) > 3 || len(out.StreamNames) != len(out.StreamSummaries) {
			t.Errorf("a page has %d names and %d summaries", len(out.StreamNames), len(out.StreamSummaries))
		}
		for i, s := range out.StreamSummaries {
			if *s.StreamName != out.StreamNames[i] || *s.StreamARN != *arnOf(*s.StreamName) || s.StreamStatus == "" {
				t.Errorf("%s %s is %s", *s.StreamName, *s.StreamARN, s.StreamStatus)
			}
			seen[*s.StreamName]++
		}
	}
	for i := range n {
		if name := fmt.Sprintf("listed-%d", i); seen[name] != 1 {
			t.Errorf("%s was listed %d times", name, seen[name])
		}
	}
	// The old way to page: by the last name, as long as there are more.
	out, err := k.ListStreams(t.Context(), &kinesis.ListStreamsInput{ExclusiveStartStreamName: aws.String("listed-4"), Limit: aws.Int32(1)})
	must(t, err)
	if len(out.StreamNames) != 1 || out.StreamNames[0] != "listed-5" || !aws.ToBool(out.HasMoreStreams) {
		t.Errorf("after listed-4: %v, more: %v", out.StreamNames, aws.ToBool(out.HasMoreStreams))
	}
}
