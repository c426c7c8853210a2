// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package keyring_test

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/sqldb"
	"github.com/leatstream/leat/server/catalog"
	"github.com/leatstream/leat/server/journal"
	"github.com/leatstream/leat/server/keyring"
	"github.com/leatstream/leat/shardstore/blob"
	"github.com/leatstream/leat/shardstore/blob/fault"
	"github.com/leatstream/leat/shardstore/blob/mem"
	"github.com/leatstream/leat/shardstore/segment"
)

// world is a bucket and a catalog with a journal in it, whose process can be made to die: from the n-th thing on that it does
// outside of itself (a request to the bucket, a COMMIT) nothing is done any more.
type world struct {
	t      *testing.T
	bucket *fault.Store
	below  *hoard
	db     *sqldb.DB
	cat    *catalog.Catalog
	store  *keyring.Store
	ring   *keyring.Ring

	mu   sync.Mutex
	left int  // things that are done before death; negative: it does not die
	late bool // the thing at which it dies is done, and its answer lost
	dead bool
}

var errDead = errors.New("dead")

// hoard keeps versions, as a bucket may.
type hoard struct {
	*mem.Store
	mu  sync.Mutex
	old map[string][]string // what stood at a key and does not any more
}

func (h *hoard) keep(ctx context.Context, key string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if body, err := h.Read(ctx, key, 0, -1); err == nil {
		h.old[key] = append(h.old[key], string(body))
	}
}

func (h *hoard) Replace(ctx context.Context, key string, body []byte) error {
	h.keep(ctx, key)
	return h.Store.Replace(ctx, key, body)
}

func (h *hoard) Delete(ctx context.Context, key string) error {
	h.keep(ctx, key)
	return h.Store.Delete(ctx, key)
}

func (h *hoard) Forget(ctx context.Context, prefix string, deleted bool) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	for key := range h.old {
		if _, err := h.Stat(ctx, key); strings.HasPrefix(key, prefix) && (deleted || err == nil) {
			delete(h.old, key)
		}
	}
	return nil
}

func newLife(t *testing.T) *world {
	t.Helper()
	below := &hoard{Store: mem.New(nil), old: map[string][]string{}}
	w := &world{t: t, bucket: fault.New(below, nil), below: below, left: -1}
	db, err := sqldb.Open(t.Context(), sqldb.Config{SQLite: filepath.Join(t.TempDir(), "catalog.db"), Faults: sqldb.Faults{
		BeforeCommit: func() error { return w.does(false) },
		AfterCommit:  func() error { return w.does(true) },
	}})
	w.must(err)
	t.Cleanup(func() { w.must(db.Close()) })
	w.db = db
	w.restart()
	w.must(w.cat.Migrate(t.Context()))
	_, err = w.cat.Cluster(t.Context())
	w.must(err)
	w.must(db.Tx(t.Context(), func(tx *sqldb.Tx) error {
		_, err := tx.Exec("INSERT INTO accounts (id, name, labels, state, quotas, created) VALUES ($1, $1, '{}', 'ACTIVE', '{}', 0)", account)
		return err
	}))
	return w
}

const account = "123456789012"

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// does counts a thing that is done, and tells whether the process is dead. Each is asked about before and after.
func (w *world) does(after bool) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.dead {
		return errDead
	}
	if w.left == 0 && after == w.late {
		w.dead = true
		return errDead
	}
	if after && w.left > 0 {
		w.left--
	}
	return nil
}

// dieAt has the process die at the n-th thing that it does from now on, from 0.
func (w *world) dieAt(n int, late bool) {
	w.mu.Lock()
	w.left, w.late, w.dead = n, late, false
	w.mu.Unlock()
	w.bucket.SetHook(func(op fault.Op, _ string) fault.Fault {
		if w.does(false) != nil {
			return fault.Fault{Kind: fault.Refuse}
		}
		return fault.Fault{Hold: func(context.Context) error { return w.does(true) }}
	})
}

// restart is a new process on what the dead one left; it takes in what the journal has.
func (w *world) restart() {
	w.t.Helper()
	w.mu.Lock()
	w.left, w.dead = -1, false
	w.mu.Unlock()
	w.bucket.SetHook(nil)
	log := journal.New(w.bucket, func(context.Context, leat.SessionID) (bool, error) { return true, nil })
	w.store = keyring.NewStore(w.bucket, nil)
	o := catalog.Options{Journal: log, DestroyKeys: w.store.Destroy}
	w.cat = catalog.New(w.db, o)
	w.ring = keyring.New(keyring.Options{Catalog: w.cat, Store: w.store, Master: master(w.t, line(1))})
}

