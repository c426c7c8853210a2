// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package compat_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

func walkRetention(t *testing.T, k *kinesis.Client) {
	create(t, k, "retained", 1)
	increase := func(hours int32) error {
		_, err := k.IncreaseStreamRetentionPeriod(t.Context(), &kinesis.IncreaseStreamRetentionPeriodInput{StreamName: aws.String("retained"), RetentionPeriodHours: &hours})
		return err
	}
	decrease := func(hours int32) error {
		_, err := k.DecreaseStreamRetentionPeriod(t.Context(), &kinesis.DecreaseStreamRetentionPeriodInput{StreamARN: arnOf("retained"), RetentionPeriodHours: &hours})
		return err
	}
	is := func(hours int32) {
		t.Helper()
		if got := aws.ToInt32(active(t, k, "retained").RetentionPeriodHours); got != hours {
			t.Errorf("retention is %d h, want %d", got, hours)
		}
	}
	must(t, increase(24)) // what it has already: Terraform does so on each create
	is(24)
	must(t, increase(48))
	is(48)
	fails[*types.InvalidArgumentException](t, increase(36), "")
	fails[*types.InvalidArgumentException](t, increase(8761), "")
	fails[*types.InvalidArgumentException](t, decrease(49), "")
	fails[*types.InvalidArgumentException](t, decrease(23), "")
	is(48)
	must(t, decrease(25))
	is(25)
}

func walkStreamTags(t *testing.T, k *kinesis.Client) {
	create(t, k, "tagged", 1)
	name := aws.String("tagged")
	want := map[string]string{}
	for i := range 12 {
		want[fmt.Sprintf("key-%02d", i)] = fmt.Sprint("value ", i)
	}
	add := func(tags map[string]string) error {
		_, err := k.AddTagsToStream(t.Context(), &kinesis.AddTagsToStreamInput{StreamName: name, Tags: tags})
		return err
	}
	for part := range slices.Chunk(slices.Sorted(maps.Keys(want)), 10) { // AWS takes ten in a call
		tags := map[string]string{}
		for _, key := range part {
			tags[key] = want[key]
		}
		must(t, add(tags))
	}
	must(t, add(map[string]string{"key-03": "overwritten"}))
	want["key-03"] = "overwritten"
	_, err := k.RemoveTagsFromStream(t.Context(), &kinesis.RemoveTagsFromStreamInput{StreamName: name, TagKeys: []string{"key-00", "never was"}})
	must(t, err)
	delete(want, "key-00")

	got := map[string]string{}
	in := &kinesis.ListTagsForStreamInput{StreamName: name, Limit: aws.Int32(5)}
	for more := true; more; {
		out, err := k.ListTagsForStream(t.Context(), in)
		must(t, err)
		for _, tag := range out.Tags {
			got[*tag.Key], in.ExclusiveStartTagKey = *tag.Value, tag.Key
		}
		if more = *out.HasMoreTags; more && len(out.Tags) != 5 {
			t.Fatalf("a page of %d tags", len(out.Tags))
		}
	}
	if !maps.Equal(got, want) {
		t.Errorf("tags are %v, want %v", got, want)
	}
	fails[*types.ValidationException](t, add(map[string]string{strings.Repeat("k", 129): "v"}), "Map keys must satisfy constraint")
}

func walkResourceTags(t *testing.T, k *kinesis.Client) {
	create(t, k, "resource", 1)
	consumer := register(t, k, "resource", "c")
	for _, arn := range []*string{arnOf("resource"), consumer.ConsumerARN} {
		_, err := k.TagResource(t.Context(), &kinesis.TagResourceInput{ResourceARN: arn, Tags: map[string]string{"a": "1", "b": ""}})
		must(t, err)
		_, err = k.UntagResource(t.Context(), &kinesis.UntagResourceInput{ResourceARN: arn, TagKeys: []string{"a"}})
		must(t, err)
		out, err := k.ListTagsForResource(t.Context(), &kinesis.ListTagsForResourceInput{ResourceARN: arn})
		must(t, err)
		if len(out.Tags) != 1 || *out.Tags[0].Key != "b" || aws.ToString(out.Tags[0].Value) != "" {
			t.Errorf("tags of %s: %v", *arn, out.Tags)
		}
	}
	_, err := k.TagResource(t.Context(), &kinesis.TagResourceInput{ResourceARN: arnOf("unknown"), Tags: map[string]string{"a": "1"}})
	fails[*types.ResourceNotFoundException](t, err, "unknown")
}

