// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package grpcapi_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/leatstream/leat"
	leatv1 "github.com/leatstream/leat/api/leat/v1"
	"github.com/leatstream/leat/server/auth"
	"github.com/leatstream/leat/server/broker"
)

func TestPutAndReadOverGRPC(t *testing.T) {
	r := newRig(t, options{})
	r.stream("s", 1)
	one, err := r.records.PutRecord(t.Context(), &leatv1.PutRecordRequest{Stream: "s", PartitionKey: "ключ", Data: []byte{0, 255}})
	r.must(err)
	batch, err := r.records.PutRecords(t.Context(), &leatv1.PutRecordsRequest{Stream: "s", Records: []*leatv1.PutRecordsRequestEntry{
		{PartitionKey: "b", Data: []byte("1")}, {PartitionKey: "c", Data: nil}, {PartitionKey: "d", ExplicitHashKey: "17"},
	}})
	r.must(err)
	if batch.GetFailedRecordCount() != 0 || len(batch.GetRecords()) != 3 {
		t.Fatalf("%v", batch)
	}
	got := r.all("s")
	if len(got) != 4 || got[0].GetSequenceNumber() != one.GetSequenceNumber() || got[0].GetPartitionKey() != "ключ" || !bytes.Equal(got[0].GetData(), []byte{0, 255}) {
		t.Fatalf("%v", got)
	}
	for i, e := range batch.GetRecords() {
		if e.GetSequenceNumber() != got[i+1].GetSequenceNumber() || e.GetShardId() != "shardId-000000000000" || e.GetErrorCode() != 0 {
			t.Errorf("entry %d: %v for %v", i, e, got[i+1])
		}
		if got[i+1].GetApproximateArrivalUnixMicros() < got[i].GetApproximateArrivalUnixMicros() {
			t.Errorf("time falls at %d", i)
		}
	}
}

// The same through REST: names in lowerCamelCase, data in base64, 64-bit numbers as strings.
func TestPutAndReadOverREST(t *testing.T) {
	r := newRig(t, options{})
	var made struct {
		Stream struct{ Name, Status, Arn string }
	}
	r.rest(http.MethodPost, "/v1/streams", object{"stream": "s", "shardCount": 1}).into(r, &made)
	if made.Stream.Status != "STREAM_STATUS_CREATING" || made.Stream.Arn != "arn:aws:kinesis:eu-west-1:000000000000:stream/s" {
		t.Errorf("%+v", made)
	}
	r.active("s")
	var one struct{ ShardID, SequenceNumber string }
	r.rest(http.MethodPost, "/v1/streams/s/records", object{"partitionKey": "k", "data": []byte{0, 255}}).into(r, &one)
	var batch struct {
		FailedRecordCount int
		Records           []struct{ SequenceNumber, ErrorCode string }
	}
	r.rest(http.MethodPost, "/v1/streams/s/records:batch", object{"records": []object{{"partitionKey": "k", "data": "MQ"}, {"partition_key": "k"}}}).into(r, &batch)
	if batch.FailedRecordCount != 0 || len(batch.Records) != 2 {
		t.Fatalf("%+v", batch)
	}
	var it struct{ ShardIterator string }
	r.rest(http.MethodGet, "/v1/streams/s/shards/shardId-000000000000:iterator?start.type=STARTING_POSITION_TYPE_TRIM_HORIZON", nil).into(r, &it)
	var page struct {
		Records []struct {
			SequenceNumber, PartitionKey, ApproximateArrivalUnixMicros string
			Data                                                       []byte
		}
		MillisBehindLatest, NextShardIterator string
	}
	r.rest(http.MethodGet, "/v1/records?limit=10&shardIterator="+it.ShardIterator, nil).into(r, &page)
	if len(page.Records) != 3 || !bytes.Equal(page.Records[0].Data, []byte{0, 255}) || string(page.Records[1].Data) != "1" || page.MillisBehindLatest != "0" || page.NextShardIterator == "" {
		t.Fatalf("%+v", page)
	}
	if page.Records[0].SequenceNumber != one.SequenceNumber || page.Records[0].ApproximateArrivalUnixMicros == "" {
		t.Errorf("%+v for %+v", page.Records[0], one)
	}
	var changed struct{ Stream struct{ RetentionHours int } }
	r.rest(http.MethodPatch, "/v1/streams/s", object{"retentionHours": 48}).into(r, &changed)
	if changed.Stream.RetentionHours != 48 {
		t.Errorf("%+v", changed)
	}
	r.rest(http.MethodDelete, "/v1/streams/s", nil).into(r, &struct{}{})
}

