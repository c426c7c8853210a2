// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package audit_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/pgtest"
	"github.com/leatstream/leat/internal/sqldb"
	"github.com/leatstream/leat/server/audit"
)

// clock tells the time that a test sets; its timers are the machine's.
type clock struct {
	leat.SystemClock
	now atomic.Int64 // microseconds
}

func (c *clock) Now() time.Time          { return time.UnixMicro(c.now.Load()).UTC() }
func (c *clock) Advance(d time.Duration) { c.now.Add(d.Microseconds()) }

type rig struct {
	*testing.T
	*audit.Log
	clock *clock
	away  atomic.Bool // no commit goes through
	lose  atomic.Bool // the answer of the next commit
}

// onBoth runs a test on each engine.
func onBoth(t *testing.T, test func(r *rig)) {
	t.Run("sqlite", func(t *testing.T) {
		test(newRig(t, sqldb.Config{SQLite: filepath.Join(t.TempDir(), "a.db")}))
	})
	t.Run("postgres", func(t *testing.T) { test(newRig(t, sqldb.Config{Postgres: pgtest.Database(t)})) })
}

func newRig(t *testing.T, cfg sqldb.Config) *rig {
	t.Helper()
	r := &rig{T: t, clock: &clock{}}
	r.clock.now.Store(time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC).UnixMicro())
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
	r.Log = audit.New(db, audit.Options{Keep: 48 * time.Hour, Every: time.Hour, Clock: r.clock})
	r.must(r.Migrate(t.Context()))
	return r
}

