// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package billing_test

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/billing"
	"github.com/leatstream/leat/server/masterkey"
)

const budgetBook = `
book: budgets
currency: EUR
prices:
  - effective: 2026-01-01
    items:
      - {name: shards, meter: shard.hours, unit: hour, price: 1}
      - {name: units, meter: put.units, unit: thousand, price: 2}
`

const hookSecret = "a-secret-of-the-hook"

// hook is a receiver of alerts that fails as often as it is told.
type hook struct {
	mu     sync.Mutex
	fail   int
	got    []map[string]any
	events []string
	clock  *clock
	wrong  []string
}

func (h *hook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	body, _ := io.ReadAll(r.Body) // the signature tells what is missing
	if want := billing.Sign(hookSecret, h.clock.Now(), body); r.Header.Get(billing.SignatureHeader) != want || r.Method != http.MethodPost {
		h.wrong = append(h.wrong, r.Header.Get(billing.SignatureHeader)+" is not "+want)
	}
	h.events = append(h.events, r.Header.Get(billing.EventHeader))
	if h.fail > 0 {
		h.fail--
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	var m map[string]any
	if err := json.Unmarshal(body, &m); err != nil {
		h.wrong = append(h.wrong, err.Error())
	}
	h.got = append(h.got, m)
}

// taken returns what was taken since the last call: kind and percent.
func (h *hook) taken() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var all []string
	for _, m := range h.got {
		all = append(all, fmt.Sprint(m["kind"], " ", m["threshold_percent"], " of ", m["amount"], " ", m["currency"], " in ", m["month"], ": ", m["spent"], ", ", m["forecast"]))
	}
	h.got = nil
	slices.Sort(all) // those that are due at once come in any order
	return strings.Join(all, "; ")
}

// round moves the clock and does what the leader does then.
func (r *rig) round(at string) {
	r.t.Helper()
	r.at(at)
	r.must(r.bill.Round(r.t.Context()))
}

func (r *rig) budget(bu billing.Budget, operator bool) billing.BudgetStatus {
	r.t.Helper()
	_, s, err := r.bill.PutBudget(r.t.Context(), bu, operator)
	r.must(err)
	return s
}

func euros(s string) decimal.Decimal { return decimal.RequireFromString(s) }

// TestBudget follows a budget of 100 EUR through the last three days of November. Two shards, made on the 28th, cost 2 EUR an hour. After 25 hours 50
// are spent, and 648 + 25 of 720 hours are booked: the forecast is 50 × 720 / 673 = 53.49. After 40 hours 80 are, after 51, 102.
func TestBudget(t *testing.T) {
	onBoth(t, budgetBook, func(r *rig) {
		h := &hook{clock: r.clock, fail: 3}
		srv := httptest.NewServer(h)
		defer srv.Close()
		const account = "111111111111"
		r.at("2026-11-28 00:00")
		id := r.stream(account, "orders", leat.ModeProvisioned, 2)
		other := r.stream("222222222222", "clicks", leat.ModeProvisioned, 9)
		bu := billing.Budget{
			Account: account, Name: "all", Amount: euros("100"), Thresholds: []int{100, 50, 80}, Forecasts: []int{50}, URL: srv.URL + "/hook", Secret: hookSecret, Throttle: true,
		}
		if s := r.budget(bu, false); !s.Spent.IsZero() || s.Exceeded || len(s.Alerts) != 0 || s.Currency != "EUR" || s.Secret != "" || !s.HasSecret {
			t.Fatalf("a new budget stands at %+v", s)
		}
		want := func(about, told string) {
			t.Helper()
			if got := h.taken(); got != told {
				t.Errorf("%s: told %q, want %q", about, got, told)
			}
		}
		admits := func(about string, yes bool) {
			t.Helper()
			err := r.bill.Admit(account, id)
			if yes != (err == nil) || err != nil && (leat.KindOf(err) != leat.KindLimitExceeded || !strings.Contains(err.Error(), "budget all")) {
				t.Errorf("%s: %v", about, err)
			}
			if err := r.bill.Admit("222222222222", other); err != nil {
				t.Errorf("%s: another account: %v", about, err)
			}
		}
		// The first attempts fail: they are made again after 15 and 30 seconds, no sooner.
		r.round("2026-11-29 01:20")
		want("at 50%, the hook fails", "")
		r.round("2026-11-29 01:20")
		want("too soon", "")
		first := len(h.events)
		if first != 2 {
			t.Fatalf("%d attempts", first)
		}
		r.round("2026-11-29 01:21") // one fails once more
		r.round("2026-11-29 01:22")
		want("at 50%, again", "forecast 50 of 100 EUR in 2026-11: 50, 53.49; spent 50 of 100 EUR in 2026-11: 50, 53.49")
		distinct := map[string]bool{}
		for _, e := range h.events {
			distinct[e] = true
		}
		if len(h.events) != 5 || len(distinct) != 2 {
			t.Errorf("attempts of events %v", h.events)
		}
		r.round("2026-11-29 02:20")
		want("an hour later", "")
		admits("below", true)

		r.round("2026-11-29 16:20") // 40 hours
		want("at 80%", "spent 80 of 100 EUR in 2026-11: 80, 83.72")
		r.round("2026-11-30 02:20") // 50 hours: all of it, and no more
		want("at 100%", "spent 100 of 100 EUR in 2026-11: 100, 103.15")
		bu.Secret = "" // it stays
		r.budget(bu, false)
		admits("at 100%", true)
		r.round("2026-11-30 03:20") // 51 hours
		r.budget(bu, false)
		admits("beyond", false)
		want("beyond", "")

		// Raised: puts are taken at once. Lowered again: refused, and nothing is told twice.
		bu.Amount = euros("200")
		if s := r.budget(bu, false); s.Exceeded || len(s.Alerts) != 4 {
			t.Errorf("raised: %+v", s)
		}
		admits("raised", true)
		bu.Amount = euros("100")
		r.budget(bu, false)
		admits("lowered", false)
		r.round("2026-11-30 04:20")
		want("lowered", "")

		// A credit counts: 104 of usage less 10.
		r.must(r.bill.Enter(t.Context(), billing.Entry{ID: "c", Account: account, Month: "2026-11", Amount: euros("-10"), Reason: "r"}))
		if s := r.budget(bu, false); s.Spent.String() != "94" || s.Exceeded {
			t.Errorf("with a credit: %+v", s)
		}
		admits("with a credit", true)
		r.round("2026-11-30 23:20")
		r.budget(bu, false)
		admits("at the month's end", false)
		r.at("2026-12-01 00:00")
		admits("in the new month, before anybody looked", true)
		r.round("2026-12-01 00:10")
		admits("in the new month", true)
		r.round("2026-12-02 01:20")
		want("the next month", "forecast 50 of 100 EUR in 2026-12: 50, 1488; spent 50 of 100 EUR in 2026-12: 50, 1488")
		if len(h.wrong) != 0 {
			t.Errorf("the hook says %v", h.wrong)
		}
		if _, err := r.bill.DeleteBudget(t.Context(), account, "all", false); err != nil {
			t.Fatal(err)
		}
		_, err := r.bill.DeleteBudget(t.Context(), account, "all", false)
		if leat.KindOf(err) != leat.KindNotFound {
			t.Errorf("deleted twice: %v", err)
		}
	})
}

