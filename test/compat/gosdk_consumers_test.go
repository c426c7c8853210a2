// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package compat_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/leatstream/leat/test/e2e/rig"
)

// register registers a consumer and waits until it is ACTIVE.
func register(tb testing.TB, k *kinesis.Client, stream, name string) *types.ConsumerDescription {
	tb.Helper()
	out, err := k.RegisterStreamConsumer(tb.Context(), &kinesis.RegisterStreamConsumerInput{StreamARN: arnOf(stream), ConsumerName: &name})
	must(tb, err)
	return consumer(tb, k, *out.Consumer.ConsumerARN)
}

// consumer waits until a consumer is ACTIVE.
func consumer(tb testing.TB, k *kinesis.Client, arn string) (c *types.ConsumerDescription) {
	tb.Helper()
	rig.Eventually(tb, rig.Patience, "an active consumer", func() error {
		out, err := k.DescribeStreamConsumer(tb.Context(), &kinesis.DescribeStreamConsumerInput{ConsumerARN: &arn})
		if err != nil {
			return err
		}
		if c = out.ConsumerDescription; c.ConsumerStatus != types.ConsumerStatusActive {
			return fmt.Errorf("it is %s", c.ConsumerStatus)
		}
		return nil
	})
	return c
}

func walkConsumers(t *testing.T, k *kinesis.Client) {
	const stream = "consumed"
	create(t, k, stream, 1)
	out, err := k.RegisterStreamConsumer(t.Context(), &kinesis.RegisterStreamConsumerInput{StreamARN: arnOf(stream), ConsumerName: aws.String("c"), Tags: map[string]string{"a": "1"}})
	must(t, err)
	made := out.Consumer
	want := fmt.Sprintf("%s/consumer/c:%d", *arnOf(stream), made.ConsumerCreationTimestamp.Unix())
	if *made.ConsumerARN != want || *made.ConsumerName != "c" || made.ConsumerStatus != types.ConsumerStatusCreating {
		t.Errorf("registered %s (%s), want %s", *made.ConsumerARN, made.ConsumerStatus, want)
	}
	tags, err := k.ListTagsForResource(t.Context(), &kinesis.ListTagsForResourceInput{ResourceARN: made.ConsumerARN})
	must(t, err)
	if len(tags.Tags) != 1 || *tags.Tags[0].Key != "a" {
		t.Errorf("its tags are %v", tags.Tags)
	}
	_, err = k.RegisterStreamConsumer(t.Context(), &kinesis.RegisterStreamConsumerInput{StreamARN: arnOf(stream), ConsumerName: aws.String("c")})
	fails[*types.ResourceInUseException](t, err, "c")
	byARN := consumer(t, k, want)
	byName, err := k.DescribeStreamConsumer(t.Context(), &kinesis.DescribeStreamConsumerInput{StreamARN: arnOf(stream), ConsumerName: aws.String("c")})
	must(t, err)
	if d := byName.ConsumerDescription; *d.ConsumerARN != *byARN.ConsumerARN || *d.StreamARN != *arnOf(stream) || !d.ConsumerCreationTimestamp.Equal(*byARN.ConsumerCreationTimestamp) {
		t.Errorf("by name it is %s of %s", *d.ConsumerARN, *d.StreamARN)
	}
	_, err = k.DescribeStreamConsumer(t.Context(), &kinesis.DescribeStreamConsumerInput{ConsumerARN: aws.String(want + "0")})
	fails[*types.ResourceNotFoundException](t, err, "")

	_, err = k.DeregisterStreamConsumer(t.Context(), &kinesis.DeregisterStreamConsumerInput{ConsumerARN: &want})
	must(t, err)
	rig.Eventually(t, rig.Patience, "no consumer", func() error {
		out, err := k.DescribeStreamConsumer(t.Context(), &kinesis.DescribeStreamConsumerInput{ConsumerARN: &want})
		if _, gone := errors.AsType[*types.ResourceNotFoundException](err); gone {
			return nil
		}
		must(t, err)
		return fmt.Errorf("it is %s", out.ConsumerDescription.ConsumerStatus)
	})
	register(t, k, stream, "c") // the name is free
	_, err = k.DeregisterStreamConsumer(t.Context(), &kinesis.DeregisterStreamConsumerInput{StreamARN: arnOf(stream), ConsumerName: aws.String("c")})
	must(t, err)
}

func walkListStreamConsumers(t *testing.T, k *kinesis.Client) {
	create(t, k, "many-consumers", 1)
	want := map[string]bool{}
	for i := range 5 {
		want[*register(t, k, "many-consumers", fmt.Sprint("c-", i)).ConsumerARN] = true
	}
	pages := kinesis.NewListStreamConsumersPaginator(k, &kinesis.ListStreamConsumersInput{StreamARN: arnOf("many-consumers"), MaxResults: aws.Int32(2)})
	for pages.HasMorePages() {
		out, err := pages.NextPage(t.Context())
		must(t, err)
		if len(out.Consumers) > 2 {
			t.Errorf("a page of %d", len(out.Consumers))
		}
		for _, c := range out.Consumers {
			if !want[*c.ConsumerARN] {
				t.Errorf("%s is not registered, or came twice", *c.ConsumerARN)
			}
			delete(want, *c.ConsumerARN)
		}
	}
	if len(want) > 0 {
		t.Errorf("%d consumers were not listed", len(want))
	}
}

