// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package web

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/billing"
	"github.com/leatstream/leat/billing/rating"
	"github.com/leatstream/leat/server/broker"
)

// usageDay is what was used on one day.
type usageDay struct {
	At    time.Time
	Value int64
}

// usageStream is what one stream, or delivery stream, used in the month.
type usageStream struct {
	ID    string
	Name  string
	Value int64
	Cost  decimal.Decimal
}

// usagePage is the page of usage and cost.
type usagePage struct {
	Account  string // that was asked for; empty: the caller's own
	Operator bool
	Month    string
	Prev     string
	Next     string
	Meter    rating.Meter
	Meters   []rating.Meter
	Stream   string // id; empty: all
	Streams  []usageStream
	Days     []usageDay
	Sum      int64
	Invoice  billing.Invoice
	Forecast decimal.Decimal
	Present  bool // the month is not over
	AWS      []rating.Bill
	AWSTotal decimal.Decimal
	Invoices []billing.Invoice
	Budgets  []budgetRow
	Savings  broker.Savings
	Hidden   []string // what the caller may not see
	Budget   budgetForm

	names map[leat.StreamID]string // of streams and deliveries, whether they were used in the month or not
}

// Link is this page with some of its questions changed.
func (p *usagePage) Link(pairs ...string) string {
	q := url.Values{"month": {p.Month}, "meter": {p.Meter.String()}}
	for name, v := range map[string]string{"stream": p.Stream, "account": p.Account} {
		if v != "" {
			q.Set(name, v)
		}
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		q.Set(pairs[i], pairs[i+1])
	}
	return Root + "/usage?" + q.Encode()
}

// Below is the address of a page below this one. It keeps the account.
func (p *usagePage) Below(path string, pairs ...string) string {
	q := url.Values{}
	if p.Account != "" {
		q.Set("account", p.Account)
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		q.Set(pairs[i], pairs[i+1])
	}
	return strings.TrimSuffix(Root+"/usage/"+path+"?"+q.Encode(), "?")
}

// Hours is where a stream's usage stands hour by hour.
func (p *usagePage) Hours(id string) string { return p.Below("hours/"+id, "month", p.Month) }

// File is where an invoice is as a file.
func (p *usagePage) File(month string, format any) string {
	return p.Below("invoices/"+month+"/file", "format", fmt.Sprint(format))
}

func (c *Console) usage(w http.ResponseWriter, r *http.Request, s *session) error {
	return c.showUsage(w, r, s, http.StatusOK, budgetForm{Thresholds: "50, 80, 100", Forecasts: "100"})
}

func (c *Console) showUsage(w http.ResponseWriter, r *http.Request, s *session, status int, f budgetForm) error {
	q := r.URL.Query()
	p := &usagePage{
		Account: strings.TrimSpace(cmp.Or(r.PostForm.Get("account"), q.Get("account"))), Operator: s.who.Operator,
		Month: cmp.Or(strings.TrimSpace(q.Get("month")), c.Broker.BilledMonth()), Budget: f, Meter: rating.PutBytes,
	}
	for m := range rating.Meters {
		p.Meters = append(p.Meters, m)
	}
	if name := q.Get("meter"); name != "" {
		m, ok := rating.ParseMeter(name)
		if !ok {
			return leat.Invalid("meter", "There is no dimension %.60q.", name)
		}
		p.Meter = m
	}
	if err := c.fillUsage(r.Context(), s.who, p, q.Get("stream")); err != nil {
		return err
	}
	if err := c.fillCost(r.Context(), s.who, p); err != nil {
		return err
	}
	account := ""
	if p.Account != "" {
		account = " --account " + p.Account
	}
	c.show(w, r, s, status, "usage", &page{Title: "Usage & cost", Nav: "usage", Body: p, Copy: snippets(
		fmt.Sprintf("leat billing usage --month %[1]s%[2]s\nleat billing invoice show --month %[1]s --streams%[2]s\nleat billing budget list%[2]s\nleat billing idle%[2]s", p.Month, account),
		"", "", "curl -s "+c.rest("/billing/invoices/"+p.Month)+c.authorization()),
	})
	return nil
}

