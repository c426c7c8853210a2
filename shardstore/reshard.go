// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package shardstore

import (
	"context"
	"slices"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore/segment"
)

// resharding is one Reshard that this session has placed.
type resharding struct {
	r     Reshard
	batch *batch
}

// Reshard closes parents and opens children with one RESHARD record in one segment (data-plane.md, rule 16). When it
// returns without error the record is durable: the result carries the parents' finals and the time. Until the caller
// has put that into the catalog and called ConfirmReshard, the segment is not registered as packed.
//
// No child takes a put before the record is durable (I10). Parents answer ErrResharded from the moment it is placed.
// With ErrUnknownOutcome (ctx ended first) the record is on its way all the same: the same call again waits for it.
// Other errors say that nothing was changed.
func (s *Store) Reshard(ctx context.Context, r Reshard) (Reshard, error) {
	s.mu.Lock()
	placed, err := s.placeReshard(r)
	s.mu.Unlock()
	if err != nil {
		return Reshard{}, err
	}
	if err := s.settle(ctx, placed.batch); err != nil {
		return Reshard{}, err
	}
	done := placed.r
	done.Parents = slices.Clone(done.Parents)
	return done, nil
}

// placeReshard puts the record into the pending batch, unless an earlier call did. mu is held.
func (s *Store) placeReshard(r Reshard) (*resharding, error) {
	if s.state != live {
		return nil, s.notLive()
	}
	if p := s.reshards[r.ID]; p != nil {
		return p, nil
	}
	parents, err := s.parentsOf(r)
	if err != nil {
		return nil, err
	}
	p := &resharding{r: r, batch: s.queue[len(s.queue)-1]}
	p.r.Parents, p.r.Children = slices.Clone(r.Parents), slices.Clone(r.Children)
	p.r.Time = leat.Micros(s.cfg.Clock.Now())
	for i, sh := range parents {
		sh.closing = true
		p.r.Parents[i].Epoch, p.r.Parents[i].Final = sh.epoch, sh.next
		p.r.Time = max(p.r.Time, sh.clock)
	}
	children := make([]*shard, len(r.Children))
	for i, c := range r.Children {
		children[i] = &shard{key: c.Shard, epoch: 1, unopened: true, clock: p.r.Time, lastTime: p.r.Time}
		s.shards[c.Shard] = children[i]
	}
	p.batch.controls = append(p.batch.controls, segment.Control{Kind: segment.ControlReshard, Reshard: &p.r})
	p.batch.onDone = append(p.batch.onDone, func() { s.reshardDurable(&p.r, parents, children) })
	s.reshards[r.ID] = p
	s.packer.hold(r.ID, s.nextSegmentLocked())
	s.notify()
	return p, nil
}

// parentsOf finds the shards that a reshard closes and refuses one that cannot be. mu is held.
func (s *Store) parentsOf(r Reshard) (parents []*shard, err error) {
	for _, p := range r.Parents {
		sh := s.shards[p.Shard]
		if sh == nil || sh.unopened || sh.releasing {
			return nil, ErrNotOwned
		}
		if sh.closing {
			return nil, sh.overtaken()
		}
		if slices.Contains(parents, sh) {
			return nil, leat.Errorf(leat.KindInternal, "reshard %q closes shard %s twice", r.ID, p.Shard)
		}
		parents = append(parents, sh)
	}
	for i, c := range r.Children {
		twin := func(o segment.ReshardChild) bool { return o.Shard == c.Shard }
		if s.shards[c.Shard] != nil || slices.ContainsFunc(r.Children[:i], twin) {
			return nil, leat.Errorf(leat.KindInternal, "reshard %q opens shard %s, which is open", r.ID, c.Shard)
		}
	}
	return parents, nil
}

// nextSegmentLocked is a segment number that the pending batch's own cannot be below. mu is held.
func (s *Store) nextSegmentLocked() uint64 { return s.durable + uint64(len(s.taken)) }

// overtaken is the refusal of a shard that is closing: with what it has become once that is durable.
func (sh *shard) overtaken() error {
	if r := sh.became.Load(); r != nil {
		return &ReshardedError{Reshard: r}
	}
	return ErrResharded
}

// reshardDurable opens the children and ends the parents for readers.
func (s *Store) reshardDurable(r *Reshard, parents, children []*shard) {
	s.mu.Lock()
	for _, sh := range children {
		sh.unopened = false
	}
	s.mu.Unlock()
	for _, sh := range parents {
		sh.became.Store(r)
		sh.mu.Lock()
		sh.closed = true
		sh.wake()
		sh.mu.Unlock()
	}
}

// ConfirmReshard says that the catalog has the outcome of a reshard: its segment may be packed away.
func (s *Store) ConfirmReshard(id string) {
	s.mu.Lock()
	delete(s.reshards, id)
	s.mu.Unlock()
	s.packer.release(id)
}