func walkSubscribeToShard(t *testing.T, k *kinesis.Client) {
	create(t, k, "subscribed", 1)
	c := register(t, k, "subscribed", "c")
	follow(t, k, "subscribed", *c.ConsumerARN)
}

// Over HTTP/2 without TLS the same calls give the same answers.
func TestGoSDKOverH2C(t *testing.T) {
	t.Parallel()
	n := dev(t)
	k := clientH2C(t, n)
	create(t, k, "h2c", 1)
	c := register(t, k, "h2c", "c")
	follow(t, k, "h2c", *c.ConsumerARN)
}

// On an idle shard an event comes every 5 seconds, with a number to go on from: one that hangs up and comes back with it
// misses nothing.
func TestGoSDKHeartbeat(t *testing.T) {
	t.Parallel()
	k := client(t, dev(t))
	create(t, k, "idle", 1)
	arn := *register(t, k, "idle", "c").ConsumerARN
	s := subscribe(t, k, arn, types.StartingPosition{Type: types.ShardIteratorTypeLatest})
	for range 2 {
		began := time.Now()
		if e := s.event(t); len(e.Records) > 0 || aws.ToString(e.ContinuationSequenceNumber) == "" || e.MillisBehindLatest == nil {
			t.Errorf("the event of an idle shard is %+v", e)
		}
		if gap := time.Since(began); gap > 10*time.Second {
			t.Errorf("no event for %v", gap)
		}
	}
	s.close(t)
	_, err := k.PutRecord(t.Context(), &kinesis.PutRecordInput{StreamName: aws.String("idle"), PartitionKey: aws.String("k"), Data: []byte("at last")})
	must(t, err)
	s = subscribe(t, k, arn, types.StartingPosition{Type: types.ShardIteratorTypeAfterSequenceNumber, SequenceNumber: &s.next})
	s.expect(t, "at last")
	s.close(t)
}

// follow subscribes to a fresh shard, and expects what is put before and after; that a second subscriber is refused;
// and that one that comes back goes on where it was.
func follow(tb testing.TB, k *kinesis.Client, stream, arn string) {
	tb.Helper()
	put := func(data string) string {
		tb.Helper()
		out, err := k.PutRecord(tb.Context(), &kinesis.PutRecordInput{StreamName: &stream, PartitionKey: aws.String("k"), Data: []byte(data)})
		must(tb, err)
		return *out.SequenceNumber
	}
	put("before")
	s := subscribe(tb, k, arn, types.StartingPosition{Type: types.ShardIteratorTypeTrimHorizon})
	s.expect(tb, "before")
	put("after")
	s.expect(tb, "after")
	_, err := k.SubscribeToShard(tb.Context(), &kinesis.SubscribeToShardInput{
		ConsumerARN: &arn, ShardId: aws.String("shardId-000000000000"), StartingPosition: &types.StartingPosition{Type: types.ShardIteratorTypeLatest},
	})
	fails[*types.ResourceInUseException](tb, err, "subscription")
	s.close(tb)
	put("meanwhile")
	s = subscribe(tb, k, arn, types.StartingPosition{Type: types.ShardIteratorTypeAfterSequenceNumber, SequenceNumber: &s.next})
	s.expect(tb, "meanwhile")
	s.close(tb)
}

// subscription reads the first shard of a stream by push.
type subscription struct {
	stream *kinesis.SubscribeToShardEventStream
	next   string // ContinuationSequenceNumber
}

// subscribe subscribes, and asks again as long as the subscription before is in the way.
func subscribe(tb testing.TB, k *kinesis.Client, arn string, from types.StartingPosition) *subscription {
	tb.Helper()
	s := &subscription{}
	rig.Eventually(tb, rig.Patience, "a subscription", func() error {
		out, err := k.SubscribeToShard(tb.Context(), &kinesis.SubscribeToShardInput{ConsumerARN: &arn, ShardId: aws.String("shardId-000000000000"), StartingPosition: &from})
		if _, busy := errors.AsType[*types.ResourceInUseException](err); busy {
			return err
		}
		must(tb, err)
		s.stream = out.GetStream()
		return nil
	})
	tb.Cleanup(func() { s.stream.Close() })
	return s
}

// event waits for one event.
func (s *subscription) event(tb testing.TB) types.SubscribeToShardEvent {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), rig.Patience)
	defer cancel()
	select {
	case e, ok := <-s.stream.Events():
		if !ok {
			tb.Fatalf("the stream of events ended: %v", s.stream.Err())
		}
		event := e.(*types.SubscribeToShardEventStreamMemberSubscribeToShardEvent).Value
		s.next = aws.ToString(event.ContinuationSequenceNumber)
		return event
	case <-ctx.Done():
		tb.Fatal("no event came")
		return types.SubscribeToShardEvent{}
	}
}

// expect waits for one record, which must be the next.
func (s *subscription) expect(tb testing.TB, data string) {
	tb.Helper()
	for {
		e := s.event(tb)
		if s.next == "" || len(e.ChildShards) > 0 {
			tb.Fatalf("an open shard goes on at %q and has children %v", s.next, e.ChildShards)
		}
		if len(e.Records) > 0 {
			if len(e.Records) != 1 || string(e.Records[0].Data) != data {
				tb.Fatalf("%d records, the first is %q, want %q", len(e.Records), e.Records[0].Data, data)
			}
			return
		}
	}
}

func (s *subscription) close(tb testing.TB) {
	tb.Helper()
	must(tb, s.stream.Close())
}
