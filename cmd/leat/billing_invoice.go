// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/api/client"
	leatv1 "github.com/leatstream/leat/api/leat/v1"
)

// billingInvoiceCmd is `leat billing invoice`.
type billingInvoiceCmd struct {
	List   invoiceListCmd   `cmd:"" help:"List closed invoices."`
	Show   invoiceShowCmd   `cmd:"" help:"Show the invoice of a month: a draft until it is closed."`
	Export invoiceExportCmd `cmd:"" help:"Write the invoice of a month to a file."`
	Close  invoiceCloseCmd  `cmd:"" help:"Close a month that is over, for good."`
}

type invoiceListCmd struct {
	Connection connection `embed:""`
}

// Run lists closed invoices.
func (cmd *invoiceListCmd) Run(ctx context.Context, c *connection, t *terminal) error {
	return c.with(ctx, func(ctx context.Context, cl *client.Client) error {
		res, err := cl.Billing.ListInvoices(ctx, &leatv1.ListInvoicesRequest{Account: c.Account})
		if err != nil {
			return err
		}
		p := newPrinter(t.out, c.Output, "NUMBER", "MONTH", "ACCOUNT", "TOTAL", "CURRENCY", "CLOSED")
		for _, i := range res.GetInvoices() {
			v := viewInvoice(i)
			if err := p.Row(v, fmt.Sprint(v.Number), v.Month, v.Account, v.Total, v.Currency, local(i.GetCloseTime())); err != nil {
				return err
			}
		}
		return p.Flush()
	})
}

type invoiceShowCmd struct {
	Connection connection `embed:""`
	monthFlag  `embed:""`
	Streams    bool `help:"Show each stream's part, too."`
}

// Run shows an invoice.
func (cmd *invoiceShowCmd) Run(ctx context.Context, c *connection, t *terminal) error {
	return c.with(ctx, func(ctx context.Context, cl *client.Client) error {
		res, err := cl.Billing.GetInvoice(ctx, &leatv1.GetInvoiceRequest{Account: c.Account, Month: cmd.get(), WithShares: cmd.Streams})
		if err != nil {
			return err
		}
		return printInvoice(t, c.Output, res.GetInvoice())
	})
}

type invoiceExportCmd struct {
	Connection connection `embed:""`
	monthFlag  `embed:""`
	Format     string `help:"json, csv, pdf, or focus: the FinOps cost and usage specification as CSV." enum:"json,csv,pdf,focus" default:"pdf"`
	File       string `short:"f" help:"Write to this file; - is standard output. A name is made up when it is left out." placeholder:"FILE" type:"path"`
}

// Run writes a file. It never writes over one.
func (cmd *invoiceExportCmd) Run(ctx context.Context, c *connection, t *terminal) error {
	format := map[string]leatv1.InvoiceFormat{
		"json": leatv1.InvoiceFormat_INVOICE_FORMAT_JSON, "csv": leatv1.InvoiceFormat_INVOICE_FORMAT_CSV,
		"pdf": leatv1.InvoiceFormat_INVOICE_FORMAT_PDF, "focus": leatv1.InvoiceFormat_INVOICE_FORMAT_FOCUS,
	}[cmd.Format]
	return c.with(ctx, func(ctx context.Context, cl *client.Client) error {
		res, err := cl.Billing.ExportInvoice(ctx, &leatv1.ExportInvoiceRequest{Account: c.Account, Month: cmd.get(), Format: format})
		if err != nil {
			return err
		}
		if cmd.File == "-" {
			_, err := t.out.Write(res.GetContent())
			return err
		}
		name := cmd.File
		if name == "" {
			name = res.GetFileName()
		}
		f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return leat.Invalid("file", "%v", err)
		}
		if _, err := f.Write(res.GetContent()); err != nil {
			_ = f.Close() // the first error is the one to tell
			return err
		}
		if err := f.Close(); err != nil {
			return err
		}
		p := newPrinter(t.out, c.Output)
		if err := p.Row(map[string]any{"file": name, "content_type": res.GetContentType(), "bytes": len(res.GetContent())}, name); err != nil {
			return err
		}
		return p.Flush()
	})
}

type invoiceCloseCmd struct {
	Connection connection `embed:""`
	Month      string     `arg:"" help:"The month, as 2026-11."`
	Yes        bool       `short:"y" help:"Do it: a closed invoice is never changed."`
}

// Run closes a month.
func (cmd *invoiceCloseCmd) Run(ctx context.Context, c *connection, t *terminal) error {
	if !cmd.Yes {
		return leat.Invalid("yes", "the invoice of %s would never change again: say --yes", cmd.Month)
	}
	return c.with(ctx, func(ctx context.Context, cl *client.Client) error {
		res, err := cl.Billing.CloseInvoice(ctx, &leatv1.CloseInvoiceRequest{Account: c.Account, Month: cmd.Month})
		if err != nil {
			return err
		}
		return printInvoice(t, c.Output, res.GetInvoice())
	})
}

// billingCreditCmd is `leat billing credit`.
type billingCreditCmd struct {
	Connection connection `embed:""`
	monthFlag  `embed:""`
	Amount     string `arg:"" help:"The amount, a decimal: it is taken off the invoice."`
	Reason     string `arg:"" help:"Why: it stands on the invoice."`
	Charge     bool   `help:"Add the amount instead of taking it off."`
	ID         string `name:"id" help:"Your name for it: the same id again changes nothing. Made up when it is left out." placeholder:"ID"`
}

// Run enters a credit or an adjustment.
func (cmd *billingCreditCmd) Run(ctx context.Context, c *connection, t *terminal) error {
	amount, id := cmd.Amount, cmd.ID
	if len(amount) > 0 && amount[0] == '-' {
		return leat.Invalid("amount", "%s: give it without a sign, and say --charge to add it", amount)
	}
	if !cmd.Charge {
		amount = "-" + amount
	}
	if id == "" {
		id = leat.NewID[leat.SessionID](nil).String()
	}
	return c.with(ctx, func(ctx context.Context, cl *client.Client) error {
		res, err := cl.Billing.AddInvoiceEntry(ctx, &leatv1.AddInvoiceEntryRequest{Account: c.Account, Month: cmd.get(), EntryId: id, Amount: amount, Reason: cmd.Reason})
		if err != nil {
			return err
		}
		return printInvoice(t, c.Output, res.GetInvoice())
	})
}
