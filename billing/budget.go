// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package billing

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"time"

	"github.com/shopspring/decimal"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/billing/rating"
	"github.com/leatstream/leat/internal/sqldb"
)

// A budget is what a month of an account may cost, or the part of it that one stream or one meter makes.
//
// What is spent is the draft of the month as far as hours are booked: its total, with credits, minimums and corrections, for a budget
// of everything; otherwise the shares of the stream, or the usage lines of the meter. The forecast goes on at the pace of the booked
// hours: usage lines × hours of the month / hours booked, and everything else as it is. A threshold is crossed when
// what is spent, or the forecast, is at or above its percent of the amount; each is told once a month, whatever becomes of
// the budget afterwards.

// Budget is a budget as its owner set it.
type Budget struct {
	Account    string
	Name       string
	Amount     decimal.Decimal // in the currency of the price book; above 0
	Stream     leat.StreamID   // zero: all streams
	Meter      string          // empty: all
	Thresholds []int           // percents of Amount that what is spent can reach
	Forecasts  []int           // percents of Amount that the forecast can reach
	URL        string          // is told of thresholds; empty: nobody is
	Secret     string          // signs what URL is sent; never told. Empty in a change: it stays
	Throttle   bool            // puts are refused while more than Amount is spent
	Locked     bool            // an operator made it, and operators alone may change it
	Created    time.Time
	Changed    time.Time
}

// BudgetStatus is a budget and where it stands in the present month.
type BudgetStatus struct {
	Budget
	Month     string
	Currency  string
	Spent     decimal.Decimal
	Forecast  decimal.Decimal
	Exceeded  bool
	Looked    time.Time // when; zero: not yet
	Alerts    []BudgetAlert
	HasSecret bool
}

// BudgetAlert is a threshold that was crossed this month.
type BudgetAlert struct {
	Kind     string // spent, forecast
	Percent  int
	Time     time.Time
	State    string // PENDING, SENT, FAILED, UNSENT
	Attempts int
	Failure  string // of the last attempt
}

// Bounds of budgets.
const (
	MaxBudgets    = 20 // of an account
	maxThresholds = 10
	maxPercent    = 1000
	minSecret     = 16
	maxSecret     = 256
)

var budgetName = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// ValidateBudgetName accepts 1 to 64 letters, digits, dots, dashes and underscores.
func ValidateBudgetName(name string) error {
	if !budgetName.MatchString(name) {
		return leat.Invalid("name", "the name of a budget %.80q must be 1 to 64 letters, digits, dots, dashes or underscores", name)
	}
	return nil
}