func (r *rig) must(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

func (r *rig) list(f audit.Filter) []audit.Event {
	r.Helper()
	if f.Limit == 0 {
		f.Limit = 100_000
	}
	all, err := r.List(r.Context(), f)
	r.must(err)
	return all
}

func denied(account, resource string) audit.Event {
	return audit.Event{Account: account, Principal: "arn:p", Name: "n", Credential: "c", Operation: "PutRecord", Resource: resource, Source: "10.0.0.1", Outcome: "ACCESS_DENIED", Message: "no", Request: "r-" + resource}
}

func TestWhatIsAlikeIsCounted(t *testing.T) {
	onBoth(t, func(r *rig) {
		for range 1000 {
			r.Add(denied("1", "a"))
			r.clock.Advance(time.Millisecond)
		}
		r.Add(denied("1", "b"))
		r.Add(denied("2", "a"))
		if got := r.Waiting(); got != 3 {
			t.Fatalf("%d rows wait", got)
		}
		r.lose.Store(true)
		r.must(r.Flush(t.Context()))
		all := r.list(audit.Filter{})
		if len(all) != 3 || all[0].Times != 1000 || all[0].Last.Sub(all[0].Time) != 999*time.Millisecond || all[1].Times != 1 || all[0].Request != "r-a" || !all[0].Denied() {
			t.Fatalf("got %+v", all)
		}
		r.Add(denied("1", "a")) // another round
		r.must(r.Flush(t.Context()))
		if all := r.list(audit.Filter{Account: "1", Resource: "a"}); len(all) != 2 || all[1].Times != 1 || all[0].ID >= all[1].ID {
			t.Fatalf("got %+v", all)
		}
	})
}

// TestBounds shows that what differs is bounded too, and that every call is still counted.
func TestBounds(t *testing.T) {
	onBoth(t, func(r *rig) {
		const calls = 20_000
		for n := range calls {
			r.Add(denied("1", fmt.Sprint("stream", n)))
			r.Add(denied("quiet", "a"))
		}
		if got := r.Waiting(); got > 300 {
			t.Fatalf("%d rows wait", got)
		}
		r.must(r.Flush(t.Context()))
		var times, quiet int64
		merged := false
		for _, e := range r.list(audit.Filter{}) {
			if e.Account == "quiet" {
				quiet += e.Times
				continue
			}
			times += e.Times
			merged = merged || e.Operation == "*" && e.Resource == "*" && e.Times == calls-256
		}
		if times != calls || quiet != calls || !merged {
			t.Fatalf("counted %d and %d, merged %v", times, quiet, merged)
		}
		for n := range 3 * calls {
			r.Add(denied(fmt.Sprint(n), "a"))
		}
		if got := r.Waiting(); got != 2*4096 || r.Lost() != 3*calls-2*4096 {
			t.Fatalf("%d rows wait, %d are lost", got, r.Lost())
		}
	})
}

// No text that a caller chooses keeps other rows from being written: PostgreSQL takes no zero byte.
// What is owed for changes is paid off, is each account's own, and leaves nothing out of the log.
func TestRoomForChanges(t *testing.T) {
	onBoth(t, func(r *rig) {
		gone, cancel := context.WithCancel(t.Context())
		cancel() // nobody waits for the rows
		n := 0
		for ; r.Wait("111111111111") == 0; n++ {
			r.Write(gone, audit.Event{Account: "111111111111", Operation: "PutRole", After: json.RawMessage(strings.Repeat("1", 30<<10))})
		}
		if n < 200 || n > 300 {
			t.Errorf("%d changes of 30 KiB had room", n)
		}
		r.Write(gone, audit.Event{Account: "111111111111", Operation: "AddTags"})
		if r.Wait("222222222222") != 0 {
			t.Error("another account waits")
		}
		wait := r.Wait("111111111111")
		r.clock.Advance(wait - 2*time.Second)
		r.must(r.Flush(t.Context()))
		if r.Wait("111111111111") == 0 {
			t.Error("what was written is not owed any more")
		}
		r.clock.Advance(2 * time.Second)
		if r.Wait("111111111111") != 0 {
			t.Errorf("after %v there is no room yet", wait)
		}
		if got := len(r.list(audit.Filter{Limit: 1000})); got != n+1 {
			t.Errorf("%d changes are in the log, want %d", got, n+1)
		}
	})
}

func TestTextsThatADatabaseRefuses(t *testing.T) {
	onBoth(t, func(r *rig) {
		const bad = "a\x00b\xffc"
		e := audit.Event{
			Account: bad, Principal: bad, Name: bad, Credential: bad, Operation: bad, Resource: bad + strings.Repeat("long", 1000), Source: bad, Agent: bad, Request: bad,
			Outcome: "ACCESS_DENIED", Message: bad,
		}
		r.Add(e)
		r.AddAttempt(e)
		r.Write(t.Context(), e)
		r.Add(denied("1", "good"))
		r.must(r.Flush(t.Context()))
		all := r.list(audit.Filter{})
		if len(all) < 2 || r.Lost() != 0 {
			t.Errorf("%d rows, %d lost", len(all), r.Lost())
		}
		for _, e := range all {
			if e.Account != "1" && (e.Name != "a b\ufffdc" || e.Request != e.Name || len(e.Resource) > 600) {
				t.Errorf("%q, %q, a resource of %d bytes", e.Name, e.Request, len(e.Resource))
			}
		}
	})
}

// TestAway shows that nothing waits for a database that is away for longer than a moment, and that nothing is lost or doubled when
// it comes back.
func TestAway(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- r.Log.Run(ctx, func() bool { return true }) }()
		change := func(n int) audit.Event {
			return audit.Event{Account: "1", Operation: "DeleteStream", Resource: fmt.Sprint(n), Outcome: audit.OK, Before: json.RawMessage(`{"shards":1}`)}
		}
		r.Write(ctx, change(1))
		if all := r.list(audit.Filter{Changes: true}); len(all) != 1 || string(all[0].Before) != `{"shards":1}` || all[0].After != nil {
			t.Fatalf("a change is not there when Write returns: %+v", all)
		}
		r.away.Store(true)
		r.Add(denied("1", "a"))
		if err := r.Flush(ctx); err == nil {
			t.Fatal("it was written")
		}
		r.Add(denied("1", "a"))
		brief, end := context.WithCancel(ctx)
		end()
		r.Write(brief, change(2)) // whoever goes away does not wait
		r.Write(ctx, change(3))   // nor does anybody for ever
		tick := time.NewTicker(time.Millisecond)
		for r.Waiting() != 3 { // one attempt may be under way
			<-tick.C
		}
		tick.Stop()
		r.away.Store(false)
		stop() // what waits is written when the node stops
		r.must(<-done)
		all := r.list(audit.Filter{})
		var got []string
		for _, e := range all {
			got = append(got, fmt.Sprint(e.Operation, " ", e.Resource, " ", e.Times))
		}
		if want := "DeleteStream 1 1,PutRecord a 2,DeleteStream 2 1,DeleteStream 3 1"; strings.Join(got, ",") != want || r.Lost() != 0 {
			t.Fatalf("got %v, lost %d", got, r.Lost())
		}
	})
}

