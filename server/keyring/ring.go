// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

// Package keyring has the keys that seal streams' records: it makes them, keeps them in the catalog wrapped under the
// master key, and has those that are in use in memory.
//
// Invariants: a key is never stored or logged but wrapped; a key that is known stays known, so that the catalog may go
// away (static stability); for a stream of which it is not known whether it is encrypted there is an error, not "no key".
//
// It does not own: the master key (server/masterkey), when a stream gets which key (server/broker), how keys seal
// (shardstore/segment).
package keyring

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/catalog"
	"github.com/leatstream/leat/server/masterkey"
	"github.com/leatstream/leat/shardstore"
	"github.com/leatstream/leat/shardstore/segment"
)

// Catalog is where wrapped keys are; *catalog.Catalog is one.
type Catalog interface {
	StreamKey(ctx context.Context, id leat.KeyID) (catalog.StreamKey, error)
	StreamKeys(ctx context.Context) ([]catalog.StreamKey, error)
	RewrapStreamKey(ctx context.Context, id leat.KeyID, was, wrapped string) error
}

// Options is what a ring needs; what is not Catalog has defaults.
type Options struct {
	Catalog Catalog
	Master  *masterkey.Ring // nil: no keys can be made or opened
	// Streams looks a stream up in memory; nil: Current knows none.
	Streams func(leat.StreamID) (leat.Stream, bool)
	Clock   leat.Clock
	Rand    io.Reader // of keys; nil means crypto/rand
	Logger  *slog.Logger
}

const (
	loadWithin = 2 * time.Second // a look into the catalog, which puts or readers wait for
	missEvery  = time.Second     // between two looks for a key that cannot be had
	retryAfter = time.Second
)

// Ring has the keys. All methods may be called concurrently.
type Ring struct {
	o Options

	mu     sync.Mutex
	known  map[leat.KeyID][]byte
	missed map[leat.KeyID]miss
	looks  map[leat.KeyID]*look
}

var _ shardstore.Keys = (*Ring)(nil)

// miss is a look that did not find a key.
type miss struct {
	at  time.Time
	err error
}

// look is one under way.
type look struct {
	done   chan struct{}
	secret []byte
	err    error
}

