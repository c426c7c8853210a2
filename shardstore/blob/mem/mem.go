// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

// Package mem is a blob.Store in memory, for tests and for servers inside other
// people's tests. It keeps the contract of the durable drivers, their refusals
// included, and forgets everything with the process.
package mem

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/leatstream/leat/shardstore/blob"
)

// Store is a blob.Store in memory. Create one with New.
type Store struct {
	now func() time.Time

	mu      sync.RWMutex
	objects map[string]object
	keys    []string // of objects, sorted
}

type object struct {
	body     []byte // never changed
	modified time.Time
}

var _ blob.Eraser = (*Store)(nil)

// New returns an empty store that dates objects with now (time.Now if nil).
func New(now func() time.Time) *Store {
	if now == nil {
		now = time.Now
	}
	return &Store{now: now, objects: make(map[string]object)}
}

// Create implements blob.Store. It refuses a key that is the folder of another
// one or lies under an object, as disks and MinIO do.
func (s *Store) Create(ctx context.Context, key string, body []byte) error {
	if err := check(ctx, key); err != nil {
		return err
	}
	body = append([]byte{}, body...)
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.objects[key]; ok {
		return fmt.Errorf("create %s: %w", key, blob.ErrExists)
	}
	if other, ok := s.nested(key); ok {
		return fmt.Errorf("create %s: object %s stands in the way", key, other)
	}
	s.objects[key] = object{body: body, modified: s.now()}
	i, _ := slices.BinarySearch(s.keys, key)
	s.keys = slices.Insert(s.keys, i, key)
	return nil
}

// nested finds an object above or below key.
func (s *Store) nested(key string) (string, bool) {
	i, _ := slices.BinarySearch(s.keys, key+"/")
	if i < len(s.keys) && strings.HasPrefix(s.keys[i], key+"/") {
		return s.keys[i], true
	}
	for i := range len(key) {
		if key[i] != '/' {
			continue
		}
		if _, ok := s.objects[key[:i]]; ok {
			return key[:i], true
		}
	}
	return "", false
}

// Read implements blob.Store.
func (s *Store) Read(ctx context.Context, key string, off, length int64) ([]byte, error) {
	if err := check(ctx, key); err != nil {
		return nil, err
	}
	s.mu.RLock()
	o, ok := s.objects[key]
	s.mu.RUnlock()
	if !ok {
		return nil, fmt.Errorf("read %s: %w", key, blob.ErrNotFound)
	}
	from, to := blob.Span(int64(len(o.body)), off, length)
	return append([]byte{}, o.body[from:to]...), nil
}

// Stat implements blob.Store.
func (s *Store) Stat(ctx context.Context, key string) (blob.Info, error) {
	if err := check(ctx, key); err != nil {
		return blob.Info{}, err
	}
	s.mu.RLock()
	o, ok := s.objects[key]
	s.mu.RUnlock()
	if !ok {
		return blob.Info{}, fmt.Errorf("stat %s: %w", key, blob.ErrNotFound)
	}
	return o.info(key), nil
}

func (o object) info(key string) blob.Info {
	return blob.Info{Key: key, Size: int64(len(o.body)), Modified: o.modified}
}

// List implements blob.Store.
func (s *Store) List(ctx context.Context, prefix, after string, limit int) ([]blob.Info, error) {
	if err := blob.CheckList(prefix, after); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if limit <= 0 {
		limit = blob.PageSize
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	var page []blob.Info
	i, _ := slices.BinarySearch(s.keys, max(prefix, after))
	for ; i < len(s.keys) && len(page) < limit; i++ {
		key := s.keys[i]
		if !strings.HasPrefix(key, prefix) {
			break
		}
		if key > after {
			page = append(page, s.objects[key].info(key))
		}
	}
	return page, nil
}

// Delete implements blob.Store.
func (s *Store) Delete(ctx context.Context, key string) error {
	if err := check(ctx, key); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.objects[key]; !ok {
		return nil
	}
	delete(s.objects, key)
	i, _ := slices.BinarySearch(s.keys, key)
	s.keys = slices.Delete(s.keys, i, i+1)
	return nil
}

// Replace implements blob.Eraser.
func (s *Store) Replace(ctx context.Context, key string, body []byte) error {
	if err := check(ctx, key); err != nil {
		return err
	}
	body = append([]byte{}, body...)
	s.mu.Lock()
	defer s.mu.Unlock()
	if other, ok := s.nested(key); ok {
		return fmt.Errorf("replace %s: object %s stands in the way", key, other)
	}
	if _, ok := s.objects[key]; !ok {
		i, _ := slices.BinarySearch(s.keys, key)
		s.keys = slices.Insert(s.keys, i, key)
	}
	s.objects[key] = object{body: body, modified: s.now()}
	return nil
}

// Forget implements blob.Eraser: nothing is kept here that does not stand.
func (*Store) Forget(ctx context.Context, prefix string, _ bool) error {
	if err := blob.CheckList(prefix, ""); err != nil {
		return err
	}
	return ctx.Err()
}

func check(ctx context.Context, key string) error {
	if err := blob.CheckKey(key); err != nil {
		return err
	}
	return ctx.Err()
}
