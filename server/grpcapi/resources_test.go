// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package grpcapi_test

import (
	"net/http"
	"net/url"
	"slices"
	"testing"

	leatv1 "github.com/leatstream/leat/api/leat/v1"
)

func TestResourcesOverBothEdges(t *testing.T) {
	r := newRig(t, options{})
	resources := leatv1.NewResourceServiceClient(r.conn)
	_, err := r.streams.CreateStream(t.Context(), &leatv1.CreateStreamRequest{Stream: "s", ShardCount: 1, Tags: map[string]string{"made": "with it"}})
	r.must(err)
	r.active("s")
	_, err = r.consumers.RegisterStreamConsumer(t.Context(), &leatv1.RegisterStreamConsumerRequest{Stream: "s", Consumer: "c", Tags: map[string]string{"of": "c"}})
	r.must(err)
	_, err = resources.AddTags(t.Context(), &leatv1.AddTagsRequest{Stream: "s", Tags: map[string]string{"a/b": "1"}})
	r.must(err)
	r.rest(http.MethodPost, "/v1/streams/s/tags", object{"tags": object{"ü": ""}}).into(r, &struct{}{})
	r.rest(http.MethodDelete, "/v1/streams/s/tags?names=none&names="+url.QueryEscape("a/b"), nil).into(r, &struct{}{})
	var list struct {
		Tags []struct{ Name, Value string }
	}
	r.rest(http.MethodGet, "/v1/streams/s/tags", nil).into(r, &list)
	if len(list.Tags) != 2 || list.Tags[0].Name != "made" || list.Tags[0].Value != "with it" || list.Tags[1].Name != "ü" {
		t.Errorf("%+v", list)
	}
	if got, err := resources.ListTags(t.Context(), &leatv1.ListTagsRequest{Stream: "s", Consumer: "c"}); err != nil || len(got.GetTags()) != 1 || got.GetTags()[0].GetName() != "of" {
		t.Errorf("%v, %v", got, err)
	}
	_, err = resources.RemoveTags(t.Context(), &leatv1.RemoveTagsRequest{Stream: "s", Consumer: "d", Names: []string{"of"}})
	if f := faultOf(err); f.kind != "NOT_FOUND" {
		t.Errorf("%v", err)
	}
	if f := r.rest(http.MethodPost, "/v1/streams/s/tags", object{"tags": object{"a,b": ""}}).fault(); f.kind != "INVALID_ARGUMENT" || f.field != "tags" {
		t.Errorf("%+v", f)
	}

	const policy = `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"kinesis:*","Resource":"*"}]}`
	r.rest(http.MethodPut, "/v1/streams/s/policy", object{"policy": policy}).into(r, &struct{}{})
	if got, err := resources.GetResourcePolicy(t.Context(), &leatv1.GetResourcePolicyRequest{Stream: "s"}); err != nil || got.GetPolicy() != policy {
		t.Errorf("%v, %v", got, err)
	}
	_, err = resources.PutResourcePolicy(t.Context(), &leatv1.PutResourcePolicyRequest{Stream: "s", Consumer: "c", Policy: "no policy"})
	if f := faultOf(err); f.kind != "INVALID_ARGUMENT" || f.field != "policy" {
		t.Errorf("%v", err)
	}
	_, err = resources.DeleteResourcePolicy(t.Context(), &leatv1.DeleteResourcePolicyRequest{Stream: "s"})
	r.must(err)
	if a := r.rest(http.MethodDelete, "/v1/streams/s/policy", nil); a.code != http.StatusNotFound {
		t.Errorf("%d %s", a.code, a.body)
	}
	if got, err := resources.GetResourcePolicy(t.Context(), &leatv1.GetResourcePolicyRequest{Stream: "s"}); err != nil || got.GetPolicy() != "" {
		t.Errorf("%v, %v", got, err)
	}
}

