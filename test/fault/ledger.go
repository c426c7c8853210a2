// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package fault

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/leatstream/leat/shardstore/segment"
)

// Ledger is the door by which the nodes of a run reach the object store. It notes which records have become durable,
// and when, before the node that wrote them can know it. So it can tell of every acknowledgement, and of every record
// that a reader is given, whether the record was durable by then: in a segment that stands in the store, with all earlier
// segments of its session (data-plane.md, rule 3). Nothing is judged by how long an answer took.
//
// A segment stands when the store has said so: it took the PUT, or gave the very bytes that were put to somebody who
// read them back. What it did with a PUT that it never answered is not known until then.
type Ledger struct {
	Addr string // HOST:PORT

	server *http.Server
	to     string
	via    *http.Transport

	weather atomic.Pointer[Weather] // nil: fair

	mu       sync.Mutex
	sessions map[string]*sessionLog
	durable  map[ID]durability
	held     map[string]bool // sessions whose segments do not get through
	problems []string
}

// Weather is what happens to requests on their way to the object store, and to its answers.
type Weather struct {
	Slow  time.Duration // each request is held up, by chance up to so long
	Lose  float64       // the share of answers that are lost after the store has done what was asked
	Close bool          // every request is answered with 503 SlowDown, and not done
}

// Set changes the weather; the zero value is fair.
func (l *Ledger) Set(w Weather) { l.weather.Store(&w) }

// fair lets a request through, later perhaps, or answers it itself.
func (l *Ledger) fair(w http.ResponseWriter, r *http.Request) bool {
	now := l.weather.Load()
	if now == nil {
		return true
	}
	if now.Slow > 0 {
		select {
		case <-time.After(rand.N(now.Slow)):
		case <-r.Context().Done():
			panic(http.ErrAbortHandler)
		}
	}
	if now.Close {
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, `<?xml version="1.0" encoding="UTF-8"?><Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>`)
		return false
	}
	return true
}

// durability is where and since when a record is durable.
type durability struct {
	at    Place
	since time.Time
}

// sessionLog is one session's log as the store has it.
type sessionLog struct {
	next  uint64                     // below it all segments stand
	stand map[uint64][]byte          // segments from next on that stand
	sent  map[uint64]map[string]bool // what was put and may stand: the bodies, by number
}

// NewLedger opens the door to an object store. It lives as long as the test.
func NewLedger(tb testing.TB, store string) *Ledger {
	tb.Helper()
	listener, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	l := &Ledger{
		Addr: listener.Addr().String(), to: store,
		via:      &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true},
		sessions: map[string]*sessionLog{}, durable: map[ID]durability{}, held: map[string]bool{},
	}
	l.server = &http.Server{Handler: l, ReadHeaderTimeout: time.Minute}
	var serving sync.WaitGroup
	serving.Go(func() { _ = l.server.Serve(listener) }) // until it is closed
	tb.Cleanup(func() {
		_ = l.server.Close()
		l.via.CloseIdleConnections()
		serving.Wait()
	})
	return l
}

// ServeHTTP passes a request on. When the store does not answer, nor does the door: the connection breaks.
func (l *Ledger) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !l.fair(w, r) {
		return
	}
	out := r.Clone(r.Context())
	out.URL.Scheme, out.URL.Host, out.RequestURI = "http", l.to, ""
	session, n, ok := segmentKey(r.URL.Path)
	if ok && r.Method == http.MethodPut {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		out.Body, out.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		l.sends(session, n, body)
		if l.holds(session) {
			<-r.Context().Done() // the node gives up, or the test ends
			panic(http.ErrAbortHandler)
		}
		l.pass(w, out, func(code int, _ []byte) {
			if code == http.StatusOK {
				l.stands(session, n, body)
			}
		})
		return
	}
	l.pass(w, out, func(code int, got []byte) {
		if ok && r.Method == http.MethodGet && (code == http.StatusOK || code == http.StatusPartialContent) {
			l.readBack(session, n, got)
		}
	})
}

