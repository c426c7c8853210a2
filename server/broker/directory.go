// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/catalog"
	"github.com/leatstream/leat/shardstore"
)

// Source is where streams and shards are decided; catalog.Catalog satisfies it.
type Source interface {
	// Changes returns the streams that changed after a revision, and how many there are; 0 for all.
	Changes(ctx context.Context, since uint64) (catalog.Changes, error)
	// Streams lists every stream of every account.
	Streams(ctx context.Context) ([]leat.Stream, error)
	// StreamByName returns KindNotFound when there is none.
	StreamByName(ctx context.Context, account, name string) (leat.Stream, error)
	// StreamByID returns KindNotFound when there is none.
	StreamByID(ctx context.Context, id leat.StreamID) (leat.Stream, error)
	// Shards lists the shards of a stream, open and closed.
	Shards(ctx context.Context, id leat.StreamID) ([]leat.Shard, error)
}

// How often the directory asks.
const (
	pollEvery  = time.Second
	pollAtMost = 100 * time.Millisecond // between two looks when operations find the snapshot stale
	staleAfter = 20 * time.Millisecond  // between two questions about a stream that is not known or not active
	missesKept = 4096                   // names remembered for that, at most
)

// Directory is what this node knows of all streams and their shards: an immutable snapshot that puts and tail reads use
// without asking the catalog. It is asked again when its revision rises, and for one stream when an operation finds that
// the snapshot is behind. While the catalog is away the last snapshot serves.
type Directory struct {
	source Source
	clock  leat.Clock
	log    *slog.Logger

	snap   atomic.Pointer[snapshot]
	loaded atomic.Bool   // a whole load has succeeded
	kick   chan struct{} // asks Run to look soon

	// turn holds one token: who has it reads the catalog and writes snap, so that an older answer never replaces a
	// newer one.
	turn     chan struct{}
	revision uint64                                 // of the last whole load; with turn
	ahead    map[leat.StreamID][]shardstore.Reshard // durable reshards that the catalog has not shown yet; with turn

	mu    sync.Mutex
	asked map[streamName]question // the last one about each stream
}

// NewDirectory makes an empty directory.
func NewDirectory(source Source, clock leat.Clock, log *slog.Logger) *Directory {
	d := &Directory{
		source: source, clock: clock, log: log,
		kick: make(chan struct{}, 1), turn: make(chan struct{}, 1), asked: map[streamName]question{},
		ahead: map[leat.StreamID][]shardstore.Reshard{},
	}
	d.snap.Store(newSnapshot())
	return d
}

// Loaded tells whether the directory has ever been read as a whole.
func (d *Directory) Loaded() bool { return d.loaded.Load() }

// Stream returns what the snapshot says of a stream.
func (d *Directory) Stream(id leat.StreamID) (leat.Stream, bool) {
	if v := d.snap.Load().byID[id]; v != nil {
		return v.Stream, true
	}
	return leat.Stream{}, false
}

// Shards returns what the snapshot says of a stream's shards, by ordinal. They MUST NOT be changed.
func (d *Directory) Shards(id leat.StreamID) []leat.Shard {
	if v := d.snap.Load().byID[id]; v != nil {
		return v.shards
	}
	return nil
}

// Changed reads what has changed, now. That the catalog is away is Run's to say.
func (d *Directory) Changed(ctx context.Context) {
	if d.RefreshAll(ctx) != nil {
		d.Stale()
	}
}

// find returns a stream. One that takes reads and writes comes from the snapshot; for any other the catalog is asked,
// not too often. KindNotFound when there is none, KindUnavailable when that cannot be known now.
func (d *Directory) find(ctx context.Context, key streamName) (*streamView, error) {
	v := d.snap.Load().byName[key]
	if v != nil && v.serves() {
		return v, nil
	}
	if q, ok := d.askedSince(key, d.clock.Now().Add(-staleAfter)); ok {
		return q.answer(v, key)
	}
	return d.shared(ctx, key)
}

// findID returns the stream with an identity, from the snapshot where it is there.
func (d *Directory) findID(ctx context.Context, id leat.StreamID) (*streamView, error) {
	if v := d.snap.Load().byID[id]; v != nil {
		return v, nil
	}
	s, err := d.source.StreamByID(ctx, id)
	if err != nil {
		return nil, away(err)
	}
	v, err := d.refresh(ctx, s.Account, s.Name)
	if err == nil && v.ID != id {
		return nil, errNoStream(Resource{Account: s.Account, Stream: s.Name})
	}
	return v, err
}

func found(v *streamView, key streamName) (*streamView, error) {
	if v == nil {
		return nil, errNoStream(Resource{Account: key.account, Stream: key.name})
	}
	return v, nil
}

// question is the last one about a stream.
type question struct {
	began time.Time
	err   error // why the catalog could not be asked
}

// answer is what the question found out: v is what the snapshot has since then.
func (q question) answer(v *streamView, key streamName) (*streamView, error) {
	if q.err != nil {
		return nil, q.err
	}
	return found(v, key)
}

// askedSince returns the last question about a stream, if it began after a time.
func (d *Directory) askedSince(key streamName, t time.Time) (question, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	q, ok := d.asked[key]
	return q, ok && q.began.After(t)
}

func (d *Directory) keep(key streamName, q question) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.asked) >= missesKept {
		clear(d.asked)
	}
	d.asked[key] = q
}

