// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package datapoints_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"sync/atomic"
	"testing"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/pgtest"
	"github.com/leatstream/leat/internal/sqldb"
	"github.com/leatstream/leat/server/datapoints"
)

// clock tells the time that a test sets; its timers are the machine's.
type clock struct {
	leat.SystemClock
	now atomic.Int64 // microseconds
}

func (c *clock) Now() time.Time          { return time.UnixMicro(c.now.Load()).UTC() }
func (c *clock) Advance(d time.Duration) { c.now.Add(d.Microseconds()) }

var noon = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

// rig is two nodes on one database.
type rig struct {
	*testing.T
	a, b  *datapoints.Log
	clock *clock
	away  atomic.Bool // no commit goes through
	lose  atomic.Bool // the answer of the next commit
}

// onBoth runs a test on each engine.
func onBoth(t *testing.T, test func(r *rig)) {
	t.Run("sqlite", func(t *testing.T) {
		test(newRig(t, sqldb.Config{SQLite: filepath.Join(t.TempDir(), "d.db")}))
	})
	t.Run("postgres", func(t *testing.T) { test(newRig(t, sqldb.Config{Postgres: pgtest.Database(t)})) })
}

func newRig(t *testing.T, cfg sqldb.Config) *rig {
	t.Helper()
	r := &rig{T: t, clock: &clock{}}
	r.clock.now.Store(noon.UnixMicro())
	cfg.Faults.BeforeCommit = func() error {
		if r.away.Load() {
			return errors.New("the database is away")
		}
		return nil
	}
	cfg.Faults.AfterCommit = func() error {
		if r.lose.CompareAndSwap(true, false) {
			return errors.New("the answer was lost")
		}
		return nil
	}
	db, err := sqldb.Open(t.Context(), cfg)
	r.must(err)
	t.Cleanup(func() { r.must(db.Close()) })
	for _, l := range []**datapoints.Log{&r.a, &r.b} {
		*l = datapoints.New(db, datapoints.Options{Keep: 2 * time.Hour, Clock: r.clock})
		r.must((*l).Migrate(t.Context()))
	}
	return r
}

