// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package web

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/shopspring/decimal"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/billing"
	"github.com/leatstream/leat/billing/rating"
)

// budgetRow is a budget and where it stands.
type budgetRow struct {
	billing.BudgetStatus
	About string // what it is a budget of
	Share float64
}

func budgetRows(all []billing.BudgetStatus, names map[leat.StreamID]string) []budgetRow {
	var rows []budgetRow
	for i := range all {
		row := budgetRow{BudgetStatus: all[i], About: "everything"}
		if !row.Stream.IsZero() {
			row.About = cmp.Or(names[row.Stream], "stream "+row.Stream.String())
		}
		if m, ok := rating.ParseMeter(row.Meter); ok {
			row.About += ", " + strings.ToLower(meterName(m))
		}
		row.Share, _ = row.Spent.Div(row.Amount).Float64()
		rows = append(rows, row)
	}
	return rows
}

// budgetForm is the form of a new budget, as it was filled in.
type budgetForm struct {
	Name, Amount, Stream, Thresholds, Forecasts, Error string
	Throttle                                           bool
}

// changeBudgets makes or deletes a budget.
func (c *Console) changeBudgets(w http.ResponseWriter, r *http.Request, s *session) error {
	account := strings.TrimSpace(r.PostForm.Get("account"))
	f := budgetForm{
		Name: strings.TrimSpace(r.PostForm.Get("name")), Amount: strings.TrimSpace(r.PostForm.Get("amount")), Stream: strings.TrimSpace(r.PostForm.Get("stream")),
		Thresholds: r.PostForm.Get("thresholds"), Forecasts: r.PostForm.Get("forecasts"), Throttle: r.PostForm.Get("throttle") == "yes",
	}
	var err error
	done := "budget"
	if name := r.PostForm.Get("delete"); name != "" {
		done = "nobudget"
		err = c.Broker.DeleteBudget(r.Context(), s.who, account, name)
	} else {
		err = c.makeBudget(r, s, account, &f)
	}
	if err != nil {
		if keepsForm(err) {
			f.Error = told(err)
			return c.showUsage(w, r, s, statusOf(leat.KindOf(err)), f)
		}
		return err
	}
	to := url.Values{"done": {done}}
	if account != "" {
		to.Set("account", account)
	}
	http.Redirect(w, r, Root+"/usage?"+to.Encode()+"#budgets", http.StatusSeeOther)
	return nil
}

// makeBudget makes a budget that is not there yet: a change by this form would take away what it does not show.
func (c *Console) makeBudget(r *http.Request, s *session, account string, f *budgetForm) error {
	bu := billing.Budget{Account: account, Name: f.Name, Throttle: f.Throttle}
	var err error
	if bu.Amount, err = decimal.NewFromString(f.Amount); err != nil || len(f.Amount) > 40 {
		return leat.Invalid("amount", "%.40q is no amount such as 120.50.", f.Amount)
	}
	if bu.Thresholds, err = percents("thresholds", f.Thresholds); err != nil {
		return err
	}
	if bu.Forecasts, err = percents("forecasts", f.Forecasts); err != nil {
		return err
	}
	if err := bu.Validate(); err != nil {
		return err
	}
	all, err := c.Broker.ListBudgets(r.Context(), s.who, account)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(all, func(b billing.BudgetStatus) bool { return b.Name == f.Name }) {
		return leat.Errorf(leat.KindInUse, "There is a budget %s already. Delete it first, or change it with leat billing budget set.", f.Name)
	}
	_, err = c.Broker.PutBudget(r.Context(), s.who, bu, f.Stream)
	return err
}

// percents reads whole numbers with commas between them.
func percents(field, text string) (all []int, err error) {
	for _, part := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' || r == '%' }) {
		n, err := strconv.Atoi(part)
		if err != nil {
			return nil, leat.Invalid(field, "%.40q is no percentage.", part)
		}
		all = append(all, n)
	}
	return all, nil
}
