// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package billing_test

import (
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/billing"
	"github.com/leatstream/leat/billing/rating"
	"github.com/leatstream/leat/internal/pgtest"
	"github.com/leatstream/leat/internal/sqldb"
	"github.com/leatstream/leat/server/catalog"
	"github.com/leatstream/leat/server/masterkey"
	"github.com/leatstream/leat/shardstore"
	"github.com/leatstream/leat/shardstore/blob"
	"github.com/leatstream/leat/shardstore/blob/mem"
)

// rig is a catalog and a billing on one database, under a clock that a test moves.
type rig struct {
	t     testing.TB
	clock *clock
	db    *sqldb.DB
	cat   *catalog.Catalog
	bill  *billing.Billing
	blobs blob.Store

	options billing.Options

	lose    bool // the answer of the next commit
	session leat.SessionID
	number  uint64
	trim    uint64
	epochs  map[leat.ShardKey]uint64
	next    map[leat.ShardKey]uint64
}

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

// onBoth runs a test on each engine.
func onBoth(t *testing.T, book string, test func(r *rig)) {
	t.Run("sqlite", func(t *testing.T) {
		test(newRig(t, sqliteIn(t), book))
	})
	t.Run("postgres", func(t *testing.T) { test(newRig(t, sqldb.Config{Postgres: pgtest.Database(t)}, book)) })
}

func newRig(t testing.TB, cfg sqldb.Config, book string) *rig {
	t.Helper()
	r := &rig{t: t, clock: &clock{}, epochs: map[leat.ShardKey]uint64{}, next: map[leat.ShardKey]uint64{}, blobs: mem.New(time.Now)}
	r.at("2026-11-01 00:00")
	cfg.Faults.AfterCommit = func() error {
		if r.lose {
			r.lose = false
			return errors.New("the answer was lost")
		}
		return nil
	}
	db, err := sqldb.Open(t.Context(), cfg)
	r.must(err)
	t.Cleanup(func() { r.must(db.Close()) })
	r.db = db
	r.cat = catalog.New(db, catalog.Options{Clock: r.clock})
	r.must(r.cat.Migrate(t.Context()))
	prices, err := rating.ParseBook([]byte(book))
	r.must(err)
	master, err := masterkey.Parse([]byte(masterkey.Generate(rand.Reader)))
	r.must(err)
	r.options = billing.Options{Book: prices, Clock: r.clock, Blobs: r.blobs, Sealer: master}
	r.bill, err = billing.New(db, r.options)
	r.must(err)
	r.must(r.bill.Migrate(t.Context()))
	r.live()
	return r
}

// restart begins again with other prices, and a log.
func (r *rig) restart(book string, log *slog.Logger) {
	r.t.Helper()
	prices, err := rating.ParseBook([]byte(book))
	r.must(err)
	r.options.Book, r.options.Logger = prices, log
	r.bill, err = billing.New(r.db, r.options)
	r.must(err)
}

