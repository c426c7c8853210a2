// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// tally is what was acknowledged or read.
type tally struct {
	Records int64
	Bytes   int64
	Sum     uint64 // of the CRC-32Cs: the same in any order
}

func (t *tally) add(o tally) { t.Records += o.Records; t.Bytes += o.Bytes; t.Sum += o.Sum }

func (t *tally) count(p *payloads, i int) {
	t.add(tally{1, int64(len(p.data[i])), uint64(p.sums[i])})
}

// run is one measured stretch of work.
type run struct {
	tally
	Took time.Duration // from the first call to the last answer
	P50  time.Duration // of a call
	P99  time.Duration
	CPU  cpu
}

func (r run) perSecond() float64 { return float64(r.Records) / r.Took.Seconds() }

// server and client are microseconds of processor time for each record.
func (r run) server() float64 { return r.CPU.Server.Seconds() * 1e6 / float64(r.Records) }
func (r run) client() float64 { return r.CPU.Client.Seconds() * 1e6 / float64(r.Records) }

func (r run) megabytes() float64 { return float64(r.Bytes) / 1e6 / r.Took.Seconds() }

// load is how much is put: callers work until the calls are used up or the time is over, whichever comes first.
type load struct {
	callers int
	calls   int
	batch   int    // records of a call
	way     string // for batches; "" puts records one by one
	atMost  time.Duration
}

// put runs a load. A call that began in time is waited for.
func put(ctx context.Context, l log, p *payloads, ld load) (run, error) {
	writers := make([]writer, 0, ld.callers)
	defer func() {
		for _, w := range writers {
			_ = w.Close() // everything was answered
		}
	}()
	for n := range ld.callers {
		w, err := l.Writer(n)
		if err != nil {
			return run{}, err
		}
		writers = append(writers, w)
	}

	ctx, cancel := context.WithTimeout(ctx, ld.atMost+startWithin) // a server that hangs
	defer cancel()
	var (
		next  atomic.Int64
		group sync.WaitGroup
		done  = make([]run, ld.callers)
		took  = make([][]time.Duration, ld.callers)
		errs  = make([]error, ld.callers)
		start = time.Now()
	)
	for n, w := range writers {
		group.Go(func() {
			for errs[n] == nil && time.Since(start) < ld.atMost {
				call := next.Add(1) - 1
				if call >= int64(ld.calls) {
					return
				}
				began := time.Now()
				errs[n] = one(ctx, w, p, ld, int(call), &done[n].tally)
				took[n] = append(took[n], time.Since(began))
			}
		})
	}
	group.Wait()
	out := run{Took: time.Since(start)}
	for _, d := range done {
		out.add(d.tally)
	}
	out.P50, out.P99 = quantiles(slices.Concat(took...))
	return out, errors.Join(errs...)
}

// one makes a call and counts what it put.
func one(ctx context.Context, w writer, p *payloads, ld load, call int, t *tally) error {
	first := call * ld.batch % (len(p.data) - ld.batch + 1)
	var err error
	if ld.way == "" {
		err = w.Put(ctx, p, first)
	} else {
		err = w.PutBatch(ctx, ld.way, p, first, ld.batch)
	}
	if err != nil {
		return err
	}
	for i := range ld.batch {
		t.count(p, first+i)
	}
	return nil
}

// read reads all lanes side by side, again and again, and checks each time that they hold what was acknowledged.
func read(ctx context.Context, l log, lanes, times int, want tally, atMost time.Duration) (out run, err error) {
	ctx, cancel := context.WithTimeout(ctx, atMost)
	defer cancel()
	start := time.Now()
	for range times {
		got, err := readOnce(ctx, l, lanes)
		if err != nil {
			return out, err
		}
		if got != want {
			return out, fmt.Errorf("%+v was acknowledged, %+v was read", want, got)
		}
		out.add(got)
	}
	out.Took = time.Since(start)
	return out, nil
}

func readOnce(ctx context.Context, l log, lanes int) (tally, error) {
	var (
		group sync.WaitGroup
		seen  = make([]tally, lanes)
		errs  = make([]error, lanes)
		all   tally
	)
	for lane := range lanes {
		group.Go(func() {
			var t tally
			errs[lane] = l.Read(ctx, lane, func(b []byte) {
				t.add(tally{1, int64(len(b)), uint64(crc32.Checksum(b, castagnoli))})
			})
			seen[lane] = t
		})
	}
	group.Wait()
	for _, t := range seen {
		all.add(t)
	}
	return all, errors.Join(errs...)
}

// quantiles returns the median and the 99th percentile, 0 of nothing.
func quantiles(d []time.Duration) (p50, p99 time.Duration) {
	if len(d) == 0 {
		return 0, 0
	}
	slices.Sort(d)
	return d[len(d)/2], d[len(d)*99/100]
}