// TestBudgetOfAPart: orders has 2 shards, 2 EUR an hour, and 5,000 units, 10 EUR; clicks has 3 shards.
func TestBudgetOfAPart(t *testing.T) {
	onBoth(t, budgetBook, func(r *rig) {
		const account = "111111111111"
		id := r.stream(account, "orders", leat.ModeProvisioned, 2)
		clicks := r.stream(account, "clicks", leat.ModeProvisioned, 3)
		r.put(id, 0, "2026-11-01 00:30", 5000, 1000, 5000)
		r.round("2026-11-01 10:20") // 10 hours
		for _, c := range []struct {
			stream          leat.StreamID
			meter           string
			spent, expected string
		}{
			{leat.StreamID{}, "", "60", "4320"},
			{id, "", "30", "2160"},
			{clicks, "", "30", "2160"},
			{leat.StreamID{}, "shard.hours", "50", "3600"},
			{leat.StreamID{}, "put.units", "10", "720"},
			{id, "put.units", "10", "720"},
			{clicks, "put.units", "0", "0"},
		} {
			s := r.budget(billing.Budget{Account: account, Name: "b", Amount: euros("25"), Stream: c.stream, Meter: c.meter, Throttle: true, Thresholds: []int{100}}, false)
			if s.Spent.String() != c.spent || s.Forecast.String() != c.expected {
				t.Errorf("%s %s: spent %s, forecast %s; want %s, %s", c.stream, c.meter, s.Spent, s.Forecast, c.spent, c.expected)
			}
			over := euros(c.spent).GreaterThan(euros("25"))
			for _, put := range []leat.StreamID{id, clicks} {
				refused := over && (c.stream.IsZero() || c.stream == put)
				if err := r.bill.Admit(account, put); refused != (err != nil) {
					t.Errorf("%s %s: put into %s: %v", c.stream, c.meter, put, err)
				}
			}
		}
		if s := r.budget(billing.Budget{Account: account, Name: "b", Amount: euros("25"), Throttle: true}, true); len(s.Alerts) != 1 || s.Alerts[0].State != "UNSENT" || !s.Locked {
			t.Errorf("got %+v", s)
		}
		if err := r.bill.Admit("."+account, clicks); err == nil {
			t.Error("a direct put of a delivery is taken")
		}
		// An operator made it last: the account cannot change it.
		_, _, err := r.bill.PutBudget(t.Context(), billing.Budget{Account: account, Name: "b", Amount: euros("1000")}, false)
		_, gone := r.bill.DeleteBudget(t.Context(), account, "b", false)
		if leat.KindOf(err) != leat.KindAccessDenied || leat.KindOf(gone) != leat.KindAccessDenied {
			t.Errorf("a locked budget: %v, %v", err, gone)
		}
		for n := range billing.MaxBudgets - 1 {
			r.budget(billing.Budget{Account: account, Name: fmt.Sprint("n", n), Amount: euros("1")}, false)
		}
		_, _, err = r.bill.PutBudget(t.Context(), billing.Budget{Account: account, Name: "more", Amount: euros("1")}, false)
		if leat.KindOf(err) != leat.KindLimitExceeded {
			t.Errorf("one too many: %v", err)
		}
	})
}

