// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package catalog_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/pgtest"
	"github.com/leatstream/leat/internal/sqldb"
	"github.com/leatstream/leat/server/catalog"
	"github.com/leatstream/leat/shardstore"
)

const (
	account      = "123456789012"
	otherAccount = "210987654321"
)

// bundle is a fresh catalog and what tests do with it.
type bundle struct {
	*catalog.Catalog
	t     testing.TB
	cfg   sqldb.Config
	db    *sqldb.DB
	clock *clock
	link  *link
}

// onBoth runs a test on each engine.
func onBoth(t *testing.T, test func(t *testing.T, b *bundle)) {
	t.Run("sqlite", func(t *testing.T) { test(t, newBundle(t, sqldb.SQLite)) })
	t.Run("postgres", func(t *testing.T) { test(t, newBundle(t, sqldb.Postgres)) })
}

func newBundle(tb testing.TB, engine sqldb.Engine) *bundle {
	tb.Helper()
	cfg := sqldb.Config{SQLite: filepath.Join(tb.TempDir(), "catalog.db")}
	if engine == sqldb.Postgres {
		cfg = sqldb.Config{Postgres: pgtest.Database(tb)}
	}
	return openBundle(tb, cfg)
}

func openBundle(tb testing.TB, cfg sqldb.Config) *bundle {
	tb.Helper()
	b := &bundle{t: tb, clock: &clock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}, link: &link{}}
	cfg.Faults = sqldb.Faults{BeforeCommit: b.link.before, AfterCommit: b.link.after}
	b.cfg = cfg
	db, err := sqldb.Open(tb.Context(), cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := db.Close(); err != nil {
			tb.Error(err)
		}
	})
	b.db = db
	b.Catalog = catalog.New(db, catalog.Options{Clock: b.clock, RemoveBatch: 3})
	if err := b.Migrate(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	for _, id := range []string{account, otherAccount} {
		b.must(b.db.Tx(tb.Context(), func(tx *sqldb.Tx) error {
			_, err := tx.Exec("INSERT INTO accounts (id, name, labels, state, quotas, created) VALUES ($1, $1, '{}', 'ACTIVE', '{}', 0) ON CONFLICT DO NOTHING", id)
			return err
		}))
	}
	return b
}

// wipe empties the tables that tests fill.
func (b *bundle) wipe() {
	b.t.Helper()
	b.must(b.db.Tx(b.t.Context(), func(tx *sqldb.Tx) error {
		for _, table := range []string{
			"sessions", "beats", "streams", "shards", "intents", "packs", "extents", "objects", "closed_shards", "deletions", "consumers", "usage",
		} {
			if _, err := tx.Exec("DELETE FROM " + table); err != nil {
				return err
			}
		}
		return nil
	}))
}

// clock stands still unless a test moves it.
type clock struct {
	leat.SystemClock
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// link breaks at coming commits: 'b' before COMMIT arrives, 'a' after it was applied, anything else not.
type link struct {
	mu   sync.Mutex
	plan []byte
	took byte
}

var errCut = errors.New("link cut")

func (l *link) cut(plan string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.plan = []byte(plan)
}

func (l *link) before() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.took = 0
	if len(l.plan) > 0 {
		l.took, l.plan = l.plan[0], l.plan[1:]
	}
	if l.took == 'b' {
		return errCut
	}
	return nil
}

func (l *link) after() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.took == 'a' {
		return errCut
	}
	return nil
}

// must ends the test on an error.
func (b *bundle) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

// want checks the kind and, where given, the text of an error.
func (b *bundle) want(err error, kind leat.Kind, text string) {
	b.t.Helper()
	var e *leat.Error
	if !errors.As(err, &e) || e.Kind != kind || text != "" && e.Message != text {
		b.t.Errorf("error %v, want %v %s", err, kind, text)
	}
}

// stream makes an active stream.
func (b *bundle) stream(name string, shards int) leat.Stream {
	b.t.Helper()
	s, err := b.CreateStream(b.t.Context(), spec(name, shards))
	b.must(err)
	b.must(b.ActivateStream(b.t.Context(), s.ID))
	s, err = b.StreamByID(b.t.Context(), s.ID)
	b.must(err)
	return s
}

