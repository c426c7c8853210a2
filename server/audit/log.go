// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"cmp"
	"context"
	"crypto/rand"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/sqldb"
)

// Bounds of what waits to be written.
const (
	maxChanges  = 16_384 // changes; more wait only while the database is away
	maxMerged   = 4_096  // rows a round, of all accounts
	maxAccount  = 256    // rows a round, of one account
	maxAttempts = 32     // rows of attempts to sign in, every attemptRounds; as many more with credentials that there are
	maxText     = 500    // characters of a message, and of what a program says that it is
	maxValue    = 32 << 10
	writeWithin = 2 * time.Second // how long a change waits for its row
	flushWithin = 10 * time.Second
)

// attemptRounds is how many rounds long attempts to sign in are gathered that are alike: a minute.
const attemptRounds = 4

// DefaultKeep is how long events are kept.
const DefaultKeep = 90 * 24 * time.Hour

// Options is what a log needs; all have defaults.
type Options struct {
	Keep   time.Duration // how long events are kept; 0 means DefaultKeep
	Every  time.Duration // a round: calls that are alike within one are merged; 0 means 15 s
	Clock  leat.Clock
	Logger *slog.Logger
}

// Log is the audit log. Its methods may be called concurrently.
type Log struct {
	db   *sqldb.DB
	opts Options
	node string // in ids, so that nodes do not make the same

	mu      sync.Mutex
	last    int64 // the time in the newest id
	serial  uint64
	changes []Event
	merged  map[likeness]*Event
	rows    map[string]int // of merged, by account
	debts   map[string]*debt
	tries   map[attempt]*Event
	begun   time.Time     // when the first of tries came
	done    chan struct{} // closed when what waits now has been written
	wake    chan struct{}

	flushing sync.Mutex // one at a time
	written  atomic.Uint64
	lost     atomic.Uint64
}

// New makes a log on a database. Run MUST be running for anything to be written.
func New(db *sqldb.DB, o Options) *Log {
	o.Keep = cmp.Or(o.Keep, DefaultKeep)
	o.Every = cmp.Or(o.Every, 15*time.Second)
	if o.Clock == nil {
		o.Clock = leat.SystemClock{}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	var node [6]byte
	_, _ = rand.Read(node[:]) // never fails
	return &Log{
		db: db, opts: o, node: hex.EncodeToString(node[:]), merged: map[likeness]*Event{}, rows: map[string]int{}, debts: map[string]*debt{}, tries: map[attempt]*Event{},
		done: make(chan struct{}), wake: make(chan struct{}, 1),
	}
}

//go:embed migrations/*.sql
var migrations embed.FS

// Migrate makes or updates the tables; see sqldb.DB.Migrate.
func (l *Log) Migrate(ctx context.Context) error {
	schema := Schema()
	return l.db.Migrate(ctx, schema.Name, schema.Files)
}

// Schema is the migrations of audit's tables.
func Schema() sqldb.Schema {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		panic(err) // the folder is embedded
	}
	return sqldb.Schema{Name: "audit", Files: files}
}

// Written is how many rows this node has written, and Lost how many calls it could not keep.
func (l *Log) Written() uint64 { return l.written.Load() }

// Lost is how many calls this node could not keep, because the database was away for too long.
func (l *Log) Lost() uint64 { return l.lost.Load() }

// Waiting is how many rows wait to be written.
func (l *Log) Waiting() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.changes) + len(l.merged) + len(l.tries)
}

// Add merges a call into the rows of this round. It never waits.
func (l *Log) Add(e Event) {
	e.trim()
	l.mu.Lock()
	defer l.mu.Unlock()
	k := e.likeness()
	if l.merged[k] == nil && (l.rows[e.Account] >= maxAccount || len(l.merged) >= maxMerged) {
		e.Principal, e.Name, e.Credential, e.Resource, e.Source, e.Agent, e.Request = "", "", "", "*", "", "", ""
		e.Operation, e.Message, e.Edge = "*", "more calls that differ than are kept apart", ""
		k = e.likeness()
	}
	if at := l.merged[k]; at != nil {
		at.Times++
		at.Last = l.opts.Clock.Now()
		return
	}
	if len(l.merged) >= 2*maxMerged { // as many accounts do what is too much
		l.lost.Add(1)
		return
	}
	l.name(&e)
	l.merged[k] = &e
	l.rows[e.Account]++
}

// attempt is what failed attempts to sign in have in common that are merged into one row.
type attempt struct {
	likeness
	message string
}

// AddAttempt merges a failed attempt to sign in into the rows of this minute. Whoever comes without a credential can fill no
// more than maxAttempts of them; what more differs is counted in one. It never waits.
func (l *Log) AddAttempt(e Event) {
	e.trim()
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.tries) == 0 {
		l.begun = l.opts.Clock.Now()
	}
	if at := l.tryOf(&e); at != nil {
		at.Times++
		at.Last = l.opts.Clock.Now()
		return
	}
	l.name(&e)
	l.tries[attempt{e.likeness(), e.Message}] = &e
}

// tryOf returns the row that an attempt belongs to, nil for a new one, and changes one that there is no room for. l.mu is held.
func (l *Log) tryOf(e *Event) *Event {
	k := attempt{e.likeness(), e.Message}
	if at := l.tries[k]; at != nil {
		return at
	}
	like := 0
	for other := range l.tries {
		if (other.account == "") == (e.Account == "") {
			like++
		}
	}
	if like < maxAttempts {
		return nil
	}
	e.Account, e.Principal, e.Name, e.Credential, e.Source, e.Agent, e.Request = "", "", "", "", "", "", ""
	e.Resource, e.Edge, e.Message = "*", "", "more attempts that differ than are kept apart"
	return l.tries[attempt{e.likeness(), e.Message}]
}