// TestAlertIsGivenUp shows that a webhook that never takes an alert is asked less and less often, and for 72 hours.
func TestAlertIsGivenUp(t *testing.T) {
	onBoth(t, budgetBook, func(r *rig) {
		h := &hook{clock: r.clock, fail: 1 << 30}
		srv := httptest.NewServer(h)
		defer srv.Close()
		r.stream("111111111111", "orders", leat.ModeProvisioned, 2)
		r.round("2026-11-01 10:20")
		bu := billing.Budget{Account: "111111111111", Name: "b", Amount: euros("1"), Thresholds: []int{100}, URL: srv.URL, Secret: hookSecret}
		r.budget(bu, false)
		step := 10 * time.Minute
		for at := moment("2026-11-01 10:20"); at.Before(moment("2026-11-05 00:00")); at = at.Add(step) {
			r.clock.mu.Lock()
			r.clock.now = at
			r.clock.mu.Unlock()
			r.must(r.bill.SendAlerts(t.Context()))
			if at.After(moment("2026-11-01 14:00")) {
				step = time.Hour
			}
		}
		bu.Secret = ""
		s := r.budget(bu, false)
		// 10:20 to 11:10 at each look; then after 32 and 64 minutes, and then hour by hour.
		if a := s.Alerts[0]; a.State != "FAILED" || a.Attempts < 74 || a.Attempts > 82 || !strings.Contains(a.Failure, "502") || a.Attempts != len(h.events) {
			t.Errorf("got %+v after %d attempts", a, len(h.events))
		}
	})
}

func TestBadBudgets(t *testing.T) {
	good := billing.Budget{Name: "b", Amount: euros("1"), URL: "https://example.com/x", Secret: hookSecret}
	for field, change := range map[string]func(*billing.Budget){
		"name":                func(b *billing.Budget) { b.Name = "a b" },
		"amount":              func(b *billing.Budget) { b.Amount = euros("0") },
		"meter":               func(b *billing.Budget) { b.Meter = "put.bits" },
		"thresholds":          func(b *billing.Budget) { b.Thresholds = []int{0} },
		"forecast_thresholds": func(b *billing.Budget) { b.Forecasts = []int{1001} },
		"webhook_url":         func(b *billing.Budget) { b.URL = "ftp://example.com" },
		"webhook_secret":      func(b *billing.Budget) { b.Secret = "short" },
	} {
		bu := good
		change(&bu)
		if e, ok := bu.Validate().(*leat.Error); !ok || e.Field != field || e.Kind != leat.KindInvalidArgument { //nolint:errorlint // it is not wrapped
			t.Errorf("%s: %v", field, bu.Validate())
		}
	}
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
}

// TestRewrap shows that a webhook's secret outlives its master key, once a server has begun with the next one before it.
func TestRewrap(t *testing.T) {
	onBoth(t, budgetBook, func(r *rig) {
		h := &hook{clock: r.clock}
		srv := httptest.NewServer(h)
		defer srv.Close()
		keys := []string{masterkey.Generate(rand.Reader), masterkey.Generate(rand.Reader)}
		under := func(lines ...string) *billing.Billing {
			t.Helper()
			ring, err := masterkey.Parse([]byte(strings.Join(lines, "\n")))
			r.must(err)
			b, err := billing.New(r.db, billing.Options{Book: r.bill.Prices(), Clock: r.clock, Sealer: ring})
			r.must(err)
			r.must(b.Rewrap(t.Context()))
			return b
		}
		r.stream("111111111111", "orders", leat.ModeProvisioned, 2)
		r.round("2026-11-01 10:20")
		_, _, err := under(keys[0]).PutBudget(t.Context(), billing.Budget{Account: "111111111111", Name: "b", Amount: euros("1"), Thresholds: []int{100}, URL: srv.URL, Secret: hookSecret}, false)
		r.must(err)
		under(keys[1], keys[0])
		r.must(under(keys[1]).SendAlerts(t.Context()))
		if got := h.taken(); !strings.HasPrefix(got, "spent 100 of 1 EUR") || len(h.wrong) != 0 {
			t.Errorf("told %q, %v", got, h.wrong)
		}
	})
}