func (w *world) recovered() {
	w.t.Helper()
	w.restart()
	w.must(w.cat.CatchUp(w.t.Context()))
	w.must(w.ring.Load(w.t.Context()))
}

func (w *world) stream(name string) leat.Stream {
	w.t.Helper()
	s, err := w.cat.CreateStream(w.t.Context(), catalog.NewStream{
		Account: account, Name: name, Mode: leat.ModeProvisioned, Shards: 1, Retention: leat.MinRetention, MaxRecordBytes: leat.DefaultMaxRecordBytes,
	})
	w.must(err)
	w.must(w.cat.ActivateStream(w.t.Context(), s.ID))
	return s
}

// encrypt is what the broker does.
func (w *world) encrypt(s leat.Stream) (leat.KeyID, error) {
	k, err := w.ring.Make(w.t.Context(), s.ID)
	if err != nil {
		return k.ID, err
	}
	_, err = w.cat.StartEncryption(w.t.Context(), k, "alias/mine")
	return k.ID, err
}

// settle makes a stream ACTIVE again.
func (w *world) settle(s leat.Stream) {
	w.t.Helper()
	_, err := w.cat.NextScaleStep(w.t.Context(), s.ID)
	w.must(err)
}

// encrypted is a stream with a key in use.
func (w *world) encrypted(name string) (leat.Stream, leat.KeyID, []byte) {
	w.t.Helper()
	s := w.stream(name)
	id, err := w.encrypt(s)
	w.must(err)
	w.settle(s)
	secret, err := w.ring.Key(id)
	w.must(err)
	return s, id, bytes.Clone(secret)
}

// read is a key as a process without memory finds it.
func (w *world) read(id leat.KeyID) ([]byte, error) {
	return keyring.New(keyring.Options{Catalog: w.cat, Store: w.store, Master: master(w.t, line(1))}).Key(id)
}

func (w *world) readable(id leat.KeyID, want []byte) {
	w.t.Helper()
	if got, err := w.read(id); err != nil || !bytes.Equal(got, want) {
		w.t.Fatalf("a key that is needed is lost: %v", err)
	}
}

// wrappedIn lists where in the bucket and the database a wrapped key of a stream is, in former versions of objects too.
func (w *world) wrappedIn() (all []string) {
	w.t.Helper()
	for info, err := range blob.All(w.t.Context(), w.bucket, "") {
		w.must(err)
		body, err := w.bucket.Read(w.t.Context(), info.Key, 0, -1)
		w.must(err)
		if bytes.Contains(body, []byte("leat-wrapped-")) {
			all = append(all, info.Key)
		}
	}
	w.below.mu.Lock()
	defer w.below.mu.Unlock()
	for key, bodies := range w.below.old {
		if strings.Contains(strings.Join(bodies, " "), "leat-wrapped-") {
			all = append(all, "a former version of "+key)
		}
	}
	keys, err := w.cat.StreamKeys(w.t.Context())
	w.must(err)
	for _, k := range keys {
		if !k.Apart() {
			all = append(all, "the catalog")
		}
	}
	return all
}

// deaths runs a test once for each place at which a process can die in do.
func deaths(t *testing.T, prepare func(w *world) (do func() error), check func(t *testing.T, w *world, err error)) {
	t.Helper()
	for _, late := range []bool{false, true} {
		for n := 0; ; n++ {
			w := newLife(t)
			do := prepare(w)
			w.dieAt(n, late)
			err := do()
			w.mu.Lock()
			died := w.dead
			w.mu.Unlock()
			check(t, w, err)
			if t.Failed() {
				t.Fatalf("at death %d (done: %v)", n, late)
			}
			if !died {
				if n < 4 {
					t.Fatalf("there were %d places to die at", n)
				}
				if err != nil {
					t.Fatal(err)
				}
				t.Logf("died at %d places (done: %v)", n, late)
				break
			}
		}
	}
}

