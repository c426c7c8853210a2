// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// plan is how much is done in a round.
type plan struct {
	lanes     int
	callers   int           // with batches, and with single records in the second measurement
	batch     int           // records of a batch
	batches   int           // at most, in each way
	batchFor  time.Duration // at most, in each way
	singles   int           // at most
	singleFor time.Duration // each of the two
	readFor   time.Duration // a read that takes longer has failed
	warmups   int           // batches or single records, at most, before each measurement of puts
	warmFor   time.Duration // at most
}

// The measurements, in the order of the table.
const (
	mBatch     = "batched puts"
	mSingle    = "single puts, 1 caller"
	mSingles   = "single puts, 16 callers"
	mRead      = "read what was just put"
	mReadAgain = "read after a restart"
)

// result is what a round measured of one system.
type result struct {
	runs map[string]run    // by measurement
	ways map[string]run    // batched puts by way
	best map[string]string // by measurement: the way that counts
}

// round measures a system once, in a folder of its own that is gone afterwards.
func round(ctx context.Context, s system, p *payloads, pl plan, base string) (res result, err error) {
	dir, err := os.MkdirTemp(base, s.Name()+"-")
	if err != nil {
		return res, err
	}
	defer func() {
		err = errors.Join(err, s.Stop(ctx), os.RemoveAll(dir))
	}()
	if err := s.Start(ctx, dir); err != nil {
		return res, err
	}
	res = result{runs: map[string]run{}, ways: map[string]run{}, best: map[string]string{}}
	r := &rounder{ctx: ctx, s: s, p: p, pl: pl, res: &res}
	best := r.batches()
	r.single(mSingle, 1)
	r.single(mSingles, pl.callers)
	r.read(mRead, best, hotReads)
	if r.err == nil {
		r.err = errors.Join(s.Stop(ctx), s.Start(ctx, dir))
	}
	r.read(mReadAgain, best, 1)
	return res, r.explained(dir)
}

// rounder goes through the measurements of a round until the first error.
type rounder struct {
	ctx context.Context
	s   system
	p   *payloads
	pl  plan
	res *result
	err error
}

// written is a log and what it holds.
type written struct {
	name string
	is   tally
}

// batches measures each way into a log of its own and returns the one of the best.
func (r *rounder) batches() (best written) {
	pl := r.pl
	for i, way := range r.s.Ways() {
		r.put("warm", load{callers: pl.callers, calls: pl.warmups, batch: pl.batch, way: way, atMost: pl.warmFor})
		name := fmt.Sprintf("batch-%d", i)
		got := r.put(name, load{callers: pl.callers, calls: pl.batches, batch: pl.batch, way: way, atMost: pl.batchFor})
		r.res.ways[way] = got
		if old, ok := r.res.runs[mBatch]; r.err == nil && (!ok || got.perSecond() > old.perSecond()) {
			r.res.runs[mBatch], r.res.best[mBatch] = got, way
			best = written{name, got.tally}
		}
	}
	return best
}

func (r *rounder) single(measurement string, callers int) {
	r.put("warm", load{callers: callers, calls: r.pl.warmups, batch: 1, atMost: r.pl.warmFor})
	r.res.runs[measurement] = r.put("singles", load{callers: callers, calls: r.pl.singles, batch: 1, atMost: r.pl.singleFor})
}

func (r *rounder) put(name string, ld load) run {
	return r.with(name, func(l log) (run, error) { return put(r.ctx, l, r.p, ld) })
}

// hotReads is how often what was just put is read: once takes too short to be measured well.
const hotReads = 3

func (r *rounder) read(measurement string, w written, times int) {
	r.res.runs[measurement] = r.with(w.name, func(l log) (run, error) { return read(r.ctx, l, r.pl.lanes, times, w.is, r.pl.readFor) })
}

// with opens a log for do and measures the processor time, unless something has failed before.
func (r *rounder) with(name string, do func(log) (run, error)) (got run) {
	if r.err != nil {
		return got
	}
	l, err := r.s.Log(r.ctx, name)
	if err != nil {
		r.err = err
		return got
	}
	before, err1 := cpuNow(r.s.Pid())
	got, err = do(l)
	after, err2 := cpuNow(r.s.Pid())
	got.CPU = after.since(before)
	r.err = errors.Join(err, err1, err2, l.Close())
	return got
}

// explained is the error with the end of the server's log, which is about to be removed.
func (r *rounder) explained(dir string) error {
	if r.err == nil {
		return nil
	}
	log, err := os.ReadFile(filepath.Join(dir, r.s.Name()+".log"))
	if err != nil {
		return fmt.Errorf("%s: %w", r.s.Name(), r.err)
	}
	return fmt.Errorf("%s: %w\nits log ends:\n%s", r.s.Name(), r.err, log[max(0, len(log)-4<<10):])
}