// enter takes the turn to read the catalog; leave gives it back.
func (d *Directory) enter(ctx context.Context) error {
	select {
	case d.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return leat.Errorf(leat.KindCanceled, "the caller went away or ran out of time: %w", ctx.Err())
	}
}

func (d *Directory) leave() { <-d.turn }

// refresh reads one stream from the catalog: the answer is not older than the call.
func (d *Directory) refresh(ctx context.Context, account, name string) (*streamView, error) {
	if err := d.enter(ctx); err != nil {
		return nil, err
	}
	defer d.leave()
	return d.load(ctx, streamName{account, name})
}

// shared is refresh for callers who come in crowds: whoever waited while another read the stream takes that answer.
func (d *Directory) shared(ctx context.Context, key streamName) (*streamView, error) {
	began := d.clock.Now()
	if err := d.enter(ctx); err != nil {
		return nil, err
	}
	defer d.leave()
	if q, ok := d.askedSince(key, began); ok {
		return q.answer(d.snap.Load().byName[key], key)
	}
	return d.load(ctx, key)
}

// load reads a stream into the snapshot. The caller has the turn.
func (d *Directory) load(ctx context.Context, key streamName) (*streamView, error) {
	q := question{began: d.clock.Now()}
	v, err := d.read(ctx, key)
	if err != nil && leat.KindOf(err) != leat.KindNotFound {
		q.err = away(err)
	}
	if ctx.Err() == nil { // a caller that went away has found out nothing
		d.keep(key, q)
	}
	if q.err != nil {
		return nil, q.err
	}
	if old := d.snap.Load(); old.byName[key] != v {
		next := old.clone()
		next.set(key, v)
		d.snap.Store(next)
	}
	return found(v, key)
}

// read returns what the catalog says of a stream: the view of the snapshot itself where nothing has changed.
func (d *Directory) read(ctx context.Context, key streamName) (*streamView, error) {
	s, err := d.source.StreamByName(ctx, key.account, key.name)
	if err != nil {
		return nil, err
	}
	return d.view(ctx, s)
}

func (d *Directory) view(ctx context.Context, s leat.Stream) (*streamView, error) {
	if old := d.snap.Load().byID[s.ID]; old != nil && old.Version == s.Version {
		return old, nil
	}
	shards, err := d.source.Shards(ctx, s.ID)
	if err != nil {
		return nil, err
	}
	return newStreamView(s, d.goAhead(s.ID, shards)), nil
}

// RefreshAll reads every stream that has changed since the last time.
func (d *Directory) RefreshAll(ctx context.Context) error {
	if err := d.enter(ctx); err != nil {
		return err
	}
	defer d.leave()
	ch, err := d.source.Changes(ctx, d.revision)
	if err != nil {
		return away(err)
	}
	next, err := d.apply(ctx, d.snap.Load(), ch.Streams)
	if err != nil {
		return err
	}
	if len(next.byName) != ch.Total { // some are gone
		streams, err := d.source.Streams(ctx)
		if err != nil {
			return away(err)
		}
		if next, err = d.apply(ctx, newSnapshot(), streams); err != nil {
			return err
		}
	}
	d.snap.Store(next)
	d.revision = ch.Revision
	d.loaded.Store(true)
	for id := range d.ahead {
		if next.byID[id] == nil {
			delete(d.ahead, id)
		}
	}
	return nil
}

// apply puts streams into a copy of a snapshot.
func (d *Directory) apply(ctx context.Context, to *snapshot, streams []leat.Stream) (*snapshot, error) {
	if len(streams) == 0 {
		return to, nil
	}
	next := to.clone()
	for i := range streams {
		v, err := d.view(ctx, streams[i])
		if err != nil {
			return nil, away(err)
		}
		next.set(streamName{v.Account, v.Name}, v)
	}
	return next, nil
}

// Stale asks Run to look soon: an operation found that the snapshot and the engine disagree.
func (d *Directory) Stale() {
	select {
	case d.kick <- struct{}{}:
	default:
	}
}

// Run keeps the snapshot fresh until ctx ends, then returns nil. That the catalog is away is logged once each time.
func (d *Directory) Run(ctx context.Context) error {
	for healthy := true; ; {
		healthy = d.report(ctx, d.RefreshAll(ctx), healthy)
		if !d.rest(ctx, pollAtMost, nil) || !d.rest(ctx, pollEvery-pollAtMost, d.kick) {
			return nil
		}
	}
}

func (d *Directory) report(ctx context.Context, err error, healthy bool) bool {
	switch {
	case err != nil && healthy && ctx.Err() == nil:
		d.log.Warn("directory: the catalog is away, serving what is known", "error", err)
	case err == nil && !healthy:
		d.log.Info("directory: the catalog is back")
	}
	return err == nil
}

// rest waits, or less when kicked; false when ctx ends.
func (d *Directory) rest(ctx context.Context, t time.Duration, kick <-chan struct{}) bool {
	c, stop := d.clock.NewTimer(t)
	defer stop()
	select {
	case <-c:
		return true
	case <-kick:
		return true
	case <-ctx.Done():
		return false
	}
}

// away makes errors of the catalog that are not its answers retryable: a question changes nothing.
func away(err error) error {
	switch leat.KindOf(err) {
	case leat.KindInternal:
		return &leat.Error{Kind: leat.KindUnavailable, Message: "the catalog cannot be reached; nothing was executed: retry", After: retryMoved, Err: err}
	default:
		return err
	}
}
