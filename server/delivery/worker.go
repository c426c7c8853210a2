// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/sqldb"
	"github.com/leatstream/leat/server/delivery/spec"
	"github.com/leatstream/leat/shardstore"
)

// worker delivers one shard of a track, or several shards merged, from where the catalog says. It ends when something else
// should run: a shard has ended or moved.
type worker struct {
	e      *Engine
	want   wanted
	cancel context.CancelFunc
	done   chan struct{}
	log    *slog.Logger
	jitter func() float64
	counts *counts

	tools   map[uint64]*tools // by version of the configuration
	shards  []*source
	held    int64 // bytes in pages
	sending sending
	failed  bool // the last try
}

// source is a shard that is delivered.
type source struct {
	key   leat.ShardKey
	epoch uint64
	next  uint64 // the cursor
	pos   uint64 // read up to here
	stop  int64  // -1: the shard's end
	bytes int64  // of the records since next
	pages [][]leat.Record
	ended bool // nothing comes after pos

	newest int64 // arrival of the last record that was read
	gone   bool  // the shard is no more
}

// errRegroup says that what runs has to be decided anew.
var errRegroup = errors.New("delivery: look again")

// run delivers, and tries again after failures, later each time.
func (w *worker) run(ctx context.Context) {
	defer w.close()
	pause, moved := w.e.cfg.Pause, w.e.cfg.Pause/4
	for ctx.Err() == nil {
		before := w.counts.commits.Load()
		err := sheltered(w.log, func() error { return w.deliver(ctx) })
		if errors.Is(err, errPanic) {
			w.forget()
		}
		w.drop()
		if w.counts.commits.Load() != before {
			pause, moved = w.e.cfg.Pause, w.e.cfg.Pause/4
		}
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, errMoved): // whoever is at work has to get on: a plan of several shards that another node leads may take long
			w.sleep(ctx, moved)
			moved = min(2*moved, w.e.cfg.Look)
			continue
		case errors.Is(err, errTurn):
			continue // behind those that wait
		case errors.Is(err, errRegroup), errors.Is(err, shardstore.ErrNotOwned), leat.KindOf(err) == leat.KindNotFound:
			w.log.Debug("delivery looks again", "reason", err)
			w.sleep(ctx, w.e.cfg.Pause/4) // not at once: whoever is at work has to get on
			return
		}
		w.failed = true
		unsent, ok := errors.AsType[*unsentError](err)
		if ok && unsent.attempts == 1 { // what was sent before it was taken, or given up
			pause = w.e.cfg.Pause
		}
		wait := pause/2 + time.Duration(w.jitter()*float64(pause))
		if ok {
			wait = min(wait, unsent.left)
		}
		w.counts.failures.Add(1)
		w.log.Warn("delivery waits", "error", err, "retry_in", wait)
		w.because(ctx, err)
		w.sleep(ctx, wait)
		pause = min(2*pause, longestPause)
	}
}

// errPanic is what came of a plan over which something panicked. What others make of records that anybody may have put,
// codecs, queries and modules, must not end a node. Its delivery waits, and the log has the rest.
var errPanic = leat.Errorf(leat.KindInternal, "a fault in the server broke off the work on these records: its log says which")

// sheltered turns a panic of f into an error.
func sheltered(log *slog.Logger, f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			log.Error("delivery panicked", "panic", p, "stack", string(debug.Stack()))
			err = errPanic
		}
	}()
	return f()
}

// forget lets go of the tools, which a panic may have left anyhow.
func (w *worker) forget() {
	for version, t := range w.tools {
		delete(w.tools, version)
		_ = sheltered(w.log, func() error { // nothing of it is needed any more
			t.close()
			return nil
		})
	}
}

// because keeps in the catalog why the delivery does not go on.
func (w *worker) because(ctx context.Context, why error) {
	if err := w.e.tables.fail(ctx, w.want.delivery.ID, w.want.track, w.want.ordinals, brief(why)); err != nil {
		w.log.Debug("the reason cannot be kept", "error", err)
	}
}

// brief is an error's text, bounded.
func brief(why error) string {
	reason := why.Error()
	if len(reason) > 500 {
		reason = strings.ToValidUTF8(reason[:500], "") + "…"
	}
	return reason
}

func (w *worker) sleep(ctx context.Context, d time.Duration) {
	c, stop := w.e.cfg.Clock.NewTimer(d)
	defer stop()
	select {
	case <-c:
	case <-ctx.Done():
	}
}

func (w *worker) close() {
	w.drop()
	w.forget()
}

