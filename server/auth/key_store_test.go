// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package auth_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/sqldb"
	"github.com/leatstream/leat/server/auth"
	"github.com/leatstream/leat/server/catalog"
	"github.com/leatstream/leat/server/masterkey"
)

const account = "123456789012"

// link is a catalog that can go away, and that counts how often it was read.
type link struct {
	auth.KeyCatalog
	down  atomic.Bool
	reads atomic.Int64
}

func (l *link) AccessKeys(ctx context.Context) ([]catalog.StoredKey, error) {
	l.reads.Add(1)
	if l.down.Load() {
		return nil, leat.Errorf(leat.KindUnavailable, "the catalog is away")
	}
	return l.KeyCatalog.AccessKeys(ctx)
}

// rig is a catalog and what two nodes make of it.
type rig struct {
	t       *testing.T
	catalog *link
	clock   *clock
	log     *logBuffer
}

// logBuffer keeps what is logged.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newRig(t *testing.T) *rig {
	t.Helper()
	db, err := sqldb.Open(t.Context(), sqldb.Config{SQLite: filepath.Join(t.TempDir(), "catalog.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	cat := catalog.New(db, catalog.Options{})
	if err := cat.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := cat.CreateAccount(t.Context(), leat.Account{ID: account, Name: "test"}); err != nil {
		t.Fatal(err)
	}
	return &rig{t: t, catalog: &link{KeyCatalog: cat}, clock: &clock{now: noon}, log: &logBuffer{}}
}

func master(t *testing.T, keys ...byte) *masterkey.Ring {
	t.Helper()
	var lines []string
	for _, k := range keys {
		lines = append(lines, masterkey.Generate(bytes.NewReader(bytes.Repeat([]byte{k}, masterkey.KeyBytes))))
	}
	ring, err := masterkey.Parse([]byte(strings.Join(lines, "\n")))
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

func (r *rig) store(ring *masterkey.Ring) *auth.KeyStore {
	r.t.Helper()
	s, err := auth.NewKeyStore(auth.KeyStoreOptions{
		Catalog: r.catalog, Master: ring, Clock: r.clock,
		Logger: slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return s
}

func (r *rig) create(s *auth.KeyStore) auth.Key {
	r.t.Helper()
	k, secret, err := s.Create(r.t.Context(), account, "app", "")
	if err != nil {
		r.t.Fatal(err)
	}
	return auth.Key{AccessKey: k, Secret: secret}
}

func (r *rig) has(what string, s *auth.KeyStore, k auth.Key) {
	r.t.Helper()
	got, err := s.Key(r.t.Context(), k.ID)
	if err != nil || got.Secret != k.Secret || got.Account != account || got.Active != k.Active {
		r.t.Errorf("%s: %v active %v, %v", what, got, got.Active, err)
	}
}

func TestAKeyMadeOnOneNodeIsKnownOnAnother(t *testing.T) {
	r := newRig(t)
	one, two := r.store(master(t, 1)), r.store(master(t, 1))
	k := r.create(one)
	if !regexp.MustCompile(`^LEAK[A-Z2-7]{16}$`).MatchString(k.ID) || !regexp.MustCompile(`^[A-Za-z0-9+/]{40}$`).MatchString(k.Secret) {
		t.Errorf("made %q with a secret of %d", k.ID, len(k.Secret))
	}
	r.has("where it was made", one, k)
	r.has("elsewhere", two, k)

	// Another one, before the next read is due: it is found when time has gone on.
	more := r.create(one)
	r.has("where it was made", one, more)
	if _, err := two.Key(t.Context(), more.ID); !errors.Is(err, auth.ErrUnknownKey) {
		t.Errorf("before the next read: %v", err)
	}
	r.clock.advance(250 * time.Millisecond)
	r.has("after the next read", two, more)
}

func TestUnknownKeysDoNotFloodTheCatalog(t *testing.T) {
	r := newRig(t)
	s := r.store(master(t, 1))
	for i := range 100 {
		if _, err := s.Key(t.Context(), fmt.Sprintf("LEAK%016d", i)); !errors.Is(err, auth.ErrUnknownKey) {
			t.Fatal(err)
		}
	}
	if n := r.catalog.reads.Load(); n != 1 {
		t.Errorf("the catalog was read %d times", n)
	}
}

func TestKeysOutliveTheCatalog(t *testing.T) {
	r := newRig(t)
	one, two := r.store(master(t, 1)), r.store(master(t, 1))
	k := r.create(one)
	r.has("known", two, k)
	r.catalog.down.Store(true)
	r.clock.advance(time.Hour)
	if _, err := two.Key(t.Context(), "LEAKAAAAAAAAAAAAAAAA"); err == nil || errors.Is(err, auth.ErrUnknownKey) {
		t.Errorf("a key that nobody can tell: %v", err)
	}
	r.has("while the catalog is away", two, k)
	fresh := r.store(master(t, 1))
	for range 10 {
		if _, err := fresh.Key(t.Context(), k.ID); err == nil || errors.Is(err, auth.ErrUnknownKey) {
			t.Errorf("on a node that never read: %v", err)
		}
	}
	if n := r.catalog.reads.Load(); n != 3 {
		t.Errorf("the catalog was read %d times", n)
	}
	r.catalog.down.Store(false)
	r.clock.advance(time.Second)
	r.has("when it is back", fresh, k)
}

func TestDisableAndDelete(t *testing.T) {
	r := newRig(t)
	one, two := r.store(master(t, 1)), r.store(master(t, 1))
	k := r.create(one)
	r.has("known", one, k)
	r.has("known", two, k)
	off, err := one.SetActive(t.Context(), account, k.ID, false)
	if err != nil || off.Active {
		t.Fatal(off, err)
	}
	k.Active = false
	r.has("disabled at once", one, k)
	stop := run(t, two)
	r.eventually("disabled elsewhere", func() bool {
		got, err := two.Key(t.Context(), k.ID)
		return err == nil && !got.Active
	})
	if err := one.Delete(t.Context(), account, k.ID); err != nil {
		t.Fatal(err)
	}
	stop()
	if _, err := one.Key(t.Context(), k.ID); !errors.Is(err, auth.ErrUnknownKey) {
		t.Errorf("deleted: %v", err)
	}
	if err := one.Delete(t.Context(), account, k.ID); leat.KindOf(err) != leat.KindNotFound {
		t.Errorf("deleted twice: %v", err)
	}
	if _, err := one.SetActive(t.Context(), account, k.ID, true); leat.KindOf(err) != leat.KindNotFound {
		t.Errorf("enabled after: %v", err)
	}
	stop = run(t, two)
	defer stop()
	r.eventually("deleted elsewhere", func() bool {
		_, err := two.Key(t.Context(), k.ID)
		return errors.Is(err, auth.ErrUnknownKey)
	})
}

// run runs a store until the function that it returns is called.
func run(t *testing.T, s *auth.KeyStore) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- s.Run(ctx) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func (r *rig) eventually(what string, ok func() bool) {
	r.t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(10 * time.Second); !ok(); {
		if time.Now().After(deadline) {
			r.t.Fatalf("%s: not in time", what)
		}
		<-tick.C
	}
}

func TestMasterKeys(t *testing.T) {
	r := newRig(t)
	none := r.store(nil)
	_, _, err := none.Create(t.Context(), account, "app", "")
	if leat.KindOf(err) != leat.KindUnsupported || !strings.Contains(err.Error(), "--master-key-file") {
		t.Errorf("without a master key: %v", err)
	}
	k := r.create(r.store(master(t, 1)))
	for name, s := range map[string]*auth.KeyStore{"no master key": none, "another master key": r.store(master(t, 9))} {
		if _, err := s.Key(t.Context(), k.ID); !errors.Is(err, auth.ErrUnknownKey) {
			t.Errorf("%s: %v", name, err)
		}
		if all, err := s.List(t.Context(), account, "", 10); err != nil || len(all) != 1 {
			t.Errorf("%s: listed %v, %v", name, all, err)
		}
	}
	if !strings.Contains(r.log.String(), "do not open under the master key") {
		t.Errorf("logged %s", r.log)
	}

	// Rotation: a new key in front wraps again what is stored, then the old one may go.
	r.has("under both", r.store(master(t, 2, 1)), k)
	r.has("under the new one", r.store(master(t, 2)), k)
}

// While nodes are restarted with a new master key one after the other, those that do not have it yet go on with what they know.
func TestMasterKeyThatAnotherNodeHasAlready(t *testing.T) {
	r := newRig(t)
	before := r.store(master(t, 1))
	k := r.create(before)
	r.has("before", before, k)
	after := r.store(master(t, 2, 1))
	r.has("restarted", after, k)
	late := r.create(after)
	r.clock.advance(time.Minute)
	if _, err := before.Key(t.Context(), late.ID); !errors.Is(err, auth.ErrUnknownKey) { // which has it read the catalog
		t.Errorf("a key under a master key that is not here: %v", err)
	}
	r.has("not restarted yet", before, k)
	if _, err := after.SetActive(t.Context(), account, k.ID, false); err != nil {
		t.Fatal(err)
	}
	r.clock.advance(time.Minute)
	if _, err := before.Key(t.Context(), "LEAKAAAAAAAAAAAAAAAA"); !errors.Is(err, auth.ErrUnknownKey) {
		t.Error(err)
	}
	k.Active = false
	r.has("disabled meanwhile", before, k)
}

func TestKeysOfAnotherRowDoNotOpen(t *testing.T) {
	r := newRig(t)
	s := r.store(master(t, 1))
	k := r.create(s)
	all, err := r.catalog.KeyCatalog.AccessKeys(t.Context())
	if err != nil || len(all) != 1 {
		t.Fatal(all, err)
	}
	moved := all[0]
	moved.ID = "LEAKAAAAAAAAAAAAAAAA"
	if _, err := r.catalog.AddAccessKey(t.Context(), moved); err != nil {
		t.Fatal(err)
	}
	other := r.store(master(t, 1))
	r.has("its own row", other, k)
	if _, err := other.Key(t.Context(), moved.ID); !errors.Is(err, auth.ErrUnknownKey) {
		t.Errorf("another's secret: %v", err)
	}
}

// TestSecretsAreNowhere looks for a secret in logs, printed keys, errors and what is stored.
func TestSecretsAreNowhere(t *testing.T) {
	r := newRig(t)
	s := r.store(master(t, 1))
	k := r.create(s)
	log := slog.New(slog.NewJSONHandler(r.log, nil))
	log.Info("key", "key", k, "pointer", &k)
	fmt.Fprintf(r.log, "%v %+v %#v %s", k, k, k, k)
	stored, err := r.catalog.KeyCatalog.AccessKeys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(r.log, "%+v", stored)
	v, err := auth.NewSigV4(auth.SigV4Options{Keys: s, Region: "us-east-1", Clock: r.clock})
	if err != nil {
		t.Fatal(err)
	}
	req := sign(t, request(t, body), credentials(k), hashOf(body), noon)
	if who, err := v.Verify(req, body); err != nil || who.Operator {
		t.Fatalf("%v, %v", who, err)
	}
	for _, target := range []string{"", "Kinesis_20131202.DeleteStream"} {
		req.Header.Set("X-Amz-Target", target)
		_, err := v.Verify(req, body)
		var e *auth.SignatureError
		if !errors.As(err, &e) || e.Status != http.StatusBadRequest {
			t.Fatal(err)
		}
		text, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(r.log, "%s", text)
	}
	r.catalog.down.Store(true)
	r.clock.advance(time.Hour)
	if _, err := s.Key(t.Context(), "LEAKAAAAAAAAAAAAAAAA"); err == nil {
		t.Fatal("known")
	}
	if text := r.log.String(); strings.Contains(text, k.Secret) || strings.Contains(text, k.Secret[:12]) || !strings.Contains(text, k.ID) {
		t.Errorf("logged %s", text)
	}
}
