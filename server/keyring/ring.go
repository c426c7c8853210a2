// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package keyring

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/catalog"
	"github.com/leatstream/leat/server/journal"
	"github.com/leatstream/leat/server/masterkey"
	"github.com/leatstream/leat/shardstore"
	"github.com/leatstream/leat/shardstore/segment"
)

// Catalog knows which keys there are; *catalog.Catalog is one.
type Catalog interface {
	Streams(ctx context.Context) ([]leat.Stream, error)
	StreamKey(ctx context.Context, id leat.KeyID) (catalog.StreamKey, error)
	StreamKeys(ctx context.Context) ([]catalog.StreamKey, error)
	RewrapStreamKey(ctx context.Context, id leat.KeyID, was, wrapped string) error
	KeepApart(ctx context.Context, id leat.KeyID) (moved bool, err error)
	ScrubJournal(ctx context.Context, kept func(leat.StreamID, *journal.Key) error) (int, error)
}

// Options is what a ring needs; what is not Catalog or Store has defaults.
type Options struct {
	Catalog Catalog
	Store   *Store
	Master  *masterkey.Ring // nil: no keys can be made or opened
	// Streams looks a stream up in memory; nil: Current knows none.
	Streams func(leat.StreamID) (leat.Stream, bool)
	// Loaded tells whether Streams has ever known all of them; nil: it has not, and no key is forgotten.
	Loaded func() bool
	Clock  leat.Clock
	Rand   io.Reader // of keys; nil means crypto/rand
	Logger *slog.Logger
}

const (
	loadWithin = 2 * time.Second // a look into catalog and bucket, which puts or readers wait for
	missEvery  = time.Second     // between two looks for a key that cannot be had
	retryAfter = time.Second
	makeWithin = 10 * time.Second
	parallel   = 32 // objects that Load reads at once
)

// Ring has the keys. All methods may be called concurrently.
type Ring struct {
	o Options

	mu     sync.RWMutex
	known  map[leat.KeyID]secret
	missed map[leat.KeyID]miss
	looks  map[leat.KeyID]*look

	forgetting sync.Mutex
	gone       map[leat.KeyID]time.Time // since when the streams of known keys are not known any more
}

var _ shardstore.Keys = (*Ring)(nil)

// secret is a key in memory.
type secret struct {
	bytes  []byte // never changed: whoever seals may have it in hand
	stream leat.StreamID
}

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
	return &Ring{o: o, known: map[leat.KeyID]secret{}, gone: map[leat.KeyID]time.Time{}, missed: map[leat.KeyID]miss{}, looks: map[leat.KeyID]*look{}}
}

