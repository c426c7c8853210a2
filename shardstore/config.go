// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package shardstore

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore/blob"
	"github.com/leatstream/leat/shardstore/wal"
)

// Config is what a session needs. Each of Params that is zero is filled from DefaultParams.
type Config struct {
	Cluster leat.ClusterID
	Session leat.SessionID
	Driver  wal.Driver
	Log     wal.Params
	Blobs   blob.Store
	Index   Index
	Params  Params
	Clock   leat.Clock
	Rand    io.Reader // nonces; nil for crypto/rand
	Logger  *slog.Logger
	// Retention returns the time in microseconds before which a stream's records have expired at some time, and how long it keeps
	// records; ok is false when the stream is not known, and then nothing of it expires.
	Retention func(id leat.StreamID, now time.Time) (r Retention, ok bool)
	// Keys seals and opens the records of encrypted streams; nil: no stream is encrypted.
	Keys Keys
	// Guard says whether Clock is to be trusted (data-plane.md, rule 19); nil: one that knows of this session alone, and of no
	// other clock.
	Guard *ClockGuard
	// SessionClosed tells which of some sessions are closed for ever, so that packs of theirs that nothing names are
	// orphans (data-plane.md, rule 7). nil: nothing is swept.
	SessionClosed func(context.Context, []leat.SessionID) (map[leat.SessionID]bool, error)
	// Tracer follows what is done; nil: nothing is followed.
	Tracer Tracer
	// Leads tells whether this session deletes what is due, and sweeps, for all: one of many is enough. nil: always.
	Leads func() bool
}

// Retention is how long a stream keeps its records.
type Retention struct {
	ExpiredBefore int64         // microseconds since 1970
	Keep          time.Duration // bounds the time that one merged extent may span
}

// Params are the engine's sizes and times (data-plane.md, "Starting parameters").
type Params struct {
	SegmentTarget   int           // bytes of records after which a batch is full
	NotDurableBytes int           // bound of records taken but not yet durable; beyond it puts are refused
	TailBytes       int64         // budget of chunks kept in memory
	CacheBytes      int64         // budget of blocks read back
	PackEvery       time.Duration // age of the oldest segment that is not packed
	PackBytes       int64         // bytes of segments that start a pack early
	UnindexedRuns   int64         // bound of extents in memory that the index does not have yet (some 200 bytes each); beyond it puts are refused
	FastPacks       bool          // packs of segments keep the log's codec, S2, and merges alone are zstd: half the processor time, some more bytes
	ReadWindow      int64         // stored bytes of one ranged GET, at most; about twice as many raw bytes
	ReadAhead       int           // windows fetched ahead
	MergeFanIn      int           // extents of one level that start a merge
	MergeBytes      int64         // raw bytes of one merged object
	OwnObjectBytes  int64         // an extent this large is never merged again
	MergeRound      int64         // raw bytes of extents that stayed and are merged in one round of housekeeping
	KeepBytes       int64         // stored bytes from which on an extent stays in its segment instead of being packed (keep.go)
	KeepRows        int           // bound of extents that stayed and are not merged yet
	DeleteAfter     time.Duration // from the moment an object is no longer named
	HousekeepEvery  time.Duration // retention, merging and deletion
	UnloadAfter     time.Duration // without a catch-up read, a shard's extents leave memory
	SweepAfter      time.Duration // age of a pack that nothing names before the sweep takes it
}

// DefaultParams suits an object store.
func DefaultParams() Params {
	return Params{
		SegmentTarget: 4 << 20, NotDurableBytes: 256 << 20, TailBytes: 1 << 30, CacheBytes: 256 << 20,
		PackEvery: time.Minute, PackBytes: 128 << 20, UnindexedRuns: 2 << 20, ReadWindow: 4 << 20, ReadAhead: 2,
		MergeFanIn: 16, MergeBytes: 64 << 20, OwnObjectBytes: 16 << 20, MergeRound: 64 << 20,
		KeepBytes: 256 << 10, KeepRows: 16 << 10,
		DeleteAfter: 15 * time.Minute, HousekeepEvery: 30 * time.Second, UnloadAfter: 10 * time.Minute, SweepAfter: 24 * time.Hour,
	}
}

