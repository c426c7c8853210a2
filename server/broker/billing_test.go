// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker_test

import (
	"context"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/billing"
	"github.com/leatstream/leat/server/broker"
)

// Nobody is told of another account's bills but the operator, who alone changes any: operation by operation. A server without bills refuses
// those who may ask by another name, so that the order of refusals shows.
func TestBillsAreTheirAccounts(t *testing.T) {
	r := newRig(t, broker.LimitsOff)
	const mine, other = "111111111111", "222222222222"
	now := time.Now()
	operations := map[string]func(ctx context.Context, who leat.Principal, account string) error{
		"GetUsage": func(ctx context.Context, who leat.Principal, account string) error {
			_, err := r.GetUsage(ctx, who, broker.UsageRequest{Account: account, From: now.Add(-time.Hour), To: now})
			return err
		},
		"ListInvoices": func(ctx context.Context, who leat.Principal, account string) error {
			_, err := r.ListInvoices(ctx, who, account)
			return err
		},
		"GetInvoice": func(ctx context.Context, who leat.Principal, account string) error {
			_, err := r.GetInvoice(ctx, who, account, "2026-11", true)
			return err
		},
		"ExportInvoice": func(ctx context.Context, who leat.Principal, account string) error {
			_, err := r.ExportInvoice(ctx, who, account, "2026-11", billing.FormatCSV)
			return err
		},
		"FindSavings": func(ctx context.Context, who leat.Principal, account string) error {
			_, err := r.FindSavings(ctx, who, account)
			return err
		},
		"CloseInvoice": func(ctx context.Context, who leat.Principal, account string) error {
			_, err := r.CloseInvoice(ctx, who, account, "2026-11")
			return err
		},
		"AddInvoiceEntry": func(ctx context.Context, who leat.Principal, account string) error {
			_, err := r.AddInvoiceEntry(ctx, who, billing.Entry{ID: "a", Account: account, Month: "2026-11", Amount: decimal.NewFromInt(1), Reason: "r"})
			return err
		},
	}
	for name, do := range operations {
		changes := name == "CloseInvoice" || name == "AddInvoiceEntry"
		for _, c := range []struct {
			who     leat.Principal
			account string
			may     bool
		}{
			{leat.Principal{Account: mine, Name: "a"}, "", !changes},
			{leat.Principal{Account: mine, Name: "a"}, mine, !changes},
			{leat.Principal{Account: mine, Name: "a"}, other, false},
			{leat.Principal{Name: "nobody"}, "", false},
			{leat.Principal{Account: mine, Name: "root", Operator: true}, other, true},
		} {
			want := leat.KindAccessDenied
			if c.may {
				want = leat.KindUnsupported
			}
			if err := do(t.Context(), c.who, c.account); leat.KindOf(err) != want {
				t.Errorf("%s of %q by %+v: %v", name, c.account, c.who, err)
			}
		}
	}
}
