// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/api/client"
)

// firstFailures is how many failed lines are named.
const firstFailures = 10

// tally counts what became of the lines.
type tally struct {
	read, acked, failed, bytes atomic.Int64
	lost                       atomic.Bool // a record was given up because the server was away
	cut                        atomic.Bool // and so the rest of the input was not read

	mu       sync.Mutex
	shards   map[string]bool
	failures []failure // the first ones of the input, in its order
	log      *bufio.Writer
	encoder  *json.Encoder
	file     *os.File
	logErr   error
}

// failure is a line that was not put.
type failure struct {
	Source string `json:"source"`
	Line   int64  `json:"line"`
	Error  string `json:"error"`
	Kind   string `json:"kind"`

	index int64 // of the line in the whole input
}

// acknowledgement is a line of the ack log.
type acknowledgement struct {
	Source         string `json:"source"`
	Line           int64  `json:"line"`
	ShardID        string `json:"shard_id"`
	SequenceNumber string `json:"sequence_number"`
}

func newTally(ackLog string) (*tally, error) {
	f, err := openAckLog(ackLog)
	if err != nil {
		return nil, err
	}
	t := &tally{shards: map[string]bool{}, file: f}
	if f != nil {
		t.log = bufio.NewWriterSize(f, 1<<16)
		t.encoder = newEncoder(t.log)
	}
	return t, nil
}

// settle notes the fate of a line.
func (t *tally) settle(l *line, where client.Placed, err error) {
	if err != nil {
		t.fail(l, err)
		return
	}
	t.acked.Add(1)
	t.bytes.Add(int64(len(l.Data)))
	t.mu.Lock()
	defer t.mu.Unlock()
	t.shards[where.ShardID] = true
	if t.encoder != nil && t.logErr == nil {
		t.logErr = t.encoder.Encode(acknowledgement{l.Source, l.Number, where.ShardID, where.SequenceNumber})
	}
}

// fail notes a line that was not put.
func (t *tally) fail(l *line, err error) {
	kind := leat.KindOf(err)
	switch kind {
	case leat.KindUnavailable, leat.KindUnknownOutcome, leat.KindNotFound, leat.KindAccessDenied, leat.KindUnauthenticated:
		t.lost.Store(true)
	}
	t.failed.Add(1)
	t.mu.Lock()
	defer t.mu.Unlock()
	f := failure{Source: l.Source, Line: l.Number, Error: oneLine(err), Kind: kind.String(), index: l.Index}
	at, _ := slices.BinarySearchFunc(t.failures, f, func(a, b failure) int { return cmp.Compare(a.index, b.index) })
	if t.failures = slices.Insert(t.failures, at, f); len(t.failures) > firstFailures {
		t.failures = t.failures[:firstFailures]
	}
}

// close writes the ack log out.
func (t *tally) close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.file == nil {
		return nil
	}
	err := t.logErr
	if flushErr := t.log.Flush(); err == nil {
		err = flushErr
	}
	if closeErr := t.file.Close(); err == nil {
		err = closeErr
	}
	return err
}

// summary is what `leat put --lines -o json` prints.
type summary struct {
	Read     int64     `json:"lines_read"`
	Acked    int64     `json:"acked"`
	Failed   int64     `json:"failed"`
	Bytes    int64     `json:"bytes"`
	Shards   int       `json:"shards"`
	Seconds  float64   `json:"seconds"`
	Complete bool      `json:"complete"` // every line of the input was acknowledged
	Failures []failure `json:"first_failures,omitempty"`
}

// report prints the summary; its error is nil only when the input was read to its end and every line acknowledged.
func (t *tally) report(ctx context.Context, c *connection, term *terminal, took time.Duration, err error) error {
	s := summary{
		Read: t.read.Load(), Acked: t.acked.Load(), Failed: t.failed.Load(), Bytes: t.bytes.Load(),
		Shards: len(t.shards), Seconds: took.Seconds(), Failures: t.failures,
	}
	s.Complete = err == nil && ctx.Err() == nil && s.Failed == 0 && s.Acked == s.Read && !t.lost.Load()
	p := newPrinter(term.out, c.Output)
	if e := p.Row(s, fmt.Sprintf("%s put to %s in %s", plural(int(s.Acked), "record"), plural(s.Shards, "shard"), span(took))); e != nil {
		return e
	}
	if e := p.Flush(); e != nil {
		return e
	}
	if s.Complete {
		return nil
	}
	return t.explain(ctx, &s, err)
}

// explain says on one line what was not put.
func (t *tally) explain(ctx context.Context, s *summary, err error) error {
	var b strings.Builder
	fmt.Fprintf(&b, "not every line was put: %s read, %s acknowledged, %s failed", count(s.Read), count(s.Acked), count(s.Failed))
	if waiting := s.Read - s.Acked - s.Failed; waiting > 0 {
		fmt.Fprintf(&b, ", %s without an answer", count(waiting))
	}
	switch {
	case ctx.Err() != nil:
		b.WriteString("; interrupted before the end of the input")
	case t.cut.Load():
		b.WriteString("; stopped before the end of the input, since the server did not take them")
	}
	for i, f := range s.Failures {
		sep := ", "
		if i == 0 {
			sep = "; first failures: "
		}
		fmt.Fprintf(&b, "%s%s line %d (%s)", sep, f.Source, f.Line, f.Error)
	}
	if err != nil && ctx.Err() == nil {
		fmt.Fprintf(&b, "; %s", oneLine(err))
	}
	return errors.New(b.String())
}