func TestLargeMessages(t *testing.T) {
	r := newRig(t, options{})
	_, err := r.streams.CreateStream(t.Context(), &leatv1.CreateStreamRequest{Stream: "s", ShardCount: 1, MaxRecordBytes: 10 << 20})
	r.must(err)
	r.active("s")
	data := bytes.Repeat([]byte("x"), 10<<20-1)
	_, err = r.records.PutRecord(t.Context(), &leatv1.PutRecordRequest{Stream: "s", PartitionKey: "k", Data: data})
	r.must(err)
	if a := r.rest(http.MethodPost, "/v1/streams/s/records", object{"partitionKey": "k", "data": data}); a.code != http.StatusOK {
		t.Errorf("10 MiB over REST: %d %.300s", a.code, a.body)
	}
	if got := r.all("s"); len(got) != 1 || !bytes.Equal(got[0].GetData(), data) {
		t.Errorf("%d records in the first page of 10 MiB", len(got))
	}
	_, err = r.records.PutRecord(t.Context(), &leatv1.PutRecordRequest{Stream: "s", PartitionKey: "k", Data: make([]byte, 17<<20)})
	if status.Code(err) != codes.ResourceExhausted {
		t.Errorf("17 MiB: %v", err)
	}
	a := r.rest(http.MethodPost, "/v1/streams/s/records", `{"partitionKey": "k", "data": "`+strings.Repeat("A", 25<<20)+`"}`)
	if a.code != http.StatusBadRequest || a.fault().kind != "INVALID_ARGUMENT" {
		t.Errorf("25 MiB over REST: %d %.300s", a.code, a.body)
	}
}

func TestSubscribeOverBothEdges(t *testing.T) {
	r := newRig(t, options{})
	r.stream("s", 1)
	for _, name := range []string{"grpc", "rest"} {
		_, err := r.consumers.RegisterStreamConsumer(t.Context(), &leatv1.RegisterStreamConsumerRequest{Stream: "s", Consumer: name})
		r.must(err)
		r.poll("an ACTIVE consumer", func() bool {
			c, err := r.consumers.DescribeStreamConsumer(t.Context(), &leatv1.DescribeStreamConsumerRequest{Stream: "s", Consumer: name})
			r.must(err)
			return c.GetConsumer().GetStatus() == leatv1.ConsumerStatus_CONSUMER_STATUS_ACTIVE
		})
	}
	sub, err := r.records.SubscribeToShard(t.Context(), &leatv1.SubscribeToShardRequest{Stream: "s", Consumer: "grpc", ShardId: "0", Start: trimHorizon()})
	r.must(err)
	first, err := sub.Recv()
	r.must(err)
	if len(first.GetRecords()) != 0 || first.GetContinuationSequenceNumber() == "" {
		t.Fatalf("%v", first)
	}
	path := "/v1/streams/s/consumers/rest/shards/0:subscribe?start.type=STARTING_POSITION_TYPE_TRIM_HORIZON"
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.url+path, nil)
	r.must(err)
	resp, err := http.DefaultTransport.RoundTrip(req)
	r.must(err)
	defer func() { _ = resp.Body.Close() }()
	lines := bufio.NewScanner(resp.Body)
	line := func() (e struct {
		Result struct {
			Records                    []struct{ Data []byte }
			ContinuationSequenceNumber string
			ChildShards                []struct{ ShardID string }
		}
	}) {
		t.Helper()
		if !lines.Scan() {
			t.Fatalf("the stream ended: %v", lines.Err())
		}
		r.must(json.Unmarshal(lines.Bytes(), &e))
		return e
	}
	line()
	_, err = r.records.PutRecord(t.Context(), &leatv1.PutRecordRequest{Stream: "s", PartitionKey: "k", Data: []byte("pushed")})
	r.must(err)
	push, err := sub.Recv()
	r.must(err)
	if len(push.GetRecords()) != 1 || string(push.GetRecords()[0].GetData()) != "pushed" {
		t.Errorf("%v", push)
	}
	if e := line(); len(e.Result.Records) != 1 || string(e.Result.Records[0].Data) != "pushed" {
		t.Errorf("%+v", e)
	}
	if a := r.rest(http.MethodGet, path, nil); a.code != http.StatusConflict || !bytes.Contains(a.body, []byte("RESOURCE_IN_USE")) {
		t.Errorf("a second subscription: %d %s", a.code, a.body)
	}
	// A real split: both streams end with the children.
	_, err = r.shards.SplitShard(t.Context(), &leatv1.SplitShardRequest{Stream: "s", ShardId: "0"})
	r.must(err)
	push, err = sub.Recv()
	r.must(err)
	if len(push.GetChildShards()) != 2 || push.GetContinuationSequenceNumber() != "" {
		t.Errorf("%v", push)
	}
	if _, err := sub.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("after the end: %v", err)
	}
	if e := line(); len(e.Result.ChildShards) != 2 || e.Result.ContinuationSequenceNumber != "" {
		t.Errorf("%+v", e)
	}
	if lines.Scan() {
		t.Errorf("after the end: %s", lines.Bytes())
	}
}

