// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package wal

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore/blob"
	"github.com/leatstream/leat/shardstore/segment"
)

// Objects keeps each segment in an object of its own: wal/<session>/<n>. Many nodes may use one store.
type Objects struct {
	store blob.Store
}

var _ Driver = (*Objects)(nil)

// NewObjects returns the driver for a store whose conditional creation was proved (rule 20).
func NewObjects(store blob.Store) *Objects { return &Objects{store} }

// Separate says that segments are removed one by one.
func (d *Objects) Separate() {}

// Begin implements Driver. Session ids are never used again, so there is nothing to prepare.
func (d *Objects) Begin(_ context.Context, s leat.SessionID) error {
	if s.IsZero() {
		return errors.New("wal: a session needs an identity")
	}
	return nil
}

// Write implements Driver. A 412 is no success: the header is read back (rule 2).
func (d *Objects) Write(ctx context.Context, s leat.SessionID, n uint64, object []byte) error {
	err := d.store.Create(ctx, Key(s, n), object)
	if !errors.Is(err, blob.ErrExists) {
		return err
	}
	state, err := d.Verify(ctx, s, n, object[:min(len(object), segment.HeaderSize)])
	switch {
	case err != nil:
		return fmt.Errorf("an object stands at %s, whose is not known: %w", Key(s, n), err)
	case state == StateOurs:
		return nil
	case state == StateAbsent:
		return fmt.Errorf("%w: an object stood at %s and is gone", ErrFenced, Key(s, n))
	default:
		return fmt.Errorf("%w: something else stands at %s", ErrFenced, Key(s, n))
	}
}

// Verify implements Driver. A header that cannot be read is an error, not a foreign one: it may have been spoilt on its
// way, and a session that can never read it back ends by its stall.
func (d *Objects) Verify(ctx context.Context, s leat.SessionID, n uint64, header []byte) (State, error) {
	got, err := d.store.Read(ctx, Key(s, n), 0, segment.HeaderSize)
	switch {
	case errors.Is(err, blob.ErrNotFound):
		return StateAbsent, nil
	case err != nil:
		return StateAbsent, err
	case len(header) > 0 && bytes.Equal(got, header):
		return StateOurs, nil
	}
	if _, err := segment.ParseHeader(got); err != nil {
		return StateAbsent, fmt.Errorf("%s: %w", Key(s, n), err)
	}
	return StateForeign, nil
}

// Read implements Driver.
func (d *Objects) Read(ctx context.Context, s leat.SessionID, n uint64, off, length int64) ([]byte, error) {
	return d.store.Read(ctx, Key(s, n), off, length)
}

// Remove implements Driver. It reads the header first, so that no mistake of a caller can delete a fence.
func (d *Objects) Remove(ctx context.Context, s leat.SessionID, n uint64) error {
	got, err := d.store.Read(ctx, Key(s, n), 0, segment.HeaderSize)
	if errors.Is(err, blob.ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look at %s before its removal: %w", Key(s, n), err)
	}
	h, err := segment.ParseHeader(got)
	if err != nil {
		return fmt.Errorf("look at %s before its removal: %w", Key(s, n), err)
	}
	if h.Kind == segment.KindFence {
		return leat.Errorf(leat.KindInternal, "%s is a fence: fences are never deleted", Key(s, n))
	}
	return d.store.Delete(ctx, Key(s, n))
}
