// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package shardstore

import (
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore/blob"
	"github.com/leatstream/leat/shardstore/wal"
)

// Config is what a session needs. Zero Params are filled from DefaultParams.
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
	// Retention returns the time in microseconds before which a stream's records have expired and how long it keeps
	// records; ok is false when the stream is not known, and then nothing of it expires.
	Retention func(leat.StreamID) (r Retention, ok bool)
	// Reference is another clock, the database's or the bucket's, asked when the wall clock jumps (data-plane.md,
	// rule 19); nil where there is none, as on a laptop that slept.
	Reference func() (time.Time, error)
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
	ReadWindow      int64         // bytes of one ranged GET
	ReadAhead       int           // windows fetched ahead
	MergeFanIn      int           // extents of one level that start a merge
	MergeBytes      int64         // raw bytes of one merged object
	OwnObjectBytes  int64         // an extent this large is never merged again
	DeleteAfter     time.Duration // from the moment an object is no longer named
	HousekeepEvery  time.Duration // retention, merging and deletion
	SweepAfter      time.Duration // age of an object that nothing names before the sweep takes it
}

// DefaultParams suits an object store.
func DefaultParams() Params {
	return Params{
		SegmentTarget: 4 << 20, NotDurableBytes: 256 << 20, TailBytes: 1 << 30, CacheBytes: 256 << 20,
		PackEvery: time.Minute, PackBytes: 128 << 20, ReadWindow: 4 << 20, ReadAhead: 2,
		MergeFanIn: 16, MergeBytes: 64 << 20, OwnObjectBytes: 16 << 20,
		DeleteAfter: 15 * time.Minute, HousekeepEvery: 30 * time.Second, SweepAfter: 24 * time.Hour,
	}
}

// LocalParams suits a local folder: smaller commits, no cost a request.
func LocalParams() Params {
	p := DefaultParams()
	p.SegmentTarget, p.NotDurableBytes, p.PackBytes = 1<<20, 64<<20, 64<<20
	p.TailBytes, p.CacheBytes = 256<<20, 64<<20
	return p
}

func (c *Config) fill() error {
	if c.Driver == nil || c.Blobs == nil || c.Index == nil || c.Session.IsZero() {
		return fmt.Errorf("shardstore: Config needs Driver, Blobs, Index and Session")
	}
	if c.Clock == nil {
		c.Clock = leat.SystemClock{}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Params == (Params{}) {
		c.Params = DefaultParams()
	}
	if c.Retention == nil {
		c.Retention = func(leat.StreamID) (Retention, bool) { return Retention{}, false }
	}
	return nil
}
