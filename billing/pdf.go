// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package billing

import (
	"bytes"
	"fmt"
	"time"

	"codeberg.org/go-pdf/fpdf"

	"github.com/leatstream/leat/billing/rating"
)

// The columns of an invoice on A4, in millimetres.
const (
	pdfWhat, pdfQuantity, pdfPrice, pdfAmount = 82.0, 42.0, 32.0, 28.0
	pdfLine                                   = 6.0
)

// exportPDF writes an invoice for people. Equal invoices are equal files.
func exportPDF(inv *Invoice) ([]byte, error) {
	p := fpdf.New("P", "mm", "A4", "")
	at := inv.Closed
	if at.IsZero() {
		at = inv.Through
	}
	p.SetCreationDate(at)
	p.SetModificationDate(at)
	p.SetCatalogSort(true)
	text := p.UnicodeTranslatorFromDescriptor("")
	title := "Draft invoice"
	if inv.Number > 0 {
		title = fmt.Sprintf("Invoice %d", inv.Number)
	}
	p.SetTitle(title+" "+inv.Period.String(), true)
	p.SetMargins(13, 15, 13)
	p.AddPage()
	p.SetFont("Helvetica", "B", 16)
	p.CellFormat(0, 10, title, "", 1, "L", false, 0, "")
	p.SetFont("Helvetica", "", 10)
	for _, s := range []string{
		"Account " + inv.Account,
		fmt.Sprintf("Month %s, %s to %s (%s)", inv.Period, inv.Period.Start.Format(time.DateTime), inv.Period.End.Format(time.DateTime), inv.Period.Start.Location()),
		fmt.Sprintf("Price book %s, version %d", inv.Book, inv.Version),
		pdfState(inv),
	} {
		p.CellFormat(0, pdfLine, text(s), "", 1, "L", false, 0, "")
	}
	p.Ln(4)
	row := func(border string, cells ...string) {
		for i, w := range []float64{pdfWhat, pdfQuantity, pdfPrice, pdfAmount} {
			align, ln := "R", 0
			if i == 0 {
				align = "L"
			}
			if i == 3 {
				ln = 1
			}
			p.CellFormat(w, pdfLine, fit(p, text(cells[i]), w), border, ln, align, false, 0, "")
		}
	}
	p.SetFont("Helvetica", "B", 9)
	row("B", "What", "Quantity", "Price", "Amount "+inv.Currency)
	p.SetFont("Helvetica", "", 9)
	for i := range inv.Lines {
		l := &inv.Lines[i]
		what, quantity, price := pdfWhatOf(l), "", ""
		if hasQuantity(l) {
			quantity, price = l.Quantity.Round(6).String()+" "+l.Unit, l.Price.String()
			if !l.Per.Equal(one) {
				price += " / " + l.Per.String()
			}
		}
		row("", what, quantity, price, l.Amount.String())
	}
	p.SetFont("Helvetica", "B", 10)
	row("T", "Total", "", "", inv.Total.String())
	var b bytes.Buffer
	err := p.Output(&b)
	return b.Bytes(), err
}

func pdfState(inv *Invoice) string {
	if inv.Closed.IsZero() {
		return "Draft: hours before " + inv.Through.UTC().Format(time.DateTime) + " UTC"
	}
	return "Closed " + inv.Closed.UTC().Format(time.DateTime) + " UTC"
}

func pdfWhatOf(l *rating.Line) string {
	what := l.Description
	if what == "" {
		what = l.Item
	}
	switch {
	case l.Kind == rating.LineFree:
		what += " (free)"
	case l.Kind == rating.LineMinimum && l.Item != "":
		what += ": " + l.Item
	case l.Kind == rating.LineCorrection:
		what += ": " + l.Item
	case l.Tier > 0:
		what += fmt.Sprintf(", tier %d", l.Tier)
	}
	return what
}

// fit cuts text that is wider than its cell.
func fit(p *fpdf.Fpdf, s string, width float64) string {
	for len(s) > 0 && p.GetStringWidth(s) > width-2 {
		s = s[:len(s)-1]
	}
	return s
}
