// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/csv"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/leatstream/leat/api/leattest"
)

// What `prices show` prints passes `prices check`; what is wrong with a book is told line by line.
func TestPriceBooks(t *testing.T) {
	leatCmd := leatAt(t, "127.0.0.1:1") // nothing listens there: none of this talks to a server
	list := leatCmd("", "billing", "prices", "list").ok(t)
	for _, name := range []string{"aws-firehose", "aws-kinesis", "aws-kinesis-ondemand", "aws-kinesis-provisioned", "showback"} {
		if !strings.Contains(list, name+" ") {
			t.Errorf("%s is not in\n%s", name, list)
		}
	}
	file := filepath.Join(t.TempDir(), "prices.yaml")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	text := leatCmd("", "billing", "prices", "show", "showback").ok(t)
	write(text)
	if got := leatCmd("", "billing", "prices", "check", file, "-o", "json").ok(t); !strings.Contains(got, `"book":"showback"`) {
		t.Errorf("got %s", got)
	}
	write(strings.NewReplacer("unit: GB,", "unit: GBB,", "currency: XXX", "currency: €").Replace(text))
	bad := leatCmd("", "billing", "prices", "check", file)
	bad.refused(t, 1, "5 problems in "+file)
	for _, want := range []string{"line 8: currency: is", "line 14: prices[0].items[0].unit: put.bytes cannot be priced by"} {
		if !strings.Contains(bad.out, want) {
			t.Errorf("%q is not in\n%s", want, bad.out)
		}
	}
	leatCmd("", "billing", "prices", "show", "nobook").refused(t, 1, "there is no price book named", "showback")
	leatCmd("", "billing", "prices", "check", file+"x").refused(t, 1, "no such file")
}

// Everything that asks a server about bills. Nothing is booked yet a moment after a start: what lines come to is tested in billing.
func TestBilling(t *testing.T) {
	s := leattest.Start(t)
	leatCmd := leatAt(t, s.Endpoint)
	leatCmd("", "stream", "create", "orders", "--shards", "2").ok(t)
	leatCmd("one", "put", "orders").ok(t)

	if got := leatCmd("", "billing", "usage").ok(t); got != "" {
		t.Errorf("usage of an hour that is not over: %s", got)
	}
	month := time.Now().UTC().Format("2006-01")
	leatCmd("", "billing", "credit", "12.50", "sorry for Tuesday", "--id", "c1").ok(t)
	leatCmd("", "billing", "credit", "12.50", "sorry for Tuesday", "--id", "c1").ok(t)
	leatCmd("", "billing", "credit", "13", "another", "--id", "c1").refused(t, 1, "there is another entry with the id c1")
	leatCmd("", "billing", "credit", "2", "setup", "--charge").ok(t)
	leatCmd("", "billing", "credit", "0", "nothing").refused(t, 1, "must not be 0")
	inv := objects[invoiceView](t, leatCmd("", "billing", "invoice", "show", "-o", "json").ok(t))[0]
	if inv.Status != "DRAFT" || inv.Total != "-10.5" || inv.Month != month || len(inv.Lines) != 2 || inv.Lines[0].Kind != "credit" || inv.Book != "showback" {
		t.Errorf("got %+v", inv)
	}
	if got := leatCmd("", "billing", "invoice", "show").ok(t); !strings.Contains(got, "sorry for Tuesday") || !strings.Contains(got, "-10.5") {
		t.Errorf("got %s", got)
	}
	leatCmd("", "billing", "invoice", "close", month).refused(t, 1, "--yes")
	leatCmd("", "billing", "invoice", "close", month, "-y").refused(t, 1, "is not over")
	if got := leatCmd("", "billing", "invoice", "list").ok(t); got != "" {
		t.Errorf("closed invoices: %s", got)
	}
	leatCmd("", "billing", "invoice", "show", "--month", "2026-13").refused(t, 1, "month")

	// Files: each is what it says.
	for format, begins := range map[string]string{"json": "{\n", "csv": "account,month,", "pdf": "%PDF-1.", "focus": "BilledCost,BillingAccountId,"} {
		if got := leatCmd("", "billing", "invoice", "export", "--format", format, "-f", "-").ok(t); !strings.HasPrefix(got, begins) {
			t.Errorf("%s begins %.40q", format, got)
		}
	}
	rows, err := csv.NewReader(bytes.NewReader([]byte(leatCmd("", "billing", "invoice", "export", "--format", "focus", "-f", "-").ok(t)))).ReadAll()
	if err != nil || len(rows) != 3 || rows[1][0] != "-12.5" || rows[1][6] != "Credit" || rows[2][6] != "Adjustment" {
		t.Errorf("%q %v", rows, err)
	}
	file := filepath.Join(t.TempDir(), "invoice.pdf")
	leatCmd("", "billing", "invoice", "export", "-f", file).ok(t)
	leatCmd("", "billing", "invoice", "export", "-f", file).refused(t, 1, "exists")

	// 1,000 records of 1 KiB a second in on-demand mode at AWS's prices, with a reader: the total is that of the lines.
	est := objects[invoiceView](t, leatCmd("", "billing", "estimate", "--book", "aws-kinesis-ondemand", "--on-demand", "--records-per-second", "1000", "--readers", "1", "-o", "json").ok(t))[0]
	if est.Currency != "USD" || len(est.Lines) != 3 || est.Lines[0].Item != "stream-hours" {
		t.Errorf("got %+v", est)
	}
	leatCmd("", "billing", "estimate", "--book", "nobook").refused(t, 1, "there is no price book named")
	leatCmd("", "billing", "estimate", "--retention", "1h").refused(t, 1, "retention_hours")
	if got := objects[map[string]any](t, leatCmd("", "billing", "idle", "-o", "json").ok(t)); len(got) != 0 {
		t.Errorf("idle: %v", got)
	}

	// What was put is proved from the folder alone once the server has stopped, and a difference is found.
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	hour := time.Now().UTC().Truncate(time.Hour)
	verify := []string{"billing", "verify", "--data-dir", s.Dir, "--from", hour.Add(-time.Hour).Format(time.RFC3339), "--to", hour.Add(time.Hour).Format(time.RFC3339)}
	if got := leatCmd("", verify...).ok(t); !strings.Contains(got, "verified 1 record,") || !strings.Contains(got, ": 0 differences") {
		t.Errorf("got %s", got)
	}
	leatCmd("", "billing", "verify", "--from", "yesterday", "--to", "2026-11-01").refused(t, 1, "--from")
	leatCmd("", "billing", "verify", "--from", "2026-11-01", "--to", "2026-11-02").refused(t, 1, "--data-dir")
}
