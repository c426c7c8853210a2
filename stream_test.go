// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package leat_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/leatstream/leat"
)

func TestConsumerARN(t *testing.T) {
	s := leat.Stream{Account: "123456789012", Name: "consumer"}
	c := leat.Consumer{Name: "a.b-c_1", Created: time.Unix(1_700_000_000, 5)}
	stream, name, created, err := leat.ParseConsumerARN(c.ARN(s.ARN("eu-west-1")))
	if err != nil || stream != s.ARN("eu-west-1") || name != c.Name || created != 1_700_000_000 {
		t.Fatalf("read %q %q %d, %v", stream, name, created, err)
	}
	good := c.ARN(s.ARN("eu-west-1"))
	for _, bad := range []string{
		"", s.ARN("eu-west-1"), strings.TrimSuffix(good, ":1700000000"), good + ":", good + "x", good + "00000000000",
		strings.ReplaceAll(good, "consumer/", "consumers/"), strings.Replace(good, "123456789012", "12", 1), strings.Replace(good, "a.b", "a/b", 1),
	} {
		if _, _, _, err := leat.ParseConsumerARN(bad); leat.KindOf(err) != leat.KindInvalidArgument {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestShardMetrics(t *testing.T) {
	if all := leat.ShardMetrics(); !slices.IsSorted(all) || !slices.Equal(leat.SplitShardMetrics(leat.JoinShardMetrics(all)), all) {
		t.Fatalf("metrics %v", all)
	}
	got, err := leat.ParseShardMetrics([]leat.ShardMetric{"OutgoingBytes", "IncomingBytes", "OutgoingBytes"})
	if err != nil || !slices.Equal(got, []leat.ShardMetric{"IncomingBytes", "OutgoingBytes"}) {
		t.Fatalf("got %v, %v", got, err)
	}
	if all, err := leat.ParseShardMetrics([]leat.ShardMetric{"ALL"}); err != nil || len(all) != 7 {
		t.Fatalf("ALL is %v, %v", all, err)
	}
	if _, err := leat.ParseShardMetrics([]leat.ShardMetric{"Bytes"}); leat.KindOf(err) != leat.KindInvalidArgument {
		t.Fatalf("an unknown metric: %v", err)
	}
}

func TestStreamEqual(t *testing.T) {
	a := leat.Stream{Name: "s", Monitoring: []leat.ShardMetric{"IncomingBytes"}}
	b := a
	b.Monitoring = slices.Clone(a.Monitoring)
	if !a.Equal(&b) {
		t.Fatal("a copy is not equal")
	}
	b.Monitoring[0] = "OutgoingBytes"
	if a.Equal(&b) {
		t.Fatal("another metric is equal")
	}
	b = a
	b.DataKey = leat.KeyID{1}
	if a.Equal(&b) {
		t.Fatal("another key is equal")
	}
}