// policy is one that AWS's documentation shows, for another account that reads.
func policy(resource string) string {
	return `{"Version":"2012-10-17","Statement":[{"Sid":"reader","Effect":"Allow","Principal":{"AWS":"111122223333"},` +
		`"Action":["kinesis:DescribeStreamSummary","kinesis:ListShards","kinesis:GetRecords","kinesis:GetShardIterator"],"Resource":"` + resource + `"}]}`
}

func walkResourcePolicy(t *testing.T, k *kinesis.Client) {
	create(t, k, "shared", 1)
	consumer := register(t, k, "shared", "c")
	for _, arn := range []*string{arnOf("shared"), consumer.ConsumerARN} {
		get := func() string {
			t.Helper()
			out, err := k.GetResourcePolicy(t.Context(), &kinesis.GetResourcePolicyInput{ResourceARN: arn})
			must(t, err)
			return aws.ToString(out.Policy)
		}
		remove := func() error {
			_, err := k.DeleteResourcePolicy(t.Context(), &kinesis.DeleteResourcePolicyInput{ResourceARN: arn})
			return err
		}
		if got := get(); got != "" && got != "{}" {
			t.Errorf("the policy of a fresh resource is %q", got)
		}
		want := policy(*arn)
		_, err := k.PutResourcePolicy(t.Context(), &kinesis.PutResourcePolicyInput{ResourceARN: arn, Policy: &want})
		must(t, err)
		if got := get(); got != want {
			t.Errorf("the policy is %s", got)
		}
		_, err = k.PutResourcePolicy(t.Context(), &kinesis.PutResourcePolicyInput{ResourceARN: arn, Policy: aws.String("not a policy")})
		fails[*types.InvalidArgumentException](t, err, "")
		must(t, remove())
		fails[*types.ResourceNotFoundException](t, remove(), "")
	}
}

func walkMonitoring(t *testing.T, k *kinesis.Client) {
	create(t, k, "monitored", 1)
	on, err := k.EnableEnhancedMonitoring(t.Context(), &kinesis.EnableEnhancedMonitoringInput{
		StreamName: aws.String("monitored"), ShardLevelMetrics: []types.MetricsName{types.MetricsNameIncomingBytes, types.MetricsNameOutgoingRecords},
	})
	must(t, err)
	if len(on.CurrentShardLevelMetrics) != 0 || len(on.DesiredShardLevelMetrics) != 2 || *on.StreamARN != *arnOf("monitored") {
		t.Errorf("enabled: %v, then %v of %s", on.CurrentShardLevelMetrics, on.DesiredShardLevelMetrics, *on.StreamARN)
	}
	off, err := k.DisableEnhancedMonitoring(t.Context(), &kinesis.DisableEnhancedMonitoringInput{
		StreamARN: arnOf("monitored"), ShardLevelMetrics: []types.MetricsName{types.MetricsNameIncomingBytes},
	})
	must(t, err)
	if len(off.CurrentShardLevelMetrics) != 2 || len(off.DesiredShardLevelMetrics) != 1 {
		t.Errorf("disabled: %v, then %v", off.CurrentShardLevelMetrics, off.DesiredShardLevelMetrics)
	}
	now := active(t, k, "monitored").EnhancedMonitoring
	if len(now) != 1 || !slices.Equal(now[0].ShardLevelMetrics, []types.MetricsName{types.MetricsNameOutgoingRecords}) {
		t.Errorf("monitoring is %v", now)
	}
	all, err := k.EnableEnhancedMonitoring(t.Context(), &kinesis.EnableEnhancedMonitoringInput{
		StreamName: aws.String("monitored"), ShardLevelMetrics: []types.MetricsName{types.MetricsNameAll},
	})
	must(t, err)
	if n := len(all.DesiredShardLevelMetrics); n != 7 && !slices.Contains(all.DesiredShardLevelMetrics, types.MetricsNameAll) {
		t.Errorf("ALL is %v", all.DesiredShardLevelMetrics)
	}
}

