// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/broker"
)

// monitoring is enhanced monitoring: series of each shard, and of the stream as a whole, for the metrics that a stream
// has chosen (AWS: EnableEnhancedMonitoring) and for no others, so that there are never more series than somebody asked
// for. They are of the shards that this node owns; a stream's are the sums of what this node has counted, so that those of
// all nodes add up. A closed shard's end about five minutes after its last read.
type monitoring struct {
	streams interface {
		// MonitoredStreams returns the streams that have chosen any metric.
		MonitoredStreams() []leat.Stream
		// ShardRates returns what was counted of a stream's shards.
		ShardRates(stream leat.StreamID) []broker.ShardRate
		// StreamTotals returns what was counted of all shards that a stream has had.
		StreamTotals(stream leat.StreamID) broker.Counts
	}
	session func() leat.SessionID          // this node's; zero while it has none
	owns    func(shard leat.ShardKey) bool // tells whether that has a shard
	metrics map[leat.ShardMetric]monitored

	retention *prometheus.Desc
}

// monitored is one metric as two series.
type monitored struct {
	shard, stream *prometheus.Desc
	kind          prometheus.ValueType
	value         func(of *measured) float64
}

// measured is what was counted of a shard or a stream.
type measured struct {
	broker.Counts
	age time.Duration
}

func newMonitoring(b *broker.Broker, session func() leat.SessionID, owns func(leat.ShardKey) bool) *monitoring {
	m := &monitoring{streams: b, session: session, owns: owns, metrics: map[leat.ShardMetric]monitored{}}
	m.retention = prometheus.NewDesc("leat_stream_retention_seconds",
		"How long records are kept, of streams with the metric IteratorAgeMilliseconds: less leat_stream_iterator_age_seconds it is the time until a reader loses records.",
		[]string{"account", "stream"}, nil)
	counter := func(metric leat.ShardMetric, name, help string, value func(of *measured) uint64) {
		m.add(metric, name, help, prometheus.CounterValue, func(of *measured) float64 { return float64(value(of)) })
	}
	counter(leat.MetricIncomingBytes, "incoming_bytes_total", "Bytes of data and partition keys put and acked.", func(of *measured) uint64 { return of.BytesIn })
	counter(leat.MetricIncomingRecords, "incoming_records_total", "Records put and acked.", func(of *measured) uint64 { return of.RecordsIn })
	counter(leat.MetricOutgoingBytes, "outgoing_bytes_total", "Bytes of data and partition keys given to readers.", func(of *measured) uint64 { return of.BytesOut })
	counter(leat.MetricOutgoingRecords, "outgoing_records_total", "Records given to readers.", func(of *measured) uint64 { return of.RecordsOut })
	counter(leat.MetricWriteExceeded, "write_throttled_total", "Records refused because too much was put.", func(of *measured) uint64 { return of.ThrottledWrites })
	counter(leat.MetricReadExceeded, "read_throttled_total", "Calls of GetRecords refused because too much was read.", func(of *measured) uint64 { return of.ThrottledReads })
	m.add(leat.MetricIteratorAgeMillis, "iterator_age_seconds", "The most that a read of the last minute was behind the newest record, or else the last read; of a stream the most of its shards.",
		prometheus.GaugeValue, func(of *measured) float64 { return of.age.Seconds() })
	return m
}

func (m *monitoring) add(metric leat.ShardMetric, name, help string, kind prometheus.ValueType, value func(*measured) float64) {
	m.metrics[metric] = monitored{
		shard:  prometheus.NewDesc("leat_shard_"+name, help, []string{"account", "stream", "shard"}, nil),
		stream: prometheus.NewDesc("leat_stream_"+name, help, []string{"account", "stream"}, nil),
		kind:   kind, value: value,
	}
}

// Describe implements prometheus.Collector.
func (m *monitoring) Describe(c chan<- *prometheus.Desc) {
	c <- m.retention
	for _, metric := range m.metrics {
		c <- metric.shard
		c <- metric.stream
	}
}

// Collect implements prometheus.Collector.
func (m *monitoring) Collect(c chan<- prometheus.Metric) {
	if m.session().IsZero() {
		return // another node serves the shards, and has their series
	}
	for _, s := range m.streams.MonitoredStreams() {
		whole := measured{Counts: m.streams.StreamTotals(s.ID)}
		rates := m.streams.ShardRates(s.ID)
		rates = slices.DeleteFunc(rates, func(r broker.ShardRate) bool { return !m.owns(r.Shard.Key) })
		for i := range rates {
			shard := measured{Counts: rates[i].Total, age: rates[i].IteratorAge}
			whole.age = max(whole.age, shard.age)
			m.each(&s, func(metric monitored) {
				c <- prometheus.MustNewConstMetric(metric.shard, metric.kind, metric.value(&shard), s.Account, s.Name, leat.ShardID(rates[i].Shard.Key.Ordinal))
			})
		}
		if slices.Contains(s.Monitoring, leat.MetricIteratorAgeMillis) {
			c <- prometheus.MustNewConstMetric(m.retention, prometheus.GaugeValue, s.Retention.Seconds(), s.Account, s.Name)
		}
		m.each(&s, func(metric monitored) {
			c <- prometheus.MustNewConstMetric(metric.stream, metric.kind, metric.value(&whole), s.Account, s.Name)
		})
	}
}

// each calls f with the metrics that a stream has chosen.
func (m *monitoring) each(s *leat.Stream, f func(monitored)) {
	for _, name := range s.Monitoring {
		if metric, ok := m.metrics[name]; ok {
			f(metric)
		}
	}
}
