// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package datapoints

import (
	"cmp"
	"context"
	"crypto/rand"
	"embed"
	"io/fs"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/sqldb"
)

const (
	minute      = time.Minute
	every       = 15 * time.Second // how often rows are written
	sweepEvery  = 10 * time.Minute
	flushWithin = 10 * time.Second

	maxSeries  = 20_000 // that a node counts at a time, some 500 bytes each
	maxWaiting = 50_000 // rows that wait for the database, as large
	forgetIdle = 10     // minutes after which a series that counts nothing leaves memory
)

// DefaultKeep is how long datapoints are kept.
const DefaultKeep = 6 * time.Hour

// Options is what a Log needs; all have defaults.
type Options struct {
	Keep   time.Duration // how long datapoints are kept; 0 means DefaultKeep
	Clock  leat.Clock
	Logger *slog.Logger
}

// Series is what is counted together: a stream, one shard of it or one consumer of it, or a delivery stream.
type Series struct {
	Space    Space
	Account  string
	Name     string
	Shard    string // its id; empty: the whole stream
	Consumer string // empty: all readers
}

// Value is a measurement.
type Value struct {
	Metric Metric
	V      float64
}

// Log counts, and keeps what was counted. A nil Log counts nothing. Its methods may be called concurrently.
type Log struct {
	db     *sqldb.DB
	opts   Options
	writer string

	mu     sync.RWMutex
	counts map[Series]*count

	flushing sync.Mutex // one at a time
	waiting  map[place]*row
	lost     atomic.Uint64
	written  atomic.Uint64
}

// count is what one series has counted since the last flush.
type count struct {
	mu    sync.Mutex
	open  map[int64]*stats // by minute: the one under way, and sometimes the one before
	quiet int64            // the last minute in which anything was counted
}

// row is all that this node has counted in a minute.
type row struct {
	stats
	dirty bool // not all of it is written
}

// place is where a row stands.
type place struct {
	Series
	minute int64
}

// New makes a Log on a database. Run MUST be running for anything to be written.
func New(db *sqldb.DB, o Options) *Log {
	o.Keep = cmp.Or(o.Keep, DefaultKeep)
	if o.Clock == nil {
		o.Clock = leat.SystemClock{}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Log{db: db, opts: o, writer: rand.Text(), counts: map[Series]*count{}, waiting: map[place]*row{}}
}

//go:embed migrations/*.sql
var migrations embed.FS

// Migrate makes or updates the tables; see sqldb.DB.Migrate.
func (l *Log) Migrate(ctx context.Context) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	return l.db.Migrate(ctx, "datapoints", files)
}

// Keep is how long datapoints are kept.
func (l *Log) Keep() time.Duration { return l.opts.Keep }

// Now is the time by which minutes are told apart; the zero time of a nil Log, which measures nothing.
func (l *Log) Now() time.Time {
	if l == nil {
		return time.Time{}
	}
	return l.opts.Clock.Now()
}

// Observe counts measurements of one series that were made now.
func (l *Log) Observe(s Series, values ...Value) {
	if l != nil {
		l.ObserveAt(s, l.opts.Clock.Now(), values...)
	}
}

// ObserveAt counts measurements that were made at a time, a moment ago.
func (l *Log) ObserveAt(s Series, at time.Time, values ...Value) {
	l.count(s, at, func(to *stats) {
		for _, v := range values {
			to.add(v.Metric, Stat{1, v.V, v.V, v.V})
		}
	})
}

// Add counts what somebody else has counted of a metric.
func (l *Log) Add(s Series, at time.Time, metric Metric, counted Stat) {
	if counted.Count > 0 {
		l.count(s, at, func(to *stats) { to.add(metric, counted) })
	}
}

func (l *Log) count(s Series, at time.Time, add func(*stats)) {
	c := l.of(s)
	if c == nil {
		l.lost.Add(1)
		return
	}
	m := minuteOf(at)
	c.mu.Lock()
	defer c.mu.Unlock()
	to := c.open[m]
	if to == nil {
		to = new(stats)
		c.open[m] = to
		c.quiet = max(c.quiet, m)
	}
	add(to)
}

func minuteOf(t time.Time) int64 { return t.Unix() / int64(minute/time.Second) }