func walkEncryption(t *testing.T, k *kinesis.Client) {
	create(t, k, "encrypted", 1)
	key := aws.String("alias/aws/kinesis")
	start := &kinesis.StartStreamEncryptionInput{StreamName: aws.String("encrypted"), EncryptionType: types.EncryptionTypeKms, KeyId: key}
	_, err := k.StartStreamEncryption(t.Context(), start)
	must(t, err)
	if s := active(t, k, "encrypted"); s.EncryptionType != types.EncryptionTypeKms || aws.ToString(s.KeyId) != *key {
		t.Errorf("encryption is %s with %q", s.EncryptionType, aws.ToString(s.KeyId))
	}
	put, err := k.PutRecord(t.Context(), &kinesis.PutRecordInput{StreamName: aws.String("encrypted"), PartitionKey: aws.String("k"), Data: []byte("secret")})
	must(t, err)
	got := read(t, k, iterator(t, k, "encrypted", *put.ShardId), 1)
	if string(got[0].Data) != "secret" || got[0].EncryptionType != types.EncryptionTypeKms || put.EncryptionType != types.EncryptionTypeKms {
		t.Errorf("%q is %s, and its put said %s", got[0].Data, got[0].EncryptionType, put.EncryptionType)
	}
	stop := &kinesis.StopStreamEncryptionInput{StreamARN: arnOf("encrypted"), EncryptionType: types.EncryptionTypeKms, KeyId: key}
	for range 2 { // the second time nothing is encrypted: tolerated
		_, err = k.StopStreamEncryption(t.Context(), stop)
		must(t, err)
		if s := active(t, k, "encrypted"); s.EncryptionType != types.EncryptionTypeNone {
			t.Errorf("encryption is %s", s.EncryptionType)
		}
	}
	if got := read(t, k, iterator(t, k, "encrypted", *put.ShardId), 1); string(got[0].Data) != "secret" {
		t.Errorf("afterwards the record is %q", got[0].Data)
	}
}

func walkMaxRecordSize(t *testing.T, k *kinesis.Client) {
	create(t, k, "large", 1)
	put := func(size int) error {
		_, err := k.PutRecord(t.Context(), &kinesis.PutRecordInput{StreamName: aws.String("large"), PartitionKey: aws.String("k"), Data: make([]byte, size)})
		return err
	}
	must(t, put(1<<20-1))
	if err := put(1 << 20); err == nil { // the key counts
		t.Error("a stream of 1 MiB took a larger record")
	}
	_, err := k.UpdateMaxRecordSize(t.Context(), &kinesis.UpdateMaxRecordSizeInput{StreamARN: arnOf("large"), MaxRecordSizeInKiB: aws.Int32(3072)})
	must(t, err)
	active(t, k, "large")
	must(t, put(3<<20-1))
	if got := aws.ToInt32(summary(t, k, "large").MaxRecordSizeInKiB); got != 3072 {
		t.Errorf("its largest record is %d KiB", got)
	}
	_, err = k.UpdateMaxRecordSize(t.Context(), &kinesis.UpdateMaxRecordSizeInput{StreamARN: arnOf("large"), MaxRecordSizeInKiB: aws.Int32(10241)})
	fails[error](t, err, "")
}