// fillUsage reads the month: its draft or invoice, and what was used on each day and by each stream.
func (c *Console) fillUsage(ctx context.Context, who leat.Principal, p *usagePage, stream string) error {
	var id leat.StreamID
	if stream != "" {
		var err error
		if id, err = leat.ParseID[leat.StreamID](stream); err != nil {
			return leat.Invalid("stream", "%.60q is no id of a stream.", stream)
		}
		p.Stream = id.String()
	}
	n, err := c.Broker.GetInvoice(ctx, who, p.Account, p.Month, true)
	if err != nil {
		return err
	}
	p.Invoice, p.Forecast, p.names = n.Invoice, n.Forecast(), n.Names
	period := n.Period
	p.Prev, p.Next = period.Start.AddDate(0, -1, 0).Format("2006-01"), period.End.Format("2006-01")
	p.Present = c.Clock.Now().Before(period.End)
	all, err := c.Broker.UsageByDay(ctx, who, broker.UsageRequest{Account: p.Account, From: period.Start, To: period.End})
	if err != nil {
		return err
	}
	const day = 24 * time.Hour
	until := period.End
	if now := c.Clock.Now(); now.Before(until) {
		until = now
	}
	for at := period.Start; at.Before(until); at = at.Add(day) {
		p.Days = append(p.Days, usageDay{At: at.UTC()})
	}
	streams := map[leat.StreamID]*usageStream{}
	of := func(id leat.StreamID, name string) *usageStream {
		if streams[id] == nil {
			streams[id] = &usageStream{ID: id.String(), Name: cmp.Or(name, n.Names[id], "a stream that is gone")}
		}
		return streams[id]
	}
	for i := range all {
		u := &all[i]
		v := u.Quantities[p.Meter]
		of(u.Stream, u.Name).Value += v
		if !id.IsZero() && u.Stream != id {
			continue
		}
		p.Sum += v
		if at := int(time.UnixMicro(u.Hour).Sub(period.Start) / day); at < len(p.Days) {
			p.Days[at].Value += v
		}
	}
	for i := range n.Shares {
		s := of(n.Shares[i].Stream, "")
		s.Cost = s.Cost.Add(n.Shares[i].Amount)
	}
	for _, s := range streams {
		p.Streams = append(p.Streams, *s)
	}
	slices.SortFunc(p.Streams, func(a, b usageStream) int {
		return cmp.Or(b.Cost.Cmp(a.Cost), cmp.Compare(b.Value, a.Value), cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID))
	})
	return nil
}

// fillCost reads what else there is to a month's cost; what the caller may not see is left out by name.
func (c *Console) fillCost(ctx context.Context, who leat.Principal, p *usagePage) error {
	var err error
	seen := func(what string, e error) bool {
		if e != nil && leat.KindOf(e) == leat.KindAccessDenied {
			p.Hidden = append(p.Hidden, what)
			return false
		}
		err = cmp.Or(err, e)
		return e == nil
	}
	var e error
	if p.AWS, e = c.Broker.CompareCost(ctx, who, p.Account, p.Month); seen("the comparison with AWS", e) {
		for i := range p.AWS {
			p.AWSTotal = p.AWSTotal.Add(p.AWS[i].Total)
		}
	}
	p.Invoices, e = c.Broker.ListInvoices(ctx, who, p.Account)
	if seen("invoices", e) {
		slices.Reverse(p.Invoices)
	}
	budgets, e := c.Broker.ListBudgets(ctx, who, p.Account)
	if seen("budgets", e) {
		p.Budgets = budgetRows(budgets, p.names)
	}
	p.Savings, e = c.Broker.FindSavings(ctx, who, p.Account)
	seen("what costs and is not used", e)
	return err
}

// usageHours shows what one stream used, hour by hour.
func (c *Console) usageHours(w http.ResponseWriter, r *http.Request, s *session) error {
	id, err := leat.ParseID[leat.StreamID](r.PathValue("id"))
	if err != nil {
		return leat.Invalid("stream", "%.60q is no id of a stream.", r.PathValue("id"))
	}
	account, month := r.URL.Query().Get("account"), cmp.Or(r.URL.Query().Get("month"), c.Broker.BilledMonth())
	n, err := c.Broker.GetInvoice(r.Context(), s.who, account, month, false)
	if err != nil {
		return err
	}
	usage, err := c.Broker.GetUsage(r.Context(), s.who, broker.UsageRequest{Account: account, From: n.Period.Start, To: n.Period.End, Stream: id})
	if err != nil {
		return err
	}
	var sum rating.Quantities
	name := "a stream that is gone"
	for i := range usage {
		name = cmp.Or(usage[i].Name, name)
		for m := range rating.Meters {
			sum[m] += usage[i].Quantities[m]
		}
	}
	var meters []rating.Meter // that count anything
	for m := range rating.Meters {
		if sum[m] != 0 {
			meters = append(meters, m)
		}
	}
	slices.Reverse(usage)
	back := Root + "/usage?" + url.Values{"month": {month}, "account": {account}, "stream": {id.String()}}.Encode()
	cli := fmt.Sprintf("leat billing usage --month %s --stream-id %s", month, id)
	c.show(w, r, s, http.StatusOK, "usage-hours", &page{
		Title: name, Nav: "usage", Crumbs: []crumb{{"Usage & cost", back}}, Copy: snippets(cli, "", "", ""),
		Body: map[string]any{"Name": name, "Month": month, "Usage": usage, "Meters": meters, "Sum": sum},
	})
	return nil
}

