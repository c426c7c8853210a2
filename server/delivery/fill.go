// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/delivery/spec"
	"github.com/leatstream/leat/shardstore"
)

const (
	pageBytes = 4 << 20 // of one read
	idleWait  = 15 * time.Second
	mergeWait = 100 * time.Millisecond // between two looks at several shards
)

// buffer is what was read and is not planned yet.
type buffer struct {
	bytes   int64
	records int
	oldest  int64
	newest  int64
}

// rangeRecords bounds the records of one range, however small they are: what a range takes in memory goes by both.
const rangeRecords = 1 << 20

// mostBytes is how many bytes of records a range has at most. With partitions the buffer's bytes are each partition's, so
// that a range has many times as many, within what deliveries may hold.
func (e *Engine) mostBytes(c *spec.Config) int64 {
	if c.Partitioning == nil {
		return c.Buffer.Bytes
	}
	const share = 4
	return max(c.Buffer.Bytes, min(spec.MaxBufferBytes, e.cfg.Memory/share))
}

// fill reads on until an object is due: its bytes or its age are reached, or a shard has ended. It holds what it reads
// while there is room; otherwise the records are read again.
func (w *worker) fill(ctx context.Context, b *spec.Buffer, most int64) (oldest, newest int64, err error) {
	buf := buffer{oldest: math.MaxInt64}
	for {
		caught, due := true, false
		for _, s := range w.shards {
			up, cut, err := w.read(ctx, s, most, &buf)
			if err != nil {
				return 0, 0, err
			}
			caught = caught && up
			due = due || cut || s.ended
		}
		age := timeOf(buf.oldest).Add(b.Age()).Sub(w.e.cfg.Clock.Now())
		if buf.bytes == 0 && buf.newest == 0 {
			age = idleWait
		}
		if due || buf.bytes >= most || buf.records >= rangeRecords || caught && buf.newest != 0 && age <= 0 {
			return buf.oldest, buf.newest, nil
		}
		if caught {
			if err := w.wait(ctx, min(age, idleWait)); err != nil {
				return 0, 0, err
			}
		}
	}
}

// read reads one page of a shard. up: there is nothing more now. cut: the object must end here.
func (w *worker) read(ctx context.Context, s *source, most int64, buf *buffer) (up, cut bool, err error) {
	if s.gone {
		return true, false, w.pass(ctx, s)
	}
	if s.stop >= 0 && s.pos >= uint64(s.stop) {
		s.ended = true
	}
	room := most - buf.bytes
	if s.ended || room <= 0 {
		return true, false, nil
	}
	lim := shardstore.ReadLimits{Records: leat.MaxGetRecords, Bytes: int(min(room, pageBytes)), Look: true}
	if s.stop >= 0 {
		lim.Records = int(min(uint64(s.stop)-s.pos, leat.MaxGetRecords))
	}
	page, err := w.e.cfg.Records.Read(ctx, s.key, s.pos, lim)
	if err != nil {
		return false, false, err
	}
	begins := page.Next
	if len(page.Records) > 0 {
		begins = page.Records[0].Offset
	}
	if s.stop >= 0 {
		begins = min(begins, uint64(s.stop))
	}
	if begins > s.pos { // what lies between has expired
		if s.pos > s.next {
			return false, true, nil // the object ends before the gap
		}
		return false, false, w.skip(ctx, s, begins)
	}
	for i := range page.Records {
		r := &page.Records[i]
		if s.stop >= 0 && r.Offset >= uint64(s.stop) {
			page.Records = page.Records[:i]
			break
		}
		buf.bytes += int64(len(r.Data))
		s.bytes += int64(r.Size())
		buf.oldest, buf.newest = min(buf.oldest, r.Time), max(buf.newest, r.Time)
	}
	if n := len(page.Records); n > 0 {
		s.newest = page.Records[n-1].Time
		buf.records += n
	}
	s.pos += uint64(len(page.Records))
	w.keep(s, page.Records)
	s.ended = page.Ended && s.pos == page.Next || s.stop >= 0 && s.pos >= uint64(s.stop)
	return s.pos >= page.Tail || s.ended, false, nil
}

// pass ends a shard that is no more: what it had has expired.
func (w *worker) pass(ctx context.Context, s *source) error {
	s.ended = true
	if s.stop < 0 { // nobody looked between its end and its removal
		w.log.Error("a shard is no more, and it is not known how many of its records expired before they were delivered", "shard", leat.ShardID(s.key.Ordinal))
		return nil
	}
	if uint64(s.stop) <= s.pos {
		return nil
	}
	return w.skip(ctx, s, uint64(s.stop))
}

// skip moves the cursor over records that are gone.
func (w *worker) skip(ctx context.Context, s *source, to uint64) error {
	parts := []Part{{Shard: s.key.Ordinal, First: s.pos, End: to}}
	p := &plan{id: planID(w.want.delivery.ID, w.want.track, parts), track: w.want.track, version: w.want.version, parts: parts, newest: leat.Micros(w.e.cfg.Clock.Now())}
	w.log.Error("records expired before they were delivered", "shard", leat.ShardID(s.key.Ordinal), "records", to-s.pos)
	if err := w.e.tables.skip(ctx, w.want.delivery.ID, p, s.epoch); err != nil {
		return err
	}
	if _, err := w.e.enter(ctx, w.want.delivery.ID, p, p.manifest); err != nil {
		return err
	}
	w.counts.expired.Add(to - s.pos)
	s.next, s.pos = to, to
	return nil
}

// keep holds a page while there is room.
func (w *worker) keep(s *source, records []leat.Record) {
	if len(records) == 0 {
		return
	}
	size := int64(0)
	for i := range records {
		size += int64(records[i].Size()) + recordOverhead
	}
	complete := s.pos-uint64(len(records)) == s.next || s.pages != nil
	if !complete || w.e.held.Load()+size > w.e.cfg.Memory {
		w.letGo(s)
		return
	}
	s.pages = append(s.pages, records)
	w.held += size
	w.e.held.Add(size)
}

// recordOverhead is what a record takes in memory besides its bytes.
const recordOverhead = 96

func (w *worker) letGo(s *source) {
	for _, page := range s.pages {
		for i := range page {
			size := int64(page[i].Size()) + recordOverhead
			w.held -= size
			w.e.held.Add(-size)
		}
	}
	s.pages = nil
}

// drop lets go of everything that is held.
func (w *worker) drop() {
	for _, s := range w.shards {
		w.letGo(s)
	}
}

// wait returns when there may be more, or after d.
func (w *worker) wait(ctx context.Context, d time.Duration) error {
	if len(w.shards) != 1 {
		w.sleep(ctx, min(d, mergeWait))
		return ctx.Err()
	}
	s := w.shards[0]
	brief, cancel := context.WithTimeout(ctx, max(d, time.Millisecond))
	defer cancel()
	err := w.e.cfg.Records.Wait(brief, s.key, s.pos)
	if err != nil && ctx.Err() == nil && (errors.Is(err, context.DeadlineExceeded) || brief.Err() != nil) {
		return nil
	}
	return err
}