func TestMonitoringAndWarmThroughput(t *testing.T) {
	r := newRig(t, options{})
	made, err := r.streams.CreateStream(t.Context(), &leatv1.CreateStreamRequest{Stream: "s", WarmThroughputMibps: 5})
	r.must(err)
	if s := made.GetStream(); s.GetWarmThroughputMibps() != 5 || s.GetOpenShardCount() != 5 || s.GetEncryptionKey() != "" || len(s.GetMonitoring()) != 0 {
		t.Errorf("%v", s)
	}
	r.active("s")
	var all []leatv1.ShardMetric
	for n := range leatv1.ShardMetric_name {
		if n != 0 {
			all = append(all, leatv1.ShardMetric(n))
		}
	}
	set, err := r.streams.SetStreamMonitoring(t.Context(), &leatv1.SetStreamMonitoringRequest{Stream: "s", Enable: all})
	r.must(err)
	got := slices.Clone(set.GetStream().GetMonitoring())
	slices.Sort(got)
	slices.Sort(all)
	if !slices.Equal(got, all) || len(set.GetBefore()) != 0 {
		t.Errorf("%v", set)
	}
	var rest struct {
		Before []string
		Stream struct{ Monitoring []string }
	}
	r.rest(http.MethodPost, "/v1/streams/s:monitor", object{"disable": []string{"SHARD_METRIC_INCOMING_BYTES"}}).into(r, &rest)
	if len(rest.Before) != 7 || len(rest.Stream.Monitoring) != 6 || slices.Contains(rest.Stream.Monitoring, "SHARD_METRIC_INCOMING_BYTES") {
		t.Errorf("%+v", rest)
	}
	var warm struct {
		Stream struct{ WarmThroughputMibps, TargetShardCount int }
	}
	r.rest(http.MethodPatch, "/v1/streams/s", object{"warmThroughputMibps": 6}).into(r, &warm)
	if warm.Stream.WarmThroughputMibps != 6 || warm.Stream.TargetShardCount != 6 {
		t.Errorf("%+v", warm)
	}
	r.active("s")
	var cold struct {
		Stream struct{ WarmThroughputMibps, OpenShardCount int }
	}
	r.rest(http.MethodPatch, "/v1/streams/s?updateMask=warm_throughput_mibps", object{"warmThroughputMibps": 0}).into(r, &cold)
	if cold.Stream.WarmThroughputMibps != 0 || cold.Stream.OpenShardCount != 6 {
		t.Errorf("%+v", cold)
	}
}

func TestAccountOverBothEdges(t *testing.T) {
	r := newRig(t, options{})
	account := leatv1.NewAccountServiceClient(r.conn)
	r.stream("s", 3)
	_, err := r.streams.CreateStream(t.Context(), &leatv1.CreateStreamRequest{Stream: "o"})
	r.must(err)
	limits, err := account.GetAccountLimits(t.Context(), &leatv1.GetAccountLimitsRequest{})
	r.must(err)
	if l := limits.GetLimits(); l.GetOpenShardCount() != 7 || l.GetOnDemandStreamCount() != 1 || l.GetShardLimit() < 1000 || l.GetOnDemandStreamLimit() < 50 {
		t.Errorf("%v", l)
	}
	var settings struct {
		Settings struct{ MinimumThroughputCommitment, CommitmentStartTime, CommitmentEarliestEndTime, CommitmentEndTime string }
	}
	r.rest(http.MethodGet, "/v1/account/settings", nil).into(r, &settings)
	if s := settings.Settings; s.MinimumThroughputCommitment != "COMMITMENT_STATUS_DISABLED" || s.CommitmentStartTime != "" {
		t.Errorf("%+v", s)
	}
	r.rest(http.MethodPatch, "/v1/account/settings", object{"minimumThroughputCommitment": "COMMITMENT_STATUS_ENABLED"}).into(r, &settings)
	if s := settings.Settings; s.MinimumThroughputCommitment != "COMMITMENT_STATUS_ENABLED" || s.CommitmentStartTime == "" || s.CommitmentEarliestEndTime <= s.CommitmentStartTime || s.CommitmentEndTime != "" {
		t.Errorf("%+v", s)
	}
	ended, err := account.UpdateAccountSettings(t.Context(), &leatv1.UpdateAccountSettingsRequest{MinimumThroughputCommitment: leatv1.CommitmentStatus_COMMITMENT_STATUS_DISABLED})
	r.must(err)
	if got := ended.GetSettings().GetMinimumThroughputCommitment(); got != leatv1.CommitmentStatus_COMMITMENT_STATUS_ENABLED_UNTIL_EARLIEST_ALLOWED_END {
		t.Errorf("%v", got)
	}
	_, err = account.UpdateAccountSettings(t.Context(), &leatv1.UpdateAccountSettingsRequest{})
	if f := faultOf(err); f.kind != "INVALID_ARGUMENT" || f.field != "minimum_throughput_commitment" {
		t.Errorf("%v", err)
	}
}
