// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package shardstore

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore/segment"
)

// opened hears of shards that were opened with pending extents.
func (p *packer) opened(shards []*shard) {
	for _, sh := range shards {
		if len(sh.pending) > 0 {
			p.mu.Lock()
			p.adopt = true
			p.mu.Unlock()
			p.wake()
			return
		}
	}
}

// adoptAll packs what closed sessions left in their segments, oldest session first, before anything of our own is
// registered: so registered extents stay contiguous however many owners died before us (data-plane.md, rule 12). held is why
// some shards wait, each by itself: what was left of them cannot be had.
func (p *packer) adoptAll(ctx context.Context) (held, err error) {
	p.mu.Lock()
	due := p.adopt
	p.adopt = false // shards that are opened from here on raise it again
	p.mu.Unlock()
	if !due {
		return nil, nil
	}
	defer func() {
		if held != nil || err != nil {
			p.mu.Lock()
			p.adopt = true
			p.mu.Unlock()
		}
	}()
	if p.adopting != nil {
		if err := p.registerAdoption(ctx); err != nil {
			return nil, err
		}
	}
	waiting := map[*shard]error{}
	for {
		session, shards := p.nextAdoption(waiting)
		if len(shards) == 0 {
			return heldError(waiting), nil
		}
		before := len(waiting)
		work, end := p.s.work(ctx, "adopt session")
		err := p.adoptSession(work, session, shards, waiting)
		if end(err); err != nil {
			return heldError(waiting), fmt.Errorf("adopt the segments of session %s: %w", session, err)
		}
		p.s.cfg.Logger.Info("adopted the segments of a closed session", "session", session, "shards", len(shards)-(len(waiting)-before))
	}
}

// heldError tells why shards wait, by one of them.
func heldError(waiting map[*shard]error) error {
	for _, err := range waiting {
		return fmt.Errorf("%d shards wait for what a closed session left of them: %w", len(waiting), err)
	}
	return nil
}

// nextAdoption picks a closed session that comes first for every shard that it left something of, but for those that wait.
func (p *packer) nextAdoption(waiting map[*shard]error) (leat.SessionID, []*shard) {
	first := map[leat.SessionID][]*shard{}
	later := map[leat.SessionID]bool{}
	for _, sh := range p.s.owned() {
		if waiting[sh] != nil {
			continue
		}
		sh.mu.Lock()
		for i, pending := range sh.pending {
			if i == 0 {
				first[pending.Session] = append(first[pending.Session], sh)
			} else {
				later[pending.Session] = true
			}
		}
		sh.mu.Unlock()
	}
	for session, shards := range first {
		if !later[session] {
			return session, shards
		}
	}
	// Only shards whose owners died in different orders come here; each session is then adopted for the shards that
	// have it first.
	for session, shards := range first {
		return session, shards
	}
	return leat.SessionID{}, nil
}

// leftover is an extent that a closed session left.
type leftover struct {
	sh *shard
	e  Extent
}

// leftovers lists what a session left of the shards that have it first, in the order in which it lies in segments.
func leftovers(session leat.SessionID, shards []*shard) []leftover {
	var all []leftover
	for _, sh := range shards {
		for _, e := range sh.firstPending(session) {
			all = append(all, leftover{sh, e})
		}
	}
	slices.SortFunc(all, func(a, b leftover) int {
		return cmp.Or(cmp.Compare(a.e.Object, b.e.Object), cmp.Compare(a.e.Off, b.e.Off))
	})
	return all
}

// adoption is a pack of what a closed session left, while it is made.
type adoption struct {
	pk    *pack
	stay  staying
	parts map[*shard]*part
	size  int64
}

func (p *packer) newAdoption(session leat.SessionID) *adoption {
	pk := &pack{reg: Registration{Session: p.s.cfg.Session, Number: p.nextNumber(), Counted: true, Adopts: session}}
	return &adoption{pk: pk, stay: staying{p: p, reg: &pk.reg}, parts: map[*shard]*part{}}
}

