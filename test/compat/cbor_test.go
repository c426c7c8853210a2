// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package compat_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/protocol/eventstream"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/fxamacker/cbor/v2"

	"github.com/leatstream/leat/test/e2e/rig"
)

// cborType is the content type that the Java SDK sends.
const cborType = "application/x-amz-cbor-1.1"

// millis is a time as the Java SDK writes it: tag 1, which elsewhere means seconds, with milliseconds.
type millis time.Time

// MarshalCBOR writes tag 1 and an integer.
func (m millis) MarshalCBOR() ([]byte, error) {
	return cbor.Marshal(cbor.Tag{Number: 1, Content: time.Time(m).UnixMilli()})
}

// UnmarshalCBOR reads the same and nothing else.
func (m *millis) UnmarshalCBOR(b []byte) error {
	var tag cbor.RawTag
	if err := cbor.Unmarshal(b, &tag); err != nil {
		return err
	}
	var n int64
	if err := cbor.Unmarshal(tag.Content, &n); err != nil {
		return err
	}
	if tag.Number != 1 {
		return fmt.Errorf("a time has tag %d", tag.Number)
	}
	*m = millis(time.UnixMilli(n))
	return nil
}

// field is one member of a structure, in order.
type field struct {
	name  string
	value any // a scalar, []field for a structure, [][]field for a list of structures
}

// encodeCBOR writes a structure as Jackson does: maps and arrays of no stated length.
func encodeCBOR(tb testing.TB, fields []field) []byte {
	tb.Helper()
	var b bytes.Buffer
	writeCBOR(tb, cbor.NewEncoder(&b), fields)
	return b.Bytes()
}

func writeCBOR(tb testing.TB, e *cbor.Encoder, value any) {
	tb.Helper()
	switch v := value.(type) {
	case []field:
		must(tb, e.StartIndefiniteMap())
		for _, f := range v {
			must(tb, e.Encode(f.name))
			writeCBOR(tb, e, f.value)
		}
		must(tb, e.EndIndefinite())
	case [][]field:
		must(tb, e.StartIndefiniteArray())
		for _, s := range v {
			writeCBOR(tb, e, s)
		}
		must(tb, e.EndIndefinite())
	default:
		must(tb, e.Encode(v))
	}
}

// javaClient speaks as the Java SDK does: CBOR both ways, over HTTP/2 for subscriptions.
type javaClient struct {
	endpoint string
	http     *http.Client
}

func newJavaClient(tb testing.TB, n *rig.Node) *javaClient {
	tb.Helper()
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	tb.Cleanup(transport.CloseIdleConnections)
	return &javaClient{"http://" + n.HTTP + "/", &http.Client{Transport: transport}}
}

// send posts one operation.
func (c *javaClient) send(ctx context.Context, tb testing.TB, operation string, body []byte) *http.Response {
	tb.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.endpoint, bytes.NewReader(body))
	must(tb, err)
	req.Header.Set("Content-Type", cborType)
	req.Header.Set("X-Amz-Target", "Kinesis_20131202."+operation)
	sum := sha256.Sum256(body)
	must(tb, v4.NewSigner().SignHTTP(ctx, aws.Credentials{AccessKeyID: "any", SecretAccessKey: "any"}, req, hex.EncodeToString(sum[:]), "kinesis", region, time.Now()))
	res, err := c.http.Do(req)
	must(tb, err)
	if got := res.Header.Get("X-Amzn-Requestid"); got == "" {
		tb.Errorf("%s has no request id", operation)
	}
	return res
}

// callCBOR posts one operation and decodes its answer, if it has one.
func callCBOR[T any](tb testing.TB, c *javaClient, operation string, fields ...field) (out T) {
	tb.Helper()
	res := c.send(tb.Context(), tb, operation, encodeCBOR(tb, fields))
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	must(tb, err)
	if res.StatusCode != http.StatusOK {
		tb.Fatalf("%s: %s: %x", operation, res.Status, body)
	}
	if len(body) == 0 {
		return out
	}
	if got := res.Header.Get("Content-Type"); got != cborType {
		tb.Errorf("%s answers %s", operation, got)
	}
	decodeCBOR(tb, body, &out)
	return out
}

