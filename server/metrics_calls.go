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
	outcomeCanceled  = "canceled"  // the caller gave it up
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
		Help: "Records that this node was given to put, by what became of them: ok, throttled, rerouted (tried again after a reshard), canceled (by the caller, within 5 seconds), unknown (written or not, and where a caller has waited longer), error.",
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
		m.outcomes[outcome(ctx, err, time.Since(began))].Add(float64(len(puts)))
		return err
	}
	failed, took := 0, time.Since(began)
	for i := range puts {
		if puts[i].Err != nil {
			m.outcomes[outcome(ctx, puts[i].Err, took)].Inc()
			failed++
		}
	}
	m.outcomes[outcomeOK].Add(float64(len(puts) - failed))
	if failed == 0 {
		m.puts.Observe(took.Seconds())
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
	switch outcome(ctx, err, time.Since(began)) {
	case outcomeError, outcomeUnknown:
		if !errors.Is(err, shardstore.ErrNotOwned) { // moves: the caller is told to ask again
			m.readErrors.Inc()
		}
	}
	return p, err
}

// patience is how long a caller waits before it is Leat's fault that it gives up: a server that hangs shows in nothing but callers whose
// time is over.
const patience = 5 * time.Second

// gaveUp tells whether a call failed since its caller went away, or its caller's own time was over, sooner than a healthy server may need.
func gaveUp(ctx context.Context, err error, waited time.Duration) bool {
	own := errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) && ctx.Err() != nil
	return own && waited < patience
}

// outcome sorts an error of the engine.
func outcome(ctx context.Context, err error, waited time.Duration) string {
	switch {
	case err == nil:
		return outcomeOK
	case errors.Is(err, shardstore.ErrResharded):
		return outcomeRerouted
	case gaveUp(ctx, err, waited):
		return outcomeCanceled
	case errors.Is(err, shardstore.ErrUnknownOutcome):
		return outcomeUnknown
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
