// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package billing

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/shopspring/decimal"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/billing/rating"
)

// Format is the form of an exported invoice.
type Format string

// The formats.
const (
	FormatJSON  Format = "json"
	FormatCSV   Format = "csv"
	FormatPDF   Format = "pdf"
	FormatFOCUS Format = "focus"
)

// File is an exported invoice.
type File struct {
	Content []byte
	Type    string // media type
	Name    string
}

// Export writes an invoice as a file. names tells the streams' names; FOCUS and JSON have a part for each stream in the invoice's shares.
func Export(inv *Invoice, f Format, names map[leat.StreamID]string) (File, error) {
	file := File{Name: fmt.Sprintf("leat-%s-%s", inv.Account, inv.Period)}
	if inv.Closed.IsZero() {
		file.Name += "-draft"
	}
	var err error
	switch f {
	case FormatJSON:
		file.Type, file.Name = "application/json", file.Name+".json"
		file.Content, err = exportJSON(inv, names)
	case FormatCSV:
		file.Type, file.Name = "text/csv", file.Name+".csv"
		file.Content, err = exportCSV(inv)
	case FormatFOCUS:
		file.Type, file.Name = "text/csv", file.Name+"-focus.csv"
		file.Content, err = exportFOCUS(inv, names)
	case FormatPDF:
		file.Type, file.Name = "application/pdf", file.Name+".pdf"
		file.Content, err = exportPDF(inv)
	default:
		return File{}, leat.Invalid("format", "%q is not known: say json, csv, pdf or focus", f)
	}
	return file, err
}

type jsonInvoice struct {
	Number   uint64      `json:"number,omitempty"`
	Status   string      `json:"status"`
	Account  string      `json:"account"`
	Month    string      `json:"month"`
	Start    time.Time   `json:"start_time"`
	End      time.Time   `json:"end_time"`
	Closed   *time.Time  `json:"close_time,omitempty"`
	Through  *time.Time  `json:"through_time,omitempty"`
	Book     string      `json:"price_book"`
	Version  int         `json:"price_book_version"`
	Currency string      `json:"currency"`
	Total    string      `json:"total"`
	Lines    []jsonLine  `json:"lines"`
	Shares   []jsonShare `json:"shares,omitempty"`
}

type jsonLine struct {
	Kind        string    `json:"kind"`
	Item        string    `json:"item,omitempty"`
	Description string    `json:"description,omitempty"`
	Meter       string    `json:"meter,omitempty"`
	Start       time.Time `json:"start_time"`
	End         time.Time `json:"end_time"`
	Tier        int       `json:"tier,omitempty"`
	Quantity    string    `json:"quantity,omitempty"`
	Unit        string    `json:"unit,omitempty"`
	Per         string    `json:"per,omitempty"`
	Price       string    `json:"price,omitempty"`
	Amount      string    `json:"amount"`
	Reason      string    `json:"reason,omitempty"`
}

type jsonShare struct {
	Item     string    `json:"item"`
	Meter    string    `json:"meter"`
	Start    time.Time `json:"start_time"`
	Stream   string    `json:"stream_id"`
	Name     string    `json:"stream_name"`
	Quantity string    `json:"quantity"`
	Unit     string    `json:"unit"`
	Amount   string    `json:"amount"`
}

// hasQuantity tells whether a line has a quantity.
func hasQuantity(l *rating.Line) bool { return l.Kind == rating.LineUsage || l.Kind == rating.LineFree }

func exportJSON(inv *Invoice, names map[leat.StreamID]string) ([]byte, error) {
	v := jsonInvoice{
		Number: inv.Number, Status: inv.Status(), Account: inv.Account, Month: inv.Period.String(), Start: inv.Period.Start, End: inv.Period.End,
		Book: inv.Book, Version: inv.Version, Currency: inv.Currency, Total: inv.Total.String(), Lines: []jsonLine{},
	}
	if inv.Closed.IsZero() {
		v.Through = &inv.Through
	} else {
		v.Closed = &inv.Closed
	}
	for i := range inv.Lines {
		l := &inv.Lines[i]
		j := jsonLine{Kind: string(l.Kind), Item: l.Item, Description: l.Description, Start: l.From, End: l.To, Tier: l.Tier, Amount: l.Amount.String(), Reason: l.Reason}
		if hasQuantity(l) {
			j.Meter, j.Quantity, j.Unit, j.Per, j.Price = l.Meter.String(), l.Quantity.String(), l.Unit, l.Per.String(), l.Price.String()
		}
		v.Lines = append(v.Lines, j)
	}
	for i := range inv.Shares {
		s := &inv.Shares[i]
		v.Shares = append(v.Shares, jsonShare{
			Item: s.Item, Meter: s.Meter.String(), Start: s.From, Stream: s.Stream.String(), Name: names[s.Stream], Quantity: s.Quantity.String(), Unit: s.Unit, Amount: s.Amount.String(),
		})
	}
	b, err := json.MarshalIndent(v, "", "  ")
	return append(b, '\n'), err
}

// table writes CSV. Cells that a spreadsheet would take for a formula are quoted by an apostrophe.
func table(rows [][]string) ([]byte, error) {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	for _, row := range rows {
		for i, cell := range row {
			if cell != "" && (cell[0] == '=' || cell[0] == '+' || cell[0] == '@' || cell[0] == '\t' || cell[0] == '\r' || cell[0] == '-' && !number(cell)) {
				row[i] = "'" + cell
			}
		}
	}
	err := w.WriteAll(rows)
	return b.Bytes(), err
}

func number(s string) bool {
	_, err := strconv.ParseFloat(s, 64)
	return err == nil
}

