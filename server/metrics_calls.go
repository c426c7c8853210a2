// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/broker"
	"github.com/leatstream/leat/shardstore"
)

// measuredEngine is an engine whose calls are counted and timed: what the service objectives are computed of. It stands where
// everything a caller did wrong has been refused already, so that what fails here is Leat's fault.
type measuredEngine struct {
	broker.Engine
	puts, reads prometheus.Histogram
	outcomes    map[string]prometheus.Counter
	records     *prometheus.CounterVec
	readErrors  prometheus.Counter
}

// The outcomes of a record that was put.
const (
	outcomeOK        = "ok"
	outcomeThrottled = "throttled" // a shard's limit, or too much that is not durable: leat_overloads_total counts that apart
	outcomeRerouted  = "rerouted"  // a split or merge has overtaken it: it is tried again
	outcomeCanceled  = "canceled"  // the caller went away
	outcomeUnknown   = "unknown"   // may be written or not
	outcomeError     = "error"
)

var outcomes = [...]string{outcomeOK, outcomeThrottled, outcomeRerouted, outcomeCanceled, outcomeUnknown, outcomeError}

// callBuckets are seconds: an acknowledgement from a local disk takes a fraction of a millisecond, from a bucket up to a quarter of a second.
var callBuckets = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}

func newMeasuredEngine(e broker.Engine) *measuredEngine {
	m := &measuredEngine{Engine: e, outcomes: map[string]prometheus.Counter{}}
	m.puts = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "leat_put_duration_seconds", Buckets: callBuckets,
		Help: "From a put that was let in to its records being durable and readable, for calls of which nothing failed.",
	})
	m.reads = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "leat_read_duration_seconds", Buckets: callBuckets,
		Help: "Time of a read of a page that did not fail, from memory or from objects; waiting for new records is not in it.",
	})
	m.records = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "leat_put_records_total",
		Help: "Records that this node was given to put, by what became of them: ok, throttled, rerouted (tried again after a reshard), canceled by the caller, unknown, error.",
	}, []string{"outcome"})
	for _, o := range outcomes {
		m.outcomes[o] = m.records.WithLabelValues(o)
	}
	m.readErrors = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "leat_read_errors_total", Help: "Reads of a page that failed, without those that were throttled or that the caller gave up.",
	})
	return m
}

// Append implements broker.Engine.
func (m *measuredEngine) Append(ctx context.Context, puts []shardstore.Put) error {
	began := time.Now()
	err := m.Engine.Append(ctx, puts)
	if err != nil {
		m.outcomes[outcome(err)].Add(float64(len(puts)))
		return err
	}
	failed := 0
	for i := range puts {
		if puts[i].Err != nil {
			m.outcomes[outcome(puts[i].Err)].Inc()
			failed++
		}
	}
	m.outcomes[outcomeOK].Add(float64(len(puts) - failed))
	if failed == 0 {
		m.puts.Observe(time.Since(began).Seconds())
	}
	return nil
}

// Read implements broker.Engine.
func (m *measuredEngine) Read(ctx context.Context, shard leat.ShardKey, from uint64, lim shardstore.ReadLimits) (shardstore.Page, error) {
	began := time.Now()
	p, err := m.Engine.Read(ctx, shard, from, lim)
	if err == nil {
		m.reads.Observe(time.Since(began).Seconds())
		return p, nil
	}
	switch outcome(err) {
	case outcomeError, outcomeUnknown:
		if !errors.Is(err, shardstore.ErrNotOwned) { // moves: the caller is told to ask again
			m.readErrors.Inc()
		}
	}
	return p, err
}

// outcome sorts an error of the engine.
func outcome(err error) string {
	switch {
	case err == nil:
		return outcomeOK
	case errors.Is(err, shardstore.ErrResharded):
		return outcomeRerouted
	case errors.Is(err, context.Canceled):
		return outcomeCanceled
	}
	switch leat.KindOf(err) {
	case leat.KindThroughputExceeded:
		return outcomeThrottled
	case leat.KindCanceled:
		return outcomeCanceled
	case leat.KindUnknownOutcome:
		return outcomeUnknown
	}
	return outcomeError
}

// Describe implements prometheus.Collector.
func (m *measuredEngine) Describe(c chan<- *prometheus.Desc) {
	for _, of := range m.all() {
		of.Describe(c)
	}
}

// Collect implements prometheus.Collector.
func (m *measuredEngine) Collect(c chan<- prometheus.Metric) {
	for _, of := range m.all() {
		of.Collect(c)
	}
}

func (m *measuredEngine) all() []prometheus.Collector {
	return []prometheus.Collector{m.puts, m.reads, m.records, m.readErrors}
}
