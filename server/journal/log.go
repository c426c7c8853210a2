// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"math"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore/blob"
)

// Where the journal is in the bucket.
const (
	entries = "journal/entries/"
	fulls   = "journal/full/"
)

// FullEvery is how many entries there are from one full one to the next.
const FullEvery = 1000

// The waits of one change of the control plane on the bucket.
const (
	lookWithin  = 3 * time.Second
	writeTries  = 3
	writeWithin = 3 * time.Second // one try of a small entry
	writeRate   = 2 << 20         // bytes a second of a large one, at least
)

// ErrTaken says that another entry stands at the number: the catalog is behind and catches up first.
var ErrTaken = errors.New("journal: another entry has this number")

// Log is the journal of one bucket. Its methods may be called from any goroutine.
type Log struct {
	blobs blob.Eraser
	// Begun tells whether a session has left anything in the bucket: then its opening was committed.
	Begun func(ctx context.Context, s leat.SessionID) (bool, error)
	// Logger is told of what stands among the entries and is none; nil: nobody is.
	Logger *slog.Logger
}

// New makes the journal of a bucket.
func New(blobs blob.Eraser, begun func(ctx context.Context, s leat.SessionID) (bool, error)) *Log {
	return &Log{blobs: blobs, Begun: begun}
}

// EntryKey is the key of an entry.
func EntryKey(n uint64) string { return fmt.Sprintf("%s%020d", entries, n) }

// Has tells whether an entry stands. KindUnavailable when the bucket does not say.
func (l *Log) Has(ctx context.Context, n uint64) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, lookWithin)
	defer cancel()
	_, err := l.blobs.Stat(ctx, EntryKey(n))
	if errors.Is(err, blob.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, away(err)
	}
	return true, nil
}

// away is the refusal of a change while the bucket does not answer. Its cause is text alone: it is not the database that
// is away, and nothing is to look as if.
func away(err error) error {
	return &leat.Error{
		Kind: leat.KindUnavailable, After: time.Second,
		Message: "nothing was changed: the object store, which keeps a journal of all changes, does not answer: retry",
		Err:     errors.New(err.Error()),
	}
}

// Append writes an entry if absent. ErrTaken when another one stands there; KindUnknownOutcome when it may or may not
// stand.
func (l *Log) Append(ctx context.Context, e *Entry) error {
	body, err := Encode(e)
	if err != nil {
		return err
	}
	ctx = context.WithoutCancel(ctx) // a write cut short has an unknown outcome
	for try := 1; ; try++ {
		err := l.create(ctx, e, body)
		if err == nil || errors.Is(err, ErrTaken) {
			return err
		}
		if try == writeTries {
			return &leat.Error{
				Kind: leat.KindUnknownOutcome, Err: errors.New(err.Error()),
				Message: "the object store, which keeps a journal of all changes, did not say whether it took this one: look whether it was made",
			}
		}
	}
}

// create is one try of the same bytes.
func (l *Log) create(ctx context.Context, e *Entry, body []byte) error {
	ctx, cancel := context.WithTimeout(ctx, writeWithin+time.Duration(len(body)/writeRate)*time.Second)
	defer cancel()
	err := l.blobs.Create(ctx, EntryKey(e.N), body)
	if !errors.Is(err, blob.ErrExists) {
		return err
	}
	there, err := l.Read(ctx, e.N)
	if err == nil && there.Nonce != e.Nonce {
		err = ErrTaken
	}
	return err
}

// MarkFull says that reading may begin at an entry. It is a hint alone.
func (l *Log) MarkFull(ctx context.Context, n uint64) error {
	return l.mark(ctx, fmt.Sprintf("%s%020d", fulls, n), "full\n")
}

// mark writes a small object if absent.
func (l *Log) mark(ctx context.Context, key, text string) error {
	ctx, cancel := context.WithTimeout(ctx, writeWithin)
	defer cancel()
	err := l.blobs.Create(ctx, key, []byte(text))
	if errors.Is(err, blob.ErrExists) {
		return nil
	}
	return err
}

