// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/leatstream/leat/api/client"
	leatv1 "github.com/leatstream/leat/api/leat/v1"
)

type deliveryPutCmd struct {
	deliveryArg
	KeepNewline bool `help:"Put lines with their line feed."`
}

// Bounds of one call of put.
const (
	deliveryPutRecords = 500
	deliveryPutBytes   = 4 << 20
	deliveryPutLinger  = 100 * time.Millisecond // that a line waits for others
)

// Run puts lines, and tells how many whatever ends it.
func (cmd *deliveryPutCmd) Run(ctx context.Context, c *connection, t *terminal) error {
	cl, err := c.dial(ctx)
	if err != nil {
		return err
	}
	defer cl.Close()
	// An interruption lets what was read be put, for a while.
	last, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(flushWithin, cancel) })()
	b := &deliveryBatch{cl: cl, delivery: cmd.Delivery}
	err = b.feed(ctx, last, func(each func([]byte) bool) error { return cmd.lines(t.in, each) })
	if c.Output == formatJSON {
		err = errors.Join(err, newEncoder(t.out).Encode(map[string]int{"records": b.put}))
	} else {
		_, werr := fmt.Fprintf(t.out, "%d records put\n", b.put)
		err = errors.Join(err, werr)
	}
	return err
}

// lines hands every line to each until that returns false.
func (cmd *deliveryPutCmd) lines(from io.Reader, each func(line []byte) bool) error {
	in := bufio.NewReaderSize(from, 1<<16)
	for {
		line, err := in.ReadBytes('\n')
		if len(line) > 0 {
			if !cmd.KeepNewline {
				line = bytes.TrimSuffix(line, []byte("\n"))
			}
			if !each(line) {
				return nil
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// deliveryBatch is lines that go into a delivery stream by one call.
type deliveryBatch struct {
	cl       *client.Client
	delivery string
	lines    [][]byte
	size     int
	put      int // lines before these
}

// feed puts lines as they come, until they end or ctx does; it puts with last. The reader may wait for input that never comes, and
// touches nothing after feed has returned.
func (b *deliveryBatch) feed(ctx, last context.Context, read func(each func([]byte) bool) error) error {
	lines, ended, over := make(chan []byte), make(chan error, 1), make(chan struct{})
	defer close(over)
	go func() {
		ended <- read(func(line []byte) bool {
			select {
			case lines <- line:
				return true
			case <-over:
				return false
			}
		})
	}()
	var due <-chan time.Time
	for {
		var err error
		select {
		case line := <-lines:
			if len(b.lines) == deliveryPutRecords || b.size+len(line) > deliveryPutBytes {
				err = b.flush(last)
			}
			if len(b.lines) == 0 {
				due = time.After(deliveryPutLinger)
			}
			b.lines = append(b.lines, line)
			b.size += len(line)
		case <-due:
			err, due = b.flush(last), nil
		case err := <-ended:
			return errors.Join(b.flush(last), err)
		case <-ctx.Done():
			if err := b.flush(last); err != nil {
				return err
			}
			return fmt.Errorf("interrupted before the end of the input: %d lines were put", b.put)
		}
		if err != nil {
			return err
		}
	}
}

// flush puts the lines that wait. Its error says what became of them, and how many were put before.
func (b *deliveryBatch) flush(ctx context.Context) error {
	n := len(b.lines)
	if n == 0 {
		return nil
	}
	res, err := b.cl.Delivery.PutDeliveryRecords(ctx, &leatv1.PutDeliveryRecordsRequest{Delivery: b.delivery, Records: b.lines})
	b.lines, b.size = nil, 0
	if err != nil {
		return fmt.Errorf("%d lines were put; that the %d after them were was not answered: %w", b.put, n, err)
	}
	var failed int
	var first *leatv1.PutDeliveryRecordsResult
	for _, r := range res.GetResults() {
		if r.GetErrorCode() == "" {
			continue
		}
		if failed++; first == nil {
			first = r
		}
	}
	b.put += n - failed
	if failed == 0 {
		return nil
	}
	return fmt.Errorf("%d lines were put, and %d of the last %d were not: %s: %s", b.put, failed, n, first.GetErrorCode(), first.GetErrorMessage())
}