// of returns the count of a series; nil when there are too many.
func (l *Log) of(s Series) *count {
	l.mu.RLock()
	c := l.counts[s]
	l.mu.RUnlock()
	if c != nil {
		return c
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if c = l.counts[s]; c == nil && len(l.counts) < maxSeries {
		c = &count{open: map[int64]*stats{}, quiet: minuteOf(l.opts.Clock.Now())}
		l.counts[s] = c
	}
	return c
}

// Run asks gather for what others have counted, and writes, until ctx ends; then it writes the rest. Where leads says so it
// deletes what is too old. gather may be nil. It returns nil.
func (l *Log) Run(ctx context.Context, leads func() bool, gather func(ctx context.Context, at time.Time)) error {
	swept := l.opts.Clock.Now()
	for {
		now := l.opts.Clock.Now()
		round, stop := l.opts.Clock.NewTimer(now.Truncate(every).Add(every).Sub(now)) // so that one round ends with each minute
		select {
		case <-round:
		case <-ctx.Done():
			stop()
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushWithin)
			defer cancel()
			l.round(last, gather)
			return nil
		}
		l.round(ctx, gather)
		if now = l.opts.Clock.Now(); now.Sub(swept) >= sweepEvery && leads() {
			swept = now
			if err := l.Sweep(ctx); err != nil && ctx.Err() == nil {
				l.opts.Logger.Warn("old datapoints stay", "error", err)
			}
		}
	}
}

func (l *Log) round(ctx context.Context, gather func(context.Context, time.Time)) {
	if gather != nil {
		gather(ctx, l.opts.Clock.Now().Add(-time.Second)) // of the minute that ends now
	}
	if err := l.Flush(ctx); err != nil {
		l.opts.Logger.Warn("datapoints wait for the database", "error", err)
	}
}

// Flush writes what was counted. What cannot be written waits, within bounds.
func (l *Log) Flush(ctx context.Context) error {
	l.flushing.Lock()
	defer l.flushing.Unlock()
	now := minuteOf(l.opts.Clock.Now())
	l.collect(now)
	dirty := make([]place, 0, len(l.waiting))
	for at, r := range l.waiting {
		if r.dirty {
			dirty = append(dirty, at)
		}
	}
	within, cancel := context.WithTimeout(ctx, flushWithin)
	defer cancel()
	if err := l.write(within, dirty); err != nil {
		l.bound(now)
		return err
	}
	l.written.Add(uint64(len(dirty)))
	for at, r := range l.waiting {
		if r.dirty = false; at.minute < now-1 {
			delete(l.waiting, at) // it is over for so long that nothing is added to it
		}
	}
	return nil
}

// collect adds what was counted to the rows. Those of minutes that may go on stay in memory, since they are written whole.
func (l *Log) collect(now int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for s, c := range l.counts {
		c.mu.Lock()
		for m, counted := range c.open {
			at := place{s, m}
			to := l.waiting[at]
			if to == nil {
				to = new(row)
				l.waiting[at] = to
			}
			to.merge(*counted)
			to.dirty = true
			delete(c.open, m)
		}
		idle := now-c.quiet > forgetIdle
		c.mu.Unlock()
		if idle {
			delete(l.counts, s)
		}
	}
}

// bound drops the oldest rows that wait.
func (l *Log) bound(now int64) {
	for oldest := now - int64(l.opts.Keep/minute); len(l.waiting) > maxWaiting && oldest <= now; oldest++ {
		for at := range l.waiting {
			if at.minute <= oldest {
				delete(l.waiting, at)
				l.lost.Add(1)
			}
		}
	}
}

// Metrics are the series of this node's own work.
func (l *Log) Metrics() []prometheus.Collector {
	counter := func(name, help string, n *atomic.Uint64) prometheus.Collector {
		return prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, func() float64 { return float64(n.Load()) })
	}
	return []prometheus.Collector{
		counter("leat_datapoints_rows_total", "Rows of minutes, for the CloudWatch API, that this node wrote; one of a minute under way is written again.", &l.written),
		counter("leat_datapoints_lost_total", "Measurements and rows of minutes that this node could not keep: too many series, or the database away for too long.", &l.lost),
	}
}
