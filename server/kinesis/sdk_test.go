// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package kinesis_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/broker"
)

// client is the AWS SDK against this server, over HTTP/1.1 or with prior knowledge of HTTP/2.
func (r *rig) client(h2 bool) *sdk.Client {
	p := new(http.Protocols)
	p.SetHTTP1(!h2)
	p.SetUnencryptedHTTP2(h2)
	transport := &http.Transport{Protocols: p}
	r.t.Cleanup(transport.CloseIdleConnections)
	return sdk.New(sdk.Options{
		Region: "eu-west-1", BaseEndpoint: aws.String(r.web.URL), HTTPClient: &http.Client{Transport: transport},
		Credentials: credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "secret", ""), RetryMaxAttempts: 1,
	})
}

// put writes one record for each text, in order.
func (r *rig) put(stream string, texts ...string) {
	r.t.Helper()
	for _, s := range texts {
		_, err := r.broker.PutRecord(r.t.Context(), who, broker.PutRecordRequest{Stream: stream, Record: leat.Record{PartitionKey: "k", Data: []byte(s)}})
		r.must(err)
	}
}

func joined(records []types.Record) string {
	all := make([]string, len(records))
	for i, r := range records {
		all[i] = string(r.Data)
	}
	return strings.Join(all, " ")
}

func TestSDKPutsAndReads(t *testing.T) {
	for name, h2 := range map[string]bool{"HTTP/1.1": false, "h2c": true} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, options{})
			r.stream("s", 1)
			c := r.client(h2)
			one, err := c.PutRecord(t.Context(), &sdk.PutRecordInput{StreamName: aws.String("s"), PartitionKey: aws.String("é\"\\/\n"), Data: []byte("0")})
			r.must(err)
			if *one.ShardId != "shardId-000000000000" || len(*one.SequenceNumber) != 56 || one.EncryptionType != "" {
				t.Errorf("%+v", one)
			}
			many, err := c.PutRecords(t.Context(), &sdk.PutRecordsInput{StreamARN: aws.String("arn:aws:kinesis:eu-west-1:000000000000:stream/s"), Records: []types.PutRecordsRequestEntry{
				{PartitionKey: aws.String("a"), Data: []byte("1")},
				{PartitionKey: aws.String("b"), Data: []byte{}, ExplicitHashKey: aws.String(leat.MaxHashKey.String())},
			}})
			r.must(err)
			if *many.FailedRecordCount != 0 || len(many.Records) != 2 || *many.Records[0].SequenceNumber <= *one.SequenceNumber {
				t.Errorf("%+v", many)
			}
			it, err := c.GetShardIterator(t.Context(), &sdk.GetShardIteratorInput{StreamName: aws.String("s"), ShardId: one.ShardId, ShardIteratorType: types.ShardIteratorTypeTrimHorizon})
			r.must(err)
			got, err := c.GetRecords(t.Context(), &sdk.GetRecordsInput{ShardIterator: it.ShardIterator})
			r.must(err)
			if joined(got.Records) != "0 1 " || *got.MillisBehindLatest != 0 || got.NextShardIterator == nil || *got.NextShardIterator == *it.ShardIterator || got.ChildShards != nil {
				t.Errorf("%+v", got)
			}
			first := got.Records[0]
			if *first.PartitionKey != "é\"\\/\n" || *first.SequenceNumber != *one.SequenceNumber || first.ApproximateArrivalTimestamp.IsZero() || first.EncryptionType != "" {
				t.Errorf("%+v", first)
			}
		})
	}
}

// consumer registers one and returns its ARN.
func (r *rig) consumer(stream, name string) *string {
	r.t.Helper()
	_, err := r.broker.RegisterConsumer(r.t.Context(), who, broker.ConsumerRequest{Stream: stream, Consumer: name})
	r.must(err)
	var d broker.ConsumerDescription
	r.poll("an ACTIVE consumer", func() bool {
		d, err = r.broker.DescribeConsumer(r.t.Context(), who, broker.ConsumerRequest{Stream: stream, Consumer: name})
		r.must(err)
		return d.Status == leat.ConsumerActive
	})
	return aws.String(d.ARN(d.In.ARN("eu-west-1")))
}

func horizon() *types.StartingPosition {
	return &types.StartingPosition{Type: types.ShardIteratorTypeTrimHorizon}
}

