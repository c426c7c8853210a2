// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package cloudwatch

import (
	"context"

	"github.com/leatstream/leat/server/broker"
	"github.com/leatstream/leat/server/datapoints"
)

// GetMetricStatistics: see broker.MetricData for what it promises.
//
// Differs from AWS: datapoints are in order of time; ExtendedStatistics (percentiles) are refused.

type getMetricStatisticsInput struct {
	Namespace          string
	MetricName         string
	Dimensions         list[dimension]
	StartTime          *moment
	EndTime            *moment
	Period             *int32
	Statistics         []string
	ExtendedStatistics []string
	Unit               string
}

type getMetricStatisticsOutput struct {
	Label      string
	Datapoints list[datapoint]
}

type datapoint struct {
	Timestamp   moment
	SampleCount *float64 `json:",omitempty" xml:",omitempty"`
	Average     *float64 `json:",omitempty" xml:",omitempty"`
	Sum         *float64 `json:",omitempty" xml:",omitempty"`
	Minimum     *float64 `json:",omitempty" xml:",omitempty"`
	Maximum     *float64 `json:",omitempty" xml:",omitempty"`
	Unit        string
}

// maxStatistics is how many datapoints AWS gives in a call.
const maxStatistics = 1440

func (h *Handler) getMetricStatistics(ctx context.Context, c *call) (any, error) {
	var in getMetricStatisticsInput
	if err := c.wire.decode(c, &in); err != nil {
		return nil, err
	}
	m := metric{in.Namespace, in.MetricName, in.Dimensions}
	if err := m.check(""); err != nil {
		return nil, err
	}
	query := broker.MetricQuery{Namespace: m.Namespace, Metric: m.MetricName}
	var err error
	if query.Dimensions, err = byName(m.Dimensions, ""); err != nil {
		return nil, err
	}
	if err := between(in.StartTime, in.EndTime); err != nil {
		return nil, err
	}
	if query.Period, err = period(in.Period, "Period"); err != nil {
		return nil, err
	}
	if n := int64(in.EndTime.Sub(in.StartTime.Time) / query.Period); n > maxStatistics {
		return nil, tooMany("You have requested up to %d datapoints, which exceeds the limit of %d. You may reduce the datapoints requested by increasing Period, or decreasing the time range.", n, maxStatistics)
	}
	switch {
	case len(in.ExtendedStatistics) > 0:
		return nil, refuse("ExtendedStatistics: percentiles are not kept by this server: give Statistics")
	case len(in.Statistics) == 0:
		return nil, missing("Statistics")
	}
	for _, name := range in.Statistics {
		if _, err := statisticOf(name, "Statistics"); err != nil {
			return nil, err
		}
	}
	if err := checkUnit(in.Unit); err != nil {
		return nil, err
	}
	results, err := h.Broker.MetricData(ctx, c.who, broker.ActionGetMetricStatistics, in.StartTime.Time, in.EndTime.Time, []broker.MetricQuery{query})
	if err != nil {
		return nil, err
	}
	out := &getMetricStatisticsOutput{Label: m.MetricName, Datapoints: list[datapoint]{}}
	if in.Unit != "" && in.Unit != string(results[0].Unit) {
		return out, nil
	}
	for _, p := range results[0].Datapoints {
		out.Datapoints = append(out.Datapoints, chosen(p, results[0].Unit, in.Statistics))
	}
	return out, nil
}

// chosen is a datapoint with the statistics that were asked for.
func chosen(p broker.Datapoint, unit datapoints.Unit, names []string) datapoint {
	d := datapoint{Timestamp: moment{p.At}, Unit: string(unit)}
	to := map[string]**float64{"SampleCount": &d.SampleCount, "Average": &d.Average, "Sum": &d.Sum, "Minimum": &d.Minimum, "Maximum": &d.Maximum}
	for _, name := range names {
		v := statistics[name](p.Stat)
		*to[name] = &v
	}
	return d
}