// No stream ever has a key that is not durable, wherever the process dies that makes it.
func TestAKeyIsDurableBeforeItIsNamed(t *testing.T) {
	var s leat.Stream
	deaths(t, func(w *world) func() error {
		s = w.stream("s")
		return func() error { _, err := w.encrypt(s); return err }
	}, func(t *testing.T, w *world, err error) {
		t.Helper()
		w.recovered()
		now, lookErr := w.cat.StreamByID(t.Context(), s.ID)
		w.must(lookErr)
		if err == nil && now.DataKey.IsZero() {
			t.Error("told as done, and it is not")
		}
		if !now.DataKey.IsZero() {
			if _, err := w.read(now.DataKey); err != nil {
				t.Errorf("the stream's key cannot be had: %v", err)
			}
		}
		for _, where := range w.wrappedIn() {
			if !strings.HasPrefix(where, "keys/") {
				t.Errorf("a wrapped key is in %s", where)
			}
		}
		if now.DataKey.IsZero() { // it can be tried again
			id, err := w.encrypt(s)
			w.must(err)
			if _, err := w.read(id); err != nil {
				t.Error(err)
			}
		}
	})
}

// A key is there until its stream is condemned, and gone for good when the stream is, wherever the process dies between.
func TestErasureAtEveryDeath(t *testing.T) {
	var s, other leat.Stream
	var id, kept leat.KeyID
	var secret, keptSecret []byte
	deaths(t, func(w *world) func() error {
		s, id, secret = w.encrypted("gone")
		if _, err := w.encrypt(s); err != nil { // a second key
			w.t.Fatal(err)
		}
		w.settle(s)
		other, kept, keptSecret = w.encrypted("kept")
		return func() error {
			if err := w.cat.BeginDelete(w.t.Context(), s.ID, false); err != nil {
				return err
			}
			return w.cat.RemoveStream(w.t.Context(), s.ID)
		}
	}, func(t *testing.T, w *world, err error) {
		t.Helper()
		w.recovered()
		now, lookErr := w.cat.StreamByID(t.Context(), s.ID)
		if leat.KindOf(lookErr) != leat.KindNotFound {
			w.must(lookErr)
		}
		_, sentenced, erasedErr := w.store.Erased(t.Context(), s.ID)
		w.must(erasedErr)
		switch {
		case lookErr == nil && now.Status != leat.StreamDeleting:
			w.readable(id, secret)
			fallthrough
		case lookErr == nil:
			if sentenced && now.Status != leat.StreamDeleting {
				t.Errorf("its keys are sentenced, and it is %s", now.Status)
			}
			if !sentenced {
				w.readable(id, secret)
			}
			w.must(w.cat.BeginDelete(t.Context(), s.ID, false))
			w.must(w.cat.RemoveStream(t.Context(), s.ID))
		case err != nil && !sentenced:
			t.Error("it is gone, and nothing says that its keys were destroyed")
		}
		w.must(w.cat.RemoveStream(t.Context(), s.ID)) // once more does no harm
		for _, where := range w.wrappedIn() {
			if strings.Contains(where, s.ID.String()) || !strings.HasPrefix(where, "keys/"+other.ID.String()) {
				t.Errorf("after the erasure a wrapped key is in %s", where)
			}
		}
		e, gone, erasedErr := w.store.Erased(t.Context(), s.ID)
		w.must(erasedErr)
		if !gone || e.Name != "gone" || e.Account != account || e.At.IsZero() {
			t.Errorf("it is told as %+v, %v", e, gone)
		}
		if _, err := w.store.Get(t.Context(), s.ID, id); !errors.Is(err, segment.ErrErased) || !strings.Contains(err.Error(), "destroyed") {
			t.Errorf("its key: %v", err)
		}
		w.readable(kept, keptSecret)
		if all, err := w.store.AllErased(t.Context()); err != nil || len(all) != 1 || all[0].Stream != s.ID {
			t.Errorf("all that were erased: %+v, %v", all, err)
		}
	})
}

// A stream that never had a key leaves nothing, and one that is not DELETING keeps its keys whoever asks.
func TestDestroyIsForCondemnedStreams(t *testing.T) {
	w := newLife(t)
	plain := w.stream("plain")
	w.must(w.cat.BeginDelete(t.Context(), plain.ID, false))
	w.must(w.cat.RemoveStream(t.Context(), plain.ID))
	if all, err := w.store.AllErased(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("%+v, %v", all, err)
	}
	s, id, secret := w.encrypted("s")
	if err := w.store.Destroy(t.Context(), s); err == nil {
		t.Error("the keys of a stream were destroyed that is not deleted")
	}
	w.readable(id, secret)
	// Somebody writes "erased" beside the key of a stream that is there: its key stays, and it is told.
	w.must(w.bucket.Create(t.Context(), "keys/"+s.ID.String()+"/erased", []byte(`{"Stream":"`+s.ID.String()+`"}`)))
	if _, err := w.ring.Tidy(t.Context()); leat.KindOf(err) != leat.KindCorrupt || !strings.Contains(err.Error(), s.ID.String()) {
		t.Errorf("tidied: %v", err)
	}
	w.readable(id, secret)
}