func exportCSV(inv *Invoice) ([]byte, error) {
	rows := [][]string{{"account", "month", "status", "number", "kind", "item", "description", "meter", "start_time", "end_time", "tier", "quantity", "unit", "per", "price", "amount", "currency", "reason"}}
	for i := range inv.Lines {
		l := &inv.Lines[i]
		row := []string{
			inv.Account, inv.Period.String(), inv.Status(), strconv.FormatUint(inv.Number, 10), string(l.Kind), l.Item, l.Description, "",
			l.From.Format(time.RFC3339), l.To.Format(time.RFC3339), strconv.Itoa(l.Tier), "", "", "", "", l.Amount.String(), inv.Currency, l.Reason,
		}
		if hasQuantity(l) {
			row[7], row[11], row[12], row[13], row[14] = l.Meter.String(), l.Quantity.String(), l.Unit, l.Per.String(), l.Price.String()
		}
		rows = append(rows, row)
	}
	return table(rows)
}

// focusColumns are those of the FinOps Open Cost and Usage Specification 1.0 that have a meaning here.
var focusColumns = []string{
	"BilledCost", "BillingAccountId", "BillingAccountName", "BillingCurrency", "BillingPeriodEnd", "BillingPeriodStart", "ChargeCategory", "ChargeClass",
	"ChargeDescription", "ChargeFrequency", "ChargePeriodEnd", "ChargePeriodStart", "ConsumedQuantity", "ConsumedUnit", "ContractedCost", "ContractedUnitPrice",
	"EffectiveCost", "InvoiceIssuerName", "ListCost", "ListUnitPrice", "PricingCategory", "PricingQuantity", "PricingUnit", "ProviderName", "PublisherName",
	"RegionId", "RegionName", "ResourceId", "ResourceName", "ResourceType", "ServiceCategory", "ServiceName", "SkuId", "SkuPriceId", "SubAccountId", "SubAccountName", "Tags",
}

// focusRow is one charge.
type focusRow map[string]string

func (inv *Invoice) focusRow(amount decimal.Decimal, category, description string, from, to time.Time) focusRow {
	stamp := func(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }
	cost := amount.String()
	return focusRow{
		"BilledCost": cost, "EffectiveCost": cost, "ListCost": cost, "ContractedCost": cost, "BillingAccountId": inv.Account, "BillingAccountName": inv.Account,
		"BillingCurrency": inv.Currency, "BillingPeriodStart": stamp(inv.Period.Start), "BillingPeriodEnd": stamp(inv.Period.End),
		"ChargePeriodStart": stamp(from), "ChargePeriodEnd": stamp(to), "ChargeCategory": category, "ChargeDescription": description, "ChargeFrequency": "Usage-Based",
		"InvoiceIssuerName": "Leat", "ProviderName": "Leat", "PublisherName": "Leat", "ServiceCategory": "Analytics", "ServiceName": "Leat",
	}
}

func exportFOCUS(inv *Invoice, names map[leat.StreamID]string) ([]byte, error) {
	var charges []focusRow
	left := inv.Total
	ends := map[string]*rating.Line{} // the last line of an item and price list
	lines := map[string]int{}
	key := func(item string, from time.Time) string { return item + from.UTC().String() }
	for i := range inv.Lines {
		if l := &inv.Lines[i]; l.Kind == rating.LineUsage {
			ends[key(l.Item, l.From)] = l
			lines[key(l.Item, l.From)]++
		}
	}
	for i := range inv.Shares {
		s := &inv.Shares[i]
		l := ends[key(s.Item, s.From)]
		if l == nil {
			continue // all of it within an allowance
		}
		r := inv.focusRow(s.Amount, "Usage", l.Description, l.From, l.To)
		r["ConsumedQuantity"], r["ConsumedUnit"] = s.Base.String(), s.Meter.Base()
		r["PricingCategory"], r["PricingQuantity"], r["PricingUnit"] = "Standard", s.Quantity.String(), s.Unit
		if lines[key(s.Item, s.From)] == 1 {
			unit := l.Price.DivRound(l.Per, 12).String()
			r["ListUnitPrice"], r["ContractedUnitPrice"] = unit, unit
		}
		r["ResourceId"], r["ResourceName"], r["ResourceType"] = s.Stream.String(), names[s.Stream], "Stream"
		r["SkuId"], r["SkuPriceId"] = s.Item, inv.Book+"/"+strconv.Itoa(inv.Version)+"/"+s.Item+"/"+l.From.Format(time.DateOnly)
		charges = append(charges, r)
		left = left.Sub(s.Amount)
	}
	for i := range inv.Lines {
		l := &inv.Lines[i]
		category := map[rating.LineKind]string{
			rating.LineMinimum: "Adjustment", rating.LineRounding: "Adjustment", rating.LineAdjustment: "Adjustment", rating.LineCredit: "Credit", rating.LineCorrection: "Usage",
		}[l.Kind]
		if category == "" {
			continue
		}
		r := inv.focusRow(l.Amount, category, l.Description, l.From, l.To)
		r["ChargeFrequency"], r["SkuId"] = "One-Time", l.Item
		if l.Kind == rating.LineCorrection {
			r["ChargeClass"] = "Correction"
		}
		charges = append(charges, r)
		left = left.Sub(l.Amount)
	}
	if !left.IsZero() { // charges add up to the invoice, whatever happened to the ledger since
		charges = append(charges, inv.focusRow(left, "Adjustment", "Not allocated to a stream", inv.Period.Start, inv.Period.End))
	}
	rows := [][]string{slices.Clone(focusColumns)}
	for _, c := range charges {
		row := make([]string, len(focusColumns))
		for i, name := range focusColumns {
			row[i] = c[name]
		}
		rows = append(rows, row)
	}
	return table(rows)
}
