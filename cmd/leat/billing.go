// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/leatstream/leat"
	leatv1 "github.com/leatstream/leat/api/leat/v1"
)

// billingCmd is `leat billing`.
type billingCmd struct {
	Usage    billingUsageCmd    `cmd:"" help:"Show what was used, by stream or by hour."`
	Invoice  billingInvoiceCmd  `cmd:"" help:"Look at invoices, export and close them."`
	Credit   billingCreditCmd   `cmd:"" help:"Put a credit or an adjustment on the invoice of a month that is not closed."`
	Estimate billingEstimateCmd `cmd:"" help:"Tell what a stream would cost."`
	Idle     billingIdleCmd     `cmd:"" help:"Find what costs and is not used."`
	Budget   billingBudgetCmd   `cmd:"" help:"Say what a month may cost, and who hears of it."`
	Verify   billingVerifyCmd   `cmd:"" help:"Compute what was put again from the bucket, and compare."`
	Prices   billingPricesCmd   `cmd:"" help:"Look at price books, and check your own."`
}

// Help is shown by `leat billing --help`.
func (billingCmd) Help() string {
	return "What was used and what it costs. A server's prices are in its price book (--price-book), a YAML file: `leat billing prices show showback` prints one to start from. An hour is booked 15 minutes after its end. An account sees its own; the server's own token sees all (--account)."
}

// monthFlag is a month; the present one when it is left out.
type monthFlag struct {
	Month string `help:"The month, as 2026-11; the present one when it is left out." placeholder:"YYYY-MM"`
}

func (m *monthFlag) get() string {
	if m.Month == "" {
		return time.Now().UTC().Format("2006-01")
	}
	return m.Month
}

// hours is the month as hours, in UTC.
func (m *monthFlag) hours() (from, to time.Time, err error) {
	from, err = time.Parse("2006-01", m.get())
	if err != nil {
		return from, to, leat.Invalid("month", "%q is not a month: give it as 2026-11", m.Month)
	}
	return from, from.AddDate(0, 1, 0), nil
}

// lineView is the JSON form of a line of an invoice.
type lineView struct {
	Kind        string `json:"kind"`
	Item        string `json:"item,omitempty"`
	Description string `json:"description,omitempty"`
	Meter       string `json:"meter,omitempty"`
	Start       string `json:"start_time"`
	End         string `json:"end_time"`
	Tier        int32  `json:"tier,omitempty"`
	Quantity    string `json:"quantity,omitempty"`
	Unit        string `json:"unit,omitempty"`
	Per         string `json:"per,omitempty"`
	Price       string `json:"price,omitempty"`
	Amount      string `json:"amount"`
	Reason      string `json:"reason,omitempty"`
}

// shareView is the JSON form of a stream's part.
type shareView struct {
	Item     string `json:"item"`
	Stream   string `json:"stream"`
	StreamID string `json:"stream_id"`
	Meter    string `json:"meter"`
	Quantity string `json:"quantity"`
	Amount   string `json:"amount"`
	Start    string `json:"start_time"`
}

// invoiceView is the JSON form of an invoice.
type invoiceView struct {
	Number   int64       `json:"number,omitempty"`
	Account  string      `json:"account"`
	Month    string      `json:"month"`
	Status   string      `json:"status"`
	Currency string      `json:"currency"`
	Total    string      `json:"total"`
	Book     string      `json:"price_book"`
	Version  int32       `json:"price_book_version"`
	Closed   string      `json:"close_time,omitempty"`
	Through  string      `json:"through_time,omitempty"`
	Lines    []lineView  `json:"lines,omitempty"`
	Shares   []shareView `json:"shares,omitempty"`
}

func viewInvoice(i *leatv1.Invoice) invoiceView {
	v := invoiceView{
		Number: i.GetNumber(), Account: i.GetAccount(), Month: i.GetMonth(), Status: short(i.GetStatus().String()), Currency: i.GetCurrency(), Total: i.GetTotal(),
		Book: i.GetPriceBook(), Version: i.GetPriceBookVersion(), Closed: rfc3339(i.GetCloseTime()), Through: rfc3339(i.GetThroughTime()),
	}
	for _, l := range i.GetLines() {
		v.Lines = append(v.Lines, lineView{
			Kind: l.GetKind(), Item: l.GetItem(), Description: l.GetDescription(), Meter: l.GetMeter(), Start: rfc3339(l.GetStartTime()), End: rfc3339(l.GetEndTime()),
			Tier: l.GetTier(), Quantity: l.GetQuantity(), Unit: l.GetUnit(), Per: l.GetPer(), Price: l.GetPrice(), Amount: l.GetAmount(), Reason: l.GetReason(),
		})
	}
	for _, s := range i.GetShares() {
		v.Shares = append(v.Shares, shareView{s.GetItem(), s.GetStreamName(), s.GetStreamId(), s.GetMeter(), s.GetQuantity(), s.GetAmount(), rfc3339(s.GetStartTime())})
	}
	return v
}

// printInvoice prints one invoice with its lines.
func printInvoice(t *terminal, output string, i *leatv1.Invoice) error {
	v := viewInvoice(i)
	if output == formatJSON {
		return newEncoder(t.out).Encode(v)
	}
	p := newPrinter(t.out, output, "KIND", "ITEM", "FROM", "QUANTITY", "UNIT", "PRICE", "AMOUNT "+v.Currency)
	for n, l := range v.Lines {
		item := l.Item
		if item == "" {
			item = l.Description
		}
		if l.Kind == "correction" {
			item += " of " + l.Reason
		}
		if err := p.Row(l, l.Kind, item, date(i.GetLines()[n].GetStartTime()), l.Quantity, l.Unit, l.Price, l.Amount); err != nil {
			return err
		}
	}
	what := v.Status
	if v.Number > 0 {
		what = "INVOICE " + count(v.Number)
	}
	if err := p.Row(v, "total", what+" "+v.Month, "", "", "", "", v.Total); err != nil {
		return err
	}
	if err := p.Flush(); err != nil {
		return err
	}
	if len(v.Shares) == 0 {
		return nil
	}
	p = newPrinter(t.out, output, "ITEM", "STREAM", "FROM", "QUANTITY", "METER", "AMOUNT "+v.Currency)
	for n, s := range v.Shares {
		if err := p.Row(s, s.Item, s.Stream, date(i.GetShares()[n].GetStartTime()), s.Quantity, s.Meter, s.Amount); err != nil {
			return err
		}
	}
	return p.Flush()
}

func date(t *timestamppb.Timestamp) string { return t.AsTime().UTC().Format(time.DateOnly) }