// New makes a ring without keys; Load fills it.
func New(o Options) *Ring {
	if o.Clock == nil {
		o.Clock = leat.SystemClock{}
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Streams == nil {
		o.Streams = func(leat.StreamID) (leat.Stream, bool) { return leat.Stream{}, false }
	}
	return &Ring{o: o, known: map[leat.KeyID][]byte{}, missed: map[leat.KeyID]miss{}, looks: map[leat.KeyID]*look{}}
}

// Load reads all keys, and wraps those again that are not under the first master key. KindUnavailable when the master
// key of one is missing: a server that began all the same could neither take nor give that stream's records. A key that
// is damaged is logged.
func (r *Ring) Load(ctx context.Context) error {
	all, err := r.o.Catalog.StreamKeys(ctx)
	if err != nil {
		return fmt.Errorf("read the keys of encrypted streams: %w", err)
	}
	for _, k := range all {
		secret, err := r.unwrap(k)
		if leat.KindOf(err) == leat.KindCorrupt {
			r.o.Logger.Error("the key of an encrypted stream is damaged: what it seals cannot be read", "key", k.ID, "stream", k.Stream, "error", err)
			continue
		}
		if err != nil {
			return fmt.Errorf("key %s of stream %s: %w", k.ID, k.Stream, err)
		}
		r.mu.Lock()
		r.known[k.ID] = secret
		r.mu.Unlock()
		if err := r.rewrap(ctx, k, secret); err != nil {
			return fmt.Errorf("wrap key %s under master key %s: %w", k.ID, r.o.Master.ID(), err)
		}
	}
	return nil
}

// rewrap stores a key under the first master key, where it is under another.
func (r *Ring) rewrap(ctx context.Context, k catalog.StreamKey, secret []byte) error {
	if r.o.Master.Current(k.Wrapped) {
		return nil
	}
	wrapped, err := r.o.Master.Wrap(purpose(k.ID, k.Stream), secret)
	if err != nil {
		return err
	}
	r.o.Logger.Info("a stream's key is wrapped under the new master key", "key", k.ID, "master_key", r.o.Master.ID())
	return r.o.Catalog.RewrapStreamKey(ctx, k.ID, k.Wrapped, wrapped)
}

// Make makes a new key for a stream. It is in use once the catalog has it. KindUnsupported without a master key.
func (r *Ring) Make(stream leat.StreamID) (catalog.StreamKey, error) {
	secret := make([]byte, segment.KeyBytes)
	if _, err := io.ReadFull(r.o.Rand, secret); err != nil {
		return catalog.StreamKey{}, leat.Errorf(leat.KindInternal, "no randomness for a key: %w", err)
	}
	k := catalog.StreamKey{ID: leat.NewID[leat.KeyID](r.o.Rand), Stream: stream}
	var err error
	if k.Wrapped, err = r.o.Master.Wrap(purpose(k.ID, stream), secret); err != nil {
		return k, err
	}
	r.mu.Lock()
	r.known[k.ID] = secret
	r.mu.Unlock()
	return k, nil
}

// Current returns what a stream is sealed with from now on; see shardstore.Keys.
func (r *Ring) Current(stream leat.StreamID) (segment.Key, error) {
	s, ok := r.o.Streams(stream)
	if !ok {
		return segment.Key{}, &leat.Error{Kind: leat.KindUnavailable, Message: "the stream is not known here yet: retry", After: retryAfter, Err: shardstore.ErrUnknownStream}
	}
	if s.DataKey.IsZero() {
		return segment.Key{}, nil
	}
	secret, err := r.Key(s.DataKey)
	return segment.Key{ID: s.DataKey, Secret: secret}, err
}

// Key returns a key's secret: from memory, or from the catalog. KindUnavailable when it cannot be had.
func (r *Ring) Key(id leat.KeyID) ([]byte, error) {
	r.mu.Lock()
	if secret, ok := r.known[id]; ok {
		r.mu.Unlock()
		return secret, nil
	}
	if m, ok := r.missed[id]; ok && r.o.Clock.Now().Sub(m.at) < missEvery {
		r.mu.Unlock()
		return nil, m.err
	}
	l, under := r.looks[id]
	if !under {
		l = &look{done: make(chan struct{})}
		r.looks[id] = l
	}
	r.mu.Unlock()
	if !under {
		r.look(id, l)
	}
	<-l.done
	return l.secret, l.err
}

// look looks for a key in the catalog, for all who want it.
func (r *Ring) look(id leat.KeyID, l *look) {
	ctx, cancel := context.WithTimeout(context.Background(), loadWithin)
	defer cancel()
	k, err := r.o.Catalog.StreamKey(ctx, id)
	if err == nil {
		l.secret, err = r.unwrap(k)
	}
	if err != nil {
		l.err = &leat.Error{Kind: leat.KindUnavailable, Message: fmt.Sprintf("the key %s that seals the records cannot be had: %s", id, reason(err)), After: retryAfter, Err: err}
		r.o.Logger.Warn("the key of an encrypted stream cannot be had", "key", id, "error", err)
	}
	r.mu.Lock()
	delete(r.looks, id)
	delete(r.missed, id)
	if err == nil {
		r.known[id] = l.secret
	} else {
		r.missed[id] = miss{r.o.Clock.Now(), l.err}
	}
	r.mu.Unlock()
	close(l.done)
}

// reason says to a caller why: what is wrong with the master key, not what is wrong with the catalog.
func reason(err error) string {
	var e *leat.Error
	switch {
	case errors.As(err, &e) && (e.Kind == leat.KindUnavailable || e.Kind == leat.KindNotFound || e.Kind == leat.KindCorrupt):
		return e.Message
	default:
		return "the catalog does not answer"
	}
}

func (r *Ring) unwrap(k catalog.StreamKey) ([]byte, error) {
	secret, err := r.o.Master.Unwrap(purpose(k.ID, k.Stream), k.Wrapped)
	if err == nil && len(secret) != segment.KeyBytes {
		err = leat.Errorf(leat.KindCorrupt, "key %s has %d bytes", k.ID, len(secret))
	}
	return secret, err
}

// purpose binds a wrapped key to its name and stream.
func purpose(id leat.KeyID, stream leat.StreamID) string {
	return "stream key " + id.String() + " of " + stream.String()
}
