// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"context"
	"math"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/delivery/spec"
)

// counts are what this node has delivered of a delivery stream since it started.
type counts struct {
	commits, objects, records, failed, dropped, expired, failures atomic.Uint64
	punctual, late                                                atomic.Uint64
	bytes                                                         atomic.Int64
}

func (c *counts) committed(p *plan) {
	for i := range p.manifest.Objects {
		o := &p.manifest.Objects[i]
		switch o.Role {
		case Errors:
			c.failed.Add(o.Records)
		case Data, Sent:
			c.objects.Add(1)
			c.records.Add(o.Records)
		}
		c.bytes.Add(o.Bytes)
	}
	c.dropped.Add(p.manifest.Dropped.Records)
	c.expired.Add(p.manifest.Expired.Records)
	c.commits.Add(1)
}

// freshWithin is how long after its buffer's age a record may be delivered, and be delivered in time.
const freshWithin = time.Minute

// delivered notes whether the records of a committed plan came in time. History is not late: backfills, and what had arrived before the delivery
// stream was there.
func (c *counts) delivered(p *plan, d *spec.Delivery, b *spec.Buffer, now time.Time) {
	if p.track != "" || p.oldest < leat.Micros(d.Created) {
		return
	}
	n := tallyOf(p.parts).Records
	if now.Sub(timeOf(p.oldest)) > b.Age()+freshWithin {
		c.late.Add(n)
	} else {
		c.punctual.Add(n)
	}
}

var labels = []string{"account", "delivery"}

func desc(name, help string) *prometheus.Desc {
	return prometheus.NewDesc("leat_delivery_"+name, help, labels, nil)
}

// Metrics are the series of this node's deliveries.
type Metrics struct {
	e     *Engine
	descs map[string]*prometheus.Desc
}

// Metrics returns what /metrics shows.
func (e *Engine) Metrics() *Metrics {
	return &Metrics{e: e, descs: map[string]*prometheus.Desc{
		"records": desc("records_total", "Records delivered."), "objects": desc("objects_total", "Objects written, or ranges sent."),
		"bytes": desc("bytes_total", "Bytes written."), "failed": desc("failed_records_total", "Records that went to the error prefix."),
		"dropped": desc("dropped_records_total", "Records that a filter dropped."), "expired": desc("expired_records_total", "Records that expired before they were delivered: lost to this delivery."),
		"punctual": desc("punctual_records_total", "Records that were delivered within a minute after their buffer's age, from their arrival on. Backfills, and what had arrived before the delivery stream was made, are not counted."),
		"late":     desc("late_records_total", "Records of the same that were delivered later."),
		"failures": desc("failures_total", "Times that a delivery had to wait and try again."), "failing": desc("failing_shards", "Shards of this node whose delivery does not go on now."),
		"lag":  desc("lag_seconds", "Age of the oldest record that is not delivered, of the shards of this node."),
		"left": desc("retention_left_seconds", "Time until the oldest record that is not delivered expires; alert well before 0. Absent when all are delivered."),
	}}
}

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(to chan<- *prometheus.Desc) {
	for _, d := range m.descs {
		to <- d
	}
}

// collectWithin bounds a collection.
const collectWithin = 5 * time.Second

// Collect implements prometheus.Collector.
func (m *Metrics) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), collectWithin)
	defer cancel()
	m.e.mu.Lock()
	known := make([]*spec.Delivery, 0, len(m.e.known))
	stats := map[string]*counts{}
	for id, d := range m.e.known {
		known = append(known, d)
		stats[id] = m.e.stats[id]
	}
	m.e.mu.Unlock()
	for _, d := range known {
		send := func(what string, kind prometheus.ValueType, v float64) {
			to <- prometheus.MustNewConstMetric(m.descs[what], kind, v, d.Account, d.Name)
		}
		if c := stats[d.ID]; c != nil {
			send("records", prometheus.CounterValue, float64(c.records.Load()))
			send("objects", prometheus.CounterValue, float64(c.objects.Load()))
			send("bytes", prometheus.CounterValue, float64(c.bytes.Load()))
			send("failed", prometheus.CounterValue, float64(c.failed.Load()))
			send("dropped", prometheus.CounterValue, float64(c.dropped.Load()))
			send("expired", prometheus.CounterValue, float64(c.expired.Load()))
			send("punctual", prometheus.CounterValue, float64(c.punctual.Load()))
			send("late", prometheus.CounterValue, float64(c.late.Load()))
			send("failures", prometheus.CounterValue, float64(c.failures.Load()))
		}
		m.lags(ctx, d, send)
	}
}

// lags measures how far the shards of this node are behind.
func (m *Metrics) lags(ctx context.Context, d *spec.Delivery, send func(string, prometheus.ValueType, float64)) {
	lag, failing, ok := m.e.behind(ctx, d)
	if !ok {
		return
	}
	retention := leat.MinRetention
	if st, ok := m.e.cfg.Directory.Stream(d.Stream); ok {
		retention = st.Retention
	}
	retention += time.Duration(d.Config.HoldSeconds) * time.Second
	send("failing", prometheus.GaugeValue, float64(failing))
	send("lag", prometheus.GaugeValue, lag)
	if lag > 0 {
		send("left", prometheus.GaugeValue, retention.Seconds()-lag)
	}
}

// behind is the age in seconds of the oldest record that is not delivered, of the shards of this node, and how many of them
// do not go on; ok is false when it has none, or it cannot be told.
func (e *Engine) behind(ctx context.Context, d *spec.Delivery) (lag float64, failing int, ok bool) {
	tracks, err := e.tables.cursors(ctx, d.ID)
	if err != nil {
		return 0, 0, false
	}
	for _, c := range tracks[""] {
		if _, mine := e.cfg.Owns(leat.ShardKey{Stream: d.Stream, Ordinal: c.ordinal}); !mine || c.done {
			continue
		}
		ok = true
		lag = math.Max(lag, e.progress(ctx, d, c).Lag.Seconds())
		if c.reason != "" {
			failing++
		}
	}
	return lag, failing, ok
}

// Delivered is what this node has delivered of a delivery stream since it started.
type Delivered struct {
	ID, Account, Name string
	Endpoint          bool // to an HTTP endpoint, and not to a bucket
	Objects, Records  uint64
	Failures          uint64
	Bytes             int64
	Behind            float64 // seconds; see Known
	Known             bool    // Behind was asked for, and this node has shards of it
}

// Delivered tells it of all delivery streams. How far they are behind takes a look into the catalog for each.
func (e *Engine) Delivered(ctx context.Context, behind bool) []Delivered {
	e.mu.Lock()
	known := make([]*spec.Delivery, 0, len(e.known))
	all := make([]Delivered, 0, len(e.known))
	for id, d := range e.known {
		known = append(known, d)
		one := Delivered{ID: id, Account: d.Account, Name: d.Name, Endpoint: d.Config.Destination.HTTP != nil}
		if c := e.stats[id]; c != nil {
			one.Objects, one.Records, one.Bytes, one.Failures = c.objects.Load(), c.records.Load(), c.bytes.Load(), c.failures.Load()
		}
		all = append(all, one)
	}
	e.mu.Unlock()
	for i := range all {
		if behind {
			all[i].Behind, _, all[i].Known = e.behind(ctx, known[i])
		}
	}
	return all
}