// pass hands a request on, and the answer back after note has seen it.
func (l *Ledger) pass(w http.ResponseWriter, out *http.Request, note func(code int, body []byte)) {
	res, err := l.via.RoundTrip(out)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	note(res.StatusCode, body)
	if now := l.weather.Load(); now != nil && rand.Float64() < now.Lose {
		panic(http.ErrAbortHandler)
	}
	maps.Copy(w.Header(), res.Header)
	w.WriteHeader(res.StatusCode)
	_, _ = w.Write(body) // a caller that went away is none of ours
}

// segmentKey reads session and number out of the path of a segment.
func segmentKey(path string) (session string, n uint64, ok bool) {
	_, key, ok := strings.Cut(path, "/wal/")
	session, number, found := strings.Cut(key, "/")
	n, err := strconv.ParseUint(number, 10, 64)
	return session, n, ok && found && err == nil
}

// sends notes a body that may come to stand.
func (l *Ledger) sends(session string, n uint64, body []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.sessions[session]
	if s == nil {
		s = &sessionLog{stand: map[uint64][]byte{}, sent: map[uint64]map[string]bool{}}
		l.sessions[session] = s
	}
	if n < s.next {
		return
	}
	if s.sent[n] == nil {
		s.sent[n] = map[string]bool{}
	}
	s.sent[n][string(body)] = true
}

// readBack notes what somebody read at a segment's place, its beginning or its end: of the bodies that were put the one
// with these bytes stands. Header and footer both hold the nonce.
func (l *Ledger) readBack(session string, n uint64, got []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.sessions[session]
	if s == nil || n < s.next || s.stand[n] != nil || len(got) < segment.HeaderSize {
		return
	}
	for body := range s.sent[n] {
		if strings.HasPrefix(body, string(got[:segment.HeaderSize])) || strings.HasSuffix(body, string(got)) {
			l.standsLocked(s, n, []byte(body))
			return
		}
	}
}

func (l *Ledger) stands(session string, n uint64, body []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s := l.sessions[session]; n >= s.next && s.stand[n] == nil {
		l.standsLocked(s, n, body)
	}
}

// standsLocked takes the records of all segments in that have no gap before them now.
func (l *Ledger) standsLocked(s *sessionLog, n uint64, body []byte) {
	s.stand[n] = body
	for {
		object := s.stand[s.next]
		if object == nil {
			return
		}
		h, err := segment.ParseHeader(object)
		if err == nil && h.Kind == segment.KindFence {
			return // the end: whatever is beyond it never counts
		}
		if err == nil {
			err = l.takeLocked(object)
		}
		if err != nil {
			l.problems = append(l.problems, fmt.Sprintf("a segment that was put cannot be read: %v", err))
		}
		delete(s.stand, s.next)
		delete(s.sent, s.next)
		s.next++
	}
}

func (l *Ledger) takeLocked(object []byte) error {
	_, chunks, err := segment.NewCoder().DecodeObject(object)
	if err != nil {
		return err
	}
	now := time.Now()
	for _, c := range chunks {
		records, err := c.Records(nil, c.First, int(c.Count), 1<<30)
		if err != nil {
			return err
		}
		for i := range records {
			id, err := Identify(records[i].PartitionKey, records[i].Data)
			if err != nil {
				return err
			}
			at := Place{fmt.Sprintf("shardId-%012d", c.Shard.Ordinal), records[i].Offset}
			if was, twice := l.durable[id]; twice {
				l.problems = append(l.problems, fmt.Sprintf("I1: %v became durable twice, at %v and %v", id, was.at, at))
				continue
			}
			l.durable[id] = durability{at, now}
		}
	}
	return nil
}

// Durable tells since when a record is durable at a place; an error when it is not.
func (l *Ledger) Durable(id ID, at Place) (since time.Time, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	d, known := l.durable[id]
	switch {
	case !known:
		return since, fmt.Errorf("%v at %v is in no durable segment", id, at)
	case d.at != at:
		return since, fmt.Errorf("%v is durable at %v, not at %v", id, d.at, at)
	}
	return d.since, nil
}

// Hold lets no segment of a session through from now on.
func (l *Ledger) Hold(session string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held[session] = true
}

func (l *Ledger) holds(session string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.held[session]
}

// Problems are things that can never be.
func (l *Ledger) Problems() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.problems...)
}
