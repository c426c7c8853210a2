// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package compat_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/leatstream/leat/test/e2e/rig"
)

// terraform makes the calls of the AWS provider for its resources aws_kinesis_stream and aws_kinesis_stream_consumer,
// in its order and with its waits. The provider is built on the Go SDK too, and repeats what may be repeated.
type terraform struct {
	*testing.T
	k *kinesis.Client
}

func newTerraform(t *testing.T) *terraform {
	return &terraform{t, client(t, dev(t), func(o *kinesis.Options) { o.RetryMaxAttempts = 5 })}
}

// waitStream polls the summary until the stream is ACTIVE; the provider waits so after each change.
func (f *terraform) waitStream(name string) (s *types.StreamDescriptionSummary) {
	f.Helper()
	rig.Eventually(f, rig.Patience, "an active stream", func() error {
		out, err := f.k.DescribeStreamSummary(f.Context(), &kinesis.DescribeStreamSummaryInput{StreamName: &name})
		must(f, err)
		s = out.StreamDescriptionSummary
		switch s.StreamStatus {
		case types.StreamStatusActive:
			return nil
		case types.StreamStatusCreating, types.StreamStatusUpdating:
			return fmt.Errorf("it is %s", s.StreamStatus)
		}
		f.Fatalf("the provider would fail: the stream is %s", s.StreamStatus)
		return nil
	})
	return s
}

// changed checks a call that changes the stream, and waits.
func (f *terraform) changed(name string, err error) {
	f.Helper()
	must(f, err)
	f.waitStream(name)
}

// stream is the configuration of an aws_kinesis_stream.
type stream struct {
	name      string
	mode      types.StreamMode
	shards    int32
	retention int32
	size      int32 // max_record_size_in_kib
	metrics   []types.MetricsName
	key       string // kms_key_id; empty: encryption_type is NONE
	tags      map[string]string
}

// create is the provider's create.
func (f *terraform) create(s stream) {
	f.Helper()
	name := &s.name
	f.limits(s)
	in := &kinesis.CreateStreamInput{StreamName: name, StreamModeDetails: &types.StreamModeDetails{StreamMode: s.mode}, MaxRecordSizeInKiB: &s.size, Tags: s.tags}
	if s.mode == types.StreamModeProvisioned {
		in.ShardCount = &s.shards
	}
	_, err := f.k.CreateStream(f.Context(), in)
	f.changed(s.name, err)
	// Whatever the retention: also when it is what a fresh stream has.
	_, err = f.k.IncreaseStreamRetentionPeriod(f.Context(), &kinesis.IncreaseStreamRetentionPeriodInput{StreamName: name, RetentionPeriodHours: &s.retention})
	f.changed(s.name, err)
	if len(s.metrics) > 0 {
		_, err = f.k.EnableEnhancedMonitoring(f.Context(), &kinesis.EnableEnhancedMonitoringInput{StreamName: name, ShardLevelMetrics: s.metrics})
		f.changed(s.name, err)
	}
	if s.key != "" {
		_, err = f.k.StartStreamEncryption(f.Context(), &kinesis.StartStreamEncryptionInput{StreamName: name, EncryptionType: types.EncryptionTypeKms, KeyId: &s.key})
		f.changed(s.name, err)
	}
}

// limits is what the provider asks before it plans a stream: whether the account has room for it.
func (f *terraform) limits(s stream) {
	f.Helper()
	out, err := f.k.DescribeLimits(f.Context(), &kinesis.DescribeLimitsInput{})
	must(f, err)
	if *out.OpenShardCount+s.shards > *out.ShardLimit || *out.OnDemandStreamCount+1 > *out.OnDemandStreamCountLimit {
		f.Fatalf("the provider would refuse: %d shards of %d, %d on-demand streams of %d", *out.OpenShardCount, *out.ShardLimit, *out.OnDemandStreamCount, *out.OnDemandStreamCountLimit)
	}
}