// adoptSession reads a closed session's segments in order and packs them, in several packs where they are large. The
// rows (closed session, shard) go with the last. A shard of which something cannot be had joins those that wait; from there
// on nothing of it is taken.
func (p *packer) adoptSession(ctx context.Context, session leat.SessionID, shards []*shard, waiting map[*shard]error) error {
	a := p.newAdoption(session)
	r := objectReader{s: p.s, window: p.s.cfg.Params.ReadWindow}
	for _, l := range leftovers(session, shards) {
		if waiting[l.sh] != nil {
			continue
		}
		err := a.take(ctx, &r, l)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			waiting[l.sh] = err
			continue
		}
		if a.size += l.e.Raw; a.size >= p.s.cfg.Params.PackBytes {
			if err := p.adoptParts(ctx, a, nil, waiting); err != nil {
				return err
			}
			a = p.newAdoption(session)
		}
	}
	return p.adoptParts(ctx, a, shards, waiting)
}

// take reads a leftover, or has it stay where it is.
func (a *adoption) take(ctx context.Context, r *objectReader, l leftover) error {
	pt := a.parts[l.sh]
	if pt == nil {
		pt = &part{sh: l.sh}
		a.parts[l.sh] = pt
	}
	c, err := r.chunk(ctx, l.e)
	switch {
	case err == nil:
		pt.add(c, &l.e)
	case ctx.Err() == nil && a.stay.leave(pt, err, l.e):
		err = nil
	}
	return err
}

// adoptParts writes and registers one pack of adopted records; but for those that wait, finished shards have nothing left of
// the session after it.
func (p *packer) adoptParts(ctx context.Context, a *adoption, finished []*shard, waiting map[*shard]error) error {
	pk := a.pk
	for sh, pt := range a.parts {
		if err := a.stay.seals(pt); err != nil {
			waiting[sh] = err
		} else if len(pt.chunks)+len(pt.kept) > 0 {
			pk.parts = append(pk.parts, *pt)
		}
	}
	for _, sh := range finished {
		if waiting[sh] == nil {
			pk.finished, pk.reg.AdoptShards = append(pk.finished, sh), append(pk.reg.AdoptShards, sh.key)
		}
	}
	if len(pk.parts)+len(pk.finished) == 0 {
		return nil
	}
	if err := p.write(ctx, &pk.reg, pk.parts, 1); err != nil {
		return err
	}
	if err := p.link(ctx, a.stay.names); err != nil {
		return err
	}
	for i := range pk.parts {
		pk.parts[i].chunks, pk.parts[i].from, pk.parts[i].kept = nil, nil, nil
	}
	a.stay.recovered(pk.parts)
	p.adopting = pk
	return p.registerAdoption(ctx)
}

// registerAdoption registers the adoption that is written, and tells its shards.
func (p *packer) registerAdoption(ctx context.Context) error {
	pk := p.adopting
	if err := p.register(ctx, &pk.reg); err != nil {
		return err
	}
	p.adopting = nil
	p.s.stats.packs.Add(1)
	for _, part := range pk.parts {
		part.sh.adopted(pk.reg.Adopts, part.extents, false)
	}
	for _, sh := range pk.finished {
		sh.adopted(pk.reg.Adopts, nil, true)
	}
	return nil
}

// firstPending returns the extents that a session left of the shard, when that session comes first.
func (sh *shard) firstPending(session leat.SessionID) []Extent {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if len(sh.pending) == 0 || sh.pending[0].Session != session {
		return nil
	}
	return slices.Clone(sh.pending[0].Extents)
}

// adopted moves registered records from pending to the index; last drops the session's entry.
func (sh *shard) adopted(session leat.SessionID, registered []Extent, last bool) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if len(sh.pending) == 0 || sh.pending[0].Session != session {
		return
	}
	sh.registered(registered)
	if n := len(registered); n > 0 {
		end, left := registered[n-1].End(), sh.pending[0].Extents
		k := 0
		for k < len(left) && left[k].End() <= end {
			k++
		}
		sh.pending[0].Extents = left[k:]
	}
	if last {
		sh.pending = sh.pending[1:]
	}
}

// chunkOf returns the records of an extent of this session's log from memory, or reads them back.
func (s *Store) chunkOf(ctx context.Context, r *objectReader, sh *shard, e Extent) (*segment.Chunk, error) {
	sh.mu.Lock()
	if len(sh.tail) > 0 && sh.memFirst() <= e.First && e.First < sh.visible {
		c := sh.tail[sh.tailAt(e.First)]
		sh.mu.Unlock()
		if c.First == e.First && c.Count == e.Count {
			return c.Chunk, nil
		}
	} else {
		sh.mu.Unlock()
	}
	return r.chunk(ctx, e)
}