// What comes late, or comes back, is destroyed again.
func TestDestroyedKeysDoNotComeBack(t *testing.T) {
	w := newLife(t)
	s, id, _ := w.encrypted("s")
	// The master key is rotated, and the write is still on its way when the stream is erased.
	w.bucket.SetHook(func(op fault.Op, key string) fault.Fault {
		if op == fault.Replace && strings.HasPrefix(key, "keys/") {
			return fault.Fault{Kind: fault.Late}
		}
		return fault.Fault{}
	})
	rotated := keyring.New(keyring.Options{Catalog: w.cat, Store: w.store, Master: master(t, line(2), line(1))})
	if err := rotated.Load(t.Context()); err == nil {
		t.Fatal("a write that was lost is told as done")
	}
	w.must(w.cat.BeginDelete(t.Context(), s.ID, false))
	w.must(w.cat.RemoveStream(t.Context(), s.ID))
	if n := w.bucket.ReleaseAll(t.Context()); n != 1 || len(w.wrappedIn()) != 1 {
		t.Fatalf("%d writes came late, and there are %q", n, w.wrappedIn())
	}
	w.bucket.SetHook(nil)
	if done, err := w.ring.Tidy(t.Context()); err != nil || !done {
		t.Errorf("tidied: %v, %v", done, err)
	}
	if left := w.wrappedIn(); len(left) != 0 {
		t.Errorf("it came back: %q", left)
	}
	if _, err := w.store.Get(t.Context(), s.ID, id); !errors.Is(err, segment.ErrErased) {
		t.Error(err)
	}
	// A write of before the stream was erased finds that it was.
	w.must(w.store.Replace(t.Context(), catalog.StreamKey{ID: id, Stream: s.ID, Wrapped: "leat-wrapped-late"}))
	if left := w.wrappedIn(); len(left) != 0 {
		t.Errorf("it was written: %q", left)
	}
}

// former opens a session of a former version: while it runs the catalog and the journal have keys whole.
func (w *world) former(session leat.SessionID) {
	w.t.Helper()
	w.must(w.cat.OpenSession(w.t.Context(), catalog.Session{ID: session, Node: "old", Address: "127.0.0.1:1"}))
	w.must(w.db.Tx(w.t.Context(), func(tx *sqldb.Tx) error {
		_, err := tx.Exec("UPDATE sessions SET keys_apart = 0 WHERE id = $1", session)
		return err
	}))
}

// noObjects is what such a version had of keys in the bucket.
func (w *world) noObjects() {
	w.t.Helper()
	for info, err := range blob.All(w.t.Context(), w.bucket, "keys/") {
		w.must(err)
		w.must(w.bucket.Delete(w.t.Context(), info.Key))
	}
	w.must(w.bucket.Forget(w.t.Context(), "keys/", true))
}

// A key whose object somebody deleted may be found among what the bucket keeps: Tidy does not make that worse.
func TestTidyLeavesWhatMayBeAllThatIsLeft(t *testing.T) {
	w := newLife(t)
	s, id, _ := w.encrypted("s")
	w.must(w.bucket.Delete(t.Context(), "keys/"+s.ID.String()+"/"+id.String()))
	if _, err := w.ring.Tidy(t.Context()); err != nil {
		t.Error(err)
	}
	if in := w.wrappedIn(); len(in) != 1 || !strings.HasPrefix(in[0], "a former version of keys/"+s.ID.String()) {
		t.Errorf("the key is in %q", in)
	}
	if _, err := w.read(id); leat.KindOf(err) != leat.KindUnavailable || !strings.Contains(err.Error(), "missing in the bucket") {
		t.Errorf("it is told as %v", err)
	}
}

