// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package web

import (
	"math"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/leatstream/leat"
)

// objective is what the service promises of itself, and how this node has kept it since it started. The alerts of
// deploy/prometheus have the same numbers, over 30 days and all nodes.
type objective struct {
	Name        string
	Target      float64
	Good, Total float64
}

// Kept is the share that was good; 1 where nothing was asked.
func (o objective) Kept() float64 {
	if o.Total == 0 {
		return 1
	}
	return o.Good / o.Total
}

// Spent is how much of the error budget is used: 1 is all of it.
func (o objective) Spent() float64 {
	return (1 - o.Kept()) / (1 - o.Target)
}

// timing is a histogram as people read it.
type timing struct {
	Name          string
	Count         float64
	Mean          time.Duration
	P50, P99      time.Duration // no less than this; upper bounds of buckets
	Over50, Over9 bool          // beyond the last bucket
}

// health is the page of this node's objectives and times, from the numbers that /metrics has.
func (c *Console) health(w http.ResponseWriter, r *http.Request, s *session) error {
	if _, err := c.Broker.ListNodes(r.Context(), s.who); err != nil { // who may see the nodes may see how they do
		return err
	}
	if c.Metrics == nil {
		return leat.Errorf(leat.KindNotFound, "There is no page %s.", r.URL.Path)
	}
	families, err := c.Metrics.Gather()
	if err != nil {
		return err
	}
	byName := map[string]*dto.MetricFamily{}
	for _, f := range families {
		byName[f.GetName()] = f
	}
	outcomes := map[string]float64{}
	for _, m := range byName["leat_put_records_total"].GetMetric() {
		for _, l := range m.GetLabel() {
			outcomes[l.GetValue()] += m.GetCounter().GetValue()
		}
	}
	puts := objective{Name: "Records put are acknowledged", Target: 0.9995, Good: outcomes["ok"], Total: outcomes["ok"] + outcomes["error"] + outcomes["unknown"]}
	objectives := []objective{puts}
	for _, q := range []struct {
		name, metric string
		bound        float64 // seconds
	}{
		{"Puts are durable and readable within 0.5 s", "leat_put_duration_seconds", 0.5}, {"Reads are answered within 1 s", "leat_read_duration_seconds", 1},
	} {
		o := objective{Name: q.name, Target: 0.99}
		for _, m := range byName[q.metric].GetMetric() {
			o.Total += float64(m.GetHistogram().GetSampleCount())
			o.Good += within(m.GetHistogram(), q.bound)
		}
		objectives = append(objectives, o)
	}
	var times []timing
	for _, q := range []struct{ name, metric string }{
		{"Put", "leat_put_duration_seconds"}, {"Log flush", "leat_log_flush_duration_seconds"}, {"Read", "leat_read_duration_seconds"}, {"Object store", "leat_store_request_duration_seconds"},
	} {
		for _, m := range byName[q.metric].GetMetric() {
			name := q.name
			for _, l := range m.GetLabel() {
				name += ", " + l.GetValue()
			}
			times = append(times, timingOf(name, m.GetHistogram()))
		}
	}
	c.show(w, r, s, http.StatusOK, "health", &page{Title: "Health", Nav: "health", Body: map[string]any{
		"Objectives": objectives, "Times": times, "Throttled": outcomes["throttled"], "Records": puts.Total,
	}, Copy: snippets("leat health", "", "", "curl -s http://"+c.HTTP+"/metrics")})
	return nil
}

// within is how many samples took at most so many seconds, by the bucket that ends there.
func within(h *dto.Histogram, seconds float64) float64 {
	best := 0.0
	for _, b := range h.GetBucket() {
		if b.GetUpperBound() <= seconds+1e-9 {
			best = max(best, float64(b.GetCumulativeCount()))
		}
	}
	return best
}

func timingOf(name string, h *dto.Histogram) timing {
	t := timing{Name: name, Count: float64(h.GetSampleCount())}
	if t.Count == 0 {
		return t
	}
	t.Mean = time.Duration(h.GetSampleSum() / t.Count * float64(time.Second))
	t.P50, t.Over50 = quantile(h, 0.5)
	t.P99, t.Over9 = quantile(h, 0.99)
	return t
}

// quantile returns the upper bound of the bucket in which a quantile lies; over when that is the last, open one.
func quantile(h *dto.Histogram, q float64) (d time.Duration, over bool) {
	want := q * float64(h.GetSampleCount())
	last := 0.0
	for _, b := range h.GetBucket() {
		if math.IsInf(b.GetUpperBound(), 1) {
			break
		}
		last = b.GetUpperBound()
		if float64(b.GetCumulativeCount()) >= want {
			return time.Duration(last * float64(time.Second)), false
		}
	}
	return time.Duration(last * float64(time.Second)), true
}

// Gatherer is what the health page reads: the registry behind /metrics.
type Gatherer = prometheus.Gatherer
