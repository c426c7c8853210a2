// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package keyring_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/catalog"
	"github.com/leatstream/leat/server/journal"
	"github.com/leatstream/leat/server/keyring"
	"github.com/leatstream/leat/server/masterkey"
	"github.com/leatstream/leat/shardstore"
	"github.com/leatstream/leat/shardstore/blob/fault"
	"github.com/leatstream/leat/shardstore/blob/mem"
)

// store is the catalog's table in memory, which can be away, and the bucket.
type store struct {
	*keyring.Store
	bucket *mem.Store

	mu    sync.Mutex
	keys  map[leat.KeyID]catalog.StreamKey
	away  error
	looks int
	block chan struct{}
}

func newStore() *store {
	bucket := mem.New(nil)
	return &store{Store: keyring.NewStore(bucket, nil), bucket: bucket, keys: map[leat.KeyID]catalog.StreamKey{}}
}

func (s *store) Streams(context.Context) ([]leat.Stream, error) { return nil, s.away }

func (s *store) KeepApart(context.Context, leat.KeyID) (bool, error) { return true, s.away }

func (s *store) ScrubJournal(context.Context, func(leat.StreamID, *journal.Key) error) (int, error) {
	return 0, s.away
}

func (s *store) StreamKey(_ context.Context, id leat.KeyID) (catalog.StreamKey, error) {
	if s.block != nil {
		<-s.block
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.looks++
	k, ok := s.keys[id]
	if s.away == nil && !ok {
		return k, leat.Errorf(leat.KindNotFound, "Key %s not found.", id)
	}
	return k, s.away
}

func (s *store) StreamKeys(context.Context) (all []catalog.StreamKey, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range s.keys {
		all = append(all, k)
	}
	return all, s.away
}

func (s *store) RewrapStreamKey(_ context.Context, id leat.KeyID, was, wrapped string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k := s.keys[id]; k.Wrapped == was {
		k.Wrapped = wrapped
		s.keys[id] = k
	}
	return s.away
}

func (s *store) add(t *testing.T, r *keyring.Ring, stream leat.StreamID) leat.KeyID {
	t.Helper()
	k, err := r.Make(t.Context(), stream)
	if err != nil {
		t.Fatal(err)
	}
	k.Wrapped = journal.KeptApart
	s.keys[k.ID] = k
	return k.ID
}

func line(b byte) string { return masterkey.Generate(bytes.NewReader(bytes.Repeat([]byte{b}, 32))) }

func master(t *testing.T, lines ...string) *masterkey.Ring {
	t.Helper()
	m, err := masterkey.Parse([]byte(strings.Join(lines, "\n")))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// clock stands still until it is moved.
type clock struct {
	leat.SystemClock
	now time.Time
}

func (c *clock) Now() time.Time { return c.now }

var errAway = errors.New("the database is away")

func TestKeysStayKnownWhileTheCatalogIsAway(t *testing.T) {
	s := newStore()
	stream := leat.StreamID{1}
	made := keyring.New(keyring.Options{Catalog: s, Store: s.Store, Master: master(t, line(1))})
	id, late := s.add(t, made, stream), s.add(t, made, stream)
	s.away = errAway
	if _, err := made.Key(id); err != nil || s.looks != 0 {
		t.Errorf("a key that was just made is looked for: %v", err)
	}
	s.away = nil
	if stored, err := s.Get(t.Context(), stream, id); err != nil || !strings.HasPrefix(stored, "leat-wrapped-1:") {
		t.Errorf("stored %q, %v", stored, err)
	}
	c := &clock{now: time.Unix(1000, 0)}
	streams := map[leat.StreamID]leat.Stream{stream: {DataKey: id}, {2}: {}}
	r := keyring.New(keyring.Options{Catalog: s, Store: s.Store, Master: master(t, line(1)), Clock: c, Streams: func(id leat.StreamID) (leat.Stream, bool) {
		st, ok := streams[id]
		return st, ok
	}})
	key, err := r.Current(stream)
	if err != nil || key.ID != id || len(key.Secret) != 32 {
		t.Fatalf("%+v, %v", key, err)
	}
	if key, err := r.Current(leat.StreamID{2}); err != nil || !key.ID.IsZero() {
		t.Errorf("a stream that is not encrypted: %+v, %v", key, err)
	}
	if _, err := r.Current(leat.StreamID{3}); leat.KindOf(err) != leat.KindUnavailable || !errors.Is(err, shardstore.ErrUnknownStream) {
		t.Errorf("a stream that is not known: %v", err)
	}
	s.away = errAway
	if again, err := r.Current(stream); err != nil || !bytes.Equal(again.Secret, key.Secret) {
		t.Errorf("without the catalog: %v", err)
	}
	for range 3 {
		_, err = r.Key(late)
		var e *leat.Error
		if !errors.As(err, &e) || e.Kind != leat.KindUnavailable || !errors.Is(err, errAway) || strings.Contains(e.Message, errAway.Error()) {
			t.Errorf("a key that is not known yet: %v", err)
		}
	}
	if s.looks != 2 {
		t.Errorf("the catalog was asked %d times", s.looks)
	}
	s.away = nil
	c.now = c.now.Add(2 * time.Second)
	if _, err := r.Key(late); err != nil {
		t.Errorf("when the catalog is back: %v", err)
	}
}

func TestManyWhoWantAKeyAskOnce(t *testing.T) {
	s := newStore()
	s.block = make(chan struct{})
	id := s.add(t, keyring.New(keyring.Options{Catalog: s, Store: s.Store, Master: master(t, line(1))}), leat.StreamID{1})
	r := keyring.New(keyring.Options{Catalog: s, Store: s.Store, Master: master(t, line(1))})
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if _, err := r.Key(id); err != nil {
				t.Error(err)
			}
		})
	}
	close(s.block)
	all.Wait()
	if s.looks != 1 {
		t.Errorf("the catalog was asked %d times", s.looks)
	}
}