// with returns the tools of a version of the configuration.
func (w *worker) with(ctx context.Context, version uint64) (*tools, error) {
	if t := w.tools[version]; t != nil {
		return t, nil
	}
	c, err := w.e.config(ctx, w.want.delivery.ID, w.want.track, version)
	if err != nil {
		return nil, err
	}
	t, err := w.e.compile(ctx, w.want.delivery.Account, w.want.delivery.Name, c)
	if err != nil {
		return nil, err
	}
	if w.tools == nil {
		w.tools = map[uint64]*tools{}
	}
	w.tools[version] = t
	return t, nil
}

// deliver goes on from the cursors until something fails or has to be decided anew.
func (w *worker) deliver(ctx context.Context) error {
	if err := w.resume(ctx); err != nil { // first: what is planned goes on, though nothing new can be
		return err
	}
	t, err := w.with(ctx, w.want.version)
	if err != nil {
		return err
	}
	if err := w.e.refuse(&t.config); err != nil {
		return err
	}
	for {
		oldest, newest, err := w.fill(ctx, &t.config.Buffer, w.e.mostBytes(&t.config))
		if err != nil {
			return err
		}
		if parts := w.parts(); len(parts) > 0 {
			p := &plan{track: w.want.track, version: w.want.version, parts: parts, oldest: oldest, newest: newest}
			p.id = planID(w.want.delivery.ID, p.track, parts)
			if err := w.e.tables.plan(ctx, w.want.delivery.ID, p, w.epochs(parts)); err != nil {
				return err
			}
			if err := w.e.at(ctx, StepPlanned, p.id); err != nil {
				return err
			}
			if err := w.carryOut(ctx, p, t, false); err != nil {
				return err
			}
			w.drop()
		}
		over := false
		for _, s := range w.shards {
			s.next, s.bytes = s.pos, 0
			if s.ended {
				if err := w.e.settle(ctx, w.want.delivery.ID, w.want.track, s.key.Ordinal); err != nil {
					return err
				}
				if err := w.e.tables.finish(ctx, w.want.delivery.ID, w.want.track, s.key.Ordinal, s.next); err != nil {
					return err
				}
				over = true
			}
		}
		if over {
			return errRegroup
		}
	}
}

// resume reads the cursors and carries out the plans that are tied to them.
func (w *worker) resume(ctx context.Context) error {
	all, err := w.e.tables.cursors(ctx, w.want.delivery.ID)
	if err != nil {
		return err
	}
	at := map[uint64]cursor{}
	for _, c := range all[w.want.track] {
		at[c.ordinal] = c
	}
	w.shards = nil
	for _, o := range w.want.ordinals {
		c, ok := at[o]
		if !ok || c.done {
			return errRegroup
		}
		key := leat.ShardKey{Stream: w.want.delivery.Stream, Ordinal: o}
		epoch, mine := w.e.cfg.Owns(key)
		gone := w.gone(o)
		if gone {
			epoch, mine = c.epoch, true
		}
		if !mine {
			return errRegroup
		}
		if c.plan != "" {
			return w.redo(ctx, c.plan)
		}
		w.shards = append(w.shards, &source{key: key, epoch: epoch, next: c.next, pos: c.next, stop: c.stop, gone: gone})
	}
	return nil
}

// redo carries out a plan that somebody died over, if it is ours: its first shard's owner does it.
func (w *worker) redo(ctx context.Context, id string) error {
	p, err := w.e.tables.planned(ctx, id)
	if errors.Is(err, sql.ErrNoRows) {
		return leat.Errorf(leat.KindCorrupt, "plan %s is at a cursor and in no table", id)
	}
	if err != nil {
		return err
	}
	lead := leat.ShardKey{Stream: w.want.delivery.Stream, Ordinal: p.parts[0].Shard}
	if _, mine := w.e.cfg.Owns(lead); !mine && (!w.gone(lead.Ordinal) || !slices.Contains(w.want.ordinals, lead.Ordinal)) {
		return errMoved
	}
	t, err := w.with(ctx, p.version)
	if err != nil {
		return err
	}
	w.log.Info("delivery carries out a plan again", "plan", p.id, "ranges", ranges(p.parts))
	w.shards = nil
	if err := w.carryOut(ctx, &p, t, true); err != nil {
		return err
	}
	return w.resume(ctx)
}

func (w *worker) gone(ordinal uint64) bool { return slices.Contains(w.want.gone, ordinal) }

func (w *worker) parts() (parts []Part) {
	for _, s := range w.shards {
		if s.pos > s.next {
			parts = append(parts, Part{Shard: s.key.Ordinal, First: s.next, End: s.pos, Newest: s.newest, Bytes: s.bytes})
		}
	}
	return parts
}

func (w *worker) epochs(parts []Part) (epochs []uint64) {
	for _, p := range parts {
		for _, s := range w.shards {
			if s.key.Ordinal == p.Shard {
				epochs = append(epochs, s.epoch)
			}
		}
	}
	return epochs
}

