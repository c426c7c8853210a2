// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package cloudwatch

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/leatstream/leat/server/awswire"
)

// ListMetrics: see broker.MetricData for what it promises: the metrics that have datapoints, 500 a page.
//
// Differs from AWS: metrics of other accounts (IncludeLinkedAccounts, OwningAccount) are refused.

type listMetricsInput struct {
	Namespace             string
	MetricName            string
	Dimensions            []dimension
	NextToken             *string
	RecentlyActive        string
	IncludeLinkedAccounts *bool
	OwningAccount         *string
}

type listMetricsOutput struct {
	Metrics   list[metric]
	NextToken *string `json:",omitempty" xml:",omitempty"`
}

const (
	metricsAPage = 500
	tokenPrefix  = "from-"
	recently     = 3 * time.Hour
)

func (h *Handler) listMetrics(ctx context.Context, c *call) (any, error) {
	var in listMetricsInput
	if err := c.wire.decode(c, &in); err != nil {
		return nil, err
	}
	var since time.Time
	switch {
	case in.IncludeLinkedAccounts != nil && *in.IncludeLinkedAccounts:
		return nil, refuse("IncludeLinkedAccounts is not supported: metrics of other accounts are not shown")
	case in.OwningAccount != nil && *in.OwningAccount != c.who.Account:
		return nil, refuse("OwningAccount %.80q: metrics of other accounts are not shown", *in.OwningAccount)
	case in.RecentlyActive == "PT3H":
		since = h.Clock.Now().Add(-recently)
	case in.RecentlyActive != "":
		return nil, refuse("RecentlyActive: give PT3H or nothing")
	}
	dimensions, err := byName(in.Dimensions, "")
	if err != nil {
		return nil, err
	}
	from := 0
	if in.NextToken != nil && *in.NextToken != "" {
		text, ok := strings.CutPrefix(*in.NextToken, tokenPrefix)
		if from, err = strconv.Atoi(text); !ok || err != nil || from < 0 {
			return nil, &awswire.Error{Type: typeToken, Message: "this server gave no such NextToken"}
		}
	}
	all, err := h.Broker.ListMetrics(ctx, c.who, since, in.Namespace, in.MetricName, dimensions)
	if err != nil {
		return nil, err
	}
	out := &listMetricsOutput{Metrics: list[metric]{}}
	for i := from; i < len(all) && i < from+metricsAPage; i++ {
		m := metric{Namespace: all[i].Namespace, MetricName: all[i].Name, Dimensions: list[dimension]{}}
		for _, d := range all[i].Dimensions {
			m.Dimensions = append(m.Dimensions, dimension{d[0], d[1]})
		}
		out.Metrics = append(out.Metrics, m)
	}
	if next := from + metricsAPage; next < len(all) {
		token := tokenPrefix + strconv.Itoa(next)
		out.NextToken = &token
	}
	return out, nil
}