// LocalParams suits a local folder: no cost a request, and the processor is shared with whoever uses the server.
func LocalParams() Params {
	p := DefaultParams()
	p.NotDurableBytes, p.PackBytes, p.FastPacks = 64<<20, 64<<20, true
	p.TailBytes, p.CacheBytes, p.ReadWindow = 256<<20, 64<<20, 2<<20
	// A local read takes milliseconds, and a disk that keeps a quarter of an hour of fast puts twice is soon full. A
	// reader that is slower still asks the index again (data-plane.md, rule 17).
	p.DeleteAfter = time.Minute
	p.KeepBytes = 128 << 10 // another extent to read costs little here; its bytes written again take the disk from the log
	return p
}

func (c *Config) fill() error {
	if c.Driver == nil || c.Blobs == nil || c.Index == nil || c.Session.IsZero() {
		return errors.New("shardstore: Config needs Driver, Blobs, Index and Session")
	}
	if c.Clock == nil {
		c.Clock = leat.SystemClock{}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Guard == nil {
		c.Guard = NewClockGuard(c.Clock, nil, c.Logger)
	}
	if c.Rand == nil {
		c.Rand = rand.Reader
	}
	c.Rand = &lockedReader{r: c.Rand}
	if c.Retention == nil {
		c.Retention = func(leat.StreamID, time.Time) (Retention, bool) { return Retention{}, false }
	}
	c.Params.fill()
	return c.Params.Validate()
}

// fill puts the default in the place of each zero.
func (p *Params) fill() {
	d := DefaultParams()
	orDefault(&p.SegmentTarget, d.SegmentTarget)
	orDefault(&p.NotDurableBytes, d.NotDurableBytes)
	orDefault(&p.TailBytes, d.TailBytes)
	orDefault(&p.CacheBytes, d.CacheBytes)
	orDefault(&p.PackEvery, d.PackEvery)
	orDefault(&p.PackBytes, d.PackBytes)
	orDefault(&p.UnindexedRuns, d.UnindexedRuns)
	orDefault(&p.ReadWindow, d.ReadWindow)
	orDefault(&p.ReadAhead, d.ReadAhead)
	orDefault(&p.MergeFanIn, d.MergeFanIn)
	orDefault(&p.MergeBytes, d.MergeBytes)
	orDefault(&p.OwnObjectBytes, d.OwnObjectBytes)
	orDefault(&p.MergeRound, d.MergeRound)
	orDefault(&p.KeepBytes, d.KeepBytes)
	orDefault(&p.KeepRows, d.KeepRows)
	orDefault(&p.DeleteAfter, d.DeleteAfter)
	orDefault(&p.HousekeepEvery, d.HousekeepEvery)
	orDefault(&p.UnloadAfter, d.UnloadAfter)
	orDefault(&p.SweepAfter, d.SweepAfter)
}

func orDefault[T cmp.Ordered](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

// Validate tells all that is wrong, joined.
func (p Params) Validate() error {
	var errs []error
	need := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf("shardstore: "+format, args...))
		}
	}
	need(p.SegmentTarget > 0, "SegmentTarget %d must be positive", p.SegmentTarget)
	need(p.NotDurableBytes >= p.SegmentTarget, "NotDurableBytes %d must not be below SegmentTarget %d", p.NotDurableBytes, p.SegmentTarget)
	for name, n := range map[string]int64{
		"TailBytes": p.TailBytes, "CacheBytes": p.CacheBytes, "PackBytes": p.PackBytes, "UnindexedRuns": p.UnindexedRuns,
		"ReadWindow": p.ReadWindow, "MergeBytes": p.MergeBytes, "OwnObjectBytes": p.OwnObjectBytes,
		"MergeRound": p.MergeRound, "KeepBytes": p.KeepBytes, "KeepRows": int64(p.KeepRows),
	} {
		need(n > 0, "%s %d must be positive", name, n)
	}
	need(p.ReadAhead > 0, "ReadAhead %d must be positive", p.ReadAhead)
	need(p.MergeFanIn > 1, "MergeFanIn %d must be 2 or more", p.MergeFanIn)
	for name, d := range map[string]time.Duration{
		"PackEvery": p.PackEvery, "DeleteAfter": p.DeleteAfter, "HousekeepEvery": p.HousekeepEvery,
		"UnloadAfter": p.UnloadAfter, "SweepAfter": p.SweepAfter,
	} {
		need(d > 0, "%s %v must be positive", name, d)
	}
	return errors.Join(errs...)
}

// lockedReader lets many goroutines read from one source of randomness.
type lockedReader struct {
	mu sync.Mutex
	r  io.Reader
}

func (l *lockedReader) Read(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.r.Read(b)
}