func spec(name string, shards int) catalog.NewStream {
	return catalog.NewStream{
		Account: account, Name: name, Mode: leat.ModeProvisioned, Shards: shards,
		Retention: leat.MinRetention, MaxRecordBytes: leat.DefaultMaxRecordBytes,
	}
}

// session opens a live session.
func (b *bundle) session() leat.SessionID {
	b.t.Helper()
	id := leat.NewID[leat.SessionID](nil)
	b.must(b.OpenSession(b.t.Context(), catalog.Session{ID: id, Node: "n", Address: "127.0.0.1:1"}))
	return id
}

// take gives a session all shards that have no owner.
func (b *bundle) take(s leat.SessionID) []catalog.Taken {
	b.t.Helper()
	taken, err := b.TakeShards(b.t.Context(), s, 100_000)
	b.must(err)
	return taken
}

// fence closes a session as a recoverer does.
func (b *bundle) fence(s leat.SessionID, fence uint64, shards ...shardstore.ClosedShard) {
	b.t.Helper()
	trim, err := b.BeginFencing(b.t.Context(), s)
	b.must(err)
	b.must(b.CloseSession(b.t.Context(), shardstore.Closing{Session: s, Trim: trim, Fence: fence, Shards: shards}, false))
}

// extent makes a plausible extent of a shard.
func extent(k leat.ShardKey, epoch, first, count uint64, object string) shardstore.Extent {
	e := shardstore.Extent{
		Shard: k, Epoch: epoch, First: first, Count: count, MinTime: int64(first), MaxTime: int64(first + count),
		Object: object, Off: int64(first) * 100, Len: int64(count) * 100, IndexLen: 7, Raw: int64(count) * 200,
		Bytes: int64(count) * 150, Units: int64(count), Codec: 2, CRC: 0xfffffff0 + uint32(first), Hash: ^uint64(0) - first, Level: 1,
	}
	if k.Ordinal%2 == 1 { // some are sealed
		e.Key, e.Nonce = leat.KeyID{byte(first), 15: 1}, [12]byte{byte(first), 11: 2}
	}
	return e
}

// pack makes a counted registration of the session's own segments.
func pack(s leat.SessionID, number, from, to uint64, extents ...shardstore.Extent) shardstore.Registration {
	r := shardstore.Registration{
		Session: s, Number: number, TrimFrom: from, TrimTo: to, Counted: true, NotBefore: 1000,
	}
	if len(extents) > 0 {
		r.Object = fmt.Sprintf("pack/%s/%020d", s, number)
	}
	for _, e := range extents {
		e.Object = r.Object
		r.Extents = append(r.Extents, e)
	}
	for n := from; n < to; n++ {
		r.Deletes = append(r.Deletes, segment(s, n))
	}
	return r
}

func segment(s leat.SessionID, n uint64) string { return fmt.Sprintf("wal/%s/%020d", s, n) }

func (b *bundle) register(r shardstore.Registration) {
	b.t.Helper()
	b.must(b.Register(b.t.Context(), r))
}

// extents returns what the index holds of a shard.
func (b *bundle) extents(k leat.ShardKey) shardstore.ShardExtents {
	b.t.Helper()
	x, err := b.Extents(b.t.Context(), []leat.ShardKey{k})
	b.must(err)
	return x[0]
}

// queued returns the deletion queue, sorted.
func (b *bundle) queued() (keys []string) {
	b.t.Helper()
	for key, err := range b.AllDeletions(b.t.Context()) {
		b.must(err)
		keys = append(keys, key)
	}
	return keys
}

func sorted(keys ...string) []string {
	slices.Sort(keys)
	return keys
}

// same compares lists of keys.
func (b *bundle) same(what string, got []string, want ...string) {
	b.t.Helper()
	if !slices.Equal(got, sorted(want...)) {
		b.t.Errorf("%s:\ngot  %q\nwant %q", what, got, want)
	}
}

// used returns an account's whole usage: records.
func (b *bundle) used() (records int64) {
	b.t.Helper()
	all, err := b.Usage(b.t.Context(), account, time.Unix(-1, 0), time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC))
	b.must(err)
	for _, u := range all {
		records += u.Records
	}
	return records
}
