// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package kinesis_test

import (
	"encoding/json"
	"maps"
	"math"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"
)

// with adds members to a request.
func (o object) with(more object) object {
	out := maps.Clone(o)
	maps.Copy(out, more)
	return out
}

func arnOf(name string) string { return "arn:aws:kinesis:eu-west-1:" + account + ":stream/" + name }

// fresh is an in memory answer of JSON.
func (a answer) object() object {
	a.r.t.Helper()
	var o object
	a.into(&o)
	return o
}

// empty checks that an operation answered with an empty body.
func (a answer) empty() {
	a.r.t.Helper()
	if a.code != http.StatusOK || len(a.body) != 0 {
		a.r.t.Fatalf("HTTP %d: %s: want an empty body", a.code, a.body)
	}
}

// callCBOR posts CBOR. Times are written as AWS's SDKs do.
func (r *rig) callCBOR(operation string, in object) answer {
	r.t.Helper()
	raw, err := cbor.Marshal(in)
	r.must(err)
	return r.send(operation, contentCBOR, raw)
}

// asJSON turns an answer in CBOR into what encoding/json makes of the same answer in JSON.
func (a answer) asJSON() any {
	a.r.t.Helper()
	mode, err := cbor.DecOptions{DefaultMapType: reflect.TypeFor[map[string]any]()}.DecMode()
	a.r.must(err)
	var v any
	a.r.must(mode.Unmarshal(a.body, &v))
	return jsonValue(v)
}

func jsonValue(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k := range v {
			v[k] = jsonValue(v[k])
		}
		return v
	case []any:
		for i := range v {
			v[i] = jsonValue(v[i])
		}
		return v
	case time.Time: // a tag 1, taken for seconds where AWS means milliseconds
		return float64(v.Unix()) / 1000
	case uint64:
		return float64(v)
	case int64:
		return float64(v)
	}
	return v
}

// sameInCBOR checks that a request that changes nothing is answered alike in JSON and CBOR, and returns the answer.
func (r *rig) sameInCBOR(operation string, in object) object {
	r.t.Helper()
	text, binary := r.call(operation, in), r.callCBOR(operation, in)
	var a, b any
	text.into(&a)
	if b = binary.asJSON(); binary.code != http.StatusOK || !closeTo(a, b) {
		r.t.Fatalf("%s: JSON %v\nCBOR %v", operation, a, b)
	}
	out, ok := a.(map[string]any)
	if !ok {
		r.t.Fatalf("%s: %v is not an object", operation, a)
	}
	return out
}