const token = "a-bootstrap-token-of-tests"

func TestCredentials(t *testing.T) {
	boot, err := auth.NewBootstrap(token, "")
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, options{auth: boot, token: token})
	r.stream("s", 1)
	if a := r.rest(http.MethodGet, "/v1/streams/s", nil); a.code != http.StatusOK {
		t.Errorf("with the token: %d %s", a.code, a.body)
	}
	for _, bad := range []string{"", "another-token-of-tests"} {
		r.token = bad
		_, err := r.streams.ListStreams(t.Context(), &leatv1.ListStreamsRequest{})
		if status.Code(err) != codes.Unauthenticated || faultOf(err).kind != "UNAUTHENTICATED" {
			t.Errorf("gRPC with %q: %v", bad, err)
		}
		sub, err := r.records.SubscribeToShard(t.Context(), &leatv1.SubscribeToShardRequest{Stream: "s", Consumer: "c", ShardId: "0", Start: trimHorizon()})
		if err == nil {
			_, err = sub.Recv()
		}
		if status.Code(err) != codes.Unauthenticated {
			t.Errorf("gRPC stream with %q: %v", bad, err)
		}
		a := r.rest(http.MethodPost, "/v1/streams/s/records", object{"partitionKey": "k"})
		if a.code != http.StatusUnauthorized || a.fault().kind != "UNAUTHENTICATED" || a.header.Get("WWW-Authenticate") == "" {
			t.Errorf("REST with %q: %d %s", bad, a.code, a.body)
		}
	}
	r.token = token
	if n := len(r.all("s")); n != 0 {
		t.Errorf("%d records were written without a credential", n)
	}
	if text := r.log.String(); strings.Contains(text, token) || strings.Contains(text, "another-token") {
		t.Error("the log has a token")
	}
}

// spoiler misbehaves for streams of certain names, as a fault inside the server would.
type spoiler struct{ broker.SameAccount }

func (s spoiler) Authorize(ctx context.Context, who leat.Principal, a broker.Action, what broker.Resource) error {
	switch what.Stream {
	case "panic":
		panic("the password is hunter2")
	case "fault":
		return errors.New("the password is hunter2")
	}
	return s.SameAccount.Authorize(ctx, who, a, what)
}

