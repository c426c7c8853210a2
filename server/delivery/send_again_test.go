// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/delivery/spec"
)

// taker is an endpoint of Firehose's contract that takes up to so many requests.
type taker struct {
	most int
	got  map[string]int
}

func (c *taker) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	var req firehoseRequest
	if c.most--; c.most < 0 || json.NewDecoder(q.Body).Decode(&req) != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	for _, r := range req.Records {
		c.got[string(r.Data)]++
	}
	fmt.Fprintf(w, `{"requestId":%q}`, req.RequestID)
}

// sends is a job of a plan of two shards, of whose ten records each these are left, in requests of five.
func sends(t *testing.T, url string, had map[string]*sent, left ...spec.Record) *job {
	t.Helper()
	to := newEndpoint(&spec.HTTP{URL: url, BatchBytes: 5})
	t.Cleanup(to.close)
	j := &job{
		e: &Engine{cfg: Config{Clock: leat.SystemClock{}}}, delivery: &spec.Delivery{}, t: &tools{endpoint: to}, sent: had, room: &room{},
		p: &plan{id: "p", parts: []Part{{Shard: 0, End: 10}, {Shard: 1, End: 10}}}, records: left,
	}
	for i := range left {
		j.outputs = append(j.outputs, spec.Output{Source: i, Data: []byte{byte('a' + 10*left[i].Shard + left[i].Offset)}})
	}
	return j
}

// from are the records of a shard from an offset on.
func from(shard, offset uint64) (all []spec.Record) {
	for ; offset < 10; offset++ {
		all = append(all, spec.Record{Shard: shard, Offset: offset})
	}
	return all
}

// What an endpoint took is known by all of its records: those of a second shard may expire between two tries while the first
// record of a request stays, and then the request has others.
func TestRequestsAreKnownByAllTheirRecords(t *testing.T) {
	t.Parallel()
	c := &taker{most: 1, got: map[string]int{}}
	web := httptest.NewServer(c)
	defer web.Close()
	had := map[string]*sent{}
	j := sends(t, web.URL, had, slices.Concat(from(0, 7), from(1, 3))...)
	if _, err := j.sendAll(t.Context(), j.marks()); err == nil {
		t.Fatal("the second request was taken")
	}
	c.most = 100
	j = sends(t, web.URL, had, slices.Concat(from(0, 7), from(1, 4))...)
	if given, err := j.sendAll(t.Context(), j.marks()); err != nil || len(given) > 0 {
		t.Fatal(given, err)
	}
	all := slices.Concat(from(0, 7), from(1, 3))
	for _, r := range all {
		if data := string(rune('a' + 10*r.Shard + r.Offset)); c.got[data] == 0 {
			t.Errorf("record %d of shard %d never came: %v", r.Offset, r.Shard, slices.Sorted(maps.Keys(c.got)))
		}
	}
}

// stopped is a clock that is set by hand.
type stopped struct{ at time.Time }

func (s *stopped) Now() time.Time { return s.at }

func (s *stopped) NewTimer(time.Duration) (<-chan time.Time, func()) { return nil, func() {} }

// The plan of a slow endpoint that goes further than others may lets another account's do so in between, and goes on where it was.
func TestSlowEndpointsTakeTurns(t *testing.T) {
	t.Parallel()
	c := &taker{most: 100, got: map[string]int{}}
	web := httptest.NewServer(c)
	defer web.Close()
	e, clock := roomy(64<<20), &stopped{}
	e.cfg.Clock = clock
	had := map[string]*sent{}
	slow, other := e.further(t, "a"), e.mustRoom(t, "b", 4<<20)
	j := sends(t, web.URL, had, slices.Concat(from(0, 0), from(1, 0))...) // four requests
	j.e, j.room = e, slow
	clock.at = clock.at.Add(turn)
	theirs := make(chan error)
	go func() { theirs <- other.more(t.Context()) }()
	for e.waiting.Load() == 0 {
		runtime.Gosched()
	}
	for try := range 2 {
		if _, err := j.sendAll(t.Context(), j.marks()); !errors.Is(err, errTurn) || len(c.got) != 5*(try+1) {
			t.Fatalf("try %d: %v, %d records came", try, err, len(c.got))
		}
	}
	slow.free()
	if err := <-theirs; err != nil {
		t.Fatal(err)
	}
	other.free()
	j.room = e.further(t, "a")
	clock.at = clock.at.Add(turn) // nobody waits
	if _, err := j.sendAll(t.Context(), j.marks()); err != nil || len(c.got) != 20 {
		t.Fatalf("%v, %d records came", err, len(c.got))
	}
	for data, n := range c.got {
		if n != 1 {
			t.Errorf("%s came %d times", data, n)
		}
	}
}

// further is the room of a plan that goes further, since others have what there is for more.
func (e *Engine) further(t *testing.T, account string) *room {
	t.Helper()
	e.beyond.TryAcquire(e.cfg.Memory)
	r := e.mustRoom(t, account, 4<<20)
	if err := r.more(t.Context()); err != nil || !r.alone {
		t.Fatal(err, r.alone)
	}
	return r
}