// closeTo compares values; a second as JSON has it may differ from one made of milliseconds in the last bit.
func closeTo(a, b any) bool {
	x, ok := a.(float64)
	y, ok2 := b.(float64)
	if ok && ok2 {
		return math.Abs(x-y) < 0.0005
	}
	switch a := a.(type) {
	case map[string]any:
		b, ok := b.(map[string]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for k := range a {
			if _, there := b[k]; !there || !closeTo(a[k], b[k]) {
				return false
			}
		}
		return true
	case []any:
		b, ok := b.([]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for i := range a {
			if !closeTo(a[i], b[i]) {
				return false
			}
		}
		return true
	}
	return reflect.DeepEqual(a, b)
}

// named are the operations that take StreamName, StreamARN or both, with what else they need.
func named() map[string]object {
	return map[string]object{
		"AddTagsToStream":               {"Tags": object{"a": "b"}},
		"DecreaseStreamRetentionPeriod": {"RetentionPeriodHours": 24},
		"DisableEnhancedMonitoring":     {"ShardLevelMetrics": []string{"ALL"}},
		"EnableEnhancedMonitoring":      {"ShardLevelMetrics": []string{"ALL"}},
		"IncreaseStreamRetentionPeriod": {"RetentionPeriodHours": 48},
		"ListTagsForStream":             {},
		"RemoveTagsFromStream":          {"TagKeys": []string{"a"}},
		"StartStreamEncryption":         {"EncryptionType": "KMS", "KeyId": "alias/x"},
		"StopStreamEncryption":          {"EncryptionType": "KMS", "KeyId": "alias/x"},
		"UpdateStreamWarmThroughput":    {"WarmThroughputMiBps": 1},
		"DeleteStream":                  {},
		"DescribeStream":                {},
		"DescribeStreamSummary":         {},
		"ListShards":                    {},
		"MergeShards":                   {"ShardToMerge": "0", "AdjacentShardToMerge": "1"},
		"SplitShard":                    {"ShardToSplit": "0", "NewStartingHashKey": "5"},
		"UpdateShardCount":              {"TargetShardCount": 2, "ScalingType": "UNIFORM_SCALING"},
	}
}

// byARN are those that take StreamARN alone.
func byARN() map[string]object {
	return map[string]object{
		"ListStreamConsumers":      {},
		"RegisterStreamConsumer":   {"ConsumerName": "c"},
		"DescribeStreamConsumer":   {"ConsumerName": "c"},
		"DeregisterStreamConsumer": {"ConsumerName": "c"},
		"UpdateStreamMode":         {"StreamModeDetails": object{"StreamMode": "ON_DEMAND"}},
		"UpdateMaxRecordSize":      {"MaxRecordSizeInKiB": 2048},
	}
}

func TestStreamsAreNamedByNameOrARN(t *testing.T) {
	r := newRig(t, options{})
	r.stream("there", 1)
	const gone = "Stream none under account " + account + " not found."
	for operation, in := range named() {
		for _, by := range []object{
			{"StreamName": "none"},
			{"StreamARN": arnOf("none")},
			{"StreamName": "none", "StreamARN": arnOf("none")},
			{"StreamName": "none", "Unknown": object{"a": []int{1}}, "streamname": 1},
		} {
			if got := r.call(operation, in.with(by)).refused(400, "ResourceNotFoundException"); got != gone {
				t.Errorf("%s by %v: %q", operation, by, got)
			}
		}
		if a := r.callCBOR(operation, in.with(object{"StreamName": "none"})); a.code != 400 || !closeTo(a.asJSON(), map[string]any{"__type": "ResourceNotFoundException", "message": gone}) {
			t.Errorf("%s in CBOR: HTTP %d: %v", operation, a.code, a.asJSON())
		}
		for _, by := range []object{
			{},
			{"StreamName": nil, "StreamARN": nil},
			{"StreamId": "abcdefghijklmnopqrst-abc"},
			{"StreamName": "none", "StreamARN": arnOf("there")},
			{"StreamName": "there", "StreamARN": strings.Replace(arnOf("there"), account, "111111111111", 1)},
		} {
			if got := r.call(operation, in.with(by)).refused(400, "InvalidArgumentException"); got == "" {
				t.Errorf("%s by %v: no message", operation, by)
			}
		}
	}
	for _, by := range []object{{"StreamName": "there"}, {"StreamARN": arnOf("there")}, {"StreamName": "there", "StreamARN": arnOf("there")}} {
		if got := r.call("DescribeStreamSummary", by).object(); got.at(t, "StreamDescriptionSummary", "StreamStatus") != "ACTIVE" {
			t.Errorf("by %v: %v", by, got)
		}
	}
}

func TestStreamsThatTakeARNsAlone(t *testing.T) {
	r := newRig(t, options{})
	for operation, in := range byARN() {
		if got, want := r.call(operation, in.with(object{"StreamARN": arnOf("none")})).refused(400, "ResourceNotFoundException"),
			"Stream none under account "+account+" not found."; got != want {
			t.Errorf("%s: %q", operation, got)
		}
		if got := r.call(operation, in.with(object{"StreamARN": arnOf("none"), "StreamId": "abcdefghijklmnopqrst-abc"})).refused(400, "InvalidArgumentException"); !strings.Contains(got, "StreamId") {
			t.Errorf("%s: %q", operation, got)
		}
		r.call(operation, in.with(object{"StreamARN": "arn:aws:kinesis:eu-west-1:1:stream/x"})).refused(400, "ValidationException")
	}
}

func TestConstraintsOfStreamNames(t *testing.T) {
	r := newRig(t, options{})
	long := strings.Repeat("a", 129)
	const pattern = "failed to satisfy constraint: Member must satisfy regular expression pattern: "
	for operation, in := range named() {
		for _, c := range []struct{ member, value, want string }{
			{"StreamName", "", "2 validation errors detected: Value '' at 'streamName' " + pattern + "[a-zA-Z0-9_.-]+; Value '' at 'streamName' failed to satisfy constraint: Member must have length greater than or equal to 1"},
			{"StreamName", "ü", "1 validation error detected: Value 'ü' at 'streamName' " + pattern + "[a-zA-Z0-9_.-]+"},
			{"StreamName", long, "1 validation error detected: Value '" + long + "' at 'streamName' failed to satisfy constraint: Member must have length less than or equal to 128"},
			{"StreamARN", "x", "1 validation error detected: Value 'x' at 'streamARN' " + pattern + `arn:aws.*:kinesis:.*:\d{12}:stream/\S+`},
			{"StreamId", "x", "1 validation error detected: Value 'x' at 'streamId' " + pattern + "[a-z0-9]{20}-[a-z0-9]{3}"},
		} {
			if got := r.call(operation, in.with(object{c.member: c.value})).refused(400, "ValidationException"); got != c.want {
				t.Errorf("%s with %s %q:\ngot  %s\nwant %s", operation, c.member, c.value, got, c.want)
			}
		}
	}
}

// TestFormComesBeforeMeaning holds the order of AWS: the body's form, then constraints, then what is asked for.
func TestFormComesBeforeMeaning(t *testing.T) {
	r := newRig(t, options{})
	r.call("SplitShard", `{"StreamName":"none","ShardToSplit":1,"NewStartingHashKey":"x"}`).refused(400, "SerializationException")
	r.call("SplitShard", object{"StreamName": "none", "ShardToSplit": "0", "NewStartingHashKey": "x"}).refused(400, "ValidationException")
	r.call("SplitShard", object{"ShardToSplit": "0", "NewStartingHashKey": "1"}).refused(400, "InvalidArgumentException")
	r.call("SplitShard", object{"StreamName": "none", "ShardToSplit": "x", "NewStartingHashKey": "1"}).refused(400, "ResourceNotFoundException")
	r.call("SplitShard", object{
		"StreamARN": strings.Replace(arnOf("none"), account, "111111111111", 1), "ShardToSplit": "0", "NewStartingHashKey": "1",
	}).refused(400, "AccessDeniedException")
}

// fields reads a path of members.
func (o object) at(t *testing.T, path ...string) any {
	t.Helper()
	var v any = map[string]any(o)
	for _, name := range path {
		m, ok := v.(map[string]any)
		if !ok {
			t.Fatalf("%v has no %v", o, path)
		}
		v = m[name]
	}
	return v
}

// asked is what an expectation looks like once it went through JSON.
func asked(t *testing.T, v any) any {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var out any
	if err := json.Unmarshal(raw, &out); err != nil {
		t.Fatal(err)
	}
	return out
}