// plan reads the stream as `terraform plan` does, and fails the test unless nothing is to be changed.
func (f *terraform) plan(want stream) {
	f.Helper()
	s := f.waitStream(want.name)
	got := stream{
		name: aws.ToString(s.StreamName), mode: s.StreamModeDetails.StreamMode, shards: aws.ToInt32(s.OpenShardCount),
		retention: aws.ToInt32(s.RetentionPeriodHours), size: aws.ToInt32(s.MaxRecordSizeInKiB), key: aws.ToString(s.KeyId), tags: map[string]string{},
	}
	for _, m := range s.EnhancedMonitoring {
		got.metrics = append(got.metrics, m.ShardLevelMetrics...)
	}
	if aws.ToString(s.StreamARN) != *arnOf(want.name) || (got.key == "") != (s.EncryptionType == types.EncryptionTypeNone) {
		f.Errorf("%s is encrypted by %s with %q", aws.ToString(s.StreamARN), s.EncryptionType, got.key)
	}
	byName, err := f.k.ListTagsForStream(f.Context(), &kinesis.ListTagsForStreamInput{StreamName: &want.name})
	must(f, err)
	byARN, err := f.k.ListTagsForResource(f.Context(), &kinesis.ListTagsForResourceInput{ResourceARN: s.StreamARN})
	must(f, err)
	if len(byName.Tags) != len(byARN.Tags) {
		f.Errorf("by name the tags are %v, by ARN %v", byName.Tags, byARN.Tags)
	}
	for _, tag := range byARN.Tags {
		got.tags[*tag.Key] = *tag.Value
	}
	slices.Sort(got.metrics)
	slices.Sort(want.metrics)
	if want.mode == types.StreamModeOnDemand {
		got.shards = want.shards // the provider does not look at it
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		f.Errorf("terraform plan would change\n%+v to\n%+v", got, want)
	}
}

// update is the provider's update.
func (f *terraform) update(was, s stream) {
	f.Helper()
	name, ctx := &s.name, f.Context()
	if was.mode != s.mode {
		_, err := f.k.UpdateStreamMode(ctx, &kinesis.UpdateStreamModeInput{StreamARN: arnOf(s.name), StreamModeDetails: &types.StreamModeDetails{StreamMode: s.mode}})
		f.changed(s.name, err)
	}
	if s.mode == types.StreamModeProvisioned && was.shards != s.shards {
		_, err := f.k.UpdateShardCount(ctx, &kinesis.UpdateShardCountInput{StreamName: name, TargetShardCount: &s.shards, ScalingType: types.ScalingTypeUniformScaling})
		f.changed(s.name, err)
	}
	switch {
	case s.retention > was.retention:
		_, err := f.k.IncreaseStreamRetentionPeriod(ctx, &kinesis.IncreaseStreamRetentionPeriodInput{StreamName: name, RetentionPeriodHours: &s.retention})
		f.changed(s.name, err)
	case s.retention < was.retention:
		_, err := f.k.DecreaseStreamRetentionPeriod(ctx, &kinesis.DecreaseStreamRetentionPeriodInput{StreamName: name, RetentionPeriodHours: &s.retention})
		f.changed(s.name, err)
	}
	if gone := without(was.metrics, s.metrics); len(gone) > 0 {
		_, err := f.k.DisableEnhancedMonitoring(ctx, &kinesis.DisableEnhancedMonitoringInput{StreamName: name, ShardLevelMetrics: gone})
		f.changed(s.name, err)
	}
	if added := without(s.metrics, was.metrics); len(added) > 0 {
		_, err := f.k.EnableEnhancedMonitoring(ctx, &kinesis.EnableEnhancedMonitoringInput{StreamName: name, ShardLevelMetrics: added})
		f.changed(s.name, err)
	}
	switch {
	case s.key != "" && s.key != was.key:
		_, err := f.k.StartStreamEncryption(ctx, &kinesis.StartStreamEncryptionInput{StreamName: name, EncryptionType: types.EncryptionTypeKms, KeyId: &s.key})
		f.changed(s.name, err)
	case s.key == "" && was.key != "":
		_, err := f.k.StopStreamEncryption(ctx, &kinesis.StopStreamEncryptionInput{StreamName: name, EncryptionType: types.EncryptionTypeKms, KeyId: &was.key})
		f.changed(s.name, err)
	}
	if s.size != was.size {
		_, err := f.k.UpdateMaxRecordSize(ctx, &kinesis.UpdateMaxRecordSizeInput{StreamARN: arnOf(s.name), MaxRecordSizeInKiB: &s.size})
		f.changed(s.name, err)
	}
	var untag []string
	for key := range was.tags {
		if _, kept := s.tags[key]; !kept {
			untag = append(untag, key)
		}
	}
	if len(untag) > 0 {
		_, err := f.k.RemoveTagsFromStream(ctx, &kinesis.RemoveTagsFromStreamInput{StreamName: name, TagKeys: untag})
		must(f, err)
	}
	_, err := f.k.AddTagsToStream(ctx, &kinesis.AddTagsToStreamInput{StreamName: name, Tags: s.tags})
	must(f, err)
}

// without returns what of a is not in b.
func without(a, b []types.MetricsName) (rest []types.MetricsName) {
	for _, m := range a {
		if !slices.Contains(b, m) {
			rest = append(rest, m)
		}
	}
	return rest
}

