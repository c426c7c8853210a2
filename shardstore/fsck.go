// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package shardstore

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore/blob"
	"github.com/leatstream/leat/shardstore/segment"
	"github.com/leatstream/leat/shardstore/wal"
)

// FsckShard is what the catalog says of one shard.
type FsckShard struct {
	Assignment
	Final   uint64   // of a closed shard
	Extents []Extent // registered, in order
}

// Problem is one place where storage does not agree with itself.
type Problem struct {
	Shard  leat.ShardKey
	Object string // empty when the catalog alone is wrong
	Offset uint64 // of the first record concerned
	Text   string
}

// String returns the problem on one line.
func (p Problem) String() string {
	s := fmt.Sprintf("%s offset %d: %s", p.Shard, p.Offset, p.Text)
	if p.Object != "" {
		s += " (" + p.Object + ")"
	}
	return s
}

// FsckStats counts what was looked at.
type FsckStats struct {
	Shards, Extents, Records uint64
	Sealed                   uint64 // extents that were not opened, for want of keys: their records' own checksums were not checked
	Erased                   uint64 // extents whose keys were destroyed: as it should be, nobody can open them
	Bytes                    int64  // stored bytes read and checked
	Problems                 int
}

// Fsck checks the catalog against storage and repairs nothing: that each shard's extents cover [horizon, end) without
// gap or overlap and every object they name exists (I7), that times never fall (I9) nor epochs (I12), and that every checksum holds:
// of the extent, of its blocks and of each record. Sealed extents are opened with keys; without (nil) they are checked as
// far as that goes. An error means that the check itself could not go on.
func Fsck(ctx context.Context, driver wal.Driver, blobs blob.Store, keys segment.Keys, shards iter.Seq2[FsckShard, error], report func(Problem)) (FsckStats, error) {
	f := fsck{driver: driver, blobs: blobs, keys: keys, coder: segment.NewCoder().WithKeys(keys), report: report}
	ctx, stop := context.WithCancel(ctx)
	var reads sync.WaitGroup
	defer reads.Wait()
	defer stop()
	steps := make(chan fsckStep, fsckAhead)
	reads.Go(func() {
		defer close(steps)
		f.readAhead(ctx, shards, steps, &reads)
	})
	for st := range steps {
		err := st.err
		switch {
		case err != nil:
		case st.read == nil:
			f.shard(st.shard)
		default:
			r := <-st.read
			err = f.extent(st.extent, r.stored, r.err)
		}
		if err != nil {
			return f.stats, err
		}
	}
	return f.stats, ctx.Err()
}

// fsckAhead is how many extents are read before their turn: a bucket answers many requests in the time of one.
const fsckAhead = 8

// fsckStep is what is looked at next, in the order of the index: a shard, then its extents.
type fsckStep struct {
	shard  FsckShard
	extent Extent
	read   chan fsckRead // gets one; nil: it is a shard
	err    error         // of the index
}

// fsckRead is an extent's bytes.
type fsckRead struct {
	stored []byte
	err    error
}

// readAhead begins to read extents and hands them on in order, until ctx ends.
func (f *fsck) readAhead(ctx context.Context, shards iter.Seq2[FsckShard, error], steps chan<- fsckStep, reads *sync.WaitGroup) {
	send := func(st fsckStep) bool {
		select {
		case steps <- st:
			return true
		case <-ctx.Done():
			return false
		}
	}
	for sh, err := range shards {
		if !send(fsckStep{shard: sh, err: err}) || err != nil {
			return
		}
		runs, _ := sh.runs()
		for _, e := range runs {
			read := make(chan fsckRead, 1)
			reads.Go(func() {
				stored, err := f.read(ctx, e)
				read <- fsckRead{stored, err}
			})
			if !send(fsckStep{extent: e, read: read}) {
				return
			}
		}
	}
}

type fsck struct {
	driver wal.Driver
	blobs  blob.Store
	keys   segment.Keys
	coder  *segment.Coder
	report func(Problem)
	stats  FsckStats
}

func (f *fsck) problem(k leat.ShardKey, object string, at uint64, format string, args ...any) {
	f.stats.Problems++
	f.report(Problem{Shard: k, Object: object, Offset: at, Text: fmt.Sprintf(format, args...)})
}

// runs returns a shard's extents in order, with those that are not adopted yet, and where they should end.
func (sh *FsckShard) runs() (runs []Extent, end uint64) {
	runs, end = slices.Clone(sh.Extents), sh.Next
	for _, p := range sh.Pending {
		for _, e := range p.Extents {
			if e.End() > sh.Next {
				runs = append(runs, e)
				end = max(end, e.End())
			}
		}
	}
	return runs, end
}

