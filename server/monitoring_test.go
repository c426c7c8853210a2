// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/broker"
)

// counted is a stream of two shards, of which a node has counted something.
type counted struct{ stream leat.Stream }

func (c counted) MonitoredStreams() []leat.Stream { return []leat.Stream{c.stream} }

func (c counted) StreamTotals(leat.StreamID) broker.Counts { return broker.Counts{RecordsIn: 12} }

func (c counted) ShardRates(id leat.StreamID) (all []broker.ShardRate) {
	for i := range uint64(2) {
		all = append(all, broker.ShardRate{
			Shard: leat.Shard{Key: leat.ShardKey{Stream: id, Ordinal: i}, Owner: leat.SessionID{9}}, // as the directory heard it last
			Total: broker.Counts{RecordsIn: 5 + i},
		})
	}
	return all
}

// TestMonitoringIsOfOwnShards: of a stream whose shards have several owners each node shows its own, and what it has
// counted of the whole. Who owns a shard is asked of the session.
func TestMonitoringIsOfOwnShards(t *testing.T) {
	session := leat.SessionID{1}
	m := newMonitoring(nil, func() leat.SessionID { return session }, func(k leat.ShardKey) bool { return k.Ordinal == 1 })
	m.streams = counted{leat.Stream{ID: leat.StreamID{1}, Account: "a", Name: "s", Monitoring: []leat.ShardMetric{leat.MetricIncomingRecords}}}
	gather := func() (all []string) {
		t.Helper()
		r := prometheus.NewPedanticRegistry()
		r.MustRegister(m)
		families, err := r.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			for _, series := range f.Metric {
				var labels []string
				for _, l := range series.Label {
					labels = append(labels, l.GetName()+"="+l.GetValue())
				}
				all = append(all, fmt.Sprintf("%s{%s} %g", f.GetName(), strings.Join(labels, ","), series.GetCounter().GetValue()))
			}
		}
		return all
	}
	want := []string{
		"leat_shard_incoming_records_total{account=a,shard=shardId-000000000001,stream=s} 6",
		"leat_stream_incoming_records_total{account=a,stream=s} 12",
	}
	if got := gather(); !slices.Equal(got, want) {
		t.Errorf("series %q: want %q", got, want)
	}
	session = leat.SessionID{}
	if got := gather(); len(got) != 0 {
		t.Errorf("a node that stands by has series %q", got)
	}
}
