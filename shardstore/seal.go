// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package shardstore

import (
	"errors"
	"fmt"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore/segment"
)

// Keys is what a session seals records with and opens them. All methods may be called concurrently and MUST return soon.
type Keys interface {
	segment.Keys
	// Current returns what a stream's records are sealed with from now on; the zero Key when the stream is not encrypted.
	// An error says that its key cannot be had, or that it is not known whether it has one: nothing of it may be put.
	// ErrUnknownStream when the stream is not known at all.
	Current(stream leat.StreamID) (segment.Key, error)
}

// ErrUnknownStream says that a stream is not known: it is new, or gone.
var ErrUnknownStream = errors.New("shardstore: stream is not known")

// seals are the present keys of the streams of one call.
type seals []seal

type seal struct {
	stream leat.StreamID
	key    segment.Key
	err    error
}

// sealsFor asks for the keys of all streams that puts go to. Store.mu is not held: an answer may take a while.
func (s *Store) sealsFor(puts []Put) (all seals) {
	if s.cfg.Keys == nil {
		return nil
	}
	for i := range puts {
		if id := puts[i].Shard.Stream; all.find(id) < 0 {
			key, err := s.current(id)
			all = append(all, seal{id, key, err})
		}
	}
	return all
}

func (a seals) find(stream leat.StreamID) int {
	for i := len(a) - 1; i >= 0; i-- {
		if a[i].stream == stream {
			return i
		}
	}
	return -1
}

// of returns the key of a stream that sealsFor asked about.
func (a seals) of(stream leat.StreamID) (segment.Key, error) {
	if i := a.find(stream); i >= 0 {
		return a[i].key, a[i].err
	}
	return segment.Key{}, nil
}

// current is Keys.Current, with an error that tells a producer what happened to its record: nothing.
func (s *Store) current(stream leat.StreamID) (segment.Key, error) {
	if s.cfg.Keys == nil {
		return segment.Key{}, nil
	}
	key, err := s.cfg.Keys.Current(stream)
	if err == nil && !key.ID.IsZero() && len(key.Secret) != segment.KeyBytes {
		err = fmt.Errorf("key %s has %d bytes", key.ID, len(key.Secret))
	}
	if err != nil && leat.KindOf(err) != leat.KindUnavailable {
		err = &leat.Error{Kind: leat.KindUnavailable, Message: "the key of the encrypted stream cannot be had now; nothing was executed: retry", After: overloadPause, Err: err}
	}
	return key, err
}

// seal makes all of a stream's records in the batch sealed, those that are in it already too. A later key takes the
// place of an earlier one, but none takes a key away. Store.mu is held.
func (b *batch) seal(stream leat.StreamID, key segment.Key) {
	if key.ID.IsZero() {
		return
	}
	if b.keys == nil {
		b.keys = map[leat.StreamID]segment.Key{}
	}
	b.keys[stream] = key
}

// sealing is what Encode asks; nil when nothing of the batch is sealed.
func (b *batch) sealing() func(leat.ShardKey) segment.Key {
	if b.keys == nil {
		return nil
	}
	return func(k leat.ShardKey) segment.Key { return b.keys[k.Stream] }
}

// sealParts chooses what a pack's or merge's records are sealed with: each stream's present key, so that rotation and
// encryption that was begun later reach old records as they are packed and merged. What is sealed never becomes plain
// again: records of a stream that is not encrypted any more, or whose present key cannot be had, keep the key that they
// have. Plain records of a stream that is not known stay plain: it is gone, or a merge seals them later. An error: records
// that are plain should be sealed and cannot be, so they stay where they are.
func (s *Store) sealParts(parts []part) (func(leat.ShardKey) segment.Key, error) {
	if s.cfg.Keys == nil {
		return nil, nil
	}
	keys := map[leat.ShardKey]segment.Key{}
	for i := range parts {
		key, err := s.sealOf(&parts[i])
		if err != nil {
			return nil, err
		}
		if !key.ID.IsZero() {
			keys[parts[i].sh.key] = key
		}
	}
	if len(keys) == 0 {
		return nil, nil
	}
	return func(k leat.ShardKey) segment.Key { return keys[k] }, nil
}

// sealOf is what sealParts chooses for one shard.
func (s *Store) sealOf(p *part) (key segment.Key, err error) {
	if s.cfg.Keys == nil {
		return segment.Key{}, nil
	}
	key, err = s.current(p.sh.key.Stream)
	if (err != nil || key.ID.IsZero()) && !p.sealed.IsZero() {
		key.ID = p.sealed
		key.Secret, err = s.cfg.Keys.Key(p.sealed)
	}
	switch {
	case errors.Is(err, ErrUnknownStream):
		return segment.Key{}, nil
	case err != nil:
		return segment.Key{}, fmt.Errorf("seal the records of %s: %w", p.sh.key, err)
	}
	return key, nil
}

// add takes a chunk that lies, or lay, in an extent.
func (p *part) add(c *segment.Chunk, from *Extent) {
	p.chunks, p.from = append(p.chunks, c), append(p.from, *from)
	if from.Sealed() {
		p.sealed = from.Key
	}
}