// shard checks what the index says of a shard.
func (f *fsck) shard(sh FsckShard) {
	f.stats.Shards++
	runs, end := sh.runs()
	f.cover(sh, runs, end)
	last, epoch := int64(0), uint64(0)
	for _, e := range runs {
		if e.MinTime < last {
			f.problem(sh.Shard, e.Object, e.First, "times fall: %d after %d", e.MinTime, last)
		}
		if e.Epoch < epoch || e.Epoch > sh.Epoch {
			f.problem(sh.Shard, e.Object, e.First, "epoch %d comes after %d, and the shard is in %d", e.Epoch, epoch, sh.Epoch)
		}
		last, epoch = e.MaxTime, e.Epoch
	}
}

// cover checks that the extents join, from at or below the horizon to the end.
func (f *fsck) cover(sh FsckShard, runs []Extent, end uint64) {
	if sh.Closed && sh.Final != end {
		f.problem(sh.Shard, "", end, "the shard is closed at %d but its extents end at %d", sh.Final, end)
	}
	if len(runs) == 0 {
		if sh.Horizon != end {
			f.problem(sh.Shard, "", sh.Horizon, "records up to %d are not in any extent", end)
		}
		return
	}
	if first := runs[0].First; first > sh.Horizon {
		f.problem(sh.Shard, runs[0].Object, sh.Horizon, "the first extent begins at %d, above the horizon", first)
	}
	at := runs[0].First
	for _, e := range runs {
		switch {
		case e.First > at:
			f.problem(sh.Shard, e.Object, at, "records up to %d are not in any extent", e.First)
		case e.First < at:
			f.problem(sh.Shard, e.Object, e.First, "records up to %d are in two extents", at)
		}
		at = e.End()
	}
	if at != end {
		f.problem(sh.Shard, "", at, "the extents end at %d but the shard at %d", at, end)
	}
}

// read reads an extent's bytes.
func (f *fsck) read(ctx context.Context, e Extent) ([]byte, error) {
	if session, n, ok := wal.ParseKey(e.Object); ok {
		return f.driver.Read(ctx, session, n, e.Off, e.Len)
	}
	return f.blobs.Read(ctx, e.Object, e.Off, e.Len)
}

// extent checks every record in an extent's bytes, or why they could not be read.
func (f *fsck) extent(e Extent, stored []byte, err error) error {
	f.stats.Extents++
	switch {
	case errors.Is(err, blob.ErrNotFound):
		f.problem(e.Shard, e.Object, e.First, "the object is missing")
		return nil
	case leat.KindOf(err) == leat.KindCorrupt: // the frame of a log file
		f.problem(e.Shard, e.Object, e.First, "%v", err)
		return nil
	case err != nil:
		return fmt.Errorf("read %s: %w", e.Object, err)
	}
	f.stats.Bytes += int64(len(stored))
	if e.Sealed() && f.keys == nil {
		f.stats.Sealed++
		f.closed(e, stored)
		return nil
	}
	c, err := f.coder.DecodeExtent(e, stored)
	if errors.Is(err, segment.ErrErased) {
		f.stats.Erased++
		f.closed(e, stored)
		return nil
	}
	if leat.KindOf(err) == leat.KindUnavailable && !damaged(err) {
		return err // the key cannot be had here, or not now
	}
	if err != nil {
		f.problem(e.Shard, e.Object, e.First, "%v", err)
		return nil
	}
	var records []leat.Record
	for at := e.First; at < e.End(); {
		records, err = c.Records(records[:0], at, 1000, 64<<20)
		if err != nil || len(records) == 0 {
			f.problem(e.Shard, e.Object, at, "record: %v", err)
			return nil
		}
		at += uint64(len(records))
	}
	f.stats.Records += e.Count
	return nil
}

// closed checks an extent as it is stored.
func (f *fsck) closed(e Extent, stored []byte) {
	f.stats.Records += e.Count
	if err := segment.VerifyExtent(e, stored); err != nil {
		f.problem(e.Shard, e.Object, e.First, "%v", err)
	}
}

// damaged tells whether a key cannot be had because it is damaged or lost itself.
func damaged(err error) bool {
	var e *leat.Error
	return errors.As(errors.Unwrap(err), &e) && e.Kind == leat.KindCorrupt
}
