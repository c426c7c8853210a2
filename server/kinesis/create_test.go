// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package kinesis_test

import (
	"strings"
	"testing"
)

func (r *rig) summary(name string) object {
	r.t.Helper()
	d, _ := r.call("DescribeStreamSummary", object{"StreamName": name}).object()["StreamDescriptionSummary"].(map[string]any)
	return d
}

func TestCreateStream(t *testing.T) {
	r := newRig(t, options{})
	for _, c := range []struct {
		name       string
		in         object
		mode       string
		shards     float64
		recordSize float64
	}{
		{"plain", object{"ShardCount": 3}, "PROVISIONED", 3, 1024},
		{"by-default", object{}, "ON_DEMAND", 4, 1024},
		{"on-demand", object{"StreamModeDetails": object{"StreamMode": "ON_DEMAND"}, "RecordDistributionStrategy": "USER_PARTITION_KEY"}, "ON_DEMAND", 4, 1024},
		{"warm", object{"StreamModeDetails": object{"StreamMode": "ON_DEMAND"}, "WarmThroughputMiBps": 6}, "ON_DEMAND", 6, 1024},
		{"large", object{"StreamModeDetails": object{"StreamMode": "PROVISIONED"}, "ShardCount": 1, "MaxRecordSizeInKiB": 10240, "Tags": object{"a": "b", "c": ""}}, "PROVISIONED", 1, 10240},
	} {
		in := c.in.with(object{"StreamName": c.name})
		r.call("CreateStream", in).empty()
		r.active(c.name)
		d := r.summary(c.name)
		if d.at(t, "StreamModeDetails", "StreamMode") != c.mode || d["OpenShardCount"] != c.shards || d["MaxRecordSizeInKiB"] != c.recordSize {
			t.Errorf("%s: %v", c.name, d)
		}
		if _, told := d["RecordDistributionStrategy"]; told != (c.mode == "ON_DEMAND") {
			t.Errorf("%s: %v", c.name, d)
		}
		if got, want := r.call("CreateStream", in).refused(400, "ResourceInUseException"), "Stream "+c.name+" under account "+account+" already exists."; got != want {
			t.Errorf("%q", got)
		}
	}
	if w := r.summary("warm").at(t, "WarmThroughput"); !closeTo(w, asked(t, object{"TargetMiBps": 6, "CurrentMiBps": 6})) {
		t.Errorf("%v", w)
	}
	if w := r.summary("on-demand").at(t, "WarmThroughput"); !closeTo(w, asked(t, object{"CurrentMiBps": 4})) {
		t.Errorf("%v", w)
	}
	if got := r.sameInCBOR("ListTagsForStream", object{"StreamName": "large"}); !closeTo(map[string]any(got), asked(t, object{
		"Tags": []object{{"Key": "a", "Value": "b"}, {"Key": "c", "Value": ""}}, "HasMoreTags": false,
	})) {
		t.Errorf("%v", got)
	}
	r.callCBOR("CreateStream", object{"StreamName": "in-cbor", "ShardCount": 1, "Tags": object{"k": "v"}}).empty()
}

func TestCreateStreamIsRefused(t *testing.T) {
	r := newRig(t, options{})
	for _, c := range []struct {
		in              object
		exception, want string
	}{
		{object{}, "ValidationException", "Value null at 'streamName' failed to satisfy constraint: Member must not be null"},
		{object{"StreamName": "s", "ShardCount": 0}, "ValidationException", "Value '0' at 'shardCount' failed to satisfy constraint: Member must have value greater than or equal to 1"},
		{object{"StreamName": "s", "ShardCount": 100001}, "ValidationException", "Value '100001' at 'shardCount' failed to satisfy constraint: Member must have value less than or equal to 100000"},
		{object{"StreamName": "s", "ShardCount": 1, "MaxRecordSizeInKiB": 1023}, "ValidationException", "'maxRecordSizeInKiB'"},
		{object{"StreamName": "s", "StreamModeDetails": object{}}, "ValidationException", "Value null at 'streamModeDetails.streamMode' failed to satisfy constraint: Member must not be null"},
		{object{"StreamName": "s", "StreamModeDetails": object{"StreamMode": "X"}}, "ValidationException", "Member must satisfy enum value set: [PROVISIONED, ON_DEMAND]"},
		{object{"StreamName": "s", "Tags": object{}}, "ValidationException", "Value '{}' at 'tags' failed to satisfy constraint: Member must have length greater than or equal to 1"},
		{object{"StreamName": "s", "RecordDistributionStrategy": "AUTO"}, "InvalidArgumentException", "RecordDistributionStrategy AUTO is not supported"},
		{object{"StreamName": "s", "StreamModeDetails": object{"StreamMode": "PROVISIONED"}}, "InvalidArgumentException", "shards"},
		{object{"StreamName": "s", "ShardCount": 1, "WarmThroughputMiBps": 1}, "InvalidArgumentException", "ON_DEMAND"},
		{object{"StreamName": "s", "ShardCount": 1, "Tags": object{"a*": "b"}}, "InvalidArgumentException", "tag"},
		{object{"StreamName": "s", "ShardCount": "1"}, "SerializationException", "Integer"},
	} {
		if got := r.call("CreateStream", c.in).refused(400, c.exception); !strings.Contains(got, c.want) {
			t.Errorf("%v: %q", c.in, got)
		}
	}
	if got := r.call("ListStreams", object{}).object(); len(got["StreamNames"].([]any)) != 0 {
		t.Errorf("a refused request made a stream: %v", got)
	}
}

