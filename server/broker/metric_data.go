// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/datapoints"
)

// MetricData (GetMetricData, GetMetricStatistics) and ListMetrics promise: what the streams and delivery streams of the
// caller's own account did, minute by minute or in longer periods, as all nodes have counted it. A metric that there is
// not, and one of which nothing was measured, has no datapoints. What was measured up to about a quarter of a minute ago is
// there; datapoints are kept for the time that the server is told to keep them (--metric-retention).
//
// Differs from AWS: periods begin at multiples of themselves since 1970; percentiles and other statistics than the five are
// refused, as is what is computed of metrics.

// The actions of CloudWatch.
const (
	ActionGetMetricData       Action = "GetMetricData"
	ActionGetMetricStatistics Action = "GetMetricStatistics"
	ActionListMetrics         Action = "ListMetrics"
)

// Bounds of MetricData.
const (
	MaxMetricQueries = 500     // a call
	MaxDatapoints    = 100_800 // of all its queries
)

// MetricQuery asks for a metric in periods.
type MetricQuery struct {
	Namespace  string
	Metric     string
	Dimensions map[string]string
	Period     time.Duration // whole minutes
}

// Datapoint is what was measured in one period.
type Datapoint struct {
	At time.Time // when the period begins
	datapoints.Stat
}

// MetricResult is the answer to a query, the oldest first.
type MetricResult struct {
	Unit       datapoints.Unit // empty: there is no such metric
	Datapoints []Datapoint
}

// MetricData answers queries for minutes that begin at or after from and before to. action says which permission it takes.
func (b *Broker) MetricData(ctx context.Context, who leat.Principal, action Action, from, to time.Time, queries []MetricQuery) ([]MetricResult, error) {
	if err := b.may(ctx, who, action, Resource{Account: who.Account}); err != nil {
		return nil, err
	}
	if b.points == nil {
		return nil, leat.Errorf(leat.KindUnsupported, "this server keeps no datapoints: it was started with --metric-retention=0")
	}
	switch {
	case !from.Before(to):
		return nil, leat.Invalid("StartTime", "StartTime must be before EndTime")
	case len(queries) > MaxMetricQueries:
		return nil, leat.Invalid("MetricDataQueries", "%d queries in a call: %d at most", len(queries), MaxMetricQueries)
	}
	if oldest := b.clock.Now().Add(-b.points.Keep()); from.Before(oldest) {
		from = oldest // nothing older is there, however far back a caller asks
	}
	if newest := b.clock.Now().Add(time.Minute); to.After(newest) {
		to = newest
	}
	all := make([]MetricResult, len(queries))
	var asks []datapoints.Ask
	var at []int // the query of each
	total := 0
	for i := range queries {
		q := &queries[i]
		if q.Period < time.Minute || q.Period%time.Minute != 0 {
			return nil, leat.Invalid("Period", "a period of %d seconds must be a multiple of 60: datapoints are of minutes", int64(q.Period.Seconds()))
		}
		if total += int(max(to.Sub(from), 0)/q.Period) + 1; total > MaxDatapoints {
			return nil, leat.Invalid("Period", "more than %d datapoints were asked for: give a longer Period, a shorter time or fewer queries", MaxDatapoints)
		}
		if s, known, ok := seriesOf(who.Account, q); ok {
			all[i].Unit = known.Unit
			asks, at = append(asks, datapoints.Ask{Series: s, Metric: known.Metric}), append(at, i)
		}
	}
	minutes, err := b.points.Read(ctx, asks, from.Truncate(time.Minute), to)
	if err != nil {
		return nil, away(err)
	}
	for j, i := range at {
		all[i].Datapoints = inPeriods(minutes[j], queries[i].Period)
	}
	return all, nil
}

// seriesOf finds what a query is about.
func seriesOf(account string, q *MetricQuery) (s datapoints.Series, known datapoints.Known, ok bool) {
	space, ok := datapoints.SpaceOf(q.Namespace)
	if !ok {
		return s, known, false
	}
	if known, ok = datapoints.Find(space, q.Metric); !ok {
		return s, known, false
	}
	s = datapoints.Series{Space: space, Account: account}
	for name, value := range q.Dimensions {
		switch name {
		case space.Resource():
			s.Name = value
		case "ShardId":
			s.Shard = value
		case "ConsumerName":
			s.Consumer = value
		default:
			return s, known, false
		}
	}
	return s, known, s.Name != ""
}

// inPeriods adds minutes up.
func inPeriods(minutes datapoints.Minutes, period time.Duration) []Datapoint {
	sums := datapoints.Minutes{}
	for at, stat := range minutes {
		begin := time.Unix(at.Unix()-at.Unix()%int64(period.Seconds()), 0).UTC()
		sum := sums[begin]
		sum.Merge(stat)
		sums[begin] = sum
	}
	out := make([]Datapoint, 0, len(sums))
	for _, at := range slices.SortedFunc(maps.Keys(sums), time.Time.Compare) {
		out = append(out, Datapoint{at, sums[at]})
	}
	return out
}

// ListedMetric is a metric that has datapoints.
type ListedMetric struct {
	Namespace, Name string
	Dimensions      [][2]string // names and values
}

// ListMetrics returns the metrics of the caller's account that have datapoints since a time, in order. An empty namespace
// and an empty metric stand for all; dimensions narrow it, and an empty value of one stands for any.
func (b *Broker) ListMetrics(ctx context.Context, who leat.Principal, since time.Time, namespace, metric string, dimensions map[string]string) ([]ListedMetric, error) {
	if err := b.may(ctx, who, ActionListMetrics, Resource{Account: who.Account}); err != nil {
		return nil, err
	}
	if b.points == nil {
		return nil, leat.Errorf(leat.KindUnsupported, "this server keeps no datapoints: it was started with --metric-retention=0")
	}
	space, ok := datapoints.SpaceOf(namespace)
	if !ok && namespace != "" {
		return nil, nil
	}
	name := dimensions[datapoints.Streams.Resource()] + dimensions[datapoints.Deliveries.Resource()]
	listed, err := b.points.List(ctx, who.Account, space, name, since)
	if err != nil {
		return nil, away(err)
	}
	var all []ListedMetric
	for i := range listed {
		s := &listed[i]
		has := [][2]string{{s.Space.Resource(), s.Name}}
		if s.Shard != "" {
			has = append(has, [2]string{"ShardId", s.Shard})
		}
		if s.Consumer != "" {
			has = append(has, [2]string{"ConsumerName", s.Consumer})
		}
		if !narrowed(has, dimensions) {
			continue
		}
		for _, known := range datapoints.All() {
			if known.Space == s.Space && slices.Contains(s.Metrics, known.Metric) && (metric == "" || metric == known.Name) {
				all = append(all, ListedMetric{Namespace: s.Space.String(), Name: known.Name, Dimensions: has})
			}
		}
	}
	return all, nil
}

// narrowed tells whether a series has all dimensions that are asked for.
func narrowed(has [][2]string, asked map[string]string) bool {
	for name, value := range asked {
		if !slices.ContainsFunc(has, func(d [2]string) bool { return d[0] == name && (value == "" || d[1] == value) }) {
			return false
		}
	}
	return true
}
