// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/leatstream/leat/server/cluster"
	"github.com/leatstream/leat/server/keyring"
	"github.com/leatstream/leat/shardstore"
	"github.com/leatstream/leat/shardstore/wal"
)

// engineMetrics turns the open session's numbers into metrics when they are scraped.
type engineMetrics struct {
	node      *cluster.Node
	up, flush *prometheus.Desc
	all       []engineMetric
}

type engineMetric struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(*shardstore.Stats) float64
}

func newMetrics(node *cluster.Node) *prometheus.Registry {
	r := prometheus.NewRegistry()
	m := &engineMetrics{
		node:  node,
		up:    prometheus.NewDesc("leat_session_open", "1 while this node has a live session and serves its shards.", nil, nil),
		flush: prometheus.NewDesc("leat_log_flush_duration_seconds", "From the first try to write a segment of the log to it and all before it being durable.", nil, nil),
	}
	counter := func(name, help string, v func(*shardstore.Stats) uint64) {
		m.add(name, help, prometheus.CounterValue, func(s *shardstore.Stats) float64 { return float64(v(s)) })
	}
	gauge := func(name, help string, v func(*shardstore.Stats) float64) {
		m.add(name, help, prometheus.GaugeValue, v)
	}
	counter("leat_records_acked_total", "Records made durable by the open session.", func(s *shardstore.Stats) uint64 { return s.Records })
	counter("leat_bytes_acked_total", "Bytes of data and partition keys made durable by the open session.", func(s *shardstore.Stats) uint64 { return s.Bytes })
	counter("leat_segments_total", "Log segments made durable by the open session.", func(s *shardstore.Stats) uint64 { return s.Segments })
	counter("leat_records_read_total", "Records given to readers by the open session.", func(s *shardstore.Stats) uint64 { return s.ReadRecords })
	counter("leat_bytes_read_total", "Bytes of data and partition keys given to readers by the open session.", func(s *shardstore.Stats) uint64 { return s.ReadBytes })
	counter("leat_overloads_total", "Puts refused because too much was not durable yet.", func(s *shardstore.Stats) uint64 { return s.Overloads })
	counter("leat_packs_total", "Packs registered in the catalog.", func(s *shardstore.Stats) uint64 { return s.Packs })
	counter("leat_pack_failures_total", "Attempts to pack that have to be made again.", func(s *shardstore.Stats) uint64 { return s.PackFailures })
	counter("leat_merges_total", "Merged objects registered in the catalog.", func(s *shardstore.Stats) uint64 { return s.Merges })
	counter("leat_objects_deleted_total", "Objects deleted after nothing named them.", func(s *shardstore.Stats) uint64 { return s.Deleted })
	counter("leat_fetches_total", "Ranged reads of objects for readers.", func(s *shardstore.Stats) uint64 { return s.Fetches })
	counter("leat_fetched_bytes_total", "Bytes of those reads.", func(s *shardstore.Stats) uint64 { return s.FetchedBytes })
	counter("leat_cache_hits_total", "Reads that the block cache answered.", func(s *shardstore.Stats) uint64 { return s.CacheHits })
	counter("leat_objects_missing_total", "Objects that the index names and the store does not have. Anything above 0 is an alarm.", func(s *shardstore.Stats) uint64 { return s.Missing })
	gauge("leat_shards_owned", "Shards that the open session owns.", func(s *shardstore.Stats) float64 { return float64(s.Shards) })
	gauge("leat_not_durable_bytes", "Bytes of records that are not durable yet.", func(s *shardstore.Stats) float64 { return float64(s.NotDurable) })
	gauge("leat_tail_bytes", "Memory of recent records.", func(s *shardstore.Stats) float64 { return float64(s.TailBytes) })
	gauge("leat_cache_bytes", "Memory of records read back.", func(s *shardstore.Stats) float64 { return float64(s.CacheBytes) })
	gauge("leat_unpacked_bytes", "Bytes of records in the log that are not in packs yet.", func(s *shardstore.Stats) float64 { return float64(s.Unpacked) })
	r.MustRegister(m, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}

func (m *engineMetrics) add(name, help string, kind prometheus.ValueType, v func(*shardstore.Stats) float64) {
	m.all = append(m.all, engineMetric{prometheus.NewDesc(name, help, nil, nil), kind, v})
}

// Describe implements prometheus.Collector.
func (m *engineMetrics) Describe(c chan<- *prometheus.Desc) {
	c <- m.up
	c <- m.flush
	for _, e := range m.all {
		c <- e.desc
	}
}

// Collect implements prometheus.Collector.
func (m *engineMetrics) Collect(c chan<- prometheus.Metric) {
	st, ok := m.node.Stats()
	if !ok {
		c <- prometheus.MustNewConstMetric(m.up, prometheus.GaugeValue, 0)
		return
	}
	c <- prometheus.MustNewConstMetric(m.up, prometheus.GaugeValue, 1)
	for _, e := range m.all {
		c <- prometheus.MustNewConstMetric(e.desc, e.kind, e.value(&st))
	}
	c <- histogram(m.flush, &st.Flush)
}

// histogram is the log's own histogram as one of Prometheus, whose buckets count all below them. The last of the log's
// has no bound.
func histogram(d *prometheus.Desc, l *wal.Latency) prometheus.Metric {
	buckets := map[float64]uint64{}
	var below uint64
	for i, n := range l.Buckets[:len(l.Buckets)-1] {
		below += n
		buckets[wal.LatencyBound(i).Seconds()] = below
	}
	return prometheus.MustNewConstHistogram(d, l.Count, l.Sum.Seconds(), buckets)
}

// newKeyMetrics tells how many keys a node holds.
func newKeyMetrics(keys *keyring.Ring) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "leat_stream_keys", Help: "Keys of encrypted streams in this node's memory. Those of a stream that is erased leave it within seconds.",
	}, func() float64 { return float64(keys.Known()) })
}