// Keys of a former version leave the catalog and the journal, and are in one place or another at every moment.
func TestKeysOfAFormerVersionMove(t *testing.T) {
	var s, deleted leat.Stream
	var id leat.KeyID
	var secret []byte
	session := leat.SessionID{9}
	deaths(t, func(w *world) func() error {
		w.former(session)
		s, id, secret = w.encrypted("s")
		deleted, _, _ = w.encrypted("deleted")
		// Its deletions left the journal as it was.
		w.noObjects()
		w.must(w.cat.BeginDelete(t.Context(), deleted.ID, false))
		w.must(w.cat.RemoveStream(t.Context(), deleted.ID))
		if in := strings.Join(w.wrappedIn(), " "); !strings.Contains(in, "the catalog") || !strings.Contains(in, "journal/entries") {
			t.Fatalf("keys are in %s", in)
		}
		// While one of its sessions runs the catalog keeps them.
		w.must(w.ring.Load(t.Context()))
		if done, err := w.ring.Tidy(t.Context()); err != nil || done {
			t.Fatalf("tidied while such a session runs: %v, %v", done, err)
		}
		if in := strings.Join(w.wrappedIn(), " "); !strings.Contains(in, "the catalog") {
			t.Fatalf("keys are in %s", in)
		}
		w.noObjects()
		w.must(w.db.Tx(t.Context(), func(tx *sqldb.Tx) error {
			_, err := tx.Exec("UPDATE sessions SET state = 'closed' WHERE id = $1", session)
			return err
		}))
		w.restart()
		return func() error {
			if err := w.ring.Load(t.Context()); err != nil {
				return err
			}
			done, err := w.ring.Tidy(t.Context())
			if err == nil && !done {
				err = errors.New("not done")
			}
			return err
		}
	}, func(t *testing.T, w *world, err error) {
		t.Helper()
		w.restart()
		// What rebuild would find: the journal and the objects, without the database.
		state := journal.NewState()
		for e, err := range journal.New(w.bucket, nil).Entries(t.Context()) {
			w.must(err)
			w.must(state.Apply(e))
		}
		if keys := state.Streams[s.ID].Head.Keys; len(keys) != 1 || keys[0].ID != id {
			t.Fatalf("the journal has the keys %+v", keys)
		} else if keys[0].Wrapped == journal.KeptApart {
			if _, err := w.store.Get(t.Context(), s.ID, id); err != nil {
				t.Errorf("the journal says that the key is apart: %v", err)
			}
		}
		w.recovered()
		w.readable(id, secret)
		if done, err := w.ring.Tidy(t.Context()); err != nil || !done {
			t.Errorf("tidied: %v, %v", done, err)
		}
		if in := w.wrappedIn(); len(in) != 1 || in[0] != "keys/"+s.ID.String()+"/"+id.String() {
			t.Errorf("afterwards keys are in %q", in)
		}
		w.readable(id, secret)
		w.must(w.cat.CatchUp(t.Context()))
		// The journal is as good as before, and goes on.
		w.stream("another")
		state = journal.NewState()
		for e, err := range journal.New(w.bucket, nil).Entries(t.Context()) {
			w.must(err)
			w.must(state.Apply(e))
		}
		if len(state.Streams) != 2 {
			t.Errorf("the journal has %d streams", len(state.Streams))
		}
	})
}

// The master key is rotated: one object for each key, before, between and after.
func TestRotationAtEveryDeath(t *testing.T) {
	var s leat.Stream
	var id leat.KeyID
	var secret []byte
	deaths(t, func(w *world) func() error {
		s, id, secret = w.encrypted("s")
		w.encrypted("t")
		w.ring = keyring.New(keyring.Options{Catalog: w.cat, Store: w.store, Master: master(t, line(2), line(1))})
		return func() error { return w.ring.Load(t.Context()) }
	}, func(t *testing.T, w *world, err error) {
		t.Helper()
		w.restart()
		both := keyring.New(keyring.Options{Catalog: w.cat, Store: w.store, Master: master(t, line(2), line(1))})
		w.must(both.Load(t.Context()))
		if done, err := both.Tidy(t.Context()); err != nil || !done {
			t.Errorf("tidied: %v, %v", done, err)
		}
		late := keyring.New(keyring.Options{Catalog: w.cat, Store: w.store, Master: master(t, line(2))})
		w.must(late.Load(t.Context()))
		if got, err := late.Key(id); err != nil || !bytes.Equal(got, secret) {
			t.Errorf("under the new master key: %v", err)
		}
		if in := w.wrappedIn(); len(in) != 2 {
			t.Errorf("keys are in %q", in)
		}
		if got, err := w.store.Get(t.Context(), s.ID, id); err != nil || !master(t, line(2)).Current(got) {
			t.Errorf("it is %q, %v", got, err)
		}
	})
}