func (r *rig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// moment reads "2026-11-01 00:00", UTC.
func moment(s string) time.Time {
	t, err := time.Parse("2006-01-02 15:04", s)
	if err != nil {
		panic(err)
	}
	return t
}

// at moves the clock.
func (r *rig) at(s string) {
	r.clock.mu.Lock()
	defer r.clock.mu.Unlock()
	r.clock.now = moment(s)
}

// live begins a session.
func (r *rig) live() {
	r.t.Helper()
	r.session, r.number, r.trim = leat.NewID[leat.SessionID](nil), 0, 0
	r.must(r.cat.OpenSession(r.t.Context(), catalog.Session{ID: r.session, Node: "n", Address: "127.0.0.1:1"}))
	r.take()
}

func (r *rig) take() {
	r.t.Helper()
	taken, err := r.cat.TakeShards(r.t.Context(), r.session, 1000)
	r.must(err)
	for _, k := range taken {
		r.epochs[k.Shard] = k.Epoch
	}
}

func (r *rig) stream(account, name string, mode leat.StreamMode, shards int) leat.StreamID {
	r.t.Helper()
	s, err := r.cat.CreateStream(r.t.Context(), catalog.NewStream{
		Account: account, Name: name, Mode: mode, Shards: shards, Retention: leat.MinRetention, MaxRecordBytes: leat.DefaultMaxRecordBytes,
	})
	r.must(err)
	r.must(r.cat.ActivateStream(r.t.Context(), s.ID))
	r.take()
	return s.ID
}

// extent is what was put into a shard at a time.
func (r *rig) extent(id leat.StreamID, shard uint64, at string, records uint64, bytes, units int64) shardstore.Extent {
	k := leat.ShardKey{Stream: id, Ordinal: shard}
	first := r.next[k]
	r.next[k] += records
	when := leat.Micros(moment(at))
	return shardstore.Extent{
		Shard: k, Epoch: r.epochs[k], First: first, Count: records, MinTime: when, MaxTime: when, Len: 100, IndexLen: 7, Raw: bytes,
		Bytes: bytes, Units: units, Codec: 2, Hash: first + 1, Level: 1,
	}
}

// pack is a registration of extents by the session.
func (r *rig) pack(extents ...shardstore.Extent) shardstore.Registration {
	reg := shardstore.Registration{Session: r.session, Number: r.number, TrimFrom: r.trim, TrimTo: r.trim + 1, Counted: true, NotBefore: 1000}
	reg.Object = shardstore.PackKey(r.session, r.number)
	for _, e := range extents {
		e.Object = reg.Object
		reg.Extents = append(reg.Extents, e)
	}
	r.number++
	r.trim++
	return reg
}

func (r *rig) register(reg shardstore.Registration) {
	r.t.Helper()
	r.must(r.cat.Register(r.t.Context(), reg))
}

// put registers what was put into a shard, now.
func (r *rig) put(id leat.StreamID, shard uint64, at string, records uint64, bytes, units int64) {
	r.t.Helper()
	r.at(at)
	r.register(r.pack(r.extent(id, shard, at, records, bytes, units)))
}

// reshard carries out a split or merge at a time.
func (r *rig) reshard(id leat.StreamID, at string, step catalog.Step) {
	r.t.Helper()
	r.at(at)
	re, err := r.cat.BeginReshard(r.t.Context(), id, step)
	r.must(err)
	for i := range re.Parents {
		re.Parents[i].Final = r.next[re.Parents[i].Shard]
	}
	re.Time = leat.Micros(moment(at))
	r.must(r.cat.FinishReshard(r.t.Context(), re))
	for _, c := range re.Children {
		r.epochs[c.Shard] = 1
	}
}

func (r *rig) update(id leat.StreamID, at string, u catalog.StreamUpdate) {
	r.t.Helper()
	r.at(at)
	_, err := r.cat.UpdateStream(r.t.Context(), id, u)
	r.must(err)
}

func (r *rig) book() {
	r.t.Helper()
	r.must(r.bill.Book(r.t.Context()))
}

func (r *rig) invoice(account, month string) billing.Invoice {
	r.t.Helper()
	inv, err := r.bill.Invoice(r.t.Context(), account, month, false)
	r.must(err)
	return inv
}

// told is an invoice as text.
func told(inv *billing.Invoice) string {
	var s strings.Builder
	for _, l := range inv.Lines {
		fmt.Fprintf(&s, "%s %s", l.Kind, l.Item)
		if l.Tier > 0 {
			fmt.Fprintf(&s, " tier %d", l.Tier)
		}
		if l.Unit != "" {
			fmt.Fprintf(&s, " %s %s at %s", l.Quantity, l.Unit, l.Price)
		}
		if l.Reason != "" {
			fmt.Fprintf(&s, " (%s)", l.Reason)
		}
		fmt.Fprintf(&s, " = %s\n", l.Amount)
	}
	fmt.Fprintf(&s, "%s %s %s\n", inv.Status(), inv.Total, inv.Currency)
	return s.String()
}

func (r *rig) want(inv billing.Invoice, want string) {
	r.t.Helper()
	if got := told(&inv); got != strings.TrimLeft(want, "\n") {
		r.t.Errorf("account %s, %s: got\n%swant%s", inv.Account, inv.Period, got, want)
	}
}

func sqliteIn(t testing.TB) sqldb.Config {
	return sqldb.Config{SQLite: filepath.Join(t.TempDir(), "catalog.db")}
}
