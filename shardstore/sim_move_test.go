// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package shardstore_test

import (
	"context"
	"errors"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore"
)

// startMove hands a shard from one of the two nodes that live to the other, as the cluster does: it asks again while
// nothing is certain, tells the catalog what was released, and takes what the catalog says. It may also forget to.
func (w *sim) startMove() {
	if w.beside == nil {
		return
	}
	key := w.someShard()
	from, to := w.now, w.beside
	if owner, _ := w.index.ownerOf(key); owner == to.s.Session() {
		from, to = to, from
	}
	forget := w.rng.IntN(10) == 0
	w.start(func(ctx context.Context) {
		owner, epoch := w.index.ownerOf(key)
		if owner != from.s.Session() {
			return
		}
		var final uint64
		var err error
		if w.hasty {
			w.index.anyFinal()
		} else if final, err = w.release(ctx, from, key, epoch); err != nil || forget {
			return
		}
		if !w.insist(ctx, func() error { return w.index.move(key, owner, epoch, final, to.s.Session()) }) {
			return
		}
		from.s.ConfirmRelease(key, epoch)
		if w.insist(ctx, func() error { return w.assignFrom(w.bucket, to.s) }) {
			w.mu.Lock()
			w.moves++
			w.mu.Unlock()
		}
	})
}

// release asks until it is certain what happened, or time is over.
func (w *sim) release(ctx context.Context, from *node, key leat.ShardKey, epoch uint64) (final uint64, err error) {
	for {
		once, cancel := context.WithTimeout(ctx, 3*time.Second)
		final, err = from.s.Release(once, key, epoch)
		cancel()
		if !errors.Is(err, shardstore.ErrUnknownOutcome) || ctx.Err() != nil || from.s.Err() != nil {
			return final, err
		}
		pause(200 * time.Millisecond)
	}
}

// insist does something until it succeeds, the session is over, or time is.
func (w *sim) insist(ctx context.Context, f func() error) bool {
	for ctx.Err() == nil {
		err := f()
		if err == nil {
			return true
		}
		var refused *leat.Error
		if errors.As(err, &refused) && (refused.Kind == leat.KindInternal || refused.Kind == leat.KindCorrupt) {
			w.l.complain("I12: a moved shard is refused: %v", err)
		}
		if errors.Is(err, shardstore.ErrFenced) || refused != nil {
			return false
		}
		pause(200 * time.Millisecond)
	}
	return false
}