func TestFilters(t *testing.T) {
	onBoth(t, func(r *rig) {
		var times []time.Time
		for n := range 6 {
			times = append(times, r.clock.Now())
			e := denied(fmt.Sprint("0", n%2), fmt.Sprintf("arn:aws:kinesis:r:1:stream/s_%d", n))
			e.Operation = []string{"PutRecord", "GetRecords", "DeleteStream"}[n%3]
			if n == 2 {
				e.Outcome, e.After, e.Principal = audit.OK, json.RawMessage(`{}`), "arn:other"
			}
			r.Add(e)
			r.clock.Advance(time.Hour)
		}
		r.must(r.Flush(t.Context()))
		for _, c := range []struct {
			f    audit.Filter
			want string
		}{
			{audit.Filter{}, "012345"},
			{audit.Filter{NewestFirst: true}, "543210"},
			{audit.Filter{NewestFirst: true, Limit: 2}, "54"},
			{audit.Filter{Account: "01"}, "135"},
			{audit.Filter{Operation: "GetRecords"}, "14"},
			{audit.Filter{Resource: "stream/s_4"}, "4"},
			{audit.Filter{Resource: "streamXs_4"}, ""},
			{audit.Filter{Resource: "stream/s%4"}, ""},
			{audit.Filter{Principal: "arn:other"}, "2"},
			{audit.Filter{Principal: "n"}, "012345"},
			{audit.Filter{Request: "r-arn:aws:kinesis:r:1:stream/s_3"}, "3"},
			{audit.Filter{Denied: true}, "01345"},
			{audit.Filter{Changes: true}, "2"},
			{audit.Filter{Since: times[1], Until: times[3]}, "12"},
		} {
			got := ""
			for _, e := range r.list(c.f) {
				got += e.Resource[len(e.Resource)-1:]
			}
			if got != c.want {
				t.Errorf("%+v: got %s, want %s", c.f, got, c.want)
			}
		}
		first := r.list(audit.Filter{Limit: 2})
		if next := r.list(audit.Filter{Limit: 2, After: first[1].ID}); len(next) != 2 || !strings.HasSuffix(next[0].Resource, "2") {
			t.Errorf("the next page is %+v", next)
		}
		// Retention: 48 hours after the third event the first two are gone.
		r.clock.now.Store(times[2].Add(48 * time.Hour).UnixMicro())
		r.must(r.Sweep(t.Context()))
		if all := r.list(audit.Filter{}); len(all) != 4 || !strings.HasSuffix(all[0].Resource, "2") {
			t.Errorf("%d are left, the first is %s", len(all), all[0].Resource)
		}
	})
}

// attempt is a failed attempt to sign in.
func attempt(source, account, why string) audit.Event {
	return audit.Event{Account: account, Operation: "SignIn", Resource: "*", Edge: leat.EdgeREST, Source: source, Outcome: leat.KindUnauthenticated.String(), Message: why, Agent: "a"}
}

// Whoever tries to sign in with nothing, from however many addresses, fills a bounded number of rows; none goes uncounted, and
// those with a credential that there is stay apart.
func TestAttemptsAreBounded(t *testing.T) {
	onBoth(t, func(r *rig) {
		for i := range 5000 {
			r.AddAttempt(attempt(fmt.Sprintf("10.0.%d.%d", i/250, i%250), "", "the token is not known"))
			if i%100 == 0 {
				r.AddAttempt(attempt("10.1.1.1", "111111111111", "the signature is wrong"))
			}
		}
		r.AddAttempt(attempt("10.0.0.0", "", "something else")) // counted with what there is no room for
		r.AddAttempt(attempt("10.0.0.1", "", "the token is not known"))
		r.must(r.Flush(r.Context()))
		rows, known, total, rest := 0, int64(0), int64(0), int64(0)
		for _, e := range r.list(audit.Filter{Operation: "SignIn"}) {
			total += e.Times
			switch {
			case e.Account != "":
				known += e.Times
			case e.Source == "":
				rest = e.Times
			}
			rows++
		}
		if rows > 40 || known != 50 || total != 5052 || rest < 4900 {
			r.Errorf("%d rows of %d attempts, %d with a credential, %d of them counted together", rows, total, known, rest)
		}
	})
}

// Attempts wait for four rounds, survive a database that is away, and are counted once.
func TestAttemptsOfAMinuteAreOneRow(t *testing.T) {
	r := newRig(t, sqldb.Config{SQLite: filepath.Join(t.TempDir(), "a.db")})
	for range 3 {
		r.AddAttempt(attempt("10.0.0.1", "", "wrong"))
		r.clock.Advance(time.Second)
	}
	r.away.Store(true)
	if r.Flush(t.Context()) == nil {
		t.Fatal("the database was away")
	}
	r.AddAttempt(attempt("10.0.0.1", "", "wrong"))
	r.AddAttempt(attempt("10.0.0.1", "", "wrong in another way"))
	r.away.Store(false)
	r.lose.Store(true)
	r.must(r.Flush(t.Context()))
	all := r.list(audit.Filter{Operation: "SignIn"})
	if len(all) != 2 || all[0].Times != 4 || all[1].Times != 1 || !all[0].Last.After(all[0].Time) {
		t.Errorf("got %+v", all)
	}
}