// invoicePage shows the invoice of a month with each line's parts.
func (c *Console) invoicePage(w http.ResponseWriter, r *http.Request, s *session) error {
	account := r.URL.Query().Get("account")
	n, err := c.Broker.GetInvoice(r.Context(), s.who, account, r.PathValue("month"), true)
	if err != nil {
		return err
	}
	month := n.Period.String()
	p := &usagePage{Account: account, Month: month, Invoice: n.Invoice}
	c.show(w, r, s, http.StatusOK, "invoice", &page{
		Title: "Invoice " + month, Nav: "usage", Crumbs: []crumb{{"Usage & cost", p.Link()}},
		Body: map[string]any{"P": p, "Invoice": &n.Invoice, "Names": n.Names, "Month": month},
		Copy: snippets(fmt.Sprintf("leat billing invoice show --month %[1]s --streams\nleat billing invoice export --month %[1]s --format pdf", month), "", "", "curl -s "+c.rest("/billing/invoices/"+month)+c.authorization()),
	})
	return nil
}

// invoiceFile is an invoice to be saved.
func (c *Console) invoiceFile(w http.ResponseWriter, r *http.Request, s *session) error {
	f, err := c.Broker.ExportInvoice(r.Context(), s.who, r.URL.Query().Get("account"), r.PathValue("month"), billing.Format(cmp.Or(r.URL.Query().Get("format"), string(billing.FormatPDF))))
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", f.Type)
	h.Set("Content-Disposition", `attachment; filename="`+f.Name+`"`)
	h.Set("Content-Length", strconv.Itoa(len(f.Content)))
	answers(w)
	_, _ = w.Write(f.Content) // who has gone needs nothing
	return nil
}

// formatMoney writes an amount in a currency; what is below a hundredth keeps its digits.
func formatMoney(amount decimal.Decimal, currency string) string {
	text := amount.StringFixed(2)
	if limit := decimal.New(1, -2); !amount.IsZero() && amount.Abs().LessThan(limit) {
		text = amount.Round(8).String()
	}
	whole, rest, _ := strings.Cut(strings.TrimPrefix(text, "-"), ".")
	for at := len(whole) - 3; at > 0; at -= 3 {
		whole = whole[:at] + "," + whole[at:]
	}
	if rest != "" {
		whole += "." + rest
	}
	if strings.HasPrefix(text, "-") {
		whole = "-" + whole
	}
	if currency == "XXX" { // no currency: showback
		currency = "credits"
	}
	return whole + " " + currency
}

// formatUsed writes an amount of a meter, which counts in its base unit.
func formatUsed(m rating.Meter, v int64) string {
	switch m.Base() {
	case "byte":
		return formatBytes(v)
	case "byte-hour":
		return formatBytes(v) + " h"
	case "microsecond":
		hours := float64(v) / float64(time.Hour.Microseconds())
		if hours >= 100 || hours == 0 {
			return formatCount(hours) + " h"
		}
		return strings.TrimSuffix(strconv.FormatFloat(hours, 'f', 2, 64), ".00") + " h"
	}
	return formatCount(v)
}

// charted is the number that a chart shows of an amount.
func charted(m rating.Meter, v int64) string {
	if m.Base() == "microsecond" {
		return strconv.FormatFloat(float64(v)/float64(time.Hour.Microseconds()), 'f', -1, 64)
	}
	return strconv.FormatInt(v, 10)
}

// chartUnit is B where a chart counts bytes.
func chartUnit(m rating.Meter) string {
	if b := m.Base(); b == "byte" || b == "byte-hour" {
		return "B"
	}
	return ""
}

// meterNames are dimensions for people.
var meterNames = map[rating.Meter]string{
	rating.PutRecords: "Records put", rating.PutBytes: "Bytes put", rating.PutUnits: "Put units of 25 KiB",
	rating.StorageDay: "Stored, first day", rating.StorageWeek: "Stored, to 7 days", rating.StorageLong: "Stored, beyond 7 days",
	rating.ShardHours: "Shard hours", rating.ShardExtendedHours: "Shard hours, extended retention", rating.StreamHours: "Stream hours",
	rating.ConsumerHours: "Consumer hours", rating.ConsumerShardHours: "Consumer-shard hours",
	rating.ReadRecords: "Records read", rating.ReadBytes: "Bytes read", rating.PushRecords: "Records pushed", rating.PushBytes: "Bytes pushed",
	rating.DeliveryRecords: "Records delivered", rating.DeliveryBytes: "Bytes delivered", rating.DeliveryRoundedBytes: "Bytes delivered, in 5 KiB steps",
	rating.DeliveryConvertedBytes: "Bytes converted", rating.DeliveryPartitionedBytes: "Bytes partitioned", rating.DeliveryObjects: "Objects written, partitioned",
}

func meterName(m rating.Meter) string { return cmp.Or(meterNames[m], m.String()) }