func decodeCBOR(tb testing.TB, body []byte, out any) {
	tb.Helper()
	if err := cbor.Unmarshal(body, out); err != nil {
		tb.Fatalf("%x: %v", body, err)
	}
}

// cborRecord is a record of an answer.
type cborRecord struct {
	SequenceNumber              string
	ApproximateArrivalTimestamp millis
	Data                        []byte
	PartitionKey                string
}

// A producer and a consumer in the shape of the Java SDK: CBOR, byte strings, tagged milliseconds.
func TestCBORClient(t *testing.T) {
	t.Parallel()
	n := dev(t)
	c := newJavaClient(t, n)
	name := field{"StreamName", "java"}
	callCBOR[struct{}](t, c, "CreateStream", name, field{"ShardCount", 1}, field{"StreamModeDetails", []field{{"StreamMode", "PROVISIONED"}}})
	active(t, client(t, n), "java")

	summary := callCBOR[struct {
		StreamDescriptionSummary struct {
			StreamARN               string
			StreamCreationTimestamp millis
			OpenShardCount          int
		}
	}](t, c, "DescribeStreamSummary", name).StreamDescriptionSummary
	recent(t, summary.StreamCreationTimestamp)
	if summary.StreamARN != *arnOf("java") || summary.OpenShardCount != 1 {
		t.Errorf("the summary is %+v", summary)
	}

	data := []byte{0xff, 0x00, 'x'}
	put := callCBOR[struct{ SequenceNumber, ShardId string }](t, c, "PutRecord", name, field{"PartitionKey", "k"}, field{"Data", data})
	batch := callCBOR[struct {
		FailedRecordCount int
		Records           []struct{ SequenceNumber, ShardId string }
	}](t, c, "PutRecords", name, field{"Records", [][]field{
		{{"Data", []byte("one")}, {"PartitionKey", "ключ"}},
		{{"Data", []byte{}}, {"PartitionKey", "b"}, {"ExplicitHashKey", "7"}},
	}})
	if batch.FailedRecordCount != 0 || len(batch.Records) != 2 {
		t.Fatalf("the batch answers %+v", batch)
	}
	if shards := callCBOR[struct{ Shards []struct{ ShardId string } }](t, c, "ListShards", name).Shards; len(shards) != 1 || shards[0].ShardId != put.ShardId {
		t.Errorf("the shards are %v", shards)
	}
	// A time goes out as the Java SDK writes it, and means what it says: to the millisecond.
	for _, from := range [][]field{
		{{"ShardIteratorType", "TRIM_HORIZON"}},
		{{"ShardIteratorType", "AT_TIMESTAMP"}, {"Timestamp", summary.StreamCreationTimestamp}},
	} {
		it := callCBOR[struct{ ShardIterator string }](t, c, "GetShardIterator", append([]field{name, {"ShardId", put.ShardId}}, from...)...)
		got := callCBOR[struct {
			Records            []cborRecord
			NextShardIterator  string
			MillisBehindLatest *int64
		}](t, c, "GetRecords", field{"ShardIterator", it.ShardIterator}, field{"Limit", 100})
		if len(got.Records) != 3 || got.NextShardIterator == "" || got.MillisBehindLatest == nil {
			t.Fatalf("%v reads %+v", from, got)
		}
		if r := got.Records[0]; !bytes.Equal(r.Data, data) || r.PartitionKey != "k" || r.SequenceNumber != put.SequenceNumber {
			t.Errorf("the first record is %+v", r)
		}
		if r := got.Records[1]; string(r.Data) != "one" || r.PartitionKey != "ключ" {
			t.Errorf("the second record is %+v", r)
		}
		recent(t, got.Records[0].ApproximateArrivalTimestamp)
	}
	it := callCBOR[struct{ ShardIterator string }](t, c, "GetShardIterator", name, field{"ShardId", put.ShardId},
		field{"ShardIteratorType", "AT_TIMESTAMP"}, field{"Timestamp", millis(time.Now().Add(-time.Millisecond))})
	if it.ShardIterator == "" {
		t.Error("a time that has just passed gives no iterator")
	}
}

