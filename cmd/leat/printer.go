// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"io"
	"strings"
	"text/tabwriter"
)

// printer writes what a command found: a table for people, or one JSON object a line for programs.
type printer struct {
	json *json.Encoder
	tab  *tabwriter.Writer
	head []string
	rows int
}

// newPrinter prints to w. head names the table's columns.
func newPrinter(w io.Writer, format string, head ...string) *printer {
	if format == formatJSON {
		return &printer{json: newEncoder(w)}
	}
	return &printer{tab: tabwriter.NewWriter(w, 0, 4, 2, ' ', 0), head: head}
}

// newEncoder writes one object a line and leaves <, > and & as they are.
func newEncoder(w io.Writer) *json.Encoder {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e
}

// Row prints one thing: object as JSON, or cells as a row.
func (p *printer) Row(object any, cells ...string) error {
	p.rows++
	if p.json != nil {
		return p.json.Encode(object)
	}
	if p.rows == 1 && len(p.head) > 0 {
		if err := p.write(p.head); err != nil {
			return err
		}
	}
	return p.write(cells)
}

// write keeps a row on its line whatever its cells hold.
func (p *printer) write(cells []string) error {
	clean := make([]string, len(cells))
	for i, c := range cells {
		clean[i] = shown(strings.NewReplacer("\t", " ", "\n", " ", "\r", " ").Replace(c))
		if c == "" {
			clean[i] = "-"
		}
	}
	_, err := io.WriteString(p.tab, strings.Join(clean, "\t")+"\n")
	return err
}

// Flush writes the table out; columns are aligned over all rows so far.
func (p *printer) Flush() error {
	if p.tab == nil {
		return nil
	}
	return p.tab.Flush()
}

// empty tells whether nothing was printed yet.
func (p *printer) empty() bool { return p.rows == 0 }
