// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/api/client"
	leatv1 "github.com/leatstream/leat/api/leat/v1"
)

// putCmd is `leat put`.
type putCmd struct {
	Connection connection `embed:""`

	Name            string   `arg:"" help:"Name of the stream."`
	Values          []string `arg:"" optional:"" name:"value" help:"The record's data; with --lines, files to read. Standard input by default."`
	Lines           bool     `help:"Put one record for each line."`
	Keys            keyFlags `embed:""`
	ExplicitHashKey string   `help:"Decides the shard instead of the key's MD5: a decimal below 2^128." placeholder:"N"`

	RetryFor      time.Duration `help:"How long to try again while the server refuses or does not answer." default:"60s" placeholder:"TIME"`
	DedupeRetries bool          `help:"When an answer is lost, look in the stream before putting a record again. Takes an equal record that another producer put at that moment for ours; without it a record may stand twice." default:"true" negatable:""`
	InFlight      int           `help:"Number of batches in flight; records of one key share one." default:"8" placeholder:"N"`
	AckLog        string        `help:"Write a JSON line to this file for each line that was acknowledged." placeholder:"FILE" type:"path"`
	Quiet         bool          `short:"q" help:"Show no progress."`
}

// Help is shown by `leat put --help`.
func (*putCmd) Help() string {
	return "Exit status 0 means that every record is durable. Otherwise the error says how many are, and which lines were the first that are not."
}

// Run puts one record, or one for each line.
func (cmd *putCmd) Run(ctx context.Context, c *connection, t *terminal, random *rand.Rand) error {
	if cmd.Lines && cmd.ExplicitHashKey != "" {
		return leat.Invalid("explicit-hash-key", "--explicit-hash-key is for one record: with --lines the key decides")
	}
	keys, err := cmd.Keys.keyFunc(random)
	if err != nil {
		return err
	}
	cl, err := c.dial(ctx)
	if err != nil {
		return err
	}
	defer cl.Close()
	limit, err := recordLimit(ctx, cl, cmd.Name)
	if err != nil {
		return err
	}
	p, err := client.NewProducer(cl, cmd.Name, cmd.options(limit))
	if err != nil {
		return err
	}
	if cmd.Lines {
		return cmd.putLines(ctx, c, t, p, keys, limit)
	}
	return cmd.putOne(ctx, c, t, p, keys, limit)
}

func (cmd *putCmd) options(limit int) client.ProducerOptions {
	o := client.ProducerOptions{Lanes: cmd.InFlight, RetryFor: cmd.RetryFor, MaxRecordBytes: limit}
	if cmd.DedupeRetries {
		o.Unknown = client.UnknownResolve
	}
	if o.RetryFor == 0 {
		o.RetryFor = -1
	}
	return o
}

// recordLimit asks for the largest record that a stream takes.
func recordLimit(ctx context.Context, cl *client.Client, stream string) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, callWithin)
	defer cancel()
	res, err := cl.Streams.DescribeStreamSummary(ctx, &leatv1.DescribeStreamSummaryRequest{Stream: stream})
	return int(res.GetStream().GetMaxRecordBytes()), err
}

// putOne puts the record that stands on the command line, or in standard input as a whole.
func (cmd *putCmd) putOne(ctx context.Context, c *connection, t *terminal, p *client.Producer, keys keyFunc, limit int) (err error) {
	defer func() { err = errors.Join(err, p.Close(ctx)) }()
	data, err := cmd.data(ctx, t, limit)
	if err != nil {
		return err
	}
	key, err := keys(data)
	if err != nil {
		return err
	}
	var placed client.Placed
	fate := make(chan error, 1)
	err = p.PutFunc(ctx, client.Record{PartitionKey: key, ExplicitHashKey: cmd.ExplicitHashKey, Data: data}, func(where client.Placed, err error) {
		placed = where
		fate <- err
	})
	if err != nil {
		return err
	}
	select {
	case err = <-fate:
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil {
		return err
	}
	out := newPrinter(t.out, c.Output)
	view := map[string]string{"shard_id": placed.ShardID, "sequence_number": placed.SequenceNumber, "partition_key": key}
	if err := out.Row(view, fmt.Sprintf("put to %s at %s", placed.ShardID, placed.SequenceNumber)); err != nil {
		return err
	}
	return out.Flush()
}

// data is the one record's.
func (cmd *putCmd) data(ctx context.Context, t *terminal, limit int) ([]byte, error) {
	switch len(cmd.Values) {
	case 0:
		if isTerminal(t.in) {
			fmt.Fprintln(t.err, "reading the record from the terminal: end it with Ctrl-D")
		}
		data, err := io.ReadAll(io.LimitReader(t.input(ctx), int64(limit)+1))
		if err == nil && len(data) > limit {
			err = leat.Invalid("data", "the input is larger than the stream's largest record of %d bytes: split it, put it with --lines, or raise the limit with `leat stream update %s --max-record-bytes`", limit, cmd.Name)
		}
		return data, err
	case 1:
		return []byte(cmd.Values[0]), nil
	}
	return nil, leat.Invalid("value", "%d values: quote a value that has spaces, or give --lines to put the lines of files", len(cmd.Values))
}