func TestLoadWrapsAgainUnderTheFirstMasterKey(t *testing.T) {
	s := newStore()
	r := keyring.New(keyring.Options{Catalog: s, Store: s.Store, Master: master(t, line(1))})
	id := s.add(t, r, leat.StreamID{1})
	want, err := r.Key(id)
	if err != nil {
		t.Fatal(err)
	}
	if err := keyring.New(keyring.Options{Catalog: s, Store: s.Store, Master: master(t, line(2), line(1))}).Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	later := keyring.New(keyring.Options{Catalog: s, Store: s.Store, Master: master(t, line(2))})
	if err := later.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.away = errAway
	if got, err := later.Key(id); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%x, %v, want %x", got, err, want)
	}
	s.away = nil
	for name, m := range map[string]*masterkey.Ring{"the former key": master(t, line(1)), "none": nil} {
		r := keyring.New(keyring.Options{Catalog: s, Store: s.Store, Master: m})
		err := r.Load(t.Context())
		if leat.KindOf(err) != leat.KindUnavailable || !strings.Contains(err.Error(), "--master-key-file") {
			t.Errorf("%s: start: %v", name, err)
		}
		if _, err := r.Key(id); leat.KindOf(err) != leat.KindUnavailable || !strings.Contains(err.Error(), "--master-key-file") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestADamagedKeyKeepsNobodyElseFromStarting(t *testing.T) {
	s := newStore()
	r := keyring.New(keyring.Options{Catalog: s, Store: s.Store, Master: master(t, line(1))})
	a, b := s.add(t, r, leat.StreamID{1}), s.add(t, r, leat.StreamID{2})
	others, err := s.Get(t.Context(), leat.StreamID{2}, b)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Replace(t.Context(), catalog.StreamKey{ID: a, Stream: leat.StreamID{1}, Wrapped: others}); err != nil {
		t.Fatal(err)
	}
	lost := s.add(t, r, leat.StreamID{3})
	if err := s.bucket.Delete(t.Context(), "keys/"+leat.StreamID{3}.String()+"/"+lost.String()); err != nil {
		t.Fatal(err)
	}
	fresh := keyring.New(keyring.Options{Catalog: s, Store: s.Store, Master: master(t, line(1))})
	if err := fresh.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := fresh.Key(b); err != nil {
		t.Error(err)
	}
	if _, err := fresh.Key(a); leat.KindOf(err) != leat.KindUnavailable {
		t.Errorf("another stream's key: %v", err)
	}
	if _, err := fresh.Key(lost); leat.KindOf(err) != leat.KindUnavailable || !strings.Contains(err.Error(), "missing") {
		t.Errorf("a key that is lost: %v", err)
	}
}

func TestNoMasterKeyNoStreamKeys(t *testing.T) {
	s := newStore()
	_, err := keyring.New(keyring.Options{Catalog: s, Store: s.Store}).Make(t.Context(), leat.StreamID{1})
	if leat.KindOf(err) != leat.KindUnsupported || !strings.Contains(err.Error(), "--master-key-file") {
		t.Errorf("%v", err)
	}
}

// Keys of streams that are gone leave memory in a moment, and no others, whatever else happens to the directory.
func TestKeysOfStreamsThatAreGoneAreForgotten(t *testing.T) {
	s := newStore()
	c := &clock{now: time.Unix(1000, 0)}
	streams, loaded := map[leat.StreamID]leat.Stream{{1}: {}, {2}: {}}, false
	r := keyring.New(keyring.Options{
		Catalog: s, Store: s.Store, Master: master(t, line(1)), Clock: c, Loaded: func() bool { return loaded },
		Streams: func(id leat.StreamID) (leat.Stream, bool) { st, ok := streams[id]; return st, ok },
	})
	gone, kept, unseen := s.add(t, r, leat.StreamID{1}), s.add(t, r, leat.StreamID{2}), s.add(t, r, leat.StreamID{3})
	pass := func(n int) {
		for range n {
			r.Forget()
			c.now = c.now.Add(time.Second)
		}
	}
	delete(s.keys, gone) // as when its stream's last row has left the catalog
	pass(10)
	if r.Known() != 3 {
		t.Fatalf("%d keys are known before the directory was read", r.Known())
	}
	loaded = true
	streams[leat.StreamID{3}] = leat.Stream{}
	delete(streams, leat.StreamID{1})
	pass(2)
	if _, err := r.Key(gone); err != nil {
		t.Errorf("at once: %v", err)
	}
	streams[leat.StreamID{1}] = leat.Stream{} // it was the directory that was behind
	pass(5)
	delete(streams, leat.StreamID{1})
	pass(2)
	if r.Known() != 3 {
		t.Errorf("%d keys are known", r.Known())
	}
	pass(1)
	if r.Known() != 2 {
		t.Errorf("%d keys are known 3 seconds after the stream was gone", r.Known())
	}
	s.away = errAway
	if _, err := r.Key(gone); leat.KindOf(err) != leat.KindUnavailable {
		t.Errorf("a forgotten key: %v", err)
	}
	for _, id := range []leat.KeyID{kept, unseen} {
		if _, err := r.Key(id); err != nil {
			t.Errorf("a key that is needed: %v", err)
		}
	}
}

// A key that the bucket does not take is not made.
func TestNoKeyWithoutItsObject(t *testing.T) {
	s := newStore()
	bucket := fault.New(s.bucket, func(op fault.Op, _ string) fault.Fault {
		if op == fault.Create {
			return fault.Fault{Kind: fault.Refuse}
		}
		return fault.Fault{}
	})
	r := keyring.New(keyring.Options{Catalog: s, Store: keyring.NewStore(bucket, nil), Master: master(t, line(1))})
	k, err := r.Make(t.Context(), leat.StreamID{1})
	if leat.KindOf(err) != leat.KindUnavailable || !strings.Contains(err.Error(), "nothing was changed") || r.Known() != 0 {
		t.Errorf("%v, %v, %d known", k.ID, err, r.Known())
	}
}
