// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"sync"

	"github.com/leatstream/leat/shardstore/blob"
	"github.com/leatstream/leat/shardstore/blob/disk"
)

// reopening is a folder of objects that can be opened anew. After a failed fsync of a folder the driver takes no more
// objects, since nobody can say what is on the disk; a new session begins with a new look at it (data-plane.md, rule 5).
type reopening struct {
	dir string

	mu     sync.RWMutex
	store  *disk.Store
	opened bool // by reopen: the first session uses the store that was opened with the folder
}

// reopen opens the folder again, from the second session of this process on.
func (r *reopening) reopen(context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.opened {
		r.opened = true
		return nil
	}
	fresh, err := disk.Open(r.dir, disk.Options{})
	if err != nil {
		return err
	}
	old := r.store
	r.store = fresh
	return old.Close()
}

func (r *reopening) now() *disk.Store {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.store
}

// Close closes the store that is open now.
func (r *reopening) Close() error { return r.now().Close() }

// Create implements blob.Store.
func (r *reopening) Create(ctx context.Context, key string, body []byte) error {
	return r.now().Create(ctx, key, body)
}

// Link implements blob.Linker.
func (r *reopening) Link(ctx context.Context, key, file string) error {
	return r.now().Link(ctx, key, file)
}

// Read implements blob.Store.
func (r *reopening) Read(ctx context.Context, key string, off, length int64) ([]byte, error) {
	return r.now().Read(ctx, key, off, length)
}

// Stat implements blob.Store.
func (r *reopening) Stat(ctx context.Context, key string) (blob.Info, error) {
	return r.now().Stat(ctx, key)
}

// List implements blob.Store.
func (r *reopening) List(ctx context.Context, prefix, after string, limit int) ([]blob.Info, error) {
	return r.now().List(ctx, prefix, after, limit)
}

// Delete implements blob.Store.
func (r *reopening) Delete(ctx context.Context, key string) error { return r.now().Delete(ctx, key) }

// Replace implements blob.Eraser.
func (r *reopening) Replace(ctx context.Context, key string, body []byte) error {
	return r.now().Replace(ctx, key, body)
}

// Forget implements blob.Eraser.
func (r *reopening) Forget(ctx context.Context, prefix string, deleted bool) error {
	return r.now().Forget(ctx, prefix, deleted)
}