// Errors come in CBOR too: the Java SDK reads __type and message out of the body.
func TestCBORErrors(t *testing.T) {
	t.Parallel()
	c := newJavaClient(t, dev(t))
	for about, e := range map[string]struct {
		operation string
		body      []byte
		want      string
	}{
		"an unknown stream":          {"DescribeStreamSummary", encodeCBOR(t, []field{{"StreamName", "unknown"}}), "ResourceNotFoundException"},
		"a name that is too long":    {"DescribeStreamSummary", encodeCBOR(t, []field{{"StreamName", strings.Repeat("x", 129)}}), "ValidationException"},
		"a body that is cut off":     {"DescribeStreamSummary", []byte{0xbf, 0x6a, 'S', 't'}, "SerializationException"},
		"a number instead of a name": {"DescribeStreamSummary", encodeCBOR(t, []field{{"StreamName", 7}}), "SerializationException"},
		"an unknown operation":       {"DescribeNothing", encodeCBOR(t, nil), "UnknownOperationException"},
	} {
		t.Run(about, func(t *testing.T) {
			res := c.send(t.Context(), t, e.operation, e.body)
			defer res.Body.Close()
			body, err := io.ReadAll(res.Body)
			must(t, err)
			var got struct {
				Type string `cbor:"__type"`
			}
			decodeCBOR(t, body, &got)
			if res.StatusCode != http.StatusBadRequest || got.Type != e.want {
				t.Errorf("%s: %+v, want %s", res.Status, got, e.want)
			}
		})
	}
}

// A subscription in CBOR over HTTP/2: frames of an event stream, with payloads in CBOR.
func TestCBORSubscription(t *testing.T) {
	t.Parallel()
	n := dev(t)
	c, k := newJavaClient(t, n), client(t, n)
	create(t, k, "s", 1)
	arn := *register(t, k, "s", "c").ConsumerARN
	callCBOR[struct{}](t, c, "PutRecord", field{"StreamName", "s"}, field{"PartitionKey", "k"}, field{"Data", []byte("pushed")})

	ctx, cancel := context.WithTimeout(t.Context(), rig.Patience)
	defer cancel()
	res := c.send(ctx, t, "SubscribeToShard", encodeCBOR(t, []field{
		{"ConsumerARN", arn}, {"ShardId", "shardId-000000000000"}, {"StartingPosition", []field{{"Type", "TRIM_HORIZON"}}},
	}))
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != "application/vnd.amazon.eventstream" {
		t.Fatalf("%s %s", res.Status, res.Header.Get("Content-Type"))
	}
	frames := eventstream.NewDecoder()
	first, err := frames.Decode(res.Body, nil)
	must(t, err)
	if kind := header(first, ":event-type"); kind != "initial-response" {
		t.Fatalf("the first frame is %s", kind)
	}
	for {
		frame, err := frames.Decode(res.Body, nil)
		must(t, err)
		if kind := header(frame, ":event-type"); kind != "SubscribeToShardEvent" || header(frame, ":message-type") != "event" {
			t.Fatalf("a frame is %s", kind)
		}
		var event struct {
			Records                    []cborRecord
			ContinuationSequenceNumber string
			MillisBehindLatest         *int64
		}
		decodeCBOR(t, frame.Payload, &event)
		if event.ContinuationSequenceNumber == "" || event.MillisBehindLatest == nil {
			t.Errorf("an event is %+v", event)
		}
		if len(event.Records) > 0 {
			if r := event.Records[0]; string(r.Data) != "pushed" {
				t.Errorf("the record is %+v", r)
			}
			recent(t, event.Records[0].ApproximateArrivalTimestamp)
			return
		}
	}
}

func header(m eventstream.Message, name string) string {
	if v := m.Headers.Get(name); v != nil {
		return v.String()
	}
	return ""
}

// recent fails the test unless a time is of this test.
func recent(tb testing.TB, m millis) {
	tb.Helper()
	if age := time.Since(time.Time(m)); age < -time.Second || age > time.Hour {
		tb.Errorf("a time is %v ago", age)
	}
}
