// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package kinesis_test

import (
	"net/http"
	"testing"
)

func TestFrame(t *testing.T) {
	r := newRig(t, options{})
	r.stream("s", 1)
	a := r.call("GetShardIterator", object{"StreamName": "s", "ShardId": "shardId-000000000000", "ShardIteratorType": "LATEST"})
	var out struct{ ShardIterator string }
	a.into(&out)
	if out.ShardIterator == "" || a.header.Get("Content-Type") != contentJSON || a.header.Get("x-amzn-RequestId") == "" || a.header.Get("x-amz-id-2") == "" {
		t.Errorf("%s, %v", a.body, a.header)
	}
	r.call("NoSuch", object{}).refused(http.StatusBadRequest, "UnknownOperationException")
	r.send("GetShardIterator", "text/plain", []byte("{}")).refused(http.StatusNotFound, "UnknownOperationException")
	got := r.call("GetShardIterator", object{"StreamName": "", "ShardId": "x"}).refused(http.StatusBadRequest, "ValidationException")
	want := "3 validation errors detected: " +
		"Value null at 'shardIteratorType' failed to satisfy constraint: Member must not be null; " +
		"Value '' at 'streamName' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+; " +
		"Value '' at 'streamName' failed to satisfy constraint: Member must have length greater than or equal to 1"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	for body, want := range map[string]string{
		`{"StreamName":1}`:    "class com.amazon.coral.value.json.numbers.TruncatingBigNumber can not be converted to an String",
		`{"StreamName":true}`: "class java.lang.Boolean can not be converted to an String",
		`{"StreamName":[]}`:   "Unrecognized collection type class java.lang.String",
		`{"StreamName":{}}`:   "Start of structure or map found where not expected.",
		`{"Timestamp":"x"}`:   "class java.lang.String can not be converted to milliseconds since epoch",
	} {
		if got := r.call("GetShardIterator", body).refused(http.StatusBadRequest, "SerializationException"); got != want {
			t.Errorf("%s: %q", body, got)
		}
	}
	if got := r.call("GetShardIterator", object{"StreamName": "none", "ShardId": "0", "ShardIteratorType": "LATEST"}).refused(http.StatusBadRequest, "ResourceNotFoundException"); got != "Stream none under account 000000000000 not found." {
		t.Errorf("%q", got)
	}
}