// Read reads an entry; blob.ErrNotFound when there is none.
func (l *Log) Read(ctx context.Context, n uint64) (*Entry, error) {
	b, err := l.blobs.Read(ctx, EntryKey(n), 0, -1)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", EntryKey(n), err)
	}
	e, err := Decode(b)
	if err == nil && e.N != n {
		err = leat.Errorf(leat.KindCorrupt, "it is entry %d", e.N)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", EntryKey(n), err)
	}
	return e, nil
}

// lastFull finds where reading may begin; 1 when nothing says more.
func (l *Log) lastFull(ctx context.Context) (n uint64, err error) {
	n = 1
	for info, err := range blob.All(ctx, l.blobs, fulls) {
		if err != nil {
			return 0, fmt.Errorf("list the journal: %w", err)
		}
		if m, err := strconv.ParseUint(strings.TrimPrefix(info.Key, fulls), 10, 64); err == nil {
			n = max(n, m)
		}
	}
	return n, nil
}

// Entries reads the entries from the last full one on, in order, and ends with the first error. KindCorrupt where one is
// missing.
func (l *Log) Entries(ctx context.Context) iter.Seq2[*Entry, error] {
	return func(yield func(*Entry, error) bool) {
		next, err := l.lastFull(ctx)
		if err != nil {
			yield(nil, err)
			return
		}
		l.From(ctx, next)(yield)
	}
}

// From is Entries from a number on.
func (l *Log) From(ctx context.Context, next uint64) iter.Seq2[*Entry, error] {
	return func(yield func(*Entry, error) bool) {
		const batch = 64
		for {
			page, err := l.batch(ctx, next, batch)
			if err != nil {
				yield(nil, err)
				return
			}
			for _, e := range page {
				if !yield(e, nil) {
					return
				}
			}
			if next += uint64(len(page)); len(page) < batch {
				if err := l.endsAt(ctx, next); err != nil {
					yield(nil, err)
				}
				return
			}
		}
	}
}

// Since counts the entries that follow one, and reads the last of them; nil when there are none.
func (l *Log) Since(ctx context.Context, n uint64) (count int, last *Entry, err error) {
	for _, err := range l.after(ctx, n) {
		if err != nil {
			return 0, nil, err
		}
		count++
	}
	if count > 0 {
		last, err = l.Read(ctx, n+uint64(count))
	}
	return count, last, err
}

// after yields the numbers of the entries that stand beyond one, in order. What is named otherwise than an entry is none:
// whoever else may write into the bucket must not be able to end a journal.
func (l *Log) after(ctx context.Context, n uint64) iter.Seq2[uint64, error] {
	return func(yield func(uint64, error) bool) {
		for key := EntryKey(n); ; {
			page, err := l.blobs.List(ctx, entries, key, 0)
			if err != nil {
				yield(0, fmt.Errorf("list the journal: %w", err))
				return
			}
			for _, info := range page {
				m, err := strconv.ParseUint(strings.TrimPrefix(info.Key, entries), 10, 64)
				if err != nil || info.Key != EntryKey(m) {
					if l.Logger != nil {
						l.Logger.Warn("an object among the journal's entries is none of them: remove it, and find out who wrote it", "object", info.Key)
					}
					if info.Key > EntryKey(math.MaxUint64) {
						return // all that follows is none either
					}
					continue
				}
				if !yield(m, nil) {
					return
				}
			}
			if len(page) < blob.PageSize {
				return
			}
			key = page[len(page)-1].Key
		}
	}
}

// batch reads up to size entries from n on: those before the first that is missing.
func (l *Log) batch(ctx context.Context, n uint64, size int) ([]*Entry, error) {
	const parallel = 16
	page := make([]*Entry, size)
	var g errgroup.Group
	g.SetLimit(parallel)
	for i := range page {
		g.Go(func() error {
			e, err := l.Read(ctx, n+uint64(i))
			if errors.Is(err, blob.ErrNotFound) {
				return nil
			}
			page[i] = e
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	for i, e := range page {
		if e == nil {
			return page[:i], nil
		}
	}
	return page, nil
}

// endsAt returns nil when no entry stands at or beyond n, the first that is missing.
func (l *Log) endsAt(ctx context.Context, n uint64) error {
	for m, err := range l.after(ctx, n) {
		if err != nil {
			return err
		}
		return leat.Errorf(leat.KindCorrupt, "%s is missing, and %s stands", EntryKey(n), EntryKey(m))
	}
	return nil
}
