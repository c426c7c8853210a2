// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package web

import (
	"cmp"
	"math"
	"net/http"
	"slices"
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
	n := numbers{byName}
	outcomes := n.by("leat_put_records_total")
	reads := n.count("leat_read_duration_seconds")
	fresh, late := n.sum("leat_delivery_punctual_records_total"), n.sum("leat_delivery_late_records_total")
	delivered, lost := n.sum("leat_delivery_records_total"), n.sum("leat_delivery_expired_records_total")
	objectives := []objective{
		{Name: "Records put are acknowledged", Target: 0.9995, Good: outcomes["ok"], Total: outcomes["ok"] + outcomes["error"] + outcomes["unknown"]},
		n.within("Puts are acknowledged, and their records readable, within 0.5 s", "leat_put_duration_seconds", 0.5),
		{Name: "Reads are answered", Target: 0.999, Good: reads, Total: reads + n.sum("leat_read_errors_total")},
		n.within("Reads are answered within 1 s", "leat_read_duration_seconds", 1),
		{Name: "Records are delivered within a minute of their buffer's age", Target: 0.99, Good: fresh, Total: fresh + late},
		{Name: "Records are delivered before they expire", Target: 0.9999, Good: delivered, Total: delivered + lost},
	}
	expiring, err := c.expiring(r, s, n)
	if err != nil {
		return err
	}
	var times []timing
	for _, q := range []struct{ name, metric string }{
		{"Put, to acknowledged and readable", "leat_put_duration_seconds"}, {"Log flush", "leat_log_flush_duration_seconds"}, {"Read", "leat_read_duration_seconds"}, {"Object store", "leat_store_request_duration_seconds"},
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
		"Objectives": objectives, "Times": times, "Throttled": outcomes["throttled"], "Expiring": expiring,
	}, Copy: snippets("leat health", "", "", "curl -s "+here+"/metrics")})
	return nil
}

// numbers are what /metrics has.
type numbers struct{ byName map[string]*dto.MetricFamily }

// by adds up the counters of a metric by the value of their one label.
func (n numbers) by(name string) map[string]float64 {
	all := map[string]float64{}
	for _, m := range n.byName[name].GetMetric() {
		for _, l := range m.GetLabel() {
			all[l.GetValue()] += m.GetCounter().GetValue()
		}
	}
	return all
}

// sum adds up all counters of a metric.
func (n numbers) sum(name string) (sum float64) {
	for _, m := range n.byName[name].GetMetric() {
		sum += m.GetCounter().GetValue()
	}
	return sum
}

// count is how many samples a histogram has.
func (n numbers) count(name string) (count float64) {
	for _, m := range n.byName[name].GetMetric() {
		count += float64(m.GetHistogram().GetSampleCount())
	}
	return count
}

// within is the objective that 99 % of a histogram's samples take at most so many seconds.
func (n numbers) within(name, metric string, seconds float64) objective {
	o := objective{Name: name, Target: 0.99, Total: n.count(metric)}
	for _, m := range n.byName[metric].GetMetric() {
		o.Good += within(m.GetHistogram(), seconds)
	}
	return o
}

// expiry is how long it is until somebody loses records.
type expiry struct {
	Delivery     bool // otherwise a reader of a shard
	Account      string
	Name, Link   string
	Own          bool // of the account of whoever looks, so that its page can be shown
	Behind, Left time.Duration
}

// The alerts LeatRecordsAboutToExpire and LeatReaderFarBehind have the same bounds.
const (
	expiresSoon  = 3 * time.Hour
	expiresLater = 12 * time.Hour
	expiryShown  = 10
)

// State is how much that matters.
func (e *expiry) State() string {
	switch {
	case e.Left < expiresSoon:
		return "bad"
	case e.Left < expiresLater:
		return "busy"
	}
	return "good"
}

// expiring are the deliveries and readers of this node's shards that lose records first, if they do not get on.
func (c *Console) expiring(r *http.Request, s *session, n numbers) ([]expiry, error) {
	behind, err := c.Broker.FurthestBehind(r.Context(), s.who, expiryShown)
	if err != nil {
		return nil, err
	}
	var all []expiry
	for _, l := range behind {
		all = append(all, expiry{
			Account: l.Account, Name: l.Stream + ", " + shortShard(l.Shard.Ordinal), Link: streamPath(l.Stream) + "/consumers", Own: l.Account == s.who.Account, Behind: l.Behind, Left: l.Left,
		})
	}
	lags := map[[2]string]float64{}
	each := func(metric string, do func(of [2]string, v float64)) {
		for _, m := range n.byName[metric].GetMetric() {
			var of [2]string
			for _, l := range m.GetLabel() {
				switch l.GetName() {
				case "account":
					of[0] = l.GetValue()
				case "delivery":
					of[1] = l.GetValue()
				}
			}
			do(of, m.GetGauge().GetValue())
		}
	}
	each("leat_delivery_lag_seconds", func(of [2]string, v float64) { lags[of] = v })
	each("leat_delivery_retention_left_seconds", func(of [2]string, v float64) {
		all = append(all, expiry{
			Delivery: true, Account: of[0], Name: of[1], Link: Root + "/deliveries/" + of[1], Own: of[0] == s.who.Account,
			Behind: time.Duration(lags[of] * float64(time.Second)), Left: time.Duration(v * float64(time.Second)),
		})
	})
	slices.SortStableFunc(all, func(a, b expiry) int { return cmp.Compare(a.Left, b.Left) })
	return all[:min(len(all), expiryShown)], nil
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
