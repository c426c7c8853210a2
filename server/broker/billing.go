// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/billing"
	"github.com/leatstream/leat/billing/rating"
)

// Billing operations promise: an account is told of its own usage and invoices, and nothing of others'; the operator, of all. What changes an
// invoice is the operator's. AWS has no such API on these endpoints.

// The actions on bills. Their resource is the account.
const (
	ActionGetUsage      Action = "GetUsage"
	ActionListInvoices  Action = "ListInvoices"
	ActionGetInvoice    Action = "GetInvoice"
	ActionExportInvoice Action = "ExportInvoice"
	ActionCloseInvoice  Action = "CloseInvoice"
	ActionAddEntry      Action = "AddInvoiceEntry"
	ActionEstimateCost  Action = "EstimateCost"
	ActionFindSavings   Action = "FindSavings"
)

// billed finds whose bill a caller asks for, and whether they may.
func (b *Broker) billed(ctx context.Context, who leat.Principal, action Action, account string) (string, error) {
	if account == "" {
		account = who.Account
	}
	if err := b.may(ctx, who, action, Resource{Account: account}); err != nil {
		return "", err
	}
	if b.billing == nil {
		return "", leat.Errorf(leat.KindUnsupported, "this server keeps no bills")
	}
	return account, nil
}

// NamedUsage is usage with its stream's name.
type NamedUsage struct {
	rating.Usage
	Name string
}

// UsageRequest says whose usage, and of when; with a stream it is told hour by hour.
type UsageRequest struct {
	Account  string
	From, To time.Time
	Stream   leat.StreamID
}

// maxUsageWindow bounds what one call reads.
const maxUsageWindow = 366 * 24 * time.Hour

// GetUsage returns what an account used.
func (b *Broker) GetUsage(ctx context.Context, who leat.Principal, req UsageRequest) ([]NamedUsage, error) {
	if !req.From.Before(req.To) || req.To.Sub(req.From) > maxUsageWindow {
		return nil, leat.Invalid("end_time", "must be after start_time, by 366 days at most")
	}
	account, err := b.billed(ctx, who, ActionGetUsage, req.Account)
	if err != nil {
		return nil, err
	}
	var usage []rating.Usage
	if req.Stream == (leat.StreamID{}) {
		usage, err = b.billing.Sums(ctx, account, req.From, req.To)
	} else {
		usage, err = b.billing.Usage(ctx, account, req.From, req.To, req.Stream)
	}
	if err != nil {
		return nil, maybe(err)
	}
	names, err := b.billing.StreamNames(ctx, account)
	if err != nil {
		return nil, maybe(err)
	}
	out := make([]NamedUsage, len(usage))
	for i := range usage {
		out[i] = NamedUsage{usage[i], names[usage[i].Stream]}
	}
	return out, nil
}

// ListInvoices returns an account's closed invoices, oldest first.
func (b *Broker) ListInvoices(ctx context.Context, who leat.Principal, account string) ([]billing.Invoice, error) {
	account, err := b.billed(ctx, who, ActionListInvoices, account)
	if err != nil {
		return nil, err
	}
	all, err := b.billing.Invoices(ctx, account)
	return all, maybe(err)
}

// NamedInvoice is an invoice with the names of the streams in its shares.
type NamedInvoice struct {
	billing.Invoice
	Names map[leat.StreamID]string
}

// GetInvoice returns the invoice of a month.
func (b *Broker) GetInvoice(ctx context.Context, who leat.Principal, account, month string, shares bool) (NamedInvoice, error) {
	account, err := b.billed(ctx, who, ActionGetInvoice, account)
	if err != nil {
		return NamedInvoice{}, err
	}
	return b.invoice(ctx, account, month, shares)
}

func (b *Broker) invoice(ctx context.Context, account, month string, shares bool) (n NamedInvoice, err error) {
	if n.Invoice, err = b.billing.Invoice(ctx, account, month, shares); err == nil && shares {
		n.Names, err = b.billing.StreamNames(ctx, account)
	}
	return n, maybe(err)
}

// ExportInvoice returns the invoice of a month as a file.
func (b *Broker) ExportInvoice(ctx context.Context, who leat.Principal, account, month string, f billing.Format) (billing.File, error) {
	account, err := b.billed(ctx, who, ActionExportInvoice, account)
	if err != nil {
		return billing.File{}, err
	}
	n, err := b.invoice(ctx, account, month, true)
	if err != nil {
		return billing.File{}, err
	}
	return billing.Export(&n.Invoice, f, n.Names)
}

// CloseInvoice closes a month that is over.
func (b *Broker) CloseInvoice(ctx context.Context, who leat.Principal, account, month string) (billing.Invoice, error) {
	account, err := b.billed(ctx, who, ActionCloseInvoice, account)
	if err != nil {
		return billing.Invoice{}, err
	}
	inv, err := b.billing.Close(ctx, account, month, true)
	b.changed(ctx, nil, fields{"month": month, "total": inv.Total, "currency": inv.Currency})
	return inv, maybe(err)
}

// AddInvoiceEntry puts a credit or an adjustment on a month that is not closed.
func (b *Broker) AddInvoiceEntry(ctx context.Context, who leat.Principal, e billing.Entry) (billing.Invoice, error) {
	account, err := b.billed(ctx, who, ActionAddEntry, e.Account)
	if err != nil {
		return billing.Invoice{}, err
	}
	e.Account, e.Author = account, who.Name
	if err := b.billing.Enter(ctx, e); err != nil {
		return billing.Invoice{}, maybe(err)
	}
	b.changed(ctx, nil, fields{"month": e.Month, "id": e.ID, "amount": e.Amount, "reason": e.Reason})
	n, err := b.invoice(ctx, account, e.Month, false)
	return n.Invoice, err
}

// EstimateCost tells what a load would cost in the present month, by a book that comes with Leat; empty: by the server's.
func (b *Broker) EstimateCost(ctx context.Context, who leat.Principal, book string, l billing.Load) (billing.Invoice, error) {
	account, err := b.billed(ctx, who, ActionEstimateCost, "")
	if err != nil {
		return billing.Invoice{}, err
	}
	var prices *rating.Book
	if book != "" && book != b.billing.Prices().Name {
		if prices, err = rating.Preset(book); err != nil {
			return billing.Invoice{}, err
		}
	}
	return b.billing.Estimate(prices, account, l)
}

// Savings is what was found to cost and not to be used.
type Savings struct {
	All      []billing.Saving
	From, To time.Time
	Currency string
}

// FindSavings finds what an account pays for and does not use.
func (b *Broker) FindSavings(ctx context.Context, who leat.Principal, account string) (s Savings, err error) {
	if account, err = b.billed(ctx, who, ActionFindSavings, account); err != nil {
		return s, err
	}
	s.Currency = b.billing.Prices().Currency
	s.All, s.From, s.To, err = b.billing.Savings(ctx, account)
	return s, maybe(err)
}

// maybe is away for an error that may be none.
func maybe(err error) error {
	if err == nil {
		return nil
	}
	return away(err)
}
