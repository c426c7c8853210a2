// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package compat_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// document is a page of docs.
type document string

func page(tb testing.TB, name string) document {
	tb.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "docs", name))
	must(tb, err)
	return document(b)
}

// section is what stands under a heading of the second order.
func (d document) section(tb testing.TB, heading string) string {
	tb.Helper()
	_, rest, found := strings.Cut(string(d), "\n## "+heading+"\n")
	if !found {
		tb.Fatalf("there is no section %q", heading)
	}
	section, _, _ := strings.Cut(rest, "\n## ")
	return section
}

// suites says for each client of docs/compat.md where its tests are, and how an operation is spelled there.
func suites() map[string]struct {
	files []string
	spell func(operation string) string // a regular expression
} {
	return map[string]struct {
		files []string
		spell func(string) string
	}{
		"Go":  {[]string{"gosdk_*_test.go", "rig_test.go", "kcl*_test.go", "terraform_test.go"}, func(op string) string { return `\.(` + op + `|New` + op + `Paginator)\(` }},
		"CLI": {[]string{"testdata/awscli.sh"}, func(op string) string { return `\b(kinesis|\w+Exception) ` + words(op, "-") + ` ` }},
		"boto3": {[]string{"testdata/boto3_walk.py"}, func(op string) string {
			return `\bkinesis\.(` + words(op, "_") + `\b|get_paginator\("` + words(op, "_") + `"\))`
		}},
		"JS":   {[]string{"testdata/js/walk.mjs"}, func(op string) string { return `\b(new ` + op + `Command|paginate` + op + `)\(` }},
		"CBOR": {[]string{"cbor_test.go"}, func(op string) string { return `"` + op + `"` }},
	}
}

// words writes an operation's name as the CLI and boto3 do.
func words(op, separator string) string {
	return strings.ToLower(regexp.MustCompile(`([a-z])([A-Z])`).ReplaceAllString(op, "${1}"+separator+"${2}"))
}

// testedWith is which clients' tests call an operation.
func testedWith(tb testing.TB, op string) (clients []string) {
	tb.Helper()
	for client, suite := range suites() {
		called := regexp.MustCompile(suite.spell(op))
		for _, pattern := range suite.files {
			files, err := filepath.Glob(pattern)
			must(tb, err)
			if len(files) == 0 {
				tb.Fatalf("no %s", pattern)
			}
			for _, file := range files {
				source, err := os.ReadFile(file)
				must(tb, err)
				if file != "gosdk_refused_test.go" && called.Match(source) {
					clients = append(clients, client)
				}
			}
		}
	}
	slices.Sort(clients)
	return slices.Compact(clients)
}

// docs/compat.md has one row for each operation of the SDK, which says truly whether Leat has it and which clients
// have called it.
func TestCompatDoc(t *testing.T) {
	t.Parallel()
	rows := map[string][]string{}
	for line := range strings.Lines(page(t, "compat.md").section(t, "Operations")) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if name := strings.TrimSpace(cells[0]); strings.HasPrefix(name, "`") && len(cells) == 4 {
			name = strings.Trim(name, "`")
			if rows[name] != nil {
				t.Errorf("%s has two rows", name)
			}
			rows[name] = cells[1:]
		}
	}
	for _, op := range operations() {
		row, listed := rows[op]
		if !listed {
			t.Errorf("%s has no row", op)
			continue
		}
		delete(rows, op)
		built := walked(op) > 0
		if says := strings.TrimSpace(row[0]); says != map[bool]string{true: "yes", false: "no"}[built] {
			t.Errorf("%s is built: %v, the table says %q", op, built, says)
		}
		want := strings.Join(testedWith(t, op), ", ")
		if got := strings.TrimSpace(row[1]); got != want {
			t.Errorf("%s was tested with %s, the table says %q", op, want, got)
		}
		if differs := strings.TrimSpace(row[2]); !built && differs == "" {
			t.Errorf("%s is not built, and the table gives no reason", op)
		}
	}
	for op := range rows {
		t.Errorf("%s is no operation of the SDK", op)
	}
}