func walkUpdateStreamMode(t *testing.T, k *kinesis.Client) {
	create(t, k, "moded", 2)
	for _, mode := range []types.StreamMode{types.StreamModeOnDemand, types.StreamModeProvisioned} {
		_, err := k.UpdateStreamMode(t.Context(), &kinesis.UpdateStreamModeInput{StreamARN: arnOf("moded"), StreamModeDetails: &types.StreamModeDetails{StreamMode: mode}})
		must(t, err)
		if s := active(t, k, "moded"); s.StreamModeDetails.StreamMode != mode {
			t.Errorf("the mode is %s, want %s", s.StreamModeDetails.StreamMode, mode)
		}
	}
}

func walkWarmThroughput(t *testing.T, k *kinesis.Client) {
	_, err := k.CreateStream(t.Context(), &kinesis.CreateStreamInput{
		StreamName: aws.String("warm"), StreamModeDetails: &types.StreamModeDetails{StreamMode: types.StreamModeOnDemand},
	})
	must(t, err)
	active(t, k, "warm")
	out, err := k.UpdateStreamWarmThroughput(t.Context(), &kinesis.UpdateStreamWarmThroughputInput{StreamName: aws.String("warm"), WarmThroughputMiBps: aws.Int32(6)})
	must(t, err)
	if aws.ToInt32(out.WarmThroughput.TargetMiBps) != 6 || aws.ToString(out.StreamName) != "warm" || aws.ToString(out.StreamARN) != *arnOf("warm") {
		t.Errorf("warm throughput of %s: target %d", aws.ToString(out.StreamName), aws.ToInt32(out.WarmThroughput.TargetMiBps))
	}
	active(t, k, "warm")
	if w := summary(t, k, "warm").WarmThroughput; w == nil || aws.ToInt32(w.TargetMiBps) != 6 {
		t.Errorf("the summary says %+v", w)
	}
}

func walkDescribeLimits(t *testing.T, k *kinesis.Client) {
	create(t, k, "limited", 3)
	out, err := k.DescribeLimits(t.Context(), &kinesis.DescribeLimitsInput{})
	must(t, err)
	if n, limit := aws.ToInt32(out.OpenShardCount), aws.ToInt32(out.ShardLimit); n < 3 || limit < n {
		t.Errorf("%d shards of %d", n, limit)
	}
	if n, limit := aws.ToInt32(out.OnDemandStreamCount), aws.ToInt32(out.OnDemandStreamCountLimit); limit < max(n, 1) || out.OnDemandStreamCount == nil {
		t.Errorf("%d on-demand streams of %d", n, limit)
	}
}

func walkAccountSettings(t *testing.T, k *kinesis.Client) {
	status := func() types.MinimumThroughputBillingCommitmentOutputStatus {
		t.Helper()
		out, err := k.DescribeAccountSettings(t.Context(), &kinesis.DescribeAccountSettingsInput{})
		must(t, err)
		if out.MinimumThroughputBillingCommitment == nil {
			t.Fatal("there is no commitment, not even DISABLED")
		}
		return out.MinimumThroughputBillingCommitment.Status
	}
	set := func(s types.MinimumThroughputBillingCommitmentInputStatus) {
		t.Helper()
		_, err := k.UpdateAccountSettings(t.Context(), &kinesis.UpdateAccountSettingsInput{
			MinimumThroughputBillingCommitment: &types.MinimumThroughputBillingCommitmentInput{Status: s},
		})
		must(t, err)
	}
	set(types.MinimumThroughputBillingCommitmentInputStatusEnabled)
	if s := status(); s != types.MinimumThroughputBillingCommitmentOutputStatusEnabled {
		t.Errorf("enabled, it is %s", s)
	}
	set(types.MinimumThroughputBillingCommitmentInputStatusDisabled)
	if s := status(); s == types.MinimumThroughputBillingCommitmentOutputStatusEnabled {
		t.Errorf("disabled, it is %s", s)
	}
}
