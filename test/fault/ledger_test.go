// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package fault

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore/segment"
)

// fakeStore keeps what is put, if absent, and loses answers when it is told to.
type fakeStore struct {
	mu      sync.Mutex
	objects map[string][]byte
	mute    bool // it does as it is asked and does not answer
	dead    bool // it does nothing and does not answer
}

func (s *fakeStore) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dead {
		panic(http.ErrAbortHandler)
	}
	old, there := s.objects[r.URL.Path]
	if r.Method == http.MethodPut && !there {
		s.objects[r.URL.Path] = body
	}
	if s.mute {
		panic(http.ErrAbortHandler)
	}
	switch {
	case r.Method == http.MethodPut && there:
		w.WriteHeader(http.StatusPreconditionFailed)
	case r.Method == http.MethodGet && !there:
		w.WriteHeader(http.StatusNotFound)
	case r.Method == http.MethodGet:
		_, _ = w.Write(old)
	}
}

// ledgerRig puts segments of one session through a ledger.
type ledgerRig struct {
	t *testing.T
	*Ledger
	store *fakeStore
	shard leat.ShardKey
}

func newLedgerRig(t *testing.T) *ledgerRig {
	store := &fakeStore{objects: map[string][]byte{}}
	srv := httptest.NewServer(store)
	t.Cleanup(srv.Close)
	return &ledgerRig{t: t, Ledger: NewLedger(t, strings.TrimPrefix(srv.URL, "http://")), store: store, shard: leat.ShardKey{Ordinal: 3}}
}

// object is segment n, with a record at an offset.
func (r *ledgerRig) object(n, offset uint64, id ID) []byte {
	r.t.Helper()
	rec := leat.Record{PartitionKey: id.PartitionKey(), Data: id.Data(), Offset: offset, Time: 1}
	rec.CRC = rec.Checksum()
	c := segment.NewChunk(r.shard, 1, offset)
	c.Append(&rec)
	b, _, err := segment.NewCoder().Encode(segment.Header{Kind: segment.KindSegment, N: n, Nonce: [16]byte{1, byte(n), byte(id.N)}}, []*segment.Chunk{c}, nil, segment.Options{})
	if err != nil {
		r.t.Fatal(err)
	}
	return b
}

func (r *ledgerRig) ask(method string, n uint64, body []byte) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), method, fmt.Sprintf("http://%s/bucket/wal/aa/%020d", r.Addr, n), bytes.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	caller := http.Client{Timeout: time.Minute}
	res, err := caller.Do(req)
	if err != nil {
		return // no answer
	}
	_, _ = io.Copy(io.Discard, res.Body)
	_ = res.Body.Close()
}

func (r *ledgerRig) put(n uint64, body []byte) { r.t.Helper(); r.ask(http.MethodPut, n, body) }

func (r *ledgerRig) quiet(mute, dead bool) {
	r.store.mu.Lock()
	defer r.store.mu.Unlock()
	r.store.mute, r.store.dead = mute, dead
}

// The ledger itself: of each story it must say of the record whether it was durable.
func TestLedgerKnowsWhatIsDurable(t *testing.T) {
	a, b := ID{1, 0}, ID{1, 1}
	for _, tc := range []struct {
		about string
		tell  func(r *ledgerRig)
		of    ID
		at    uint64
		want  string // "" for durable
	}{
		{"a segment that was taken", func(r *ledgerRig) { r.put(0, r.object(0, 0, a)) }, a, 0, ""},
		{"a record that nobody put", func(*ledgerRig) {}, a, 0, "in no durable segment"},
		{"a record at another place", func(r *ledgerRig) { r.put(0, r.object(0, 0, a)) }, a, 1, "not at"},
		{"a store that is dead", func(r *ledgerRig) { r.quiet(false, true); r.put(0, r.object(0, 0, a)) }, a, 0, "in no durable segment"},
		{"a segment after one that is missing", func(r *ledgerRig) { r.put(1, r.object(1, 0, a)) }, a, 0, "in no durable segment"},
		{"a gap that was closed", func(r *ledgerRig) { r.put(1, r.object(1, 1, b)); r.put(0, r.object(0, 0, a)) }, b, 1, ""},
		{"a lost answer", func(r *ledgerRig) { r.quiet(true, false); r.put(0, r.object(0, 0, a)) }, a, 0, "in no durable segment"},
		{"a lost answer, and a second try that finds it there", func(r *ledgerRig) {
			o := r.object(0, 0, a)
			r.quiet(true, false)
			r.put(0, o)
			r.quiet(false, false)
			r.put(0, o)
		}, a, 0, "in no durable segment"},
		{"a lost answer that was read back", func(r *ledgerRig) {
			o := r.object(0, 0, a)
			r.quiet(true, false)
			r.put(0, o)
			r.quiet(false, false)
			r.put(0, o)
			r.ask(http.MethodGet, 0, nil)
		}, a, 0, ""},
		{"another's object that was read back", func(r *ledgerRig) {
			r.put(0, segment.Fence(segment.Header{Kind: segment.KindFence, Nonce: [16]byte{9}}))
			r.put(0, r.object(0, 0, a))
			r.ask(http.MethodGet, 0, nil)
		}, a, 0, "in no durable segment"},
		{"a segment beyond the fence", func(r *ledgerRig) {
			r.put(0, segment.Fence(segment.Header{Kind: segment.KindFence, Nonce: [16]byte{9}}))
			r.put(1, r.object(1, 0, a))
		}, a, 0, "in no durable segment"},
	} {
		t.Run(tc.about, func(t *testing.T) {
			r := newLedgerRig(t)
			tc.tell(r)
			at := Place{"shardId-000000000003", tc.at}
			_, err := r.Durable(tc.of, at)
			if said := fmt.Sprint(err); (err == nil) != (tc.want == "") || err != nil && !strings.Contains(said, tc.want) {
				t.Errorf("the ledger says %v, want %q", err, tc.want)
			}
			h := NewHistory()
			h.Ledger = r.Ledger
			shardID, number := sequence(3, int(tc.at))
			h.Acked(tc.of, shardID, number)
			if broken := len(h.Broken()) > 0; broken != (tc.want != "") {
				t.Errorf("an acknowledgement breaks a promise: %v", h.Broken())
			}
			if p := r.Problems(); len(p) > 0 {
				t.Error(p)
			}
		})
	}
	t.Run("twice", func(t *testing.T) {
		r := newLedgerRig(t)
		r.put(0, r.object(0, 0, a))
		r.put(1, r.object(1, 1, a))
		if p := r.Problems(); len(p) != 1 || !strings.Contains(p[0], "twice") {
			t.Errorf("of a record that is written twice the ledger says %v", p)
		}
	})
}