// Validate checks a budget and puts its thresholds in order.
func (bu *Budget) Validate() error {
	if err := ValidateBudgetName(bu.Name); err != nil {
		return err
	}
	if !bu.Amount.IsPositive() || bu.Amount.Exponent() < -12 || bu.Amount.GreaterThan(decimal.New(1, 15)) {
		return leat.Invalid("amount", "the amount must be above 0 and up to 10^15, with up to 12 digits behind the point")
	}
	if _, ok := rating.ParseMeter(bu.Meter); bu.Meter != "" && !ok {
		return leat.Invalid("meter", "there is no meter %.60q: `leat billing usage` shows them", bu.Meter)
	}
	for _, t := range []struct {
		field string
		all   *[]int
	}{{"thresholds", &bu.Thresholds}, {"forecast_thresholds", &bu.Forecasts}} {
		slices.Sort(*t.all)
		*t.all = slices.Compact(*t.all)
		if n := len(*t.all); n > maxThresholds || n > 0 && ((*t.all)[0] < 1 || (*t.all)[n-1] > maxPercent) {
			return leat.Invalid(t.field, "give up to %d percents from 1 to %d", maxThresholds, maxPercent)
		}
	}
	if bu.URL == "" {
		if bu.Secret != "" {
			return leat.Invalid("webhook_secret", "a secret without a webhook signs nothing")
		}
		return nil
	}
	u, err := url.Parse(bu.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || len(bu.URL) > 1000 {
		return leat.Invalid("webhook_url", "it must be an http:// or https:// URL of up to 1000 characters without user and password")
	}
	if bu.Secret != "" && (len(bu.Secret) < minSecret || len(bu.Secret) > maxSecret) {
		return leat.Invalid("webhook_secret", "a secret must have %d to %d characters", minSecret, maxSecret)
	}
	return nil
}

// Sealer keeps secrets under the operator's master key.
type Sealer interface {
	Wrap(purpose string, secret []byte) (string, error)
	Unwrap(purpose, wrapped string) ([]byte, error)
	// Current tells whether a secret is wrapped under the key that Wrap uses now.
	Current(wrapped string) bool
}

func budgetPurpose(account, name string) string { return "budget/" + account + "/" + name }

// PutBudget makes a budget, or changes the one of that name, and looks where it stands. KindAccessDenied when it is locked and the caller is
// no operator.
func (b *Billing) PutBudget(ctx context.Context, bu Budget, operator bool) (before *Budget, now BudgetStatus, err error) {
	if err := bu.Validate(); err != nil {
		return nil, now, err
	}
	wrapped := ""
	if bu.Secret != "" {
		if b.opts.Sealer == nil {
			return nil, now, leat.Errorf(leat.KindUnsupported, "this server cannot keep a webhook's secret: start it with --master-key-file")
		}
		if wrapped, err = b.opts.Sealer.Wrap(budgetPurpose(bu.Account, bu.Name), []byte(bu.Secret)); err != nil {
			return nil, now, err
		}
	}
	thresholds, err := json.Marshal(bu.Thresholds)
	if err != nil {
		return nil, now, err
	}
	forecasts, err := json.Marshal(bu.Forecasts)
	if err != nil {
		return nil, now, err
	}
	stream := ""
	if !bu.Stream.IsZero() {
		stream = bu.Stream.String()
	}
	at := b.now().UTC().Truncate(time.Microsecond)
	err = b.db.Tx(ctx, func(tx *sqldb.Tx) error {
		before = nil
		created, secret, locked := at, wrapped, operator
		is, was, err := budget(tx, bu.Account, bu.Name)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			var n int
			if err := tx.Row("SELECT count(*) FROM billing_budgets WHERE account = $1", bu.Account).Scan(&n); err != nil {
				return err
			}
			if n >= MaxBudgets {
				return leat.Errorf(leat.KindLimitExceeded, "Account %s has %d budgets: delete one first.", bu.Account, n)
			}
		case err != nil:
			return err
		default:
			if is.Locked && !operator {
				return errLocked(&is)
			}
			before, created, locked = &is, is.Created, is.Locked || operator
			if secret == "" {
				secret = was
			}
		}
		if bu.URL == "" {
			secret = ""
		} else if secret == "" {
			return leat.Invalid("webhook_secret", "a webhook needs a secret of %d characters or more: it signs what is sent", minSecret)
		}
		_, err = tx.Exec(`
INSERT INTO billing_budgets (account, name, amount, stream, meter, thresholds, forecasts, url, secret, throttle, locked, created, changed)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
ON CONFLICT (account, name) DO UPDATE SET amount = excluded.amount, stream = excluded.stream, meter = excluded.meter, thresholds = excluded.thresholds,
	forecasts = excluded.forecasts, url = excluded.url, secret = excluded.secret, throttle = excluded.throttle, locked = excluded.locked, changed = excluded.changed`,
			bu.Account, bu.Name, bu.Amount.String(), stream, bu.Meter, string(thresholds), string(forecasts), bu.URL, secret, flag(bu.Throttle), flag(locked), created, at)
		return err
	})
	if err != nil {
		return nil, now, err
	}
	if err := b.lookAt(ctx, bu.Account); err != nil {
		return before, now, err
	}
	if err := b.loadThrottles(ctx); err != nil {
		return before, now, err
	}
	all, err := b.Budgets(ctx, bu.Account)
	for i := range all {
		if all[i].Name == bu.Name {
			now = all[i]
		}
	}
	return before, now, err
}

func errLocked(bu *Budget) error {
	return leat.Errorf(leat.KindAccessDenied, "Budget %s of account %s was made by an operator: operators alone may change it.", bu.Name, bu.Account)
}

func flag(on bool) int64 {
	if on {
		return 1
	}
	return 0
}

// DeleteBudget takes a budget away, with what is known of its months. KindNotFound when there is none, KindAccessDenied as for PutBudget.
func (b *Billing) DeleteBudget(ctx context.Context, account, name string, operator bool) (was Budget, err error) {
	err = b.db.Tx(ctx, func(tx *sqldb.Tx) (err error) {
		if was, _, err = budget(tx, account, name); err != nil {
			if errors.Is(err, sql.ErrNoRows) {
				return leat.Errorf(leat.KindNotFound, "Budget %s of account %s not found.", name, account)
			}
			return err
		}
		if was.Locked && !operator {
			return errLocked(&was)
		}
		for _, table := range []string{"billing_budgets", "billing_budget_months", "billing_budget_alerts"} {
			if _, err := tx.Exec("DELETE FROM "+table+" WHERE account = $1 AND name = $2", account, name); err != nil { //nolint:gosec // names from here
				return err
			}
		}
		return nil
	})
	if err != nil {
		return was, err
	}
	return was, b.loadThrottles(ctx)
}

const budgetColumns = "account, name, amount, stream, meter, thresholds, forecasts, url, secret, throttle, locked, created, changed"

