// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"os"
	"slices"
	"strings"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/api/client"
	leatv1 "github.com/leatstream/leat/api/leat/v1"
)

// billingBudgetCmd is `leat billing budget`.
type billingBudgetCmd struct {
	Connection connection `embed:""`

	Set    budgetSetCmd    `cmd:"" help:"Make a budget, or replace the one of that name."`
	List   budgetListCmd   `cmd:"" help:"Show budgets and where they stand this month."`
	Delete budgetDeleteCmd `cmd:"" help:"Delete a budget."`
}

// Help is shown by `leat billing budget --help`.
func (billingBudgetCmd) Help() string {
	return "A budget is what a month may cost. Each threshold that what is spent, or the forecast, reaches is told to a webhook once a month, and with --throttle puts are refused while more than the amount is spent. It goes by hours that are booked, up to an hour and a quarter ago. What an operator makes for an account, operators alone may change."
}

type budgetSetCmd struct {
	Name       string  `arg:"" help:"Name of the budget."`
	Amount     string  `required:"" help:"What a month may cost, in the currency of the price book." placeholder:"DECIMAL"`
	Stream     string  `help:"This stream's part alone." placeholder:"NAME"`
	Meter      string  `help:"This meter's part alone, such as put.bytes." placeholder:"METER"`
	Thresholds []int32 `name:"threshold" help:"Percent that what is spent can reach; may be given more than once." default:"80,100" placeholder:"PERCENT"`
	Forecasts  []int32 `name:"forecast-threshold" help:"Percent that the forecast can reach; may be given more than once." placeholder:"PERCENT"`
	Webhook    string  `help:"URL that is told of thresholds by POST, signed." placeholder:"URL"`
	SecretFile string  `name:"webhook-secret-file" type:"existingfile" help:"File with the secret that signs what is sent, 16 characters or more. Without it the secret stays as it is." placeholder:"FILE"`
	Throttle   bool    `help:"Refuse puts while more than the amount is spent."`
}

// Run makes or replaces a budget.
func (cmd *budgetSetCmd) Run(ctx context.Context, c *connection, t *terminal) error {
	secret := ""
	if cmd.SecretFile != "" {
		text, err := os.ReadFile(cmd.SecretFile)
		if err != nil {
			return leat.Invalid("webhook-secret-file", "--webhook-secret-file: %v", err)
		}
		secret = strings.TrimSpace(string(text))
	}
	return c.with(ctx, func(ctx context.Context, cl *client.Client) error {
		res, err := cl.Billing.PutBudget(ctx, &leatv1.PutBudgetRequest{
			Account: c.Account, Name: cmd.Name, Amount: cmd.Amount, Stream: cmd.Stream, Meter: cmd.Meter, Thresholds: cmd.Thresholds, ForecastThresholds: cmd.Forecasts,
			WebhookUrl: cmd.Webhook, WebhookSecret: secret, Throttle: cmd.Throttle,
		})
		if err != nil {
			return err
		}
		return printBudgets(t, c, res.GetBudget())
	})
}

type budgetListCmd struct{}

// Run shows budgets.
func (budgetListCmd) Run(ctx context.Context, c *connection, t *terminal) error {
	return c.with(ctx, func(ctx context.Context, cl *client.Client) error {
		res, err := cl.Billing.ListBudgets(ctx, &leatv1.ListBudgetsRequest{Account: c.Account})
		if err != nil {
			return err
		}
		return printBudgets(t, c, res.GetBudgets()...)
	})
}

type budgetDeleteCmd struct {
	Name string `arg:"" help:"Name of the budget."`
}

// Run deletes a budget.
func (cmd *budgetDeleteCmd) Run(ctx context.Context, c *connection, t *terminal) error {
	return c.with(ctx, func(ctx context.Context, cl *client.Client) error {
		if _, err := cl.Billing.DeleteBudget(ctx, &leatv1.DeleteBudgetRequest{Account: c.Account, Name: cmd.Name}); err != nil {
			return err
		}
		p := newPrinter(t.out, c.Output)
		if err := p.Row(map[string]string{"name": cmd.Name, "state": "DELETED"}, "budget "+cmd.Name+" deleted"); err != nil {
			return err
		}
		return p.Flush()
	})
}

// budgetView is the JSON form of a budget.
type budgetView struct {
	Account    string      `json:"account"`
	Name       string      `json:"name"`
	Amount     string      `json:"amount"`
	Currency   string      `json:"currency"`
	StreamID   string      `json:"stream_id,omitempty"`
	Meter      string      `json:"meter,omitempty"`
	Thresholds []int32     `json:"thresholds"`
	Forecasts  []int32     `json:"forecast_thresholds,omitempty"`
	Webhook    string      `json:"webhook_url,omitempty"`
	Throttle   bool        `json:"throttle"`
	Locked     bool        `json:"locked"`
	Month      string      `json:"month"`
	Spent      string      `json:"spent"`
	Forecast   string      `json:"forecast"`
	Exceeded   bool        `json:"exceeded"`
	Alerts     []alertView `json:"alerts,omitempty"`
}

type alertView struct {
	Kind     string `json:"kind"`
	Percent  int32  `json:"percent"`
	Time     string `json:"time"`
	State    string `json:"state"`
	Attempts int32  `json:"attempts,omitempty"`
	Failure  string `json:"failure,omitempty"`
}

func viewBudget(b *leatv1.Budget) budgetView {
	s := b.GetStatus()
	v := budgetView{
		Account: b.GetAccount(), Name: b.GetName(), Amount: b.GetAmount(), Currency: s.GetCurrency(), StreamID: b.GetStreamId(), Meter: b.GetMeter(), Thresholds: b.GetThresholds(),
		Forecasts: b.GetForecastThresholds(), Webhook: b.GetWebhookUrl(), Throttle: b.GetThrottle(), Locked: b.GetLocked(), Month: s.GetMonth(), Spent: s.GetSpent(),
		Forecast: s.GetForecast(), Exceeded: s.GetExceeded(),
	}
	for _, a := range s.GetAlerts() {
		v.Alerts = append(v.Alerts, alertView{a.GetKind(), a.GetPercent(), rfc3339(a.GetTime()), a.GetState(), a.GetAttempts(), a.GetFailure()})
	}
	return v
}

func printBudgets(t *terminal, c *connection, all ...*leatv1.Budget) error {
	p := newPrinter(t.out, c.Output, "NAME", "ABOUT", "AMOUNT", "SPENT", "FORECAST", "CURRENCY", "TOLD", "PUTS")
	for _, b := range all {
		v := viewBudget(b)
		about := strings.Join(slices.DeleteFunc([]string{v.StreamID, v.Meter}, func(s string) bool { return s == "" }), " ")
		var reached []string
		for _, a := range v.Alerts {
			reached = append(reached, count(int64(a.Percent))+"% "+a.Kind+" "+strings.ToLower(a.State))
		}
		puts := "taken"
		if v.Throttle && v.Exceeded {
			puts = "REFUSED"
		}
		if about == "" {
			about = "everything"
		}
		if err := p.Row(v, v.Name, about, v.Amount, v.Spent, v.Forecast, v.Currency, orDash(strings.Join(reached, ", ")), puts); err != nil {
			return err
		}
	}
	return p.Flush()
}