func TestFaultsAreToldToNobody(t *testing.T) {
	r := newRig(t, options{authorizer: spoiler{}})
	for _, name := range []string{"panic", "fault"} {
		ctx := metadata.AppendToOutgoingContext(t.Context(), "x-request-id", "my-"+name)
		var header metadata.MD
		_, err := r.streams.DescribeStream(ctx, &leatv1.DescribeStreamRequest{Stream: name}, grpc.Header(&header))
		st := status.Convert(err)
		if st.Code() != codes.Internal || st.Message() != "internal error, request id my-"+name || faultOf(err).kind != "INTERNAL" {
			t.Errorf("gRPC %s: %v", name, err)
		}
		if got := header.Get("x-request-id"); len(got) != 1 || got[0] != "my-"+name {
			t.Errorf("request id %v", got)
		}
		a := r.rest(http.MethodGet, "/v1/streams/"+name, nil)
		id := a.header.Get("X-Request-Id")
		if a.code != http.StatusInternalServerError || id == "" || !strings.Contains(string(a.body), id) || strings.Contains(string(a.body), "hunter2") {
			t.Errorf("REST %s: %d %s", name, a.code, a.body)
		}
		for _, want := range []string{"my-" + name, id} {
			if !strings.Contains(r.log.String(), want) {
				t.Errorf("%s is not in the log", want)
			}
		}
	}
	if !strings.Contains(r.log.String(), "hunter2") {
		t.Error("the log does not tell the cause")
	}
	if _, err := r.streams.ListStreams(t.Context(), &leatv1.ListStreamsRequest{}); err != nil {
		t.Errorf("after a panic: %v", err)
	}
}

func TestRequestIDs(t *testing.T) {
	r := newRig(t, options{})
	seen := map[string]bool{}
	for range 3 {
		for _, a := range []answer{r.rest(http.MethodGet, "/v1/streams", nil), r.rest(http.MethodGet, "/v1/streams/nobody", nil), r.rest(http.MethodGet, "/v1/nothing", nil)} {
			id := a.header.Values("X-Request-Id")
			if len(id) != 1 || id[0] == "" || seen[id[0]] {
				t.Errorf("request id %q", id)
				continue
			}
			seen[id[0]] = true
		}
	}
	for _, unfit := range []string{"a b", strings.Repeat("a", 65), "x=\"y\""} {
		var header metadata.MD
		_, err := r.streams.ListStreams(metadata.AppendToOutgoingContext(t.Context(), "x-request-id", unfit), &leatv1.ListStreamsRequest{}, grpc.Header(&header))
		r.must(err)
		if got := header.Get("x-request-id"); len(got) != 1 || got[0] == unfit {
			t.Errorf("id %q was taken: %v", unfit, got)
		}
	}
}

func TestPayloadsAreNotLogged(t *testing.T) {
	r := newRig(t, options{})
	r.stream("s", 1)
	_, err := r.records.PutRecord(t.Context(), &leatv1.PutRecordRequest{Stream: "s", PartitionKey: "k", Data: []byte("my-secret-payload")})
	r.must(err)
	r.rest(http.MethodPost, "/v1/streams/s/records", `{"partitionKey": "k", "data": "my-secret-payload!"}`)
	r.rest(http.MethodPost, "/v1/streams/s/records", `{"partitionKey": "k", "data": {"my-secret-payload": 1}}`)
	if strings.Contains(r.log.String(), "my-secret-payload") {
		t.Errorf("the log has a payload:\n%s", r.log)
	}
}