// destroy is the provider's delete, with enforce_consumer_deletion as given.
func (f *terraform) destroy(name string, enforce bool) {
	f.Helper()
	_, err := f.k.DeleteStream(f.Context(), &kinesis.DeleteStreamInput{StreamName: &name, EnforceConsumerDeletion: &enforce})
	must(f, err)
	f.untilGone("the stream", func(ctx context.Context) error {
		_, err := f.k.DescribeStreamSummary(ctx, &kinesis.DescribeStreamSummaryInput{StreamName: &name})
		return err
	})
}

// untilGone polls until what is described does not exist. Another error would fail the provider.
func (f *terraform) untilGone(what string, describe func(context.Context) error) {
	f.Helper()
	rig.Eventually(f, rig.Patience, what+" is gone", func() error {
		err := describe(f.Context())
		if _, gone := errors.AsType[*types.ResourceNotFoundException](err); gone {
			return nil
		}
		must(f, err)
		return errNotYet
	})
}

// aws_kinesis_stream is created, read, changed in every member that can be changed in place, read after each change
// with nothing left to do, and destroyed.
func TestTerraformStream(t *testing.T) {
	t.Parallel()
	f := newTerraform(t)
	now := stream{
		name: "terraform", mode: types.StreamModeProvisioned, shards: 2, retention: 24, size: 2048,
		metrics: []types.MetricsName{types.MetricsNameIncomingBytes, types.MetricsNameOutgoingBytes},
		key:     "alias/aws/kinesis", tags: map[string]string{"Environment": "test", "Owner": "one"},
	}
	f.create(now)
	f.plan(now)
	for _, change := range []struct {
		about string
		make  func(*stream)
	}{
		{"shard_count", func(s *stream) { s.shards = 3 }},
		{"retention up", func(s *stream) { s.retention = 48 }},
		{"retention down", func(s *stream) { s.retention = 24 }},
		{"max_record_size_in_kib", func(s *stream) { s.size = 10240 }},
		{"metrics", func(s *stream) {
			s.metrics = []types.MetricsName{types.MetricsNameOutgoingBytes, types.MetricsNameIteratorAgeMilliseconds}
		}},
		{"encryption off", func(s *stream) { s.key = "" }},
		{"encryption on", func(s *stream) { s.key = "alias/another" }},
		{"tags", func(s *stream) { s.tags = map[string]string{"Owner": "two", "Cost": "42"} }},
		{"on demand", func(s *stream) { s.mode = types.StreamModeOnDemand }},
		{"provisioned again", func(s *stream) { s.mode = types.StreamModeProvisioned }},
	} {
		next := now
		change.make(&next)
		f.Logf("change %s", change.about)
		f.update(now, next)
		f.plan(next)
		now = next
	}
	f.destroy(now.name, false)
}

// aws_kinesis_stream_consumer is created, read by its ARN, and destroyed; a stream with a consumer left goes when
// enforce_consumer_deletion is set.
func TestTerraformStreamConsumer(t *testing.T) {
	t.Parallel()
	f := newTerraform(t)
	f.create(stream{name: "terraform", mode: types.StreamModeOnDemand, retention: 24, size: 1024})
	ctx := f.Context()
	made, err := f.k.RegisterStreamConsumer(ctx, &kinesis.RegisterStreamConsumerInput{StreamARN: arnOf("terraform"), ConsumerName: aws.String("c")})
	must(f, err)
	arn := made.Consumer.ConsumerARN
	got := consumer(t, f.k, *arn)
	if *got.ConsumerName != "c" || *got.StreamARN != *arnOf("terraform") || time.Since(*got.ConsumerCreationTimestamp) > time.Hour {
		f.Errorf("read %s of %s", *got.ConsumerName, *got.StreamARN)
	}
	_, err = f.k.ListTagsForResource(ctx, &kinesis.ListTagsForResourceInput{ResourceARN: arn})
	must(f, err)
	_, err = f.k.DeregisterStreamConsumer(ctx, &kinesis.DeregisterStreamConsumerInput{ConsumerARN: arn})
	must(f, err)
	f.untilGone("the consumer", func(ctx context.Context) error {
		_, err := f.k.DescribeStreamConsumer(ctx, &kinesis.DescribeStreamConsumerInput{ConsumerARN: arn})
		return err
	})
	_, err = f.k.RegisterStreamConsumer(ctx, &kinesis.RegisterStreamConsumerInput{StreamARN: arnOf("terraform"), ConsumerName: aws.String("left")})
	must(f, err)
	f.destroy("terraform", true)
}
