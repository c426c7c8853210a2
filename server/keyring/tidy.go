// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package keyring

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/journal"
)

const (
	lookEvery   = time.Second
	forgetAfter = 2 * time.Second // a stream that this node heard to be gone: its shards may be a moment behind
	tidyEvery   = time.Hour
	tidyAgain   = time.Minute // after one that failed
	tidyWithin  = 10 * time.Minute
)

// Run forgets the keys of streams that are gone and, where leads says so, tidies the store, until ctx ends. It returns nil.
func (r *Ring) Run(ctx context.Context, leads func() bool) error {
	next := r.o.Clock.Now()
	for {
		c, stop := r.o.Clock.NewTimer(lookEvery)
		select {
		case <-ctx.Done():
			stop()
			return nil
		case <-c:
		}
		r.Forget()
		if now := r.o.Clock.Now(); leads() && !now.Before(next) {
			next = now.Add(r.tidyFor(ctx))
		}
	}
}

// tidyFor tidies and says how long nothing has to be done.
func (r *Ring) tidyFor(ctx context.Context) time.Duration {
	ctx, cancel := context.WithTimeout(ctx, tidyWithin)
	defer cancel()
	_, err := r.Tidy(ctx)
	if err != nil && !errors.Is(err, context.Canceled) {
		r.o.Logger.Warn("keys of streams are in more places than they should be", "error", err, "retry_in", tidyAgain)
	}
	if err != nil {
		return tidyAgain
	}
	return tidyEvery
}

// Forget drops the keys of streams that this node has known to be gone for a moment. It is Run's, once a second.
func (r *Ring) Forget() {
	if r.o.Loaded == nil || !r.o.Loaded() {
		return
	}
	r.forgetting.Lock()
	defer r.forgetting.Unlock()
	now, over := r.o.Clock.Now(), []leat.KeyID{}
	r.mu.RLock()
	for id, s := range r.known {
		if _, there := r.o.Streams(s.stream); there {
			delete(r.gone, id)
		} else if since, ok := r.gone[id]; !ok {
			r.gone[id] = now
		} else if now.Sub(since) >= forgetAfter {
			over = append(over, id)
		}
	}
	r.mu.RUnlock()
	if len(over) == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, id := range over {
		r.o.Logger.Debug("the key of a stream that is gone is forgotten", "key", id, "stream", r.known[id].stream)
		delete(r.known, id)
		delete(r.gone, id)
	}
}

// Known is how many keys are in memory.
func (r *Ring) Known() int {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return len(r.known)
}

// Tidy destroys what came back of keys that were destroyed, and former versions of others, and takes keys out of the catalog and the journal that a former
// version put there. done is false while such a version may be needed. It may be called at any time, by several nodes.
func (r *Ring) Tidy(ctx context.Context) (done bool, err error) {
	held, err := r.o.Store.All(ctx)
	if err != nil {
		return false, err
	}
	if err := r.destroyAgain(ctx, held); err != nil {
		return false, err
	}
	// What was wrapped under a former master key; but not of keys that are missing, since it may be all that is left of them.
	if err := r.o.Store.blobs.Forget(ctx, prefix, false); err != nil {
		return false, err
	}
	if done, err = r.takeOut(ctx); err != nil || !done {
		return false, err
	}
	// Read when the first is asked about: after all that is to be scrubbed was committed.
	now := sync.OnceValues(func() (whereabouts, error) { return r.whereabouts(ctx) })
	n, err := r.o.Catalog.ScrubJournal(ctx, func(stream leat.StreamID, k *journal.Key) error {
		is, err := now()
		if err != nil {
			return err
		}
		if h := is.held[stream]; !is.needed[k.ID] || h != nil && (h.Erased || h.Keys[k.ID]) {
			return nil
		}
		return leat.Errorf(leat.KindCorrupt, "key %s of stream %s is in no object: it stays in the journal", k.ID, stream)
	})
	if n > 0 {
		r.o.Logger.Info("keys of streams were taken out of the journal, and are in the bucket alone", "entries", n)
	}
	return err == nil, err
}

// whereabouts is which keys somebody needs, and which are in the bucket.
type whereabouts struct {
	needed map[leat.KeyID]bool
	held   map[leat.StreamID]*Held
}

func (r *Ring) whereabouts(ctx context.Context) (w whereabouts, err error) {
	keys, err := r.o.Catalog.StreamKeys(ctx)
	if err != nil {
		return w, err
	}
	w.needed = map[leat.KeyID]bool{}
	for _, k := range keys {
		w.needed[k.ID] = true
	}
	w.held, err = r.o.Store.All(ctx)
	return w, err
}

// destroyAgain destroys what stands beside an "erased": a deletion that a crash undid, or a write that came late.
func (r *Ring) destroyAgain(ctx context.Context, held map[leat.StreamID]*Held) error {
	streams, err := r.o.Catalog.Streams(ctx)
	if err != nil {
		return err
	}
	live := map[leat.StreamID]bool{}
	for i := range streams {
		live[streams[i].ID] = streams[i].Status != leat.StreamDeleting
	}
	var errs []error
	for _, h := range held {
		switch {
		case !h.Erased:
		case live[h.Stream]:
			errs = append(errs, leat.Errorf(leat.KindCorrupt, "%s%s stands, and the stream is there: its keys are left alone; delete that object", folder(h.Stream), erased))
		case len(h.Keys) > 0:
			r.o.Logger.Info("keys that were destroyed came back, and are destroyed again", "stream", h.Stream, "keys", len(h.Keys))
			errs = append(errs, r.o.Store.clear(ctx, h.Stream))
		}
	}
	return errors.Join(errs...)
}

// takeOut takes the keys out of the catalog that are in the bucket.
func (r *Ring) takeOut(ctx context.Context) (done bool, err error) {
	keys, err := r.o.Catalog.StreamKeys(ctx)
	if err != nil {
		return false, err
	}
	done = true
	var errs []error
	for _, k := range keys {
		if k.Apart() {
			continue
		}
		moved := false
		err := r.copyOut(ctx, k)
		if err == nil {
			moved, err = r.o.Catalog.KeepApart(ctx, k.ID)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("key %s of stream %s stays in the catalog: %w", k.ID, k.Stream, err))
		}
		if moved {
			r.o.Logger.Info("a stream's key is in the bucket alone", "key", k.ID, "stream", k.Stream)
		}
		done = done && moved
	}
	return done, errors.Join(errs...)
}