func scanBudget(scan sqldb.Scan) (bu Budget, secret string, err error) {
	var amount, stream, thresholds, forecasts string
	var throttle, locked int64
	if err = scan(&bu.Account, &bu.Name, &amount, &stream, &bu.Meter, &thresholds, &forecasts, &bu.URL, &secret, &throttle, &locked, sqldb.Time(&bu.Created), sqldb.Time(&bu.Changed)); err != nil {
		return bu, "", err
	}
	bu.Throttle, bu.Locked = throttle == 1, locked == 1
	if bu.Amount, err = decimal.NewFromString(amount); err == nil && stream != "" {
		bu.Stream, err = leat.ParseID[leat.StreamID](stream)
	}
	if err == nil {
		err = errors.Join(json.Unmarshal([]byte(thresholds), &bu.Thresholds), json.Unmarshal([]byte(forecasts), &bu.Forecasts))
	}
	if err != nil {
		err = leat.Errorf(leat.KindCorrupt, "budget %s of account %s is damaged: %w", bu.Name, bu.Account, err)
	}
	return bu, secret, err
}

// budget returns sql.ErrNoRows when there is none.
func budget(tx *sqldb.Tx, account, name string) (Budget, string, error) {
	return scanBudget(tx.Row("SELECT "+budgetColumns+" FROM billing_budgets WHERE account = $1 AND name = $2", account, name).Scan)
}

// Budgets returns an account's budgets and where they stand, by name; of all accounts when it is empty.
func (b *Billing) Budgets(ctx context.Context, account string) (all []BudgetStatus, err error) {
	p := b.opts.Book.Month(b.now())
	err = b.db.View(ctx, func(tx *sqldb.Tx) error {
		all = nil
		if err := tx.Each("SELECT "+budgetColumns+" FROM billing_budgets WHERE account = $1 OR $1 = '' ORDER BY account, name", func(scan sqldb.Scan) error {
			bu, secret, err := scanBudget(scan)
			all = append(all, BudgetStatus{Budget: bu, Month: p.String(), Currency: b.opts.Book.Currency, HasSecret: secret != ""})
			return err
		}, account); err != nil {
			return err
		}
		at := map[[2]string]*BudgetStatus{}
		for i := range all {
			at[[2]string{all[i].Account, all[i].Name}] = &all[i]
		}
		if err := tx.Each("SELECT account, name, spent, forecast, exceeded, looked FROM billing_budget_months WHERE month = $1 AND (account = $2 OR $2 = '')", func(scan sqldb.Scan) error {
			var owner, name, spent, forecast string
			var exceeded int64
			var looked time.Time
			if err := scan(&owner, &name, &spent, &forecast, &exceeded, sqldb.Time(&looked)); err != nil {
				return err
			}
			s := at[[2]string{owner, name}]
			if s == nil {
				return nil
			}
			var bad, worse error
			s.Spent, bad = decimal.NewFromString(spent)
			s.Forecast, worse = decimal.NewFromString(forecast)
			s.Exceeded, s.Looked = exceeded == 1, looked
			return errors.Join(bad, worse)
		}, p.String(), account); err != nil {
			return err
		}
		return tx.Each("SELECT account, name, kind, percent, at, state, attempts, failure FROM billing_budget_alerts WHERE month = $1 AND (account = $2 OR $2 = '') ORDER BY at, kind, percent", func(scan sqldb.Scan) error {
			var owner, name string
			var a BudgetAlert
			err := scan(&owner, &name, &a.Kind, &a.Percent, sqldb.Time(&a.Time), &a.State, &a.Attempts, &a.Failure)
			if s := at[[2]string{owner, name}]; s != nil {
				s.Alerts = append(s.Alerts, a)
			}
			return err
		}, p.String(), account)
	})
	return all, err
}

// spent is what a budget's part of a month comes to so far, and what it will at the pace of the booked hours.
func (bu *Budget) spent(inv *Invoice) (spent, expected decimal.Decimal) {
	if bu.Stream.IsZero() && bu.Meter == "" {
		return inv.Total, forecast(inv)
	}
	part := Invoice{Bill: rating.Bill{Period: inv.Period}, Closed: inv.Closed, Through: inv.Through}
	if !bu.Stream.IsZero() {
		for i := range inv.Shares {
			if s := &inv.Shares[i]; s.Stream == bu.Stream && (bu.Meter == "" || s.Meter.String() == bu.Meter) {
				part.put(rating.Line{Kind: rating.LineUsage, Amount: s.Amount})
			}
		}
	} else {
		for i := range inv.Lines {
			if l := &inv.Lines[i]; l.Kind == rating.LineUsage && l.Meter.String() == bu.Meter {
				part.put(*l)
			}
		}
	}
	return part.Total, forecast(&part)
}

