// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/shopspring/decimal"

	"github.com/leatstream/leat/billing"
	"github.com/leatstream/leat/billing/rating"
)

// The leader tells what accounts use and what it costs, asks once a minute, and others tell nothing.
func TestBillingMetrics(t *testing.T) {
	asked, leads := 0, true
	p := billing.Position{
		Account: "111111111111", Currency: "EUR", Total: decimal.RequireFromString("12.5"), Forecast: decimal.RequireFromString("25"), Through: time.Unix(3600, 0),
	}
	p.Used[rating.PutRecords] = 7
	m := newBillingMetrics(nil, func() bool { return leads })
	m.positions = func(context.Context) ([]billing.Position, error) {
		asked++
		return []billing.Position{p}, nil
	}
	m.budgets = func(context.Context, string) ([]billing.BudgetStatus, error) {
		return []billing.BudgetStatus{{
			Budget: billing.Budget{Account: "111111111111", Name: "all", Amount: decimal.RequireFromString("20")}, Currency: "EUR",
			Spent: decimal.RequireFromString("12.5"), Forecast: decimal.RequireFromString("25"),
		}}, nil
	}
	r := prometheus.NewPedanticRegistry()
	r.MustRegister(m)
	told := func() string {
		t.Helper()
		families, err := r.Gather()
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, f := range families {
			for _, s := range f.GetMetric() {
				line := f.GetName()
				for _, l := range s.GetLabel() {
					line += " " + l.GetValue()
				}
				out = append(out, fmt.Sprint(line, " ", s.GetGauge().GetValue()))
			}
		}
		return strings.Join(out, "; ")
	}
	const want = "leat_budget_amount 111111111111 all EUR 20; leat_budget_forecast 111111111111 all EUR 25; leat_budget_spent 111111111111 all EUR 12.5; " +
		"leat_cost_month 111111111111 EUR 12.5; leat_cost_month_forecast 111111111111 EUR 25; " +
		"leat_usage_booked_timestamp_seconds 3600; leat_usage_month 111111111111 put.records 7"
	for range 2 {
		if got := told(); got != want {
			t.Errorf("told %s", got)
		}
	}
	if asked != 1 {
		t.Errorf("asked %d times", asked)
	}
	leads = false
	if got := told(); got != "" {
		t.Errorf("a node that does not lead tells %s", got)
	}
}
