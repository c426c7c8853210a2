// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package kinesis_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/protocol/eventstream"
	sdk "github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/fxamacker/cbor/v2"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/broker"
	"github.com/leatstream/leat/shardstore/blob"
)

// subscribe opens an event stream; close ends it.
func (r *rig) subscribe(contentType string, body []byte) (resp *http.Response) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodPost, r.web.URL, bytes.NewReader(body))
	r.must(err)
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("X-Amz-Target", "Kinesis_20131202.SubscribeToShard")
	resp, err = r.web.Client().Do(req)
	r.must(err)
	return resp
}

func TestEventsInCBOR(t *testing.T) {
	r := newRig(t, options{})
	r.stream("s", 1)
	r.put("s", "a")
	body, err := cbor.Marshal(object{"ConsumerARN": r.consumer("s", "c"), "ShardId": "shardId-000000000000", "StartingPosition": object{"Type": "AT_TIMESTAMP", "Timestamp": cbor.Tag{Number: 1, Content: time.Now().Add(-time.Hour).UnixMilli()}}})
	r.must(err)
	resp := r.subscribe(contentCBOR, body)
	defer func() { r.should(resp.Body.Close()) }()
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "application/vnd.amazon.eventstream" {
		t.Fatalf("HTTP %d, %v", resp.StatusCode, resp.Header)
	}
	d := eventstream.NewDecoder()
	first, err := d.Decode(resp.Body, nil)
	r.must(err)
	if first.Headers.Get(":event-type").String() != "initial-response" || first.Headers.Get(":message-type").String() != "event" || first.Headers.Get(":content-type").String() != "application/cbor" {
		t.Errorf("first message %v", first.Headers)
	}
	second, err := d.Decode(resp.Body, nil)
	r.must(err)
	var event struct {
		Records []struct {
			Data                         []byte
			PartitionKey, SequenceNumber string
			ApproximateArrivalTimestamp  cbor.RawTag
		}
		ContinuationSequenceNumber string
		MillisBehindLatest         *int64
	}
	r.must(cbor.Unmarshal(second.Payload, &event))
	var arrived int64
	r.must(cbor.Unmarshal(event.Records[0].ApproximateArrivalTimestamp.Content, &arrived))
	if string(event.Records[0].Data) != "a" || event.Records[0].PartitionKey != "k" || len(event.ContinuationSequenceNumber) != 56 || event.MillisBehindLatest == nil ||
		event.Records[0].ApproximateArrivalTimestamp.Number != 1 || time.Since(time.UnixMilli(arrived)).Abs() > time.Hour {
		t.Errorf("event %+v", event)
	}
}

// An ARN whose consumer was deregistered does not name the one that took its name.
func TestARNsOfConsumersThatAreGone(t *testing.T) {
	r := newRig(t, options{})
	r.stream("s", 1)
	arn := *r.consumer("s", "c")
	past := arn[:strings.LastIndex(arn, ":")+1] + "17"
	got := r.call("SubscribeToShard", object{"ConsumerARN": past, "ShardId": "0", "StartingPosition": object{"Type": "LATEST"}}).refused(http.StatusBadRequest, "ResourceNotFoundException")
	if !strings.Contains(got, "c:17") {
		t.Errorf("%q", got)
	}
}

// counter counts what is read from the store.
type counter struct {
	blob.Store
	reads, bytes atomic.Int64
}

func (c *counter) Read(ctx context.Context, key string, off, length int64) ([]byte, error) {
	b, err := c.Store.Read(ctx, key, off, length)
	c.reads.Add(1)
	c.bytes.Add(int64(len(b)))
	return b, err
}

// Twenty consumers of one shard read each record from the log once: new ones not at all, since their memory is shared,
// and old ones once for all of them.
func TestTwentySubscribersReadOnce(t *testing.T) {
	const size, batches, each = 64 << 10, 4, 16
	for name, c := range map[string]struct {
		tail  int64
		bytes int64 // at most
	}{
		"in memory": {tail: 0, bytes: 0},
		// A window may be read by two who ask at the same moment for what was just evicted: room for one such.
		"in the store": {tail: 1, bytes: 2 * size * batches * each},
	} {
		t.Run(name, func(t *testing.T) {
			store := &counter{}
			r := newRig(t, options{tail: c.tail, blobs: func(s blob.Store) blob.Store { store.Store = s; return store }})
			r.stream("s", 1)
			for b := range batches {
				puts := make([]broker.Put, each)
				for i := range puts {
					data := bytes.Repeat([]byte{0}, size)
					for at := range data {
						data[at] = byte(at*at>>3 + b*each + i + at>>7) // does not compress to nothing
					}
					puts[i].Record = leat.Record{PartitionKey: fmt.Sprint(b*each + i), Data: data}
				}
				_, err := r.broker.PutRecords(t.Context(), who, broker.PutRecordsRequest{Stream: "s", Puts: puts})
				r.must(err)
			}
			before, reads := store.bytes.Load(), store.reads.Load()
			var readers sync.WaitGroup
			for i := range leat.MaxConsumersPerStream {
				arn := r.consumer("s", fmt.Sprint("c", i))
				client := r.client(i%2 == 0) // not one for all: -race reports what its event streams share (aws/smithy-go#714)
				readers.Go(func() { r.readAll(client, arn, batches*each) })
			}
			readers.Wait()
			got := store.bytes.Load() - before
			t.Logf("%d consumers, %d KiB: %d GETs of %d KiB in all", leat.MaxConsumersPerStream, size*batches*each>>10, store.reads.Load()-reads, got>>10)
			if got > c.bytes || (c.bytes > 0) != (got > 0) {
				t.Errorf("%d bytes were read from the store: want %d at most", got, c.bytes)
			}
		})
	}
}

// readAll subscribes and reads n records, whose keys count.
func (r *rig) readAll(client *sdk.Client, arn *string, n int) {
	out, err := client.SubscribeToShard(r.t.Context(), &sdk.SubscribeToShardInput{ConsumerARN: arn, ShardId: aws.String("shardId-000000000000"), StartingPosition: horizon()})
	if err != nil {
		r.t.Error(err)
		return
	}
	events := out.GetStream()
	defer func() { r.should(events.Close()) }()
	next := 0
	for e := range events.Events() {
		for _, rec := range e.(*types.SubscribeToShardEventStreamMemberSubscribeToShardEvent).Value.Records {
			if *rec.PartitionKey != fmt.Sprint(next) {
				r.t.Errorf("record %s came instead of %d", *rec.PartitionKey, next)
				return
			}
			next++
		}
		if next == n {
			return
		}
	}
	r.t.Errorf("%d of %d records, then %v", next, n, events.Err())
}