// told is what a webhook is sent of a threshold.
type told struct {
	ID       string `json:"id"`
	Type     string `json:"type"` // budget.threshold
	Time     string `json:"time"`
	Account  string `json:"account"`
	Budget   string `json:"budget"`
	Month    string `json:"month"`
	Kind     string `json:"kind"` // spent, forecast
	Percent  int    `json:"threshold_percent"`
	Amount   string `json:"amount"`
	Spent    string `json:"spent"`
	Forecast string `json:"forecast"`
	Currency string `json:"currency"`
	StreamID string `json:"stream_id,omitempty"`
	Meter    string `json:"meter,omitempty"`
	Throttle bool   `json:"throttles"` // puts are refused from now on
}

// LookAtBudgets looks where every budget stands.
func (b *Billing) LookAtBudgets(ctx context.Context) error { return b.lookAt(ctx, "") }

// lookAt looks where the budgets of an account stand, or all, and notes each threshold that is crossed for the first time this month.
func (b *Billing) lookAt(ctx context.Context, account string) error {
	budgets := map[string][]Budget{}
	err := b.db.View(ctx, func(tx *sqldb.Tx) error {
		clear(budgets)
		return tx.Each("SELECT "+budgetColumns+" FROM billing_budgets WHERE account = $1 OR $1 = ''", func(scan sqldb.Scan) error {
			bu, _, err := scanBudget(scan)
			budgets[bu.Account] = append(budgets[bu.Account], bu)
			return err
		}, account)
	})
	if err != nil {
		return err
	}
	p := b.opts.Book.Month(b.now())
	for owner, all := range budgets {
		shares := slices.ContainsFunc(all, func(bu Budget) bool { return !bu.Stream.IsZero() })
		inv, err := b.Invoice(ctx, owner, p.String(), shares)
		if err != nil {
			return fmt.Errorf("budgets of account %s: %w", owner, err)
		}
		for i := range all {
			if err := b.note(ctx, &all[i], &inv, p); err != nil {
				return fmt.Errorf("budget %s of account %s: %w", all[i].Name, owner, err)
			}
		}
	}
	return nil
}

// note writes down where a budget stands.
func (b *Billing) note(ctx context.Context, bu *Budget, inv *Invoice, p rating.Period) error {
	spent, expected := bu.spent(inv)
	now := b.now().UTC().Truncate(time.Microsecond)
	exceeded := spent.GreaterThan(bu.Amount)
	reached := func(v decimal.Decimal, percent int) bool {
		return v.Mul(decimal.NewFromInt(100)).GreaterThanOrEqual(bu.Amount.Mul(decimal.NewFromInt(int64(percent))))
	}
	return b.db.Tx(ctx, func(tx *sqldb.Tx) error {
		is, _, err := budget(tx, bu.Account, bu.Name)
		if errors.Is(err, sql.ErrNoRows) || err == nil && !is.Changed.Equal(bu.Changed) {
			return nil // whoever changed it meanwhile looks for himself
		}
		if err != nil {
			return err
		}
		if _, err := tx.Exec(`
INSERT INTO billing_budget_months (account, name, month, ends, spent, forecast, exceeded, looked) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (account, name, month) DO UPDATE SET ends = excluded.ends, spent = excluded.spent, forecast = excluded.forecast, exceeded = excluded.exceeded,
	looked = excluded.looked`, bu.Account, bu.Name, p.String(), p.End, spent.String(), expected.String(), flag(exceeded), now); err != nil {
			return err
		}
		for _, c := range []struct {
			kind     string
			value    decimal.Decimal
			percents []int
		}{{"spent", spent, bu.Thresholds}, {"forecast", expected, bu.Forecasts}} {
			for _, percent := range c.percents {
				if !reached(c.value, percent) {
					continue
				}
				m := told{
					ID: leat.NewID[leat.SessionID](b.opts.Rand).String(), Type: "budget.threshold", Time: now.Format(time.RFC3339), Account: bu.Account, Budget: bu.Name,
					Month: p.String(), Kind: c.kind, Percent: percent, Amount: bu.Amount.String(), Spent: spent.String(), Forecast: expected.String(),
					Currency: b.opts.Book.Currency, Meter: bu.Meter, Throttle: bu.Throttle && exceeded,
				}
				if !bu.Stream.IsZero() {
					m.StreamID = bu.Stream.String()
				}
				body, err := json.Marshal(&m)
				if err != nil {
					return err
				}
				state := "PENDING"
				if bu.URL == "" {
					state = "UNSENT"
				}
				if _, err := tx.Exec(`
INSERT INTO billing_budget_alerts (id, account, name, month, kind, percent, at, body, state, attempts, due, failure)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0, $7, '') ON CONFLICT (account, name, month, kind, percent) DO NOTHING`,
					m.ID, bu.Account, bu.Name, m.Month, c.kind, percent, now, string(body), state); err != nil {
					return err
				}
			}
		}
		return nil
	})
}