func TestRetention(t *testing.T) {
	r := newRig(t, options{})
	r.stream("s", 1)
	for _, c := range []struct {
		operation       string
		hours           int
		exception, want string
	}{
		{"Increase", 24, "", ""}, // Terraform sets what is set already
		{"Increase", 48, "", ""},
		{"Increase", 48, "", ""},
		{"Increase", 47, "InvalidArgumentException", "Requested retention period (47 hours) for stream s can not be shorter than existing retention period (48 hours). Use DecreaseRetentionPeriod API."},
		{"Increase", 23, "InvalidArgumentException", "Minimum allowed retention period is 24 hours. Requested retention period (23 hours) is too short."},
		{"Increase", -5, "InvalidArgumentException", "Minimum allowed retention period is 24 hours. Requested retention period (-5 hours) is too short."},
		{"Increase", 8761, "InvalidArgumentException", "Maximum allowed retention period is 8760 hours. Requested retention period (8761 hours) is too long."},
		{"Increase", 2147483647, "InvalidArgumentException", "Maximum allowed retention period is 8760 hours. Requested retention period (2147483647 hours) is too long."},
		{"Decrease", 49, "InvalidArgumentException", "Requested retention period (49 hours) for stream s can not be longer than existing retention period (48 hours). Use IncreaseRetentionPeriod API."},
		{"Decrease", 48, "", ""},
		{"Decrease", 30, "", ""},
		{"Decrease", 0, "InvalidArgumentException", "Minimum allowed retention period is 24 hours. Requested retention period (0 hours) is too short."},
	} {
		a := r.call(c.operation+"StreamRetentionPeriod", object{"StreamName": "s", "RetentionPeriodHours": c.hours})
		if c.exception == "" {
			a.empty()
		} else if got := a.refused(400, c.exception); got != c.want {
			t.Errorf("%s to %d: %q", c.operation, c.hours, got)
		}
	}
	if got := r.summary("s")["RetentionPeriodHours"]; got != 30.0 {
		t.Errorf("%v hours", got)
	}
	r.call("IncreaseStreamRetentionPeriod", object{"StreamName": "s"}).refused(400, "ValidationException")
}

func TestModeSizeAndWarmth(t *testing.T) {
	r := newRig(t, options{})
	r.stream("s", 1)
	r.call("UpdateMaxRecordSize", object{"StreamARN": arnOf("s"), "MaxRecordSizeInKiB": 2000}).empty()
	if got := r.summary("s")["MaxRecordSizeInKiB"]; got != 2000.0 {
		t.Errorf("%v KiB", got)
	}
	for _, kib := range []int{1023, 10241, -1} {
		r.call("UpdateMaxRecordSize", object{"StreamARN": arnOf("s"), "MaxRecordSizeInKiB": kib}).refused(400, "ValidationException")
	}
	r.call("UpdateMaxRecordSize", object{"MaxRecordSizeInKiB": 2000}).refused(400, "InvalidArgumentException")

	r.call("UpdateStreamWarmThroughput", object{"StreamName": "s", "WarmThroughputMiBps": 2}).refused(400, "InvalidArgumentException")
	onDemand := object{"StreamARN": arnOf("s"), "StreamModeDetails": object{"StreamMode": "ON_DEMAND"}}
	r.call("UpdateStreamMode", onDemand.with(object{"WarmThroughputMiBps": 2})).empty()
	r.active("s")
	if d := r.summary("s"); d.at(t, "StreamModeDetails", "StreamMode") != "ON_DEMAND" || !closeTo(d["WarmThroughput"], asked(t, object{"TargetMiBps": 2, "CurrentMiBps": 2})) {
		t.Errorf("%v", d)
	}
	got := r.call("UpdateStreamWarmThroughput", object{"StreamARN": arnOf("s"), "WarmThroughputMiBps": 3}).object()
	if got["StreamName"] != "s" || got["StreamARN"] != arnOf("s") || got.at(t, "WarmThroughput", "TargetMiBps") != 3.0 {
		t.Errorf("%v", got)
	}
	r.active("s")
	r.call("UpdateStreamWarmThroughput", object{"StreamName": "s", "WarmThroughputMiBps": -1}).refused(400, "ValidationException")

	for operation, in := range map[string]object{
		"SplitShard":       {"ShardToSplit": "0", "NewStartingHashKey": "5"},
		"MergeShards":      {"ShardToMerge": "0", "AdjacentShardToMerge": "1"},
		"UpdateShardCount": {"TargetShardCount": 9, "ScalingType": "UNIFORM_SCALING"},
	} {
		if got, want := r.call(operation, in.with(object{"StreamName": "s"})).refused(400, "ValidationException"),
			"Request is invalid. Stream s under account "+account+" is in On-Demand mode."; got != want {
			t.Errorf("%s: %q", operation, got)
		}
	}
	r.call("UpdateStreamMode", object{"StreamARN": arnOf("s"), "StreamModeDetails": object{"StreamMode": "PROVISIONED"}}).empty()
	r.call("UpdateStreamMode", object{"StreamARN": arnOf("s")}).refused(400, "ValidationException")
	if d := r.summary("s"); d.at(t, "StreamModeDetails", "StreamMode") != "PROVISIONED" || d["WarmThroughput"] != nil {
		t.Errorf("%v", d)
	}
}
