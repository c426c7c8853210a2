// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package keyring

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/catalog"
	"github.com/leatstream/leat/shardstore/blob"
	"github.com/leatstream/leat/shardstore/segment"
)

const (
	prefix = "keys/"
	erased = "erased"
)

func folder(s leat.StreamID) string { return prefix + s.String() + "/" }

func objectKey(s leat.StreamID, id leat.KeyID) string { return folder(s) + id.String() }

// Store is the wrapped keys in a bucket or folder. Its methods may be called concurrently.
type Store struct {
	blobs blob.Eraser
	clock leat.Clock
}

// NewStore makes the store of a bucket. A nil clock is the machine's.
func NewStore(blobs blob.Eraser, clock leat.Clock) *Store {
	if clock == nil {
		clock = leat.SystemClock{}
	}
	return &Store{blobs: blobs, clock: clock}
}

// Erased is a stream whose keys were destroyed.
type Erased struct {
	Stream  leat.StreamID
	Account string
	Name    string
	At      time.Time
}

// Put makes a wrapped key durable if its object is absent, and reads back what stands there.
func (s *Store) Put(ctx context.Context, k catalog.StreamKey) (stands string, err error) {
	const tries = 3 // of the same bytes
	for try := 1; ; try++ {
		err = s.blobs.Create(ctx, objectKey(k.Stream, k.ID), []byte(k.Wrapped))
		if err == nil || errors.Is(err, blob.ErrExists) {
			break
		}
		if try == tries || ctx.Err() != nil {
			return "", err
		}
	}
	return s.Get(ctx, k.Stream, k.ID)
}

// Get returns a wrapped key. An error that is segment.ErrErased, with KindNotFound, when the stream's keys were destroyed;
// KindCorrupt when the object is missing, though they were not.
func (s *Store) Get(ctx context.Context, stream leat.StreamID, id leat.KeyID) (wrapped string, err error) {
	b, err := s.blobs.Read(ctx, objectKey(stream, id), 0, -1)
	if err == nil {
		return string(b), nil
	}
	if !errors.Is(err, blob.ErrNotFound) {
		return "", err
	}
	switch e, gone, err := s.Erased(ctx, stream); {
	case err != nil:
		return "", err
	case gone:
		return "", &leat.Error{Kind: leat.KindNotFound, Message: fmt.Sprintf("the keys of stream %s of account %s were destroyed at %s", e.Name, e.Account, e.At.UTC().Format(time.RFC3339)), Err: segment.ErrErased}
	}
	return "", leat.Errorf(leat.KindCorrupt, "%s is missing in the bucket", objectKey(stream, id))
}

// Replace puts the same key, wrapped otherwise, in the place of an object that stands. It does nothing where the stream's
// keys were destroyed.
func (s *Store) Replace(ctx context.Context, k catalog.StreamKey) error {
	if _, gone, err := s.Erased(ctx, k.Stream); err != nil || gone {
		return err
	}
	key := objectKey(k.Stream, k.ID)
	if err := s.blobs.Replace(ctx, key, []byte(k.Wrapped)); err != nil {
		return err
	}
	return s.blobs.Forget(ctx, key, false) // what is wrapped under the former master key
}

// Erased tells whether a stream's keys were destroyed.
func (s *Store) Erased(ctx context.Context, stream leat.StreamID) (e Erased, gone bool, err error) {
	b, err := s.blobs.Read(ctx, folder(stream)+erased, 0, -1)
	if errors.Is(err, blob.ErrNotFound) {
		return e, false, nil
	}
	if err != nil {
		return e, false, err
	}
	if err := json.Unmarshal(b, &e); err != nil {
		return e, false, leat.Errorf(leat.KindCorrupt, "%s%s cannot be read: %w", folder(stream), erased, err)
	}
	return e, true, nil
}

// Destroy destroys all keys of a stream, which MUST be DELETING and of which nothing else is left. It may be called again,
// after it failed or not. A stream that never had a key leaves nothing behind.
func (s *Store) Destroy(ctx context.Context, of leat.Stream) error {
	if of.Status != leat.StreamDeleting {
		return leat.Errorf(leat.KindInternal, "the keys of stream %s are to be destroyed, and it is %s", of.ID, of.Status)
	}
	some, err := s.blobs.List(ctx, folder(of.ID), "", 1)
	if err != nil || len(some) == 0 {
		return err
	}
	note, err := json.Marshal(Erased{Stream: of.ID, Account: of.Account, Name: of.Name, At: s.clock.Now().UTC()})
	if err != nil {
		return err
	}
	if err := s.blobs.Create(ctx, folder(of.ID)+erased, note); err != nil && !errors.Is(err, blob.ErrExists) {
		return err
	}
	return s.clear(ctx, of.ID)
}

// clear destroys all objects of a stream but "erased", which MUST stand, and sees that they are gone.
func (s *Store) clear(ctx context.Context, stream leat.StreamID) error {
	for info, err := range blob.All(ctx, s.blobs, folder(stream)) {
		if err != nil {
			return err
		}
		if info.Key != folder(stream)+erased {
			if err := s.blobs.Delete(ctx, info.Key); err != nil {
				return err
			}
		}
	}
	if err := s.blobs.Forget(ctx, folder(stream), true); err != nil {
		return err
	}
	left, err := s.blobs.List(ctx, folder(stream), "", 2)
	if err == nil && (len(left) != 1 || left[0].Key != folder(stream)+erased) {
		err = leat.Errorf(leat.KindUnavailable, "keys of stream %s are still in the bucket after they were deleted", stream)
	}
	return err
}

// Held is what the store has of one stream.
type Held struct {
	Stream leat.StreamID
	Keys   map[leat.KeyID]bool
	Erased bool
}

// All lists what there is of each stream.
func (s *Store) All(ctx context.Context) (map[leat.StreamID]*Held, error) {
	all := map[leat.StreamID]*Held{}
	for info, err := range blob.All(ctx, s.blobs, prefix) {
		if err != nil {
			return nil, fmt.Errorf("list the keys of encrypted streams: %w", err)
		}
		text, name, _ := strings.Cut(strings.TrimPrefix(info.Key, prefix), "/")
		stream, err := leat.ParseID[leat.StreamID](text)
		if err != nil {
			continue // nobody's of ours
		}
		h := all[stream]
		if h == nil {
			h = &Held{Stream: stream, Keys: map[leat.KeyID]bool{}}
			all[stream] = h
		}
		if name == erased {
			h.Erased = true
		} else if id, err := leat.ParseID[leat.KeyID](name); err == nil {
			h.Keys[id] = true
		}
	}
	return all, nil
}

// AllErased lists the streams whose keys were destroyed, oldest first.
func (s *Store) AllErased(ctx context.Context) (all []Erased, err error) {
	held, err := s.All(ctx)
	if err != nil {
		return nil, err
	}
	for _, h := range held {
		if !h.Erased {
			continue
		}
		e, _, err := s.Erased(ctx, h.Stream)
		if err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	slices.SortFunc(all, func(a, b Erased) int {
		return cmp.Or(a.At.Compare(b.At), bytes.Compare(a.Stream[:], b.Stream[:]))
	})
	return all, nil
}