// Write adds a row of its own and returns when it is durable, or after a moment, when it is yet to be.
func (l *Log) Write(ctx context.Context, e Event) {
	e.trim()
	l.mu.Lock()
	if len(l.changes) >= maxChanges {
		l.mu.Unlock()
		l.lost.Add(1)
		l.opts.Logger.Error("a change is not in the audit log: the database is away for too long",
			"account", e.Account, "principal", e.Principal, "operation", e.Operation, "resource", e.Resource, "request_id", e.Request)
		return
	}
	l.name(&e)
	l.owe(&e)
	l.changes = append(l.changes, e)
	done := l.done
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default: // it is awake
	}
	within, stop := l.opts.Clock.NewTimer(writeWithin)
	defer stop()
	select {
	case <-done:
	case <-within:
	case <-ctx.Done():
	}
}

// name gives an event its time and its id. l.mu is held.
func (l *Log) name(e *Event) {
	now := l.opts.Clock.Now()
	at := leat.Micros(now)
	if at > l.last {
		l.last, l.serial = at, 0
	}
	l.serial++
	e.Time, e.Last, e.Times = now, now, 1
	e.ID = fmt.Sprintf("%016x-%06x-%s", l.last, l.serial, l.node)
}

// idAt is less than the id of every event from a time on, and greater than those before.
func idAt(t time.Time) string { return fmt.Sprintf("%016x", max(0, leat.Micros(t))) }

// trim makes an event one that a database takes, whoever chose its texts: one that it refuses would keep all others from being written.
func (e *Event) trim() {
	for _, text := range e.texts() {
		*text = cut(*text)
	}
	if len(e.Before) > maxValue {
		e.Before = []byte(`{"omitted":"too large"}`)
	}
	if len(e.After) > maxValue {
		e.After = []byte(`{"omitted":"too large"}`)
	}
}

// cut shortens a text and replaces what PostgreSQL would not take.
func cut(s string) string {
	out := make([]rune, 0, min(len(s), maxText))
	for _, c := range s {
		if len(out) == maxText {
			out = append(out, '…')
			break
		}
		if c < ' ' || c == '\u007f' {
			c = ' '
		}
		out = append(out, c)
	}
	return string(out)
}

// Run writes what is added and, where leads says so, deletes what is too old, until ctx ends; then it writes the rest. It returns nil.
func (l *Log) Run(ctx context.Context, leads func() bool) error {
	const sweepEvery = 10 * time.Minute
	swept := l.opts.Clock.Now()
	for {
		round, stop := l.opts.Clock.NewTimer(l.opts.Every)
		whole := false
		select {
		case <-l.wake:
		case <-round:
			whole = true
		case <-ctx.Done():
			stop()
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushWithin)
			defer cancel()
			l.tell(l.flush(last, true, true))
			return nil
		}
		stop()
		l.tell(l.flush(ctx, whole, false))
		if whole && l.opts.Clock.Now().Sub(swept) >= sweepEvery && leads() {
			swept = l.opts.Clock.Now()
			if err := l.Sweep(ctx); err != nil && ctx.Err() == nil {
				l.opts.Logger.Warn("old events of the audit log stay", "error", err)
			}
		}
	}
}

func (l *Log) tell(err error) {
	if err != nil {
		l.opts.Logger.Warn("the audit log waits for the database", "waiting", l.Waiting(), "error", err)
	}
}

// Flush writes all that waits.
func (l *Log) Flush(ctx context.Context) error { return l.flush(ctx, true, true) }

// flush writes the changes that wait, with whole the merged calls too, and the attempts to sign in when their minute is over
// or final says so. What cannot be written waits on.
func (l *Log) flush(ctx context.Context, whole, final bool) error {
	l.flushing.Lock()
	defer l.flushing.Unlock()
	l.mu.Lock()
	changes, merged, tries, done := l.changes, map[likeness]*Event{}, map[attempt]*Event{}, l.done
	l.changes, l.done = nil, make(chan struct{})
	if whole {
		merged = l.merged
		l.merged, l.rows = map[likeness]*Event{}, map[string]int{}
		l.forgive()
	}
	if whole && (final || l.opts.Clock.Now().Sub(l.begun) >= attemptRounds*l.opts.Every) {
		tries, l.tries = l.tries, map[attempt]*Event{}
	}
	l.mu.Unlock()
	all := changes
	for _, e := range merged {
		all = append(all, *e)
	}
	for _, e := range tries {
		all = append(all, *e)
	}
	if len(all) == 0 {
		close(done)
		return nil
	}
	within, cancel := context.WithTimeout(ctx, flushWithin)
	defer cancel()
	err := l.insert(within, all)
	if err == nil {
		l.written.Add(uint64(len(all)))
		close(done)
		return nil
	}
	// Whoever waits for these goes on after a moment, as if they were written.
	l.mu.Lock()
	defer l.mu.Unlock()
	l.changes = append(changes[:len(changes):len(changes)], l.changes...)
	for k, e := range merged {
		switch at := l.merged[k]; {
		case at != nil:
			e.Times += at.Times
			e.Last = at.Last
			*at = *e
		default:
			l.merged[k] = e
			l.rows[e.Account]++
		}
	}
	for k, e := range tries {
		if at := l.tries[k]; at != nil {
			e.Times += at.Times
			e.Last = later(at.Last, e.Last)
			*at = *e
		} else if at := l.tryOf(e); at != nil {
			at.Times += e.Times
			at.Last = later(at.Last, e.Last)
		} else {
			l.tries[attempt{e.likeness(), e.Message}] = e
		}
	}
	return err
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
