// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/leatstream/leat/billing"
	"github.com/leatstream/leat/billing/rating"
)

// billingMetrics tell what accounts use and what it costs. The leader alone has them. They are computed once a minute at most,
// and as floats: bills are not made of them.
type billingMetrics struct {
	leads     func() bool
	positions func(context.Context) ([]billing.Position, error)

	used, cost, forecast, through *prometheus.Desc

	budgets                             func(context.Context, string) ([]billing.BudgetStatus, error)
	budget, budgetSpent, budgetForecast *prometheus.Desc

	mu   sync.Mutex
	at   time.Time
	last []billing.Position
	all  []billing.BudgetStatus
}

// positionsFor is how long positions are told again; positionsWithin keeps a scrape short.
const (
	positionsFor    = time.Minute
	positionsWithin = 3 * time.Second
)

func newBillingMetrics(b *billing.Billing, leads func() bool) *billingMetrics {
	of := []string{"account", "budget", "currency"}
	return &billingMetrics{
		budgets:        b.Budgets,
		budget:         prometheus.NewDesc("leat_budget_amount", "What a budget lets a month cost. The leader tells.", of, nil),
		budgetSpent:    prometheus.NewDesc("leat_budget_spent", "What is spent of a budget this month. The leader tells.", of, nil),
		budgetForecast: prometheus.NewDesc("leat_budget_forecast", "What the month comes to for a budget at the pace of the hours that are booked. The leader tells.", of, nil),

		leads: leads, positions: b.Positions,
		used:     prometheus.NewDesc("leat_usage_month", "What an account used this month, as far as hours are booked, in the meter's base unit: records, bytes, byte-hours or microseconds. The leader tells.", []string{"account", "meter"}, nil),
		cost:     prometheus.NewDesc("leat_cost_month", "What an account's invoice of this month comes to so far. The leader tells.", []string{"account", "currency"}, nil),
		forecast: prometheus.NewDesc("leat_cost_month_forecast", "What it will come to at the pace of the hours that are booked. The leader tells.", []string{"account", "currency"}, nil),
		through:  prometheus.NewDesc("leat_usage_booked_timestamp_seconds", "Hours that begin before this time are booked. The leader tells.", nil, nil),
	}
}

// Describe implements prometheus.Collector.
func (m *billingMetrics) Describe(c chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.used, m.cost, m.forecast, m.through, m.budget, m.budgetSpent, m.budgetForecast} {
		c <- d
	}
}

// Collect implements prometheus.Collector. While the database is away there are none.
func (m *billingMetrics) Collect(c chan<- prometheus.Metric) {
	if !m.leads() {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.at.IsZero() || time.Since(m.at) > positionsFor {
		ctx, cancel := context.WithTimeout(context.Background(), positionsWithin)
		defer cancel()
		all, err := m.positions(ctx)
		if err != nil {
			return
		}
		budgets, err := m.budgets(ctx, "")
		if err != nil {
			return
		}
		m.at, m.last, m.all = time.Now(), all, budgets
	}
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		c <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	for i := range m.all {
		bu := &m.all[i]
		gauge(m.budget, bu.Amount.InexactFloat64(), bu.Account, bu.Name, bu.Currency)
		gauge(m.budgetSpent, bu.Spent.InexactFloat64(), bu.Account, bu.Name, bu.Currency)
		gauge(m.budgetForecast, bu.Forecast.InexactFloat64(), bu.Account, bu.Name, bu.Currency)
	}
	var through time.Time
	for i := range m.last {
		p := &m.last[i]
		gauge(m.cost, p.Total.InexactFloat64(), p.Account, p.Currency)
		gauge(m.forecast, p.Forecast.InexactFloat64(), p.Account, p.Currency)
		for n, used := range p.Used {
			if used != 0 {
				gauge(m.used, float64(used), p.Account, rating.Meter(n).String())
			}
		}
		through = p.Through
	}
	if !through.IsZero() {
		gauge(m.through, float64(through.Unix()))
	}
}
