// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package shardstore

import (
	"context"
	"slices"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore/segment"
)

// Reshard closes parents and opens children with one RESHARD record in one segment (data-plane.md, rule 16). When it
// returns without error the record is durable: the result carries the parents' finals and the time. Until the caller
// has put that into the catalog and called ConfirmReshard, the segment is not packed away.
//
// No child takes a put before the record is durable (I10). Parents answer ErrResharded from the moment it is placed.
func (s *Store) Reshard(ctx context.Context, r Reshard) (Reshard, error) {
	r.Parents = slices.Clone(r.Parents)
	var parents []*shard
	children := make([]*shard, len(r.Children))
	place := func() error {
		if s.state != live {
			return s.notLive()
		}
		for _, p := range r.Parents {
			sh := s.shards[p.Shard]
			if sh == nil || sh.unopened {
				return ErrNotOwned
			}
			if sh.closing {
				return ErrResharded
			}
			parents = append(parents, sh)
		}
		s.placeReshard(&r, parents, children)
		return nil
	}
	// The record in the batch is the same value that place fills in.
	c := segment.Control{Kind: segment.ControlReshard, Reshard: &r}
	err := s.control(ctx, c, place, func() { s.reshardDurable(parents, children) })
	if err != nil {
		return Reshard{}, err
	}
	return r, nil
}

// placeReshard fixes the finals and makes the children known but not open. mu is held.
func (s *Store) placeReshard(r *Reshard, parents, children []*shard) {
	r.Time = leat.Micros(s.cfg.Clock.Now())
	for i, sh := range parents {
		sh.closing = true
		r.Parents[i].Epoch, r.Parents[i].Final = sh.epoch, sh.next
		r.Time = max(r.Time, sh.clock)
	}
	for i, c := range r.Children {
		children[i] = &shard{key: c.Shard, epoch: 1, unopened: true, clock: r.Time, lastTime: r.Time}
		s.shards[c.Shard] = children[i]
	}
	s.packer.hold(r.ID, s.nextSegmentLocked())
}

// nextSegmentLocked is a segment number that the pending batch's own cannot be below. mu is held.
func (s *Store) nextSegmentLocked() uint64 { return s.durable + uint64(len(s.taken)) }

// reshardDurable opens the children and ends the parents for readers.
func (s *Store) reshardDurable(parents, children []*shard) {
	s.mu.Lock()
	for _, sh := range children {
		sh.unopened = false
	}
	s.mu.Unlock()
	for _, sh := range parents {
		sh.mu.Lock()
		sh.closed = true
		sh.wake()
		sh.mu.Unlock()
	}
}

// ConfirmReshard says that the catalog has the outcome of a reshard: its segment may be packed away.
func (s *Store) ConfirmReshard(id string) { s.packer.release(id) }
