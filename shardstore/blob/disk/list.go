// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package disk

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"

	"github.com/leatstream/leat/shardstore/blob"
)

// List implements blob.Store. It reads each folder on its way whole, once a
// page, and stats only what it returns.
func (s *Store) List(ctx context.Context, prefix, after string, limit int) ([]blob.Info, error) {
	if err := blob.CheckList(prefix, after); err != nil {
		return nil, err
	}
	if err := s.check(); err != nil {
		return nil, err
	}
	if limit <= 0 {
		limit = blob.PageSize
	}
	if err := s.here(); err != nil {
		return nil, fmt.Errorf("list %s: %w", prefix, explain(err))
	}
	l := &lister{store: s, prefix: prefix, after: after, limit: limit}
	if err := l.folder(ctx, prefix[:strings.LastIndexByte(prefix, '/')+1]); err != nil {
		if ctx.Err() == nil {
			err = explain(err)
		}
		return nil, fmt.Errorf("list %s: %w", prefix, err)
	}
	return l.page, nil
}

type lister struct {
	store         *Store
	prefix, after string
	limit         int
	page          []blob.Info
}

// entry is a file, or a folder whose name ends in a slash: with it, entries sort
// as the keys below them do ("a-b" before "a/b" before "a0").
type entry struct {
	name string
	fs.DirEntry
}

// folder lists the folder at (a key prefix, empty or ending in a slash).
func (l *lister) folder(ctx context.Context, at string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	entries, err := l.entries(at)
	if err != nil {
		return err
	}
	for _, e := range entries {
		key := at + e.name
		switch {
		case len(l.page) == l.limit:
			return nil
		case e.IsDir():
			if l.wants(key) {
				err = l.folder(ctx, key)
			}
		case e.Type().IsRegular() && strings.HasPrefix(key, l.prefix) && key > l.after:
			err = l.add(key, e)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (l *lister) entries(at string) ([]entry, error) {
	found, err := os.ReadDir(l.store.path(at))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return nil, nil // pruned meanwhile, or never there
	}
	if err != nil {
		return nil, err
	}
	entries := make([]entry, len(found))
	for i, e := range found {
		entries[i] = entry{e.Name(), e}
		if e.IsDir() {
			entries[i].name += "/"
		}
	}
	slices.SortFunc(entries, func(a, b entry) int { return cmp.Compare(a.name, b.name) })
	return entries, nil
}

// wants says whether keys below a folder can have the prefix and lie after
// `after`.
func (l *lister) wants(folder string) bool {
	if !strings.HasPrefix(folder, l.prefix) && !strings.HasPrefix(l.prefix, folder) {
		return false
	}
	return folder > l.after || strings.HasPrefix(l.after, folder)
}

func (l *lister) add(key string, e entry) error {
	info, err := e.Info()
	if errors.Is(err, fs.ErrNotExist) {
		return nil // deleted meanwhile
	}
	if err != nil {
		return err
	}
	l.page = append(l.page, blob.Info{Key: key, Size: info.Size(), Modified: info.ModTime()})
	return nil
}