func TestSDKSubscribes(t *testing.T) {
	for name, h2 := range map[string]bool{"HTTP/1.1": false, "h2c": true} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, options{})
			r.stream("s", 1)
			arn, shard := r.consumer("s", "c"), aws.String("shardId-000000000000")
			c := r.client(h2)
			out, err := c.SubscribeToShard(t.Context(), &sdk.SubscribeToShardInput{ConsumerARN: arn, ShardId: shard, StartingPosition: horizon()})
			r.must(err)
			events := out.GetStream()
			defer func() { _ = events.Close() }() // tells how the stream ended, which is looked at below
			e := (<-events.Events()).(*types.SubscribeToShardEventStreamMemberSubscribeToShardEvent)
			if len(e.Value.Records) != 0 || e.Value.ContinuationSequenceNumber == nil || *e.Value.MillisBehindLatest != 0 {
				t.Errorf("first event %+v", e.Value)
			}
			for _, text := range []string{"a", "b"} { // each is pushed as it comes
				r.put("s", text)
				e = (<-events.Events()).(*types.SubscribeToShardEventStreamMemberSubscribeToShardEvent)
				if joined(e.Value.Records) != text || *e.Value.Records[0].PartitionKey != "k" {
					t.Errorf("event %+v", e.Value)
				}
			}
			_, err = c.SubscribeToShard(t.Context(), &sdk.SubscribeToShardInput{ConsumerARN: arn, ShardId: shard, StartingPosition: horizon()})
			var inUse *types.ResourceInUseException
			if !asError(err, &inUse) || !strings.HasPrefix(inUse.ErrorMessage(), "Another active subscription exists for this consumer") {
				t.Errorf("a second subscription: %v", err)
			}
			// The consumer goes while it is subscribed: the stream ends with an exception.
			r.must(r.broker.DeregisterConsumer(t.Context(), who, broker.ConsumerRequest{Stream: "s", Consumer: "c"}))
			for range events.Events() {
			}
			var gone *types.ResourceNotFoundException
			if !asError(events.Err(), &gone) {
				t.Errorf("the stream ended with %v", events.Err())
			}
		})
	}
}

// hasty is a clock for which the time of a subscription is over in a moment.
type hasty struct{ leat.SystemClock }

func (c hasty) NewTimer(d time.Duration) (<-chan time.Time, func()) {
	if d == leat.SubscriptionTime {
		d = time.Second // longer than a record takes on a busy machine
	}
	return c.SystemClock.NewTimer(d)
}

// After five minutes the stream ends without an error, and its consumer goes on at once where the last event says.
func TestSDKSubscribesAgain(t *testing.T) {
	t.Parallel()
	for name, h2 := range map[string]bool{"HTTP/1.1": false, "h2c": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, options{clock: hasty{}})
			r.stream("s", 1)
			arn, c, from := r.consumer("s", "c"), r.client(h2), horizon()
			for _, text := range []string{"a", "b", "c"} {
				r.put("s", text)
				out, err := c.SubscribeToShard(t.Context(), &sdk.SubscribeToShardInput{ConsumerARN: arn, ShardId: aws.String("shardId-000000000000"), StartingPosition: from})
				r.must(err)
				var all []types.Record
				for e := range out.GetStream().Events() {
					event := e.(*types.SubscribeToShardEventStreamMemberSubscribeToShardEvent).Value
					all = append(all, event.Records...)
					from = &types.StartingPosition{Type: types.ShardIteratorTypeAfterSequenceNumber, SequenceNumber: event.ContinuationSequenceNumber}
				}
				r.must(out.GetStream().Err())
				r.should(out.GetStream().Close())
				if joined(all) != text || from.SequenceNumber == nil {
					t.Fatalf("%q was pushed, want %q; it goes on at %v", joined(all), text, from.SequenceNumber)
				}
			}
		})
	}
}

// A shard's end: the last event has children and no continuation, and the stream ends without an error.
func TestSDKSubscribesToTheEnd(t *testing.T) {
	r := newRig(t, options{})
	r.stream("s", 1)
	r.put("s", "a")
	arn, shard := r.consumer("s", "c"), aws.String("shardId-000000000000")
	r.must(r.broker.SplitShard(t.Context(), who, broker.SplitShardRequest{Stream: "s", Shard: "0"}))
	r.active("s")
	c := r.client(false)
	out, err := c.SubscribeToShard(t.Context(), &sdk.SubscribeToShardInput{ConsumerARN: arn, ShardId: shard, StartingPosition: horizon()})
	r.must(err)
	events := out.GetStream()
	defer func() { r.should(events.Close()) }()
	var last types.SubscribeToShardEvent
	var all []types.Record
	for e := range events.Events() {
		last = e.(*types.SubscribeToShardEventStreamMemberSubscribeToShardEvent).Value
		all = append(all, last.Records...)
	}
	r.must(events.Err())
	if joined(all) != "a" || last.ContinuationSequenceNumber != nil || len(last.ChildShards) != 2 || last.ChildShards[0].ParentShards[0] != *shard {
		t.Errorf("%q, last event %+v", joined(all), last)
	}
	it, err := c.GetShardIterator(t.Context(), &sdk.GetShardIteratorInput{StreamName: aws.String("s"), ShardId: shard, ShardIteratorType: types.ShardIteratorTypeLatest})
	r.must(err)
	got, err := c.GetRecords(t.Context(), &sdk.GetRecordsInput{ShardIterator: it.ShardIterator})
	r.must(err)
	if got.NextShardIterator != nil || len(got.ChildShards) != 2 || *got.ChildShards[1].HashKeyRange.EndingHashKey != leat.MaxHashKey.String() || got.Records == nil {
		t.Errorf("GetRecords at the end: %+v", got)
	}
}
