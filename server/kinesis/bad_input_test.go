// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package kinesis_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/broker"
	"github.com/leatstream/leat/server/kinesis"
)

// A malformed request is refused with AWS's error, and nothing is written.
func TestBadInput(t *testing.T) {
	r := newRig(t, options{})
	r.stream("s", 1)
	long := strings.Repeat("x", 300)
	const badRequest = http.StatusBadRequest
	for name, c := range map[string]struct {
		operation, content, body string
		status                   int
		exception, tells         string
	}{
		"no body":              {"PutRecords", contentJSON, ``, badRequest, "SerializationException", ""},
		"cut off":              {"PutRecords", contentJSON, `{"StreamName":"s","Records":[{"Data":"AA==","Partit`, badRequest, "SerializationException", ""},
		"two values":           {"PutRecord", contentJSON, `{"StreamName":"s","Data":"","PartitionKey":"k"} {}`, badRequest, "SerializationException", ""},
		"a list":               {"PutRecord", contentJSON, `[]`, badRequest, "SerializationException", ""},
		"deep":                 {"PutRecord", contentJSON, `{"X":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + `}`, badRequest, "SerializationException", ""},
		"a member twice":       {"PutRecord", contentJSON, `{"StreamName":"s","Data":"AA==","PartitionKey":"k","Data":"AQ=="}`, badRequest, "SerializationException", "comes twice"},
		"not UTF-8":            {"PutRecord", contentJSON, "{\"StreamName\":\"s\",\"Data\":\"AA==\",\"PartitionKey\":\"\xff\"}", badRequest, "SerializationException", ""},
		"half a surrogate":     {"PutRecord", contentJSON, `{"StreamName":"s","Data":"AA==","PartitionKey":"\ud800"}`, badRequest, "SerializationException", ""},
		"not base64":           {"PutRecord", contentJSON, `{"StreamName":"s","Data":"A*==","PartitionKey":"k"}`, badRequest, "SerializationException", "Invalid Base64 character: '*'"},
		"short base64":         {"PutRecord", contentJSON, `{"StreamName":"s","Data":"AAE","PartitionKey":"k"}`, badRequest, "SerializationException", "multiple of 4 bytes but found: 3"},
		"data of a number":     {"PutRecord", contentJSON, `{"StreamName":"s","Data":7,"PartitionKey":"k"}`, badRequest, "SerializationException", "can not be converted to a Blob"},
		"records of a string":  {"PutRecords", contentJSON, `{"StreamName":"s","Records":"x"}`, badRequest, "SerializationException", "Expected list or null"},
		"no data":              {"PutRecord", contentJSON, `{"StreamName":"s","PartitionKey":"k"}`, badRequest, "ValidationException", "Value null at 'data' failed to satisfy constraint: Member must not be null"},
		"no key":               {"PutRecords", contentJSON, `{"StreamName":"s","Records":[{"Data":"AA==","PartitionKey":"k"},{"Data":"AA=="}]}`, badRequest, "ValidationException", "Value null at 'records.2.member.partitionKey'"},
		"long key":             {"PutRecord", contentJSON, `{"StreamName":"s","Data":"AA==","PartitionKey":"` + long + `"}`, badRequest, "ValidationException", "Member must have length less than or equal to 256"},
		"no records":           {"PutRecords", contentJSON, `{"StreamName":"s","Records":[]}`, badRequest, "ValidationException", "Value '[]' at 'records' failed to satisfy constraint: Member must have length greater than or equal to 1"},
		"501 records":          {"PutRecords", contentJSON, `{"StreamName":"s","Records":[` + strings.Repeat(`{"Data":"AA==","PartitionKey":"k"},`, 500) + `{"Data":"AA==","PartitionKey":"k"}]}`, badRequest, "ValidationException", "Member must have length less than or equal to 500"},
		"a million records":    {"PutRecords", contentJSON, `{"StreamName":"s","Records":[` + strings.Repeat(`{},`, 1_000_000) + `{}]}`, badRequest, "ValidationException", "10 validation errors detected: "},
		"hash of letters":      {"PutRecord", contentJSON, `{"StreamName":"s","Data":"AA==","PartitionKey":"k","ExplicitHashKey":"x"}`, badRequest, "ValidationException", `0|([1-9]\d{0,38})`},
		"hash too large":       {"PutRecord", contentJSON, `{"StreamName":"s","Data":"AA==","PartitionKey":"k","ExplicitHashKey":"340282366920938463463374607431768211456"}`, badRequest, "InvalidArgumentException", "Invalid ExplicitHashKey. ExplicitHashKey must be in the range: [0, 2^128-1]. Specified value was 340282366920938463463374607431768211456"},
		"hash too large in 1":  {"PutRecords", contentJSON, `{"StreamName":"s","Records":[{"Data":"AA==","PartitionKey":"k"},{"Data":"AA==","PartitionKey":"k","ExplicitHashKey":"340282366920938463463374607431768211456"}]}`, badRequest, "InvalidArgumentException", "Invalid ExplicitHashKey."},
		"large record":         {"PutRecord", contentJSON, `{"StreamName":"s","Data":"` + strings.Repeat("AAAA", 350_000) + `","PartitionKey":"k"}`, badRequest, "InvalidArgumentException", "larger than this stream's maximum"},
		"large body":           {"PutRecord", contentJSON, `{"StreamName":"s","Data":"` + strings.Repeat("AAAA", 6_000_000) + `","PartitionKey":"k"}`, http.StatusRequestEntityTooLarge, "RequestEntityTooLargeException", ""},
		"large cold body":      {"GetRecords", contentJSON, `{"X":"` + strings.Repeat("AAAA", 300_000) + `"}`, http.StatusRequestEntityTooLarge, "RequestEntityTooLargeException", ""},
		"no stream":            {"PutRecord", contentJSON, `{"Data":"AA==","PartitionKey":"k"}`, badRequest, "InvalidArgumentException", ""},
		"name of a path":       {"PutRecord", contentJSON, `{"StreamName":"../é\u0000","Data":"AA==","PartitionKey":"k"}`, badRequest, "ValidationException", "[a-zA-Z0-9_.-]+"},
		"two streams":          {"PutRecord", contentJSON, `{"StreamName":"s","StreamARN":"arn:aws:kinesis:eu-west-1:000000000000:stream/t","Data":"AA==","PartitionKey":"k"}`, badRequest, "InvalidArgumentException", ""},
		"another account":      {"PutRecord", contentJSON, `{"StreamARN":"arn:aws:kinesis:eu-west-1:111111111111:stream/s","Data":"AA==","PartitionKey":"k"}`, badRequest, "AccessDeniedException", ""},
		"unknown stream":       {"PutRecords", contentJSON, `{"StreamName":"none","Records":[{"Data":"AA==","PartitionKey":"k"}]}`, badRequest, "ResourceNotFoundException", "Stream none under account 000000000000 not found."},
		"foreign ordering":     {"PutRecord", contentJSON, `{"StreamName":"s","Data":"AA==","PartitionKey":"k","SequenceNumberForOrdering":"4"}`, badRequest, "InvalidArgumentException", ""},
		"dry run":              {"PutRecord", contentJSON, `{"StreamName":"s","Data":"AA==","PartitionKey":"k","DryRun":true}`, badRequest, "InvalidArgumentException", "dryRun is not supported"},
		"CBOR for JSON":        {"PutRecord", contentJSON, "\xbf\xff", badRequest, "SerializationException", ""},
		"negative limit":       {"GetRecords", contentJSON, `{"ShardIterator":"x","Limit":-1}`, badRequest, "ValidationException", "Value '-1' at 'limit' failed to satisfy constraint: Member must have value greater than or equal to 1"},
		"limit of 1e400":       {"GetRecords", contentJSON, `{"ShardIterator":"x","Limit":1e400}`, badRequest, "ValidationException", "Value '2147483647' at 'limit' failed to satisfy constraint: Member must have value less than or equal to 10000"},
		"forged iterator":      {"GetRecords", contentJSON, `{"ShardIterator":"AAAAAAAAAAG"}`, badRequest, "InvalidArgumentException", "Invalid ShardIterator"},
		"no iterator":          {"GetRecords", contentJSON, `{}`, badRequest, "ValidationException", "Value null at 'shardIterator'"},
		"iterator type":        {"GetShardIterator", contentJSON, `{"StreamName":"s","ShardId":"0","ShardIteratorType":"NEWEST"}`, badRequest, "ValidationException", "enum value set: [AFTER_SEQUENCE_NUMBER, LATEST, AT_TIMESTAMP, AT_SEQUENCE_NUMBER, TRIM_HORIZON]"},
		"no shard":             {"GetShardIterator", contentJSON, `{"StreamName":"s","ShardId":"shardId-000000000009","ShardIteratorType":"LATEST"}`, badRequest, "ResourceNotFoundException", "Shard shardId-000000000009 in stream s under account 000000000000 does not exist"},
		"in the future":        {"GetShardIterator", contentJSON, `{"StreamName":"s","ShardId":"0","ShardIteratorType":"AT_TIMESTAMP","Timestamp":32503680000}`, badRequest, "InvalidArgumentException", "in the future"},
		"time out of range":    {"GetShardIterator", contentJSON, `{"StreamName":"s","ShardId":"0","ShardIteratorType":"AT_TIMESTAMP","Timestamp":1e300}`, badRequest, "SerializationException", "milliseconds since epoch"},
		"number with LATEST":   {"GetShardIterator", contentJSON, `{"StreamName":"s","ShardId":"0","ShardIteratorType":"LATEST","StartingSequenceNumber":"1"}`, badRequest, "InvalidArgumentException", ""},
		"AFTER without number": {"GetShardIterator", contentJSON, `{"StreamName":"s","ShardId":"0","ShardIteratorType":"AFTER_SEQUENCE_NUMBER"}`, badRequest, "InvalidArgumentException", ""},
		"no consumer":          {"SubscribeToShard", contentJSON, `{"ConsumerARN":"arn:aws:kinesis:eu-west-1:000000000000:stream/s/consumer/c:17","ShardId":"0","StartingPosition":{"Type":"LATEST"}}`, badRequest, "ResourceNotFoundException", ""},
		"consumer of nothing":  {"SubscribeToShard", contentJSON, `{"ConsumerARN":"c","ShardId":"0","StartingPosition":{"Type":"LATEST"}}`, badRequest, "ValidationException", "'consumerARN'"},
		"no position":          {"SubscribeToShard", contentJSON, `{"ConsumerARN":"arn:aws:kinesis:eu-west-1:000000000000:stream/s/consumer/c:17","ShardId":"0","StartingPosition":{}}`, badRequest, "ValidationException", "Value null at 'startingPosition.type'"},
		"unknown operation":    {"PutRecordz", contentJSON, `{}`, badRequest, "UnknownOperationException", ""},
		"HTML":                 {"PutRecord", "text/html", `{}`, http.StatusNotFound, "UnknownOperationException", ""},
		"no content type":      {"PutRecord", "", `{}`, http.StatusNotFound, "UnknownOperationException", ""},
	} {
		t.Run(name, func(t *testing.T) {
			a := r.send(c.operation, c.content, []byte(c.body))
			a.r = &rig{t: t}
			if message := a.refused(c.status, c.exception); !strings.Contains(message, c.tells) {
				t.Errorf("told %q", message)
			}
			if len(a.body) > 4096 {
				t.Errorf("an answer of %d bytes", len(a.body))
			}
		})
	}
	if got := r.texts("s"); got != "" {
		t.Errorf("something was written: %q", got)
	}
	if log := r.log.String(); strings.Contains(log, "level=ERROR") {
		t.Errorf("a caller's fault is logged as ours:\n%s", log)
	}
}

// texts reads shard 0 of a stream from its beginning.
func (r *rig) texts(stream string) string {
	r.t.Helper()
	it, err := r.broker.GetShardIterator(r.t.Context(), who, broker.GetShardIteratorRequest{Stream: stream, Shard: "0", Start: broker.StartingPosition{Type: broker.TrimHorizon}})
	r.must(err)
	res, err := r.broker.GetRecords(r.t.Context(), who, broker.GetRecordsRequest{Iterator: it})
	r.must(err)
	var all []string
	for _, rec := range res.Records {
		all = append(all, string(rec.Data))
	}
	return strings.Join(all, " ")
}

func TestBadCBOR(t *testing.T) {
	r := newRig(t, options{})
	r.stream("s", 1)
	for name, body := range map[string]string{
		"nothing":        "",
		"cut off":        "\xbf\x64Data",
		"a list":         "\x80",
		"a number":       "\x01",
		"extra":          "\xa0\xa0",
		"twice":          "\xa2\x6aStreamName\x61s\x6aStreamName\x61s",
		"not UTF-8":      "\xa1\x6aStreamName\x61\xff",
		"data of text":   "\xa3\x6aStreamName\x61s\x64Data\x61a\x6cPartitionKey\x61k",
		"name of bytes":  "\xa1\x6aStreamName\x41s",
		"huge list":      "\xa1\x67Records\x9b\xff\xff\xff\xff\xff\xff\xff\xff",
		"deep":           "\xa1\x61a" + strings.Repeat("\x81", 100) + "\x01",
		"a break":        "\xff",
		"reserved bytes": "\x1c",
	} {
		for _, operation := range []string{"PutRecord", "PutRecords", "GetRecords"} {
			a := r.send(operation, contentCBOR, []byte(body))
			var e map[string]string
			if err := cbor.Unmarshal(a.body, &e); err != nil {
				t.Fatalf("%s: %s: %x: %v", name, operation, a.body, err)
			}
			if a.code != http.StatusBadRequest || a.header.Get("Content-Type") != contentCBOR {
				t.Errorf("%s: %s: HTTP %d, %v", name, operation, a.code, a.header)
			}
			// What one operation does not know it passes over.
			if e["__type"] != "SerializationException" && !strings.HasPrefix(e["message"], "1 validation error") && !strings.HasPrefix(e["message"], "2 validation errors") {
				t.Errorf("%s: %s: %v", name, operation, e)
			}
		}
	}
	if got := r.texts("s"); got != "" {
		t.Errorf("something was written: %q", got)
	}
}

// Only POST is an operation, and other edges' requests are not this one's.
func TestWhatIsHandled(t *testing.T) {
	r := newRig(t, options{})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.web.URL, http.NoBody)
	r.must(err)
	req.Header.Set("Content-Type", contentJSON)
	resp, err := r.web.Client().Do(req)
	r.must(err)
	r.should(resp.Body.Close())
	if resp.StatusCode != http.StatusNotFound {
		t.Errorf("GET: HTTP %d", resp.StatusCode)
	}
}

// refuser is an engine that refuses some records, as its field says.
type refuser struct {
	broker.Engine
	outcome error
}

func (e *refuser) Append(ctx context.Context, puts []broker.Put) error {
	good := make([]broker.Put, 0, len(puts))
	at := []int{}
	for i := range puts {
		if strings.HasPrefix(puts[i].Record.PartitionKey, "bad") {
			puts[i].Err = e.outcome
			continue
		}
		good, at = append(good, puts[i]), append(at, i)
	}
	err := e.Engine.Append(ctx, good)
	for i, j := range at {
		puts[j] = good[i]
	}
	return err
}

func TestOutcomesOfRecords(t *testing.T) {
	e := &refuser{}
	r := newRig(t, options{engine: func(behind broker.Engine) broker.Engine { e.Engine = behind; return e }})
	r.stream("s", 1)
	for _, c := range []struct {
		outcome       error
		code, message string
	}{
		{leat.Errorf(leat.KindThroughputExceeded, "Rate exceeded"), "ProvisionedThroughputExceededException", "Rate exceeded"},
		{leat.Errorf(leat.KindUnavailable, "moving"), "ProvisionedThroughputExceededException", "moving"},
		{errors.New("secret"), "InternalFailure", "Internal Service Failure"},
	} {
		e.outcome = c.outcome
		var out struct {
			FailedRecordCount int
			Records           []struct{ ErrorCode, ErrorMessage, SequenceNumber, ShardId string }
		}
		r.call("PutRecords", `{"StreamName":"s","Records":[{"Data":"YQ==","PartitionKey":"good"},{"Data":"Yg==","PartitionKey":"bad"},{"Data":"Yw==","PartitionKey":"good"}]}`).into(&out)
		if out.FailedRecordCount != 1 || len(out.Records) != 3 || out.Records[1].ErrorCode != c.code || out.Records[1].ErrorMessage != c.message ||
			out.Records[1].SequenceNumber != "" || out.Records[0].ErrorCode != "" || out.Records[2].SequenceNumber <= out.Records[0].SequenceNumber {
			t.Errorf("%v: %+v", c.outcome, out)
		}
	}
	if got := r.texts("s"); got != "a c a c a c" {
		t.Errorf("written: %q", got)
	}
}

// The memory of a request is used again: records must not change when it is.
func TestRecordsOutliveTheirRequest(t *testing.T) {
	r := newRig(t, options{})
	r.stream("s", 1)
	var want []string
	for i := range 50 {
		text := strings.Repeat(fmt.Sprint(i%10), 100+i)
		want = append(want, text)
		if i%2 == 0 {
			r.call("PutRecord", object{"StreamName": "s", "Data": []byte(text), "PartitionKey": "k\u00e9" + text}).into(&object{})
		} else {
			raw, err := cbor.Marshal(object{"StreamName": "s", "Records": []object{{"Data": []byte(text), "PartitionKey": "k" + text}}})
			r.must(err)
			if a := r.send("PutRecords", contentCBOR, raw); a.code != http.StatusOK {
				t.Fatalf("HTTP %d: %x", a.code, a.body)
			}
		}
	}
	if got := r.texts("s"); got != strings.Join(want, " ") {
		t.Errorf("records changed: %q", got)
	}
}

// Whatever is sent, the answer is one of the wire's, and none of it is the server's fault.
func FuzzRequest(f *testing.F) {
	r := newRig(f, options{})
	r.stream("s", 1)
	for _, op := range kinesis.Operations() {
		f.Add(op, contentJSON, []byte(`{"StreamName":"s","Data":"AA==","PartitionKey":"k","Records":[{"Data":"AA==","PartitionKey":"k"}],"ShardId":"0","ShardIteratorType":"LATEST","ShardIterator":"x","Limit":1}`))
		f.Add(op, contentCBOR, []byte("\xa1\x6aStreamName\x61s"))
	}
	f.Fuzz(func(t *testing.T, operation, content string, body []byte) {
		req := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(body)).WithContext(t.Context())
		req.Header["Content-Type"] = []string{content}
		req.Header["X-Amz-Target"] = []string{"Kinesis_20131202." + operation}
		rec := httptest.NewRecorder()
		r.handler.ServeHTTP(rec, req)
		if rec.Code >= http.StatusInternalServerError || rec.Header().Get("x-amzn-RequestId") == "" {
			t.Errorf("HTTP %d: %s", rec.Code, rec.Body)
		}
	})
}
