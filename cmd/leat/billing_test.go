// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
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