// Load reads all keys, and wraps those again that are not under the first master key. KindUnavailable when the master
// key of one is missing: a server that began all the same could neither take nor give that stream's records. A key that
// is damaged or missing is logged.
func (r *Ring) Load(ctx context.Context) error {
	all, err := r.o.Catalog.StreamKeys(ctx)
	if err != nil {
		return fmt.Errorf("read the names of the keys of encrypted streams: %w", err)
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	for _, k := range all {
		g.Go(func() error { return r.load(ctx, k) })
	}
	return g.Wait()
}

func (r *Ring) load(ctx context.Context, k catalog.StreamKey) error {
	apart := k.Apart()
	bytes, err := r.open(ctx, &k)
	switch kind := leat.KindOf(err); {
	case errors.Is(err, segment.ErrErased):
		r.o.Logger.Info("a stream's keys were destroyed, and the stream is about to be gone", "key", k.ID, "stream", k.Stream)
		return nil
	case kind == leat.KindCorrupt:
		r.o.Logger.Error("the key of an encrypted stream is damaged or missing: what it seals cannot be read", "key", k.ID, "stream", k.Stream, "error", err)
		return nil
	case err != nil:
		return fmt.Errorf("key %s of stream %s: %w", k.ID, k.Stream, err)
	}
	r.remember(k, bytes)
	if err := r.rewrap(ctx, &k, apart, bytes); err != nil {
		return fmt.Errorf("wrap key %s under master key %s: %w", k.ID, r.o.Master.ID(), err)
	}
	if apart {
		return nil
	}
	err = r.copyOut(ctx, k)
	if leat.KindOf(err) == leat.KindCorrupt {
		r.o.Logger.Error("the key of an encrypted stream stays in the catalog", "key", k.ID, "stream", k.Stream, "error", err)
		return nil
	}
	return err
}

// copyOut writes the object of a key that the catalog has whole.
func (r *Ring) copyOut(ctx context.Context, k catalog.StreamKey) error {
	stands, err := r.o.Store.Put(ctx, k)
	if err != nil {
		return fmt.Errorf("write %s: %w", objectKey(k.Stream, k.ID), err)
	}
	bytes, err := r.unwrap(k)
	if err != nil {
		return err
	}
	k.Wrapped = stands
	if there, err := r.unwrap(k); err != nil || subtle.ConstantTimeCompare(bytes, there) != 1 {
		return leat.Errorf(leat.KindCorrupt, "%s holds another key than the catalog", objectKey(k.Stream, k.ID))
	}
	return r.rewrap(ctx, &k, true, bytes)
}

// open finds a key's secret, and its wrapped form where that is in the bucket.
func (r *Ring) open(ctx context.Context, k *catalog.StreamKey) ([]byte, error) {
	if k.Apart() {
		wrapped, err := r.o.Store.Get(ctx, k.Stream, k.ID)
		if err != nil {
			return nil, err
		}
		k.Wrapped = wrapped
	}
	return r.unwrap(*k)
}

// rewrap stores a key under the first master key, where it is under another.
func (r *Ring) rewrap(ctx context.Context, k *catalog.StreamKey, apart bool, bytes []byte) error {
	if r.o.Master.Current(k.Wrapped) {
		return nil
	}
	was := k.Wrapped
	var err error
	if k.Wrapped, err = r.o.Master.Wrap(purpose(k.ID, k.Stream), bytes); err != nil {
		return err
	}
	r.o.Logger.Info("a stream's key is wrapped under the new master key", "key", k.ID, "master_key", r.o.Master.ID())
	if apart {
		return r.o.Store.Replace(ctx, *k)
	}
	return r.o.Catalog.RewrapStreamKey(ctx, k.ID, was, k.Wrapped)
}

func (r *Ring) remember(k catalog.StreamKey, bytes []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.known[k.ID] = secret{bytes: bytes, stream: k.Stream}
}

// Make makes a new key for a stream. It is durable, and in use once the catalog has it. KindUnsupported without a master
// key, KindUnavailable when the bucket does not take it.
func (r *Ring) Make(ctx context.Context, stream leat.StreamID) (catalog.StreamKey, error) {
	bytes := make([]byte, segment.KeyBytes)
	if _, err := io.ReadFull(r.o.Rand, bytes); err != nil {
		return catalog.StreamKey{}, leat.Errorf(leat.KindInternal, "no randomness for a key: %w", err)
	}
	k := catalog.StreamKey{ID: leat.NewID[leat.KeyID](r.o.Rand), Stream: stream}
	var err error
	if k.Wrapped, err = r.o.Master.Wrap(purpose(k.ID, stream), bytes); err != nil {
		return k, err
	}
	ctx, cancel := context.WithTimeout(ctx, makeWithin)
	defer cancel()
	stands, err := r.o.Store.Put(ctx, k)
	if err != nil || stands != k.Wrapped {
		r.o.Logger.Warn("a new key could not be stored", "key", k.ID, "stream", stream, "error", err)
		return k, &leat.Error{Kind: leat.KindUnavailable, Message: "nothing was changed: the object store, which keeps the keys of streams, did not take the new one: retry", After: retryAfter, Err: err}
	}
	r.remember(k, bytes)
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

// Key returns a key's secret: from memory, or from the bucket. KindUnavailable when it cannot be had.
func (r *Ring) Key(id leat.KeyID) ([]byte, error) {
	r.mu.RLock()
	s, known := r.known[id]
	r.mu.RUnlock()
	if known {
		return s.bytes, nil
	}
	r.mu.Lock()
	if s, known = r.known[id]; known {
		r.mu.Unlock()
		return s.bytes, nil
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

// look looks for a key in catalog and bucket, for all who want it.
func (r *Ring) look(id leat.KeyID, l *look) {
	ctx, cancel := context.WithTimeout(context.Background(), loadWithin)
	defer cancel()
	k, err := r.o.Catalog.StreamKey(ctx, id)
	if err == nil {
		l.secret, err = r.open(ctx, &k)
	}
	if err != nil {
		l.err = &leat.Error{Kind: leat.KindUnavailable, Message: fmt.Sprintf("the key %s that seals the records cannot be had: %s", id, reason(err)), After: retryAfter, Err: err}
		r.o.Logger.Warn("the key of an encrypted stream cannot be had", "key", id, "error", err)
	}
	r.mu.Lock()
	delete(r.looks, id)
	delete(r.missed, id)
	if err == nil {
		r.known[id] = secret{bytes: l.secret, stream: k.Stream}
	} else {
		r.missed[id] = miss{r.o.Clock.Now(), l.err}
	}
	r.mu.Unlock()
	close(l.done)
}

// reason says to a caller why: what is wrong with the keys, not what is wrong with the catalog or the bucket.
func reason(err error) string {
	var e *leat.Error
	switch {
	case errors.As(err, &e) && (e.Kind == leat.KindUnavailable || e.Kind == leat.KindNotFound || e.Kind == leat.KindCorrupt):
		return e.Message
	default:
		return "the catalog or the object store does not answer"
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