// carryOut does the rest of the protocol for a plan that is in the catalog. again: somebody may have begun.
func (w *worker) carryOut(ctx context.Context, p *plan, t *tools, again bool) (err error) {
	ctx, span := w.e.cfg.Tracer.Work(ctx, "deliver")
	if span.Followed() {
		span.On(w.want.delivery.Account, "")
		span.Text("leat.delivery", w.want.delivery.Name)
		span.Text("leat.plan", p.id)
		defer func() { span.End(err) }()
	}
	j := &job{e: w.e, delivery: w.want.delivery, t: t, p: p, again: again, sent: w.sending.of(p.id), entered: &w.sending.entered}
	size, columns := w.size(p, t), int64(0)
	if t.config.Format.Kind == spec.ParquetFile {
		columns = 2 * size // a copy of the records, and a cell of 16 bytes for each value
	}
	if j.room, err = w.e.room(ctx, w.want.delivery.Account, size, columns, again || w.failed); err != nil {
		return err
	}
	defer j.room.free()
	for _, part := range p.parts {
		if err := w.gather(ctx, j, part); err != nil {
			return err
		}
	}
	if err := j.run(ctx); err != nil {
		return err
	}
	if err := w.e.at(ctx, StepWritten, p.id); err != nil {
		return err
	}
	used, err := j.usage()
	if err != nil {
		return err
	}
	if err := w.e.tables.commit(ctx, w.want.delivery.ID, p, func(tx *sqldb.Tx) error { return w.e.cfg.Bill(tx, used) }); err != nil {
		return err
	}
	w.failed = false
	w.counts.committed(p)
	w.counts.delivered(p, w.want.delivery, &t.config.Buffer, w.e.cfg.Clock.Now())
	if !w.e.cfg.Ledger && (again || t.keeps()) {
		w.e.unstage(ctx, p.id)
	}
	return w.e.at(ctx, StepCommitted, p.id)
}

// size is what the records of a plan take in memory: what is held, or else what the plan says. Of one of an older version, what they
// may take.
func (w *worker) size(p *plan, t *tools) int64 {
	held, known, bytes, records := true, true, int64(0), int64(0)
	for _, part := range p.parts {
		held = held && slices.ContainsFunc(w.shards, func(s *source) bool { return s.key.Ordinal == part.Shard && s.pages != nil })
		known = known && part.Bytes > 0
		bytes += part.Bytes
		records += int64(part.End - part.First)
	}
	switch {
	case held:
		return w.held
	case !known:
		bytes = min(w.e.mostBytes(&t.config), records*leat.MaxRecordBytes)
	}
	return bytes + records*recordOverhead
}

// gather collects the records of a part: those that are held, otherwise it reads them again.
func (w *worker) gather(ctx context.Context, j *job, part Part) error {
	key := leat.ShardKey{Stream: w.want.delivery.Stream, Ordinal: part.Shard}
	if w.gone(part.Shard) {
		return nil
	}
	for _, s := range w.shards {
		if s.key == key && s.pages != nil {
			for _, page := range s.pages {
				if err := j.take(key, page); err != nil {
					return err
				}
			}
			return nil
		}
	}
	for from := part.First; from < part.End; {
		page, err := w.e.cfg.Records.Read(ctx, key, from, shardstore.ReadLimits{Records: int(min(part.End-from, leat.MaxGetRecords)), Bytes: pageBytes, Look: true})
		if err != nil {
			return err
		}
		records := page.Records
		for len(records) > 0 && records[len(records)-1].Offset >= part.End {
			records = records[:len(records)-1] // the horizon has passed the range's end
		}
		if err := j.take(key, records); err != nil {
			return err
		}
		if page.Next <= from {
			return leat.Errorf(leat.KindUnavailable, "%s ends at %d, before the range of its plan: it is being opened", leat.ShardID(part.Shard), from)
		}
		from = page.Next
	}
	return nil
}

// take adds records to the job, each compared with the checksum that it entered with.
func (j *job) take(key leat.ShardKey, records []leat.Record) error {
	for i := range records {
		r := &records[i]
		if r.Checksum() != r.CRC {
			return &leat.Error{Kind: leat.KindCorrupt, Message: fmt.Sprintf("record %s of %s does not match its checksum: run leat fsck", leat.SequenceNumber(key, r.Offset), leat.ShardID(key.Ordinal))}
		}
		out := spec.Record{Shard: key.Ordinal, Offset: r.Offset, Time: r.Time, PartitionKey: r.PartitionKey, Data: r.Data}
		if j.t.pipeline != nil {
			out.Sequence = leat.SequenceNumber(key, r.Offset)
		}
		j.records = append(j.records, out)
	}
	return nil
}
