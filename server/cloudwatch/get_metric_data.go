// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package cloudwatch

import (
	"context"
	"regexp"
	"slices"
	"strings"

	"github.com/leatstream/leat/server/awswire"
	"github.com/leatstream/leat/server/broker"
	"github.com/leatstream/leat/server/datapoints"
)

// GetMetricData: see broker.MetricData for what it promises. All datapoints come in one answer.
//
// Differs from AWS: refused are Expression (metric math and Metrics Insights), labels that are computed, and MaxDatapoints
// below what there is.

type getMetricDataInput struct {
	MetricDataQueries []metricDataQuery
	StartTime         *moment
	EndTime           *moment
	ScanBy            string
	MaxDatapoints     *int32
	NextToken         *string
	LabelOptions      *struct{ Timezone *string } // of labels that are computed
}

type metricDataQuery struct {
	Id         string
	MetricStat *metricStat
	Expression *string
	Label      *string
	ReturnData *bool
	Period     *int32 // of an expression
	AccountId  *string
}

type metricStat struct {
	Metric *metric
	Period *int32
	Stat   string
	Unit   string
}

type getMetricDataOutput struct {
	MetricDataResults list[metricDataResult]
	Messages          list[struct{}]
}

type metricDataResult struct {
	Id         string
	Label      string
	Timestamps list[moment]
	Values     list[float64]
	StatusCode string
}

// asked is one query, read.
type asked struct {
	id, label, unit string
	value           func(datapoints.Stat) float64
	hidden          bool
}

func (h *Handler) getMetricData(ctx context.Context, c *call) (any, error) {
	var in getMetricDataInput
	if err := c.wire.decode(c, &in); err != nil {
		return nil, err
	}
	if err := between(in.StartTime, in.EndTime); err != nil {
		return nil, err
	}
	switch {
	case len(in.MetricDataQueries) == 0:
		return nil, missing("MetricDataQueries")
	case len(in.MetricDataQueries) > broker.MaxMetricQueries:
		return nil, refuse("MetricDataQueries has %d elements: %d at most", len(in.MetricDataQueries), broker.MaxMetricQueries)
	case in.NextToken != nil && *in.NextToken != "":
		return nil, &awswire.Error{Type: typeToken, Message: "this server gave no such NextToken: it answers with all datapoints at once"}
	case in.ScanBy != "" && in.ScanBy != "TimestampAscending" && in.ScanBy != "TimestampDescending":
		return nil, refuse("ScanBy: give TimestampAscending or TimestampDescending")
	}
	all, queries, err := in.read(c.who.Account)
	if err != nil {
		return nil, err
	}
	results, err := h.Broker.MetricData(ctx, c.who, broker.ActionGetMetricData, in.StartTime.Time, in.EndTime.Time, queries)
	if err != nil {
		return nil, err
	}
	out, total := &getMetricDataOutput{MetricDataResults: list[metricDataResult]{}, Messages: list[struct{}]{}}, 0
	for i, a := range all {
		if a.hidden {
			continue
		}
		r := metricDataResult{Id: a.id, Label: a.label, Timestamps: list[moment]{}, Values: list[float64]{}, StatusCode: "Complete"}
		points := results[i].Datapoints
		if a.unit != "" && a.unit != string(results[i].Unit) {
			points = nil
		}
		if in.ScanBy != "TimestampAscending" {
			slices.Reverse(points)
		}
		for _, p := range points {
			r.Timestamps, r.Values = append(r.Timestamps, moment{p.At}), append(r.Values, a.value(p.Stat))
		}
		total += len(points)
		out.MetricDataResults = append(out.MetricDataResults, r)
	}
	if most := in.MaxDatapoints; most != nil && int(*most) < total {
		return nil, refuse("MaxDatapoints %d: there are %d, and this server answers with all at once", *most, total)
	}
	return out, nil
}

var queryID = regexp.MustCompile(`^[a-z][a-zA-Z0-9_]{0,254}$`)

// read checks the queries.
func (in *getMetricDataInput) read(account string) (all []asked, queries []broker.MetricQuery, err error) {
	seen := map[string]bool{}
	for i := range in.MetricDataQueries {
		q := &in.MetricDataQueries[i]
		switch {
		case !queryID.MatchString(q.Id):
			return nil, nil, refuse("MetricDataQueries: the Id %.80q must begin with a small letter and go on with letters, digits and _", q.Id)
		case seen[q.Id]:
			return nil, nil, refuse("MetricDataQueries: the Id %s is there twice", q.Id)
		case q.Expression != nil:
			return nil, nil, refuse("%s: Expression is not supported: this server computes nothing of metrics, ask for each by MetricStat", q.Id)
		case q.Period != nil:
			return nil, nil, refuse("%s: Period is of an Expression: give it in MetricStat", q.Id)
		case q.AccountId != nil && *q.AccountId != account:
			return nil, nil, refuse("%s: AccountId %.80q: metrics of other accounts are not shown", q.Id, *q.AccountId)
		case q.MetricStat == nil:
			return nil, nil, missing(q.Id + ".MetricStat")
		case q.MetricStat.Metric == nil:
			return nil, nil, missing(q.Id + ".MetricStat.Metric")
		}
		seen[q.Id] = true
		a, query, err := q.read()
		if err != nil {
			return nil, nil, err
		}
		all, queries = append(all, a), append(queries, query)
	}
	return all, queries, nil
}

func (q *metricDataQuery) read() (a asked, query broker.MetricQuery, err error) {
	m := q.MetricStat.Metric
	in := q.Id + ".MetricStat."
	if err := m.check(in + "Metric."); err != nil {
		return a, query, err
	}
	query = broker.MetricQuery{Namespace: m.Namespace, Metric: m.MetricName}
	if query.Dimensions, err = byName(m.Dimensions, in+"Metric."); err != nil {
		return a, query, err
	}
	if query.Period, err = period(q.MetricStat.Period, in+"Period"); err != nil {
		return a, query, err
	}
	if q.MetricStat.Stat == "" {
		return a, query, missing(in + "Stat")
	}
	a = asked{id: q.Id, label: m.MetricName, unit: q.MetricStat.Unit, hidden: q.ReturnData != nil && !*q.ReturnData}
	if a.value, err = statisticOf(q.MetricStat.Stat, in+"Stat"); err != nil {
		return a, query, err
	}
	if q.Label != nil {
		if strings.Contains(*q.Label, "${") {
			return a, query, refuse("%s.Label: labels that are computed (${…}) are not supported", q.Id)
		}
		a.label = *q.Label
	}
	return a, query, checkUnit(a.unit)
}
