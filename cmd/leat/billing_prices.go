// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/billing/rating"
)

// billingPricesCmd is `leat billing prices`.
type billingPricesCmd struct {
	List  pricesListCmd  `cmd:"" help:"List the price books that come with Leat."`
	Show  pricesShowCmd  `cmd:"" help:"Print one of them, to start your own from."`
	Check pricesCheckCmd `cmd:"" help:"Check a price book."`
}

// outputFlag is for commands that talk to no server.
type outputFlag struct {
	Output string `short:"o" help:"table for people, json for programs: one object a line." enum:"table,json" default:"table" env:"LEAT_OUTPUT"`
}

type pricesListCmd struct{ outputFlag }

// Run lists presets.
func (c *pricesListCmd) Run(t *terminal) error {
	var books []*rating.Book
	for _, name := range rating.Presets() {
		b, err := rating.Preset(name)
		if err != nil {
			return err
		}
		books = append(books, b)
	}
	return printBooks(t, c.Output, books...)
}

func printBooks(t *terminal, output string, books ...*rating.Book) error {
	p := newPrinter(t.out, output, "BOOK", "VERSION", "CURRENCY", "TIME ZONE", "LATEST PRICES")
	for _, b := range books {
		latest := b.Prices[len(b.Prices)-1].Effective.Format(time.DateOnly)
		v := map[string]any{"book": b.Name, "version": b.Version, "currency": b.Currency, "timezone": b.Zone.String(), "latest": latest, "note": b.Note}
		if err := p.Row(v, b.Name, strconv.Itoa(b.Version), b.Currency, b.Zone.String(), latest); err != nil {
			return err
		}
	}
	return p.Flush()
}

type pricesShowCmd struct {
	Book string `arg:"" help:"Its name."`
}

// Run prints a preset.
func (c *pricesShowCmd) Run(t *terminal) error {
	text, err := rating.PresetText(c.Book)
	if err != nil {
		return err
	}
	_, err = t.out.Write(text)
	return err
}

type pricesCheckCmd struct {
	outputFlag
	File string `arg:"" help:"The price book, YAML."`
}

// Run checks a book. It says all that is wrong, each with its line and field.
func (c *pricesCheckCmd) Run(t *terminal) error {
	text, err := os.ReadFile(c.File)
	if err != nil {
		return leat.Invalid("file", "%v", err)
	}
	b, err := rating.ParseBook(text)
	var bad *leat.Error
	if errors.As(err, &bad) {
		problems := strings.Split(bad.Message, "\n")
		for _, p := range problems {
			fmt.Fprintf(t.out, "%s: %s\n", c.File, p)
		}
		return leat.Invalid("file", "%s in %s", plural(len(problems), "problem"), c.File)
	}
	if err != nil {
		return err
	}
	return printBooks(t, c.Output, b)
}