func TestThrottledAnswers(t *testing.T) {
	r := newRig(t, options{limits: broker.LimitsAWS})
	r.stream("s", 1)
	all := make([]*leatv1.PutRecordsRequestEntry, 500)
	for i := range all {
		all[i] = &leatv1.PutRecordsRequestEntry{PartitionKey: "k"}
	}
	failed, text := 0, ""
	for range 5 {
		res, err := r.records.PutRecords(t.Context(), &leatv1.PutRecordsRequest{Stream: "s", Records: all})
		r.must(err)
		failed += int(res.GetFailedRecordCount())
		for _, e := range res.GetRecords() {
			if e.GetErrorCode() == leatv1.PutRecordsErrorCode_PUT_RECORDS_ERROR_CODE_PROVISIONED_THROUGHPUT_EXCEEDED {
				failed--
				text = e.GetErrorMessage()
			}
		}
	}
	if failed != 0 || text != "Rate exceeded for shard shardId-000000000000 in stream s under account 000000000000." {
		t.Errorf("%d failures are no throttling; text %q", failed, text)
	}
	a := answer{}
	for range 20 {
		if a = r.rest(http.MethodPost, "/v1/streams/s/records", object{"partitionKey": "k", "data": make([]byte, 1<<19)}); a.code != http.StatusOK {
			break
		}
	}
	if a.code != http.StatusTooManyRequests || a.fault().kind != "THROUGHPUT_EXCEEDED" || a.header.Get("Retry-After") == "" || !bytes.Contains(a.body, []byte("RetryInfo")) {
		t.Errorf("%d %v %s", a.code, a.header, a.body)
	}
}

func TestPathsThatAreNot(t *testing.T) {
	r := newRig(t, options{})
	for path, want := range map[string]int{"/": 404, "/v2/streams": 404, "/v1/streamz": 404, "/v1/streams/s/records": 405} {
		if a := r.rest(http.MethodGet, path, nil); a.code != want {
			t.Errorf("GET %s: %d %s", path, a.code, a.body)
		}
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.url+"/v1/streams/s", nil)
	r.must(err)
	req.Header.Set("X-HTTP-Method-Override", http.MethodDelete)
	resp, err := http.DefaultTransport.RoundTrip(req)
	r.must(err)
	r.must(resp.Body.Close())
	if resp.StatusCode != http.StatusNotFound { // a GET of an unknown stream, not a deletion
		t.Errorf("method override: %d", resp.StatusCode)
	}
}

// Scaling with a real engine: what was put is read once, in order of each key, through parents and children.
func TestScaleKeepsEveryRecord(t *testing.T) {
	r := newRig(t, options{})
	r.stream("s", 2)
	put := map[string]bool{}
	for round, target := range []int32{2, 5, 1} {
		_, err := r.shards.ScaleStream(t.Context(), &leatv1.ScaleStreamRequest{Stream: "s", TargetShardCount: target})
		r.must(err)
		for i := range 50 {
			data := fmt.Sprintf("%d-%d", round, i)
			res, err := r.records.PutRecord(t.Context(), &leatv1.PutRecordRequest{Stream: "s", PartitionKey: data, Data: []byte(data)})
			r.must(err)
			if put[res.GetSequenceNumber()] {
				t.Fatalf("number %s was given twice", res.GetSequenceNumber())
			}
			put[res.GetSequenceNumber()] = true
		}
		r.active("s")
	}
	list, err := r.shards.ListShards(t.Context(), &leatv1.ListShardsRequest{Stream: "s"})
	r.must(err)
	for _, s := range list.GetShards() {
		it, err := r.records.GetShardIterator(t.Context(), &leatv1.GetShardIteratorRequest{Stream: "s", ShardId: s.GetShardId(), Start: trimHorizon()})
		r.must(err)
		for next := it.GetShardIterator(); next != ""; {
			res, err := r.records.GetRecords(t.Context(), &leatv1.GetRecordsRequest{ShardIterator: next})
			r.must(err)
			for _, rec := range res.GetRecords() {
				if !put[rec.GetSequenceNumber()] {
					t.Errorf("%s was read and not put, or read twice", rec.GetSequenceNumber())
				}
				delete(put, rec.GetSequenceNumber())
			}
			if closed := s.GetCloseTime() != nil; closed != (len(res.GetChildShards()) > 0) || closed != (res.GetNextShardIterator() == "") {
				t.Errorf("%s: closed %t, %d children, next %q", s.GetShardId(), closed, len(res.GetChildShards()), res.GetNextShardIterator())
			}
			if next = res.GetNextShardIterator(); len(res.GetRecords()) == 0 {
				break
			}
		}
	}
	if len(put) != 0 {
		t.Errorf("%d records were not read", len(put))
	}
}
