// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/api/client"
)

// flushWithin is how long the records on their way are waited for after an interruption.
const flushWithin = 10 * time.Second

// putLines puts one record for each line, and tells exactly what became of them.
func (cmd *putCmd) putLines(ctx context.Context, c *connection, t *terminal, p *client.Producer, keys keyFunc, limit int) error {
	tally, err := newTally(cmd.AckLog)
	if err != nil {
		return err
	}
	r := newLineReader(cmd.Values, t.in, limit)
	defer r.Close()
	began := time.Now()
	stopProgress := func() {}
	if !cmd.Quiet && isTerminal(t.err) {
		stopProgress = showProgress(t.err, tally, began)
	}
	readErr := cmd.feedUntil(ctx, func() error { return cmd.feed(ctx, p, tally, r, keys) })
	// The producer gives up by itself when nothing goes on for RetryFor; an interruption does not wait for that.
	last, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(flushWithin, cancel) })()
	closeErr := p.Close(last)
	stopProgress()
	if err := tally.close(); err != nil {
		readErr = errors.Join(readErr, fmt.Errorf("writing the ack log: %w", err))
	}
	return tally.report(ctx, c, t, time.Since(began), errors.Join(readErr, closeErr))
}

// stopWithin is how long feed is waited for after an interruption. It may wait for input that never comes, and touches nothing after that.
const stopWithin = time.Second

// feedUntil feeds until that is done or ctx has ended.
func (*putCmd) feedUntil(ctx context.Context, feed func() error) error {
	fed := make(chan error, 1)
	go func() { fed <- feed() }()
	select {
	case err := <-fed:
		return err
	case <-ctx.Done():
	}
	end := time.NewTimer(stopWithin)
	defer end.Stop()
	select {
	case err := <-fed:
		return err
	case <-end.C:
		return nil
	}
}

// feed hands every line to the producer. It stops at the end of input, when ctx ends, or when the server has been away
// for longer than records are tried again: what is left of the input would wait for nothing.
func (cmd *putCmd) feed(ctx context.Context, p *client.Producer, tally *tally, r *lineReader, keys keyFunc) error {
	for ctx.Err() == nil {
		if tally.lost.Load() {
			tally.cut.Store(true)
			return nil
		}
		l, err := r.Next()
		if errors.Is(err, io.EOF) || ctx.Err() != nil {
			return nil //nolint:nilerr // interrupted meanwhile: the report says so
		}
		if err != nil {
			return err
		}
		tally.read.Add(1)
		if l.Long > 0 {
			tally.fail(l, leat.Invalid("data", "%d bytes are more than the stream's largest record (%s): split the line, or raise the limit with `leat stream update %s --max-record-bytes`", l.Long, size(float64(r.limit)), cmd.Name))
			continue
		}
		key, err := keys(l.Data)
		if err != nil {
			tally.fail(l, err)
			continue
		}
		done := func(where client.Placed, err error) { tally.settle(l, where, err) }
		if err := p.PutFunc(ctx, client.Record{PartitionKey: key, Data: l.Data}, done); err != nil {
			tally.fail(l, err)
		}
	}
	return nil
}

// showProgress keeps a line on the terminal until it is stopped.
func showProgress(w io.Writer, tally *tally, began time.Time) (stop func()) {
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				n, secs := tally.acked.Load(), time.Since(began).Seconds()
				fmt.Fprintf(w, "\r\x1b[K%s records, %s, %s/s, %s waiting", count(n), size(float64(tally.bytes.Load())), count(int64(float64(n)/secs)), count(tally.read.Load()-n-tally.failed.Load()))
			case <-end:
				fmt.Fprint(w, "\r\x1b[K")
				return
			}
		}
	}()
	return func() { close(end); <-ended }
}

// openAckLog creates the file of acknowledgements.
func openAckLog(path string) (*os.File, error) {
	if path == "" {
		return nil, nil
	}
	return os.Create(path)
}
