// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/leatstream/leat/api/client"
)

// getCmd is `leat get`.
type getCmd struct {
	Connection connection `embed:""`

	Name    string   `arg:"" help:"Name of the stream."`
	From    string   `help:"Where to begin: trim-horizon, latest, or a time such as 2026-11-20T14:00:00Z, \"2026-11-20 14:00\" or 10m for ten minutes ago." default:"trim-horizon" placeholder:"PLACE"`
	Shard   []string `help:"Read this shard alone. May be given again." placeholder:"ID"`
	Limit   int64    `help:"Stop after this many records." placeholder:"N"`
	Verbose bool     `short:"v" help:"Show shard, sequence number, time and key too."`
}

// Help is shown by `leat get --help`.
func (*getCmd) Help() string {
	return "Reads every shard to its present end, then stops. Records of a shard come in their order, and a child shard after its parents. Prints the data, one record a line."
}

// Run reads a stream to its present end.
func (cmd *getCmd) Run(ctx context.Context, c *connection, t *terminal) error {
	begin, err := start(cmd.From, time.Now())
	if err != nil {
		return err
	}
	cl, err := c.dial(ctx)
	if err != nil {
		return err
	}
	defer cl.Close()
	r, err := client.NewReader(cl, cmd.Name, begin, client.ReaderOptions{ToPresent: true, Shards: cmd.Shard})
	if err != nil {
		return err
	}
	defer r.Close()
	out := newRecordPrinter(t.out, c.Output, cmd.Verbose)
	n := int64(0)
	for rec, err := range r.All(ctx) {
		if err != nil {
			return errors.Join(out.Flush(), err)
		}
		if err := out.Print(rec); err != nil {
			return err
		}
		if n++; n == cmd.Limit {
			break
		}
	}
	return out.Flush()
}

// start reads a place in a stream.
func start(from string, now time.Time) (client.Start, error) {
	switch from {
	case "trim-horizon", "TRIM_HORIZON":
		return client.TrimHorizon(), nil
	case "latest", "LATEST":
		return client.Latest(), nil
	}
	at, err := parseTime(from, now)
	return client.AtTime(at), err
}

// recordPrinter prints records: as lines of data, as a table, or as JSON.
type recordPrinter struct {
	out     *bufio.Writer
	json    *json.Encoder // nil for people
	verbose bool
	quote   bool // data that would disturb a terminal
	headed  bool
}

func newRecordPrinter(w io.Writer, format string, verbose bool) *recordPrinter {
	p := &recordPrinter{out: bufio.NewWriterSize(w, 1<<16), verbose: verbose, quote: isTerminal(w)}
	if format == formatJSON {
		p.json = newEncoder(p.out)
	}
	return p
}

// Print prints one record. Widths are fixed, so that a row can be shown before the next one is known.
func (p *recordPrinter) Print(r *client.ReadRecord) error {
	if p.json != nil {
		return p.json.Encode(viewRecord(r))
	}
	if p.verbose {
		if !p.headed {
			p.headed = true
			fmt.Fprintf(p.out, "%-20s  %-56s  %-23s  %-16s  %s\n", "SHARD", "SEQUENCE NUMBER", "ARRIVED", "KEY", "DATA")
		}
		fmt.Fprintf(p.out, "%-20s  %s  %s  %-16s  ", r.ShardID, r.SequenceNumber, stamp(r.Arrival), shown(r.PartitionKey))
	}
	p.data(r.Data)
	return p.out.WriteByte('\n')
}

// shown is text that others chose, quoted where it would disturb a terminal.
func shown(text string) string {
	if printable([]byte(text)) {
		return text
	}
	return strconv.Quote(text)
}

// data prints the bytes as they are, but for what would disturb a terminal. Errors stay in the writer, for the caller.
func (p *recordPrinter) data(b []byte) {
	if (p.quote || p.verbose) && !printable(b) {
		fmt.Fprintf(p.out, "%q", b)
		return
	}
	_, _ = p.out.Write(b) // bufio keeps the error
}

// Flush writes out what is buffered.
func (p *recordPrinter) Flush() error { return p.out.Flush() }
