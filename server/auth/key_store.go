// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/catalog"
	"github.com/leatstream/leat/server/masterkey"
)

// KeyCatalog is where access keys are stored; *catalog.Catalog is one.
type KeyCatalog interface {
	AccessKeys(ctx context.Context) ([]catalog.StoredKey, error)
	ListAccessKeys(ctx context.Context, account, after string, limit int) ([]leat.AccessKey, error)
	AddAccessKey(ctx context.Context, k catalog.StoredKey) (leat.AccessKey, error)
	SetAccessKey(ctx context.Context, account, id string, active bool) (leat.AccessKey, error)
	DeleteAccessKey(ctx context.Context, account, id string) error
	RewrapAccessKey(ctx context.Context, id, was, wrapped string) error
}

// KeyStoreOptions is what a KeyStore needs; Master may be nil, the rest of what is not Catalog has defaults.
type KeyStoreOptions struct {
	Catalog KeyCatalog
	Master  *masterkey.Ring // nil: keys cannot be made, and those that are stored cannot be used
	Every   time.Duration   // how often the catalog is read; 0 means 2 s
	Clock   leat.Clock
	Rand    io.Reader // of ids and secrets; nil means crypto/rand
	Logger  *slog.Logger
}

// KeyStore makes access keys and has all of them in memory, with their secrets. What another node changes is seen after
// Every at the latest; a key that is not known is looked for at once, but no more often than every unknownEvery. While
// the catalog is away the keys that are known go on being accepted.
type KeyStore struct {
	catalog KeyCatalog
	master  *masterkey.Ring
	every   time.Duration
	clock   leat.Clock
	rand    io.Reader
	log     *slog.Logger

	known atomic.Pointer[knownKeys] // nil until the catalog was read once

	reading sync.Mutex // one at a time reads the catalog, or changes what is known
	failing bool       // the last read failed: it has been said
}

// knownKeys never changes.
type knownKeys struct {
	keys    map[string]storedKey
	locked  int       // how many could not be unwrapped
	readAt  time.Time // when reading began, or failed
	current bool      // reading went well when it was last tried
}

type storedKey struct {
	Key
	wrapped string
}

const (
	readEvery    = 5 * time.Second
	unknownEvery = 250 * time.Millisecond
	// readWithin bounds a read: requests with keys that are not known wait for it.
	readWithin = 5 * time.Second
)

// NewKeyStore makes a store. Run MUST be running for it to see what other nodes change.
func NewKeyStore(o KeyStoreOptions) (*KeyStore, error) {
	if o.Catalog == nil {
		return nil, errors.New("auth: catalog must be given")
	}
	if o.Clock == nil {
		o.Clock = leat.SystemClock{}
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &KeyStore{catalog: o.Catalog, master: o.Master, every: cmp.Or(o.Every, readEvery), clock: o.Clock, rand: o.Rand, log: o.Logger}, nil
}

// Run reads the keys again and again until ctx ends. It returns nil then.
func (s *KeyStore) Run(ctx context.Context) error {
	for {
		s.reading.Lock()
		s.read(ctx)
		s.reading.Unlock()
		c, stop := s.clock.NewTimer(s.every)
		select {
		case <-c:
		case <-ctx.Done():
			stop()
			return nil
		}
	}
}

// Key returns a key with its secret; see Keys.
func (s *KeyStore) Key(ctx context.Context, id string) (Key, error) {
	k, known := s.known.Load().find(id)
	if known {
		return k, nil
	}
	s.reading.Lock()
	defer s.reading.Unlock()
	now := s.known.Load()
	if now == nil || s.clock.Now().Sub(now.readAt) >= unknownEvery {
		s.read(context.WithoutCancel(ctx)) // others wait for it too
		now = s.known.Load()
	}
	if k, known := now.find(id); known {
		return k, nil
	}
	if !now.current {
		return Key{}, leat.Errorf(leat.KindUnavailable, "access keys cannot be read now")
	}
	return Key{}, ErrUnknownKey
}

func (k *knownKeys) find(id string) (Key, bool) {
	if k == nil {
		return Key{}, false
	}
	found, ok := k.keys[id]
	return found.Key, ok
}

// read reads the catalog. reading is held. What was unwrapped before is not unwrapped again.
func (s *KeyStore) read(ctx context.Context) {
	began, was := s.clock.Now(), s.known.Load()
	if was == nil {
		was = &knownKeys{}
	}
	ctx, cancel := context.WithTimeout(ctx, readWithin)
	defer cancel()
	all, err := s.catalog.AccessKeys(ctx)
	if err != nil {
		s.known.Store(&knownKeys{keys: was.keys, locked: was.locked, readAt: s.clock.Now()})
		if !s.failing && !errors.Is(err, context.Canceled) {
			s.log.Warn("access keys cannot be read; those that are known go on being accepted", "known", len(was.keys), "error", err)
			s.failing = true
		}
		return
	}
	if s.failing {
		s.log.Info("access keys are read again")
		s.failing = false
	}
	next := &knownKeys{keys: make(map[string]storedKey, len(all)), readAt: began, current: true}
	var locked error
	for i := range all {
		k := storedKey{Key: Key{AccessKey: all[i].AccessKey}, wrapped: all[i].Wrapped}
		old, known := was.keys[k.ID]
		if known && old.wrapped == k.wrapped {
			k.Secret = old.Secret
		} else if secret, err := s.master.Unwrap(purpose(k.ID), k.wrapped); err == nil {
			k.Secret = string(secret)
			s.rewrap(ctx, &k)
		} else if known {
			// A node that has a newer master key wrapped the secret again: it is the same, since no id is used twice.
			k.Secret = old.Secret
		} else {
			next.locked++
			locked = err
			continue
		}
		next.keys[k.ID] = k
	}
	if next.locked > 0 && next.locked != was.locked {
		s.log.Warn("access keys cannot be used: their secrets do not open under the master key", "keys", next.locked, "error", locked)
	}
	s.known.Store(next)
}

// rewrap stores a secret under the newest master key, where it is under an older one.
func (s *KeyStore) rewrap(ctx context.Context, k *storedKey) {
	if s.master.Current(k.wrapped) {
		return
	}
	wrapped, err := s.master.Wrap(purpose(k.ID), []byte(k.Secret))
	if err == nil {
		err = s.catalog.RewrapAccessKey(ctx, k.ID, k.wrapped, wrapped)
	}
	if err != nil {
		s.log.Warn("an access key stays under a former master key for now", "key", k.ID, "error", err)
		return
	}
	k.wrapped = wrapped
}

// purpose binds a wrapped secret to its key.
func purpose(id string) string { return "access key " + id }
