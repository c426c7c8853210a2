// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/broker"
)

const arn = "arn:aws:kinesis:eu-west-1:000000000000:stream/s"

func TestTags(t *testing.T) {
	r := newRig(t, broker.LimitsOff)
	_, err := r.CreateStream(t.Context(), who, broker.CreateStreamRequest{Stream: "s", Shards: 1, Tags: map[string]string{"b": "1", "a": "2"}})
	r.must(err)
	r.settle()
	c, err := r.RegisterConsumer(t.Context(), who, broker.ConsumerRequest{Stream: "s", Consumer: "c", Tags: map[string]string{"of": "c"}})
	r.must(err)
	stream, consumer := broker.ResourceRequest{Stream: arn}, broker.ResourceRequest{Stream: "s", Consumer: "c", Created: c.Created.Unix()}
	list := func(req broker.ListTagsRequest) string {
		t.Helper()
		tags, more, err := r.ListTags(t.Context(), who, req)
		r.must(err)
		return fmt.Sprint(tags, more)
	}
	r.must(r.AddTags(t.Context(), who, stream, map[string]string{"b": "über", "c": "_ . : / = + - % @"}))
	r.must(r.AddTags(t.Context(), who, consumer, map[string]string{"x": ""}))
	r.must(r.RemoveTags(t.Context(), who, stream, []string{"c", "none"}))
	for _, l := range []struct {
		req  broker.ListTagsRequest
		want string
	}{
		{broker.ListTagsRequest{ResourceRequest: stream}, "[{a 2} {b über}] false"},
		{broker.ListTagsRequest{ResourceRequest: stream, Limit: 1}, "[{a 2}] true"},
		{broker.ListTagsRequest{ResourceRequest: stream, After: "a", Limit: 1}, "[{b über}] false"},
		{broker.ListTagsRequest{ResourceRequest: consumer}, "[{of c} {x }] false"},
	} {
		if got := list(l.req); got != l.want {
			t.Errorf("%+v lists %s, want %s", l.req, got, l.want)
		}
	}

	for what, tags := range map[string]map[string]string{
		"none": {}, "no name": {"": "v"}, "long name": {strings.Repeat("n", 129): ""}, "long value": {"n": strings.Repeat("v", 257)},
		"bad name": {"a,b": ""}, "bad value": {"n": "a\x00"}, "no text": {"n": "\xff"},
	} {
		if err := r.AddTags(t.Context(), who, stream, tags); leat.KindOf(err) != leat.KindInvalidArgument || err == nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	r.wantKind(r.RemoveTags(t.Context(), who, stream, nil), leat.KindInvalidArgument, "names")
	r.wantKind(r.RemoveTags(t.Context(), who, stream, []string{"ok", ""}), leat.KindInvalidArgument, "names")
	_, _, err = r.ListTags(t.Context(), who, broker.ListTagsRequest{ResourceRequest: stream, Limit: 51})
	r.wantKind(err, leat.KindInvalidArgument, "limit")
	_, err = r.CreateStream(t.Context(), who, broker.CreateStreamRequest{Stream: "t", Shards: 1, Tags: map[string]string{"": ""}})
	r.wantKind(err, leat.KindInvalidArgument, "tags")
	r.wantText(r.AddTags(t.Context(), who, broker.ResourceRequest{Stream: "none"}, map[string]string{"a": "b"}),
		leat.KindNotFound, "Stream none under account 000000000000 not found.")
	consumer.Created++
	r.wantText(r.AddTags(t.Context(), who, consumer, map[string]string{"a": "b"}), leat.KindNotFound, "Consumer c not found.")
	r.wantKind(r.AddTags(t.Context(), who, broker.ResourceRequest{Stream: "s", Consumer: "c c"}, map[string]string{"a": "b"}), leat.KindInvalidArgument, "consumer")
}

const aPolicy = `{"Version": "2012-10-17", "Statement": [{"Sid": "1", "Effect": "Allow", "Principal": {"AWS": "123456789012"}, "Action": "kinesis:*", "Resource": "*"}]}`

func TestPolicies(t *testing.T) {
	r := newRig(t, broker.LimitsOff)
	r.stream("s", 1)
	r.consumer("s", "c")
	stream := broker.ResourceRequest{Stream: "s"}
	for _, req := range []broker.ResourceRequest{stream, {Stream: arn, Consumer: "c"}} {
		if p, err := r.GetResourcePolicy(t.Context(), who, req); p != "" || err != nil {
			t.Errorf("no policy is %q, %v", p, err)
		}
		r.must(r.PutResourcePolicy(t.Context(), who, req, aPolicy))
		if p, err := r.GetResourcePolicy(t.Context(), who, req); p != aPolicy || err != nil {
			t.Errorf("got %q, %v", p, err)
		}
		r.must(r.DeleteResourcePolicy(t.Context(), who, req))
	}
	r.wantText(r.DeleteResourcePolicy(t.Context(), who, stream), leat.KindNotFound, "No resource policy found for resource ARN "+arn)
	r.must(r.PutResourcePolicy(t.Context(), who, stream, strings.NewReplacer("[", "", "]", "").Replace(aPolicy))) // one statement is no list
	for _, bad := range []string{
		"", "[]", "x", "{}", `{"Version":"2012-10-17"}`, `{"Version":"2012-10-17","Statement":[]}`, `{"Version":"2012-10-17","Statement":"x"}`,
		strings.Replace(aPolicy, "2012-10-17", "2012", 1), strings.Replace(aPolicy, "Allow", "allow", 1), strings.Replace(aPolicy, `"Action"`, `"Act"`, 1),
		strings.Replace(aPolicy, `"Resource": "*"`, `"Resource": ""`, 1), strings.Replace(aPolicy, `"Principal"`, `"NotPrincipal": "*", "Principal"`, 1),
		strings.Replace(aPolicy, `"Action"`, `"Action": "*", "Action"`, 1), aPolicy + strings.Repeat(" ", 20<<10),
	} {
		if err := r.PutResourcePolicy(t.Context(), who, stream, bad); leat.KindOf(err) != leat.KindInvalidArgument || err == nil {
			t.Errorf("%.200s: %v", bad, err)
		}
	}
	if p, err := r.GetResourcePolicy(t.Context(), who, stream); err != nil || !strings.Contains(p, "kinesis") {
		t.Errorf("refused policies left %q, %v", p, err)
	}
	r.wantKind(r.PutResourcePolicy(t.Context(), who, broker.ResourceRequest{Stream: "s", Consumer: "d"}, aPolicy), leat.KindNotFound, "")
	stranger := leat.Principal{Account: "111111111111"}
	r.wantKind(r.PutResourcePolicy(t.Context(), stranger, broker.ResourceRequest{Stream: arn}, aPolicy), leat.KindAccessDenied, "")
}

func TestMonitoring(t *testing.T) {
	r := newRig(t, broker.LimitsOff)
	r.stream("s", 1)
	set := func(enable, disable []leat.ShardMetric) (before, after []leat.ShardMetric) {
		t.Helper()
		before, after, d, err := r.SetMonitoring(t.Context(), who, "s", enable, disable)
		r.must(err)
		if !slices.Equal(d.Monitoring, after) || d.OpenShards != 1 {
			t.Errorf("described as %+v, changed to %v", d, after)
		}
		return before, after
	}
	if before, after := set([]leat.ShardMetric{"ALL"}, nil); len(before) != 0 || !slices.Equal(after, leat.ShardMetrics()) {
		t.Errorf("from %v to %v", before, after)
	}
	if before, after := set(nil, []leat.ShardMetric{"IncomingBytes", "OutgoingBytes"}); len(before) != 7 || len(after) != 5 {
		t.Errorf("from %v to %v", before, after)
	}
	known, ok := r.Directory().Stream(r.describe("s").ID)
	if !ok || len(known.Monitoring) != 5 {
		t.Errorf("this node knows %v", known.Monitoring)
	}
	for field, both := range map[string][2][]leat.ShardMetric{
		"enable": {{"Bytes"}, nil}, "disable": {{"IncomingBytes"}, {"ALL"}},
	} {
		_, _, _, err := r.SetMonitoring(t.Context(), who, "s", both[0], both[1])
		r.wantKind(err, leat.KindInvalidArgument, field)
	}
	_, _, _, err := r.SetMonitoring(t.Context(), who, "s", nil, nil)
	r.wantKind(err, leat.KindInvalidArgument, "enable")
	r.must(r.SplitShard(t.Context(), who, broker.SplitShardRequest{Stream: "s", Shard: "0"}))
	if _, after := set(nil, []leat.ShardMetric{"OutgoingBytes"}); len(after) != 5 { // nothing to change, in any state
		t.Errorf("%v", after)
	}
	_, _, _, err = r.SetMonitoring(t.Context(), who, "s", []leat.ShardMetric{"ALL"}, nil)
	r.wantText(err, leat.KindInUse, "Stream s under account 000000000000 not ACTIVE, instead in state UPDATING")
}

func (r *rig) describe(stream string) broker.StreamDescription {
	r.t.Helper()
	d, _, err := r.DescribeStreamSummary(r.t.Context(), who, stream)
	r.must(err)
	return d
}

func TestAccountSettings(t *testing.T) {
	r := newRig(t, broker.LimitsOff)
	start := r.clock.Now()
	update := func(to broker.CommitmentStatus) broker.AccountSettings {
		t.Helper()
		s, err := r.UpdateAccountSettings(t.Context(), who, broker.UpdateAccountSettingsRequest{Commitment: to})
		r.must(err)
		got, err := r.AccountSettings(t.Context(), who)
		r.must(err)
		if got != s {
			t.Errorf("updated to %+v, described as %+v", s, got)
		}
		return s
	}
	want := func(got, want broker.AccountSettings) {
		t.Helper()
		if got.Commitment != want.Commitment || !got.Started.Equal(want.Started) || !got.EarliestAllowedEnd.Equal(want.EarliestAllowedEnd) || !got.Ended.Equal(want.Ended) {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
	want(update(broker.CommitmentDisabled), broker.AccountSettings{Commitment: broker.CommitmentDisabled})
	day := start.Add(24 * time.Hour)
	on := broker.AccountSettings{Commitment: broker.CommitmentEnabled, Started: start, EarliestAllowedEnd: day}
	want(update(broker.CommitmentEnabled), on)
	r.clock.Advance(time.Hour)
	want(update(broker.CommitmentEnabled), on)
	until := on
	until.Commitment = broker.CommitmentEnabledUntil
	want(update(broker.CommitmentDisabled), until)
	want(update(broker.CommitmentDisabled), until)
	want(update(broker.CommitmentEnabled), on)
	want(update(broker.CommitmentDisabled), until)
	r.clock.Advance(24 * time.Hour)
	ended := until
	ended.Commitment, ended.Ended = broker.CommitmentDisabled, day
	want(update(broker.CommitmentDisabled), ended)
	again := r.clock.Now()
	want(update(broker.CommitmentEnabled), broker.AccountSettings{Commitment: broker.CommitmentEnabled, Started: again, EarliestAllowedEnd: again.Add(24 * time.Hour)})
	r.clock.Advance(25 * time.Hour)
	if s := update(broker.CommitmentDisabled); s.Commitment != broker.CommitmentDisabled || !s.Ended.Equal(r.clock.Now()) {
		t.Errorf("ended late: %+v", s)
	}
	_, err := r.UpdateAccountSettings(t.Context(), who, broker.UpdateAccountSettingsRequest{Commitment: broker.CommitmentEnabledUntil})
	r.wantKind(err, leat.KindInvalidArgument, "minimum_throughput_commitment")
}

// A committed account has 50 consumers a stream.
func TestAdvantageConsumers(t *testing.T) {
	r := newRig(t, broker.LimitsOff)
	r.stream("s", 1)
	for i := range 20 {
		r.consumer("s", fmt.Sprint("c", i))
	}
	register := func() error {
		_, err := r.RegisterConsumer(t.Context(), who, broker.ConsumerRequest{Stream: "s", Consumer: "c20"})
		return err
	}
	r.wantKind(register(), leat.KindLimitExceeded, "")
	_, err := r.UpdateAccountSettings(t.Context(), who, broker.UpdateAccountSettingsRequest{Commitment: broker.CommitmentEnabled})
	r.must(err)
	r.must(register())
}

// A consumer's ARN names one life of it.
func TestConsumersByARN(t *testing.T) {
	r := newRig(t, broker.LimitsOff)
	r.stream("s", 1)
	c, err := r.RegisterConsumer(t.Context(), who, broker.ConsumerRequest{Stream: "s", Consumer: "c"})
	r.must(err)
	stream, name, created, err := leat.ParseConsumerARN(c.ARN(c.In.ARN("eu-west-1")))
	r.must(err)
	req := broker.ConsumerRequest{Stream: stream, Consumer: name, Created: created}
	if d, err := r.DescribeConsumer(t.Context(), who, req); err != nil || d.Name != "c" {
		t.Errorf("%+v, %v", d, err)
	}
	other := req
	other.Created--
	_, err = r.DescribeConsumer(t.Context(), who, other)
	r.wantText(err, leat.KindNotFound, "Consumer c not found.")
	r.wantText(r.DeregisterConsumer(t.Context(), who, other), leat.KindNotFound, "Consumer c not found.")
	r.must(r.DeregisterConsumer(t.Context(), who, req))
}
