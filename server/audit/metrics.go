// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package audit

import "github.com/prometheus/client_golang/prometheus"

// Metrics are the series of this node's log.
type Metrics struct {
	log                    *Log
	written, lost, waiting *prometheus.Desc
}

// Metrics returns what /metrics shows.
func (l *Log) Metrics() *Metrics {
	return &Metrics{
		log:     l,
		written: prometheus.NewDesc("leat_audit_rows_total", "Rows that this node wrote into the audit log.", nil, nil),
		lost:    prometheus.NewDesc("leat_audit_lost_total", "Calls that are not in the audit log, because the database was away for too long: alert above 0.", nil, nil),
		waiting: prometheus.NewDesc("leat_audit_waiting_rows", "Rows of the audit log that wait to be written.", nil, nil),
	}
}

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(to chan<- *prometheus.Desc) {
	to <- m.written
	to <- m.lost
	to <- m.waiting
}

// Collect implements prometheus.Collector.
func (m *Metrics) Collect(to chan<- prometheus.Metric) {
	to <- prometheus.MustNewConstMetric(m.written, prometheus.CounterValue, float64(m.log.Written()))
	to <- prometheus.MustNewConstMetric(m.lost, prometheus.CounterValue, float64(m.log.Lost()))
	to <- prometheus.MustNewConstMetric(m.waiting, prometheus.GaugeValue, float64(m.log.Waiting()))
}
