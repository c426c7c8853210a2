// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"
	"fmt"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/billing"
	"github.com/leatstream/leat/server/delivery/spec"
)

// Budgets promise: a threshold is told once a month; a budget that throttles refuses puts while more than its amount is spent, as far as
// hours are booked, on every node within half a minute. What an operator made for an account is the operator's to change.

// The actions on budgets.
const (
	ActionPutBudget    Action = "PutBudget"
	ActionListBudgets  Action = "ListBudgets"
	ActionDeleteBudget Action = "DeleteBudget"
)

func budgetPath(account, name string) Resource {
	return Resource{Account: account, Path: "leat:budget/" + name}
}

// budgeted finds whose budget a caller asks for, and whether they may.
func (b *Broker) budgeted(ctx context.Context, who leat.Principal, action Action, account, name string) (string, error) {
	if err := billing.ValidateBudgetName(name); err != nil {
		return "", err
	}
	if account == "" {
		account = who.Account
	}
	if err := b.may(ctx, who, action, budgetPath(account, name)); err != nil {
		return "", err
	}
	if b.billing == nil {
		return "", leat.Errorf(leat.KindUnsupported, "this server keeps no bills")
	}
	return account, nil
}

// PutBudget makes or replaces a budget. stream is a name; empty: it is about all streams.
func (b *Broker) PutBudget(ctx context.Context, who leat.Principal, bu billing.Budget, stream string) (billing.BudgetStatus, error) {
	if err := bu.Validate(); err != nil {
		return billing.BudgetStatus{}, err
	}
	if stream != "" {
		if err := leat.ValidateStreamName(stream); err != nil {
			return billing.BudgetStatus{}, err
		}
	}
	var err error
	if bu.Account, err = b.budgeted(ctx, who, ActionPutBudget, bu.Account, bu.Name); err != nil {
		return billing.BudgetStatus{}, err
	}
	if stream != "" {
		v, err := b.directory.refresh(ctx, bu.Account, stream)
		if err != nil {
			return billing.BudgetStatus{}, err
		}
		bu.Stream = v.ID
	}
	before, s, err := b.billing.PutBudget(ctx, bu, who.Operator)
	if err != nil {
		return s, maybe(err)
	}
	b.changed(ctx, ofBudget(before), ofBudget(&s.Budget))
	return s, nil
}

// ofBudget is what the audit log is told of a budget.
func ofBudget(bu *billing.Budget) any {
	if bu == nil {
		return nil
	}
	f := fields{"amount": bu.Amount, "thresholds": bu.Thresholds, "forecast_thresholds": bu.Forecasts, "throttle": bu.Throttle, "webhook": spec.WithoutQuery(bu.URL), "meter": bu.Meter}
	if !bu.Stream.IsZero() {
		f["stream_id"] = fmt.Sprint(bu.Stream)
	}
	return f
}

// ListBudgets returns an account's budgets and where they stand.
func (b *Broker) ListBudgets(ctx context.Context, who leat.Principal, account string) ([]billing.BudgetStatus, error) {
	account, err := b.billed(ctx, who, ActionListBudgets, account)
	if err != nil {
		return nil, err
	}
	all, err := b.billing.Budgets(ctx, account)
	return all, maybe(err)
}

// DeleteBudget takes a budget away.
func (b *Broker) DeleteBudget(ctx context.Context, who leat.Principal, account, name string) error {
	account, err := b.budgeted(ctx, who, ActionDeleteBudget, account, name)
	if err != nil {
		return err
	}
	was, err := b.billing.DeleteBudget(ctx, account, name, who.Operator)
	if err != nil {
		return maybe(err)
	}
	b.changed(ctx, ofBudget(&was), nil)
	return nil
}
