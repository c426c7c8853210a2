// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package kinesis_test

import (
	"strings"
	"testing"
)

func TestEnhancedMonitoring(t *testing.T) {
	r := newRig(t, options{})
	r.stream("s", 1)
	change := func(operation string, want object, metrics ...string) {
		t.Helper()
		got := r.call(operation, object{"StreamName": "s", "ShardLevelMetrics": metrics}).object()
		if want := asked(t, want.with(object{"StreamName": "s", "StreamARN": arnOf("s")})); !closeTo(want, map[string]any(got)) {
			t.Errorf("%s %v: %v", operation, metrics, got)
		}
	}
	before := func(metrics ...string) []string { return append([]string{}, metrics...) }
	all := []string{"IncomingBytes", "IncomingRecords", "IteratorAgeMilliseconds", "OutgoingBytes", "OutgoingRecords", "ReadProvisionedThroughputExceeded", "WriteProvisionedThroughputExceeded"}
	change("EnableEnhancedMonitoring", object{"CurrentShardLevelMetrics": before(), "DesiredShardLevelMetrics": before("IncomingBytes", "OutgoingBytes")}, "OutgoingBytes", "IncomingBytes")
	change("EnableEnhancedMonitoring", object{"CurrentShardLevelMetrics": before("IncomingBytes", "OutgoingBytes"), "DesiredShardLevelMetrics": all}, "ALL")
	change("DisableEnhancedMonitoring", object{"CurrentShardLevelMetrics": all, "DesiredShardLevelMetrics": all[1:]}, "IncomingBytes")
	got := r.sameInCBOR("DescribeStream", object{"StreamName": "s"})
	if got := got.at(t, "StreamDescription", "EnhancedMonitoring"); !closeTo(got, asked(t, []object{{"ShardLevelMetrics": all[1:]}})) {
		t.Errorf("%v", got)
	}
	change("DisableEnhancedMonitoring", object{"CurrentShardLevelMetrics": all[1:], "DesiredShardLevelMetrics": before()}, "ALL")
	for _, metrics := range []any{[]string{}, []string{"X"}, []string{"ALL", "ALL", "ALL", "ALL", "ALL", "ALL", "ALL", "ALL"}, nil} {
		if got := r.call("EnableEnhancedMonitoring", object{"StreamName": "s", "ShardLevelMetrics": metrics}).refused(400, "ValidationException"); !strings.Contains(got, "at 'shardLevelMetrics'") {
			t.Errorf("%v: %q", metrics, got)
		}
	}
}

func TestDescribeLimits(t *testing.T) {
	r := newRig(t, options{})
	r.stream("a", 3)
	r.call("CreateStream", object{"StreamName": "b"}).empty()
	r.active("b")
	got := r.sameInCBOR("DescribeLimits", object{})
	if got["OpenShardCount"] != 7.0 || got["OnDemandStreamCount"] != 1.0 || got["ChannelCount"] != 0.0 || got["ChannelCountLimit"] != 0.0 {
		t.Errorf("%v", got)
	}
	for _, limit := range []string{"ShardLimit", "OnDemandStreamCountLimit"} {
		if n, _ := got[limit].(float64); n <= 7 {
			t.Errorf("%s is %v", limit, got[limit])
		}
	}
}

func TestAccountSettings(t *testing.T) {
	r := newRig(t, options{})
	status := func(o object) any { return o.at(t, "MinimumThroughputBillingCommitment", "Status") }
	if got := r.sameInCBOR("DescribeAccountSettings", object{}); status(got) != "DISABLED" {
		t.Errorf("%v", got)
	}
	set := func(to string) object {
		t.Helper()
		return r.call("UpdateAccountSettings", object{"MinimumThroughputBillingCommitment": object{"Status": to}}).object()
	}
	got := set("ENABLED")
	recent(t, got.at(t, "MinimumThroughputBillingCommitment", "StartedAt"))
	if status(got) != "ENABLED" || got.at(t, "MinimumThroughputBillingCommitment", "EarliestAllowedEndAt") == nil {
		t.Errorf("%v", got)
	}
	if got := set("DISABLED"); status(got) != "ENABLED_UNTIL_EARLIEST_ALLOWED_END" {
		t.Errorf("%v", got)
	}
	if got := r.sameInCBOR("DescribeAccountSettings", object{}); status(got) != "ENABLED_UNTIL_EARLIEST_ALLOWED_END" {
		t.Errorf("%v", got)
	}
	for _, bad := range []object{{}, {"MinimumThroughputBillingCommitment": object{}}, {"MinimumThroughputBillingCommitment": object{"Status": "X"}}} {
		r.call("UpdateAccountSettings", bad).refused(400, "ValidationException")
	}
}

func TestWhatIsNotBuiltIsRefusedByName(t *testing.T) {
	r := newRig(t, options{})
	r.stream("s", 1)
	for _, operation := range []string{"CreateChannel", "DeleteChannel", "DescribeChannel", "ListChannels", "UpdateChannel", "UpdateStreamRecordDistributionStrategy"} {
		if got := r.call(operation, object{"StreamARN": arnOf("s")}).refused(400, "InvalidArgumentException"); !strings.Contains(got, operation) {
			t.Errorf("%s: %q", operation, got)
		}
	}
}