func (r *rig) must(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

func (r *rig) flush(all ...*datapoints.Log) {
	r.Helper()
	for _, l := range all {
		r.must(l.Flush(r.Context()))
	}
}

func (r *rig) read(s datapoints.Series, m datapoints.Metric) datapoints.Minutes {
	r.Helper()
	got, err := r.b.Read(r.Context(), []datapoints.Ask{{Series: s, Metric: m}, {Series: s, Metric: datapoints.HTTPBytes}}, noon.Add(-time.Hour), noon.Add(24*time.Hour))
	r.must(err)
	if len(got) != 2 || len(got[1]) != 0 {
		r.Errorf("of what nobody measured: %v", got)
	}
	return got[0]
}

var orders = datapoints.Series{Space: datapoints.Streams, Account: "1", Name: "orders"}

func bytes(n float64) datapoints.Value {
	return datapoints.Value{Metric: datapoints.IncomingBytes, V: n}
}

// TestNodesAddUp: a minute is the sum of what all nodes have counted in it, however often each has written it and whatever
// answer was lost.
func TestNodesAddUp(t *testing.T) {
	onBoth(t, func(r *rig) {
		r.a.Observe(orders, bytes(10), datapoints.Value{Metric: datapoints.IncomingRecords, V: 1})
		r.flush(r.a)
		r.a.Observe(orders, bytes(30))
		r.b.Observe(orders, bytes(5))
		r.lose.Store(true)
		r.flush(r.a, r.b, r.a)
		r.clock.Advance(time.Minute)
		r.a.Observe(orders, bytes(7))
		r.a.ObserveAt(orders, r.clock.Now().Add(-time.Second), bytes(1)) // of the minute that was written
		r.flush(r.a, r.b)
		r.clock.Advance(time.Minute)
		r.flush(r.a, r.b)
		want := datapoints.Minutes{
			noon:                  {Count: 4, Sum: 46, Min: 1, Max: 30},
			noon.Add(time.Minute): {Count: 1, Sum: 7, Min: 7, Max: 7},
		}
		if got := r.read(orders, datapoints.IncomingBytes); !reflect.DeepEqual(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
		if got := r.read(orders, datapoints.IncomingRecords); len(got) != 1 || got[noon].Sum != 1 {
			t.Errorf("records: %v", got)
		}
		if got := r.read(orders, datapoints.GetBytes); len(got) != 0 {
			t.Errorf("of a metric that nobody measured: %v", got)
		}
		if got := r.read(datapoints.Series{Space: datapoints.Streams, Account: "2", Name: "orders"}, datapoints.IncomingBytes); len(got) != 0 {
			t.Errorf("of another account: %v", got)
		}
		if got, err := r.a.Read(r.Context(), []datapoints.Ask{{Series: orders, Metric: datapoints.IncomingBytes}}, noon.Add(time.Second), noon.Add(time.Minute)); err != nil || len(got[0]) != 0 {
			t.Errorf("minutes that begin between 12:00:01 and 12:01: %v, %v", got, err)
		}
	})
}

// TestDatabaseAway: what was counted meanwhile is written later, once.
func TestDatabaseAway(t *testing.T) {
	onBoth(t, func(r *rig) {
		r.away.Store(true)
		for range 5 {
			r.a.Observe(orders, bytes(1))
			if err := r.a.Flush(r.Context()); err == nil {
				t.Fatal("a flush without a database succeeds")
			}
			r.clock.Advance(time.Minute)
		}
		r.away.Store(false)
		r.flush(r.a, r.a)
		got := r.read(orders, datapoints.IncomingBytes)
		if len(got) != 5 {
			t.Fatalf("got %v", got)
		}
		for at, s := range got {
			if s.Count != 1 {
				t.Errorf("%v: %v", at, s)
			}
		}
	})
}

// TestListAndSweep: what is listed is what has datapoints, and what is too old is gone.
func TestListAndSweep(t *testing.T) {
	onBoth(t, func(r *rig) {
		shard := orders
		shard.Shard = "shardId-000000000000"
		lake := datapoints.Series{Space: datapoints.Deliveries, Account: "1", Name: "lake"}
		r.a.Observe(orders, bytes(1))
		r.b.Observe(orders, datapoints.Value{Metric: datapoints.GetSuccess, V: 1})
		r.a.Observe(lake, datapoints.Value{Metric: datapoints.S3Freshness, V: 3})
		r.flush(r.a, r.b)
		r.clock.Advance(time.Hour)
		r.a.Observe(shard, datapoints.Value{Metric: datapoints.OutgoingBytes, V: 1})
		r.a.Observe(datapoints.Series{Space: datapoints.Streams, Account: "2", Name: "theirs"}, bytes(1))
		r.flush(r.a)
		list := func(space datapoints.Space, name string, since time.Time) []datapoints.Listed {
			t.Helper()
			got, err := r.b.List(r.Context(), "1", space, name, since)
			r.must(err)
			return got
		}
		want := []datapoints.Listed{
			{Series: orders, Metrics: []datapoints.Metric{datapoints.IncomingBytes, datapoints.GetSuccess}},
			{Series: shard, Metrics: []datapoints.Metric{datapoints.OutgoingBytes}},
			{Series: lake, Metrics: []datapoints.Metric{datapoints.S3Freshness}},
		}
		if got := list(0, "", noon); !reflect.DeepEqual(got, want) {
			t.Errorf("all: %v", got)
		}
		if got := list(datapoints.Deliveries, "", noon); !reflect.DeepEqual(got, want[2:]) {
			t.Errorf("of deliveries: %v", got)
		}
		if got := list(0, "orders", noon.Add(time.Minute)); !reflect.DeepEqual(got, want[1:2]) {
			t.Errorf("lately: %v", got)
		}
		r.clock.Advance(90 * time.Minute)
		r.must(r.a.Sweep(r.Context()))
		if got := list(0, "", time.Time{}); !reflect.DeepEqual(got, want[1:2]) {
			t.Errorf("after the sweep: %v", got)
		}
	})
}

// TestRun: a round ends with each minute and with the node, and asks for what others have counted.
func TestRun(t *testing.T) {
	r := newRig(t, sqldb.Config{SQLite: filepath.Join(t.TempDir(), "d.db")})
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- r.a.Run(ctx, func() bool { return true }, func(_ context.Context, at time.Time) { r.a.ObserveAt(orders, at, bytes(2)) })
	}()
	stop()
	r.must(<-done)
	if got := r.read(orders, datapoints.IncomingBytes); len(got) != 1 || got[noon.Add(-time.Minute)].Sum != 2 {
		t.Errorf("got %v", got)
	}
}

// TestMetricsAreTold: each metric has a bit of its own in a row.
func TestMetricsAreTold(t *testing.T) {
	type at struct {
		space  datapoints.Space
		metric datapoints.Metric
	}
	seen := map[at]string{}
	for _, k := range datapoints.All() {
		if k.Metric < 1 || k.Metric > 62 {
			t.Errorf("%s has the number %d", k.Name, k.Metric)
		}
		if other, twice := seen[at{k.Space, k.Metric}]; twice {
			t.Errorf("%s has the number of %s", k.Name, other)
		}
		seen[at{k.Space, k.Metric}] = k.Name
		if found, ok := datapoints.Find(k.Space, k.Name); !ok || found != k {
			t.Errorf("%s is found as %+v", k.Name, found)
		}
	}
}

// TestOff: a nil Log counts nothing, and a known series is counted without allocating.
func TestOff(t *testing.T) {
	var off *datapoints.Log
	off.Observe(orders, bytes(1))
	if !off.Now().IsZero() {
		t.Error("a log that is off tells the time")
	}
	r := newRig(t, sqldb.Config{SQLite: filepath.Join(t.TempDir(), "d.db")})
	r.a.Observe(orders, bytes(1))
	if n := testing.AllocsPerRun(100, func() { r.a.Observe(orders, bytes(1), datapoints.Value{Metric: datapoints.GetBytes, V: 2}) }); n > 0.1 {
		t.Errorf("a measurement allocates %g times", n)
	}
}

// BenchmarkObserve is what a PutRecords adds.
func BenchmarkObserve(b *testing.B) {
	db, err := sqldb.Open(b.Context(), sqldb.Config{SQLite: filepath.Join(b.TempDir(), "d.db")})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	l := datapoints.New(db, datapoints.Options{})
	all := make([]datapoints.Series, 16)
	for i := range all {
		all[i] = orders
		all[i].Name = fmt.Sprintf("orders-%d", i)
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			l.Observe(all[i%len(all)], bytes(1), datapoints.Value{Metric: datapoints.IncomingRecords, V: 1}, datapoints.Value{Metric: datapoints.WriteExceeded, V: 0},
				datapoints.Value{Metric: datapoints.PutRecordsBytes, V: 1}, datapoints.Value{Metric: datapoints.PutRecordsLatency, V: 1},
				datapoints.Value{Metric: datapoints.PutRecordsSuccess, V: 1}, datapoints.Value{Metric: datapoints.PutRecordsTotal, V: 1},
				datapoints.Value{Metric: datapoints.PutRecordsSuccessful, V: 1}, datapoints.Value{Metric: datapoints.PutRecordsFailed, V: 0})
		}
	})
}
