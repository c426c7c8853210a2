// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package grpcapi

import (
	"context"

	"github.com/shopspring/decimal"

	"github.com/leatstream/leat"
	leatv1 "github.com/leatstream/leat/api/leat/v1"
	"github.com/leatstream/leat/billing"
)

func (s billingService) PutBudget(ctx context.Context, req *leatv1.PutBudgetRequest) (*leatv1.PutBudgetResponse, error) {
	amount, err := decimal.NewFromString(req.GetAmount())
	if err != nil {
		return nil, leat.Invalid("amount", "%q is not a decimal", req.GetAmount())
	}
	b, err := s.broker.PutBudget(ctx, principal(ctx), billing.Budget{
		Account: req.GetAccount(), Name: req.GetName(), Amount: amount, Meter: req.GetMeter(), Thresholds: ints(req.GetThresholds()),
		Forecasts: ints(req.GetForecastThresholds()), URL: req.GetWebhookUrl(), Secret: req.GetWebhookSecret(), Throttle: req.GetThrottle(),
	}, req.GetStream())
	if err != nil {
		return nil, err
	}
	return &leatv1.PutBudgetResponse{Budget: budgetOf(&b)}, nil
}

func (s billingService) ListBudgets(ctx context.Context, req *leatv1.ListBudgetsRequest) (*leatv1.ListBudgetsResponse, error) {
	all, err := s.broker.ListBudgets(ctx, principal(ctx), req.GetAccount())
	if err != nil {
		return nil, err
	}
	out := &leatv1.ListBudgetsResponse{}
	for i := range all {
		out.Budgets = append(out.Budgets, budgetOf(&all[i]))
	}
	return out, nil
}

func (s billingService) DeleteBudget(ctx context.Context, req *leatv1.DeleteBudgetRequest) (*leatv1.DeleteBudgetResponse, error) {
	if err := s.broker.DeleteBudget(ctx, principal(ctx), req.GetAccount(), req.GetName()); err != nil {
		return nil, err
	}
	return &leatv1.DeleteBudgetResponse{}, nil
}

func ints(in []int32) (out []int) {
	for _, n := range in {
		out = append(out, int(n))
	}
	return out
}

func int32s(in []int) (out []int32) {
	for _, n := range in {
		out = append(out, int32(n)) //nolint:gosec // percents, 1000 at most
	}
	return out
}

func budgetOf(b *billing.BudgetStatus) *leatv1.Budget {
	out := &leatv1.Budget{
		Account: b.Account, Name: b.Name, Amount: b.Amount.String(), Meter: b.Meter, Thresholds: int32s(b.Thresholds), ForecastThresholds: int32s(b.Forecasts),
		WebhookUrl: b.URL, Throttle: b.Throttle, Locked: b.Locked, CreateTime: stamp(b.Created), UpdateTime: stamp(b.Changed),
		Status: &leatv1.BudgetStatus{
			Month: b.Month, Currency: b.Currency, Spent: b.Spent.String(), Forecast: b.Forecast.String(), Exceeded: b.Exceeded, Time: stamp(b.Looked),
		},
	}
	if !b.Stream.IsZero() {
		out.StreamId = b.Stream.String()
	}
	for i := range b.Alerts {
		a := &b.Alerts[i]
		out.Status.Alerts = append(out.Status.Alerts, &leatv1.BudgetAlert{
			Kind: a.Kind, Percent: int32(a.Percent), Time: stamp(a.Time), State: a.State, Attempts: int32(min(a.Attempts, 1<<30)), Failure: a.Failure, //nolint:gosec // bounded
		})
	}
	return out
}
