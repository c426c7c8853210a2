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
// registered: so registered extents stay contiguous however many owners died before us (data-plane.md, rule 12).
func (p *packer) adoptAll(ctx context.Context) (err error) {
	p.mu.Lock()
	due := p.adopt
	p.adopt = false // shards that are opened from here on raise it again
	p.mu.Unlock()
	if !due {
		return nil
	}
	defer func() {
		if err != nil {
			p.mu.Lock()
			p.adopt = true
			p.mu.Unlock()
		}
	}()
	if p.adopting != nil {
		if err := p.registerAdoption(ctx); err != nil {
			return err
		}
	}
	for {
		session, shards := p.nextAdoption()
		if len(shards) == 0 {
			return nil
		}
		work, end := p.s.work(ctx, "adopt session")
		err := p.adoptSession(work, session, shards)
		if end(err); err != nil {
			return fmt.Errorf("adopt the segments of session %s: %w", session, err)
		}
		p.s.cfg.Logger.Info("adopted the segments of a closed session", "session", session, "shards", len(shards))
	}
}

// nextAdoption picks a closed session that comes first for every shard that it left something of.
func (p *packer) nextAdoption() (leat.SessionID, []*shard) {
	first := map[leat.SessionID][]*shard{}
	later := map[leat.SessionID]bool{}
	for _, sh := range p.s.owned() {
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

// adoptSession reads a closed session's segments in order and packs them, in several packs where they are large. The
// rows (closed session, shard) go with the last.
func (p *packer) adoptSession(ctx context.Context, session leat.SessionID, shards []*shard) error {
	parts := map[*shard]*part{}
	size := int64(0)
	r := objectReader{s: p.s, window: p.s.cfg.Params.ReadWindow}
	for _, l := range leftovers(session, shards) {
		c, err := r.chunk(ctx, l.e)
		if err != nil {
			return err
		}
		if parts[l.sh] == nil {
			parts[l.sh] = &part{sh: l.sh}
		}
		parts[l.sh].add(c, &l.e)
		if size += l.e.Raw; size >= p.s.cfg.Params.PackBytes {
			if err := p.adoptParts(ctx, session, parts, nil); err != nil {
				return err
			}
			clear(parts)
			size = 0
		}
	}
	return p.adoptParts(ctx, session, parts, shards)
}

// adoptParts writes and registers one pack of adopted records; finished shards have nothing left of the session after it.
func (p *packer) adoptParts(ctx context.Context, session leat.SessionID, parts map[*shard]*part, finished []*shard) error {
	pk := &pack{reg: Registration{Session: p.s.cfg.Session, Number: p.nextNumber(), Counted: true, Adopts: session}, finished: finished}
	for _, part := range parts {
		pk.parts = append(pk.parts, *part)
	}
	for _, sh := range finished {
		pk.reg.AdoptShards = append(pk.reg.AdoptShards, sh.key)
	}
	if err := p.write(ctx, &pk.reg, pk.parts, 1); err != nil {
		return err
	}
	for i := range pk.parts {
		pk.parts[i].chunks = nil
	}
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
