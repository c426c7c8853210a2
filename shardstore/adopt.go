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
	"github.com/leatstream/leat/shardstore/wal"
)

// adoptAll packs what closed sessions left in their segments, oldest session first, before anything of our own is
// packed: so registered extents stay contiguous however many owners died before us (data-plane.md, rule 12).
func (p *packer) adoptAll(ctx context.Context) error {
	p.mu.Lock()
	due := p.adopt
	p.mu.Unlock()
	if !due {
		return nil
	}
	for {
		session, shards := p.nextAdoption()
		if len(shards) == 0 {
			break
		}
		if err := p.adoptSession(ctx, session, shards); err != nil {
			return fmt.Errorf("adopt the segments of session %s: %w", session, err)
		}
		p.s.cfg.Logger.Info("adopted the segments of a closed session", "session", session, "shards", len(shards))
	}
	p.mu.Lock()
	p.adopt = false
	p.mu.Unlock()
	return nil
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

// adoptSession reads a closed session's segments in order and packs them, in several packs where they are large. The
// rows (closed session, shard) go with the last.
func (p *packer) adoptSession(ctx context.Context, session leat.SessionID, shards []*shard) error {
	type left struct {
		sh *shard
		e  Extent
	}
	var all []left
	for _, sh := range shards {
		for _, e := range sh.firstPending(session) {
			all = append(all, left{sh, e})
		}
	}
	slices.SortFunc(all, func(a, b left) int {
		return cmp.Or(cmp.Compare(a.e.Object, b.e.Object), cmp.Compare(a.e.Off, b.e.Off))
	})
	parts := map[*shard]*part{}
	size := int64(0)
	r := objectReader{s: p.s, window: p.s.cfg.Params.ReadWindow}
	for _, l := range all {
		c, err := r.chunk(ctx, l.e)
		if err != nil {
			return err
		}
		if parts[l.sh] == nil {
			parts[l.sh] = &part{sh: l.sh}
		}
		parts[l.sh].chunks = append(parts[l.sh].chunks, c)
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

// adoptParts registers one pack of adopted records; finished shards have nothing left of the session after it.
func (p *packer) adoptParts(ctx context.Context, session leat.SessionID, parts map[*shard]*part, finished []*shard) error {
	reg := Registration{Session: p.s.cfg.Session, TrimFrom: p.s.trimmed(), Counted: true, Adopts: session}
	reg.TrimTo = reg.TrimFrom
	list := make([]part, 0, len(parts))
	for _, part := range parts {
		list = append(list, *part)
	}
	for _, sh := range finished {
		reg.AdoptShards = append(reg.AdoptShards, sh.key)
	}
	if err := p.write(ctx, &reg, list, 1); err != nil {
		return err
	}
	for _, part := range list {
		part.sh.adopted(session, part.extents, false)
	}
	for _, sh := range finished {
		sh.adopted(session, nil, true)
	}
	return nil
}

func (s *Store) trimmed() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.trim
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

// registered adds extents that the index has now. mu is held.
func (sh *shard) registered(extents []Extent) {
	sh.changes++
	sh.count += len(extents)
	if sh.loaded {
		// A load may have seen the transaction's extents already.
		end := sh.horizon
		if n := len(sh.extents); n > 0 {
			end = sh.extents[n-1].End()
		}
		for _, e := range extents {
			if e.First >= end {
				sh.extents = append(sh.extents, e)
			}
		}
	}
	if sh.oldest == 0 && len(extents) > 0 {
		sh.oldest = extents[0].MaxTime
	}
}

// loggedBelow returns the shard's extents in this session's segments below to.
func (sh *shard) loggedBelow(to uint64) []Extent {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return slices.Clone(sh.logged[:belowSegment(sh.logged, to)])
}

// packed moves the records of segments below to from the log to the index.
func (sh *shard) packed(to uint64, registered []Extent) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.gone {
		return
	}
	sh.logged = slices.Clone(sh.logged[belowSegment(sh.logged, to):])
	sh.registered(registered)
}

// belowSegment counts the leading extents that lie in segments below to.
func belowSegment(logged []Extent, to uint64) int {
	k := 0
	for k < len(logged) {
		_, n, ok := wal.ParseKey(logged[k].Object)
		if !ok || n >= to {
			break
		}
		k++
	}
	return k
}

func sortParts(parts []part) {
	slices.SortFunc(parts, func(a, b part) int { return a.sh.key.Compare(b.sh.key) })
}

// share gives each part its extents: both are in the order of shards.
func share(parts []part, extents []Extent) {
	at := 0
	for i := range parts {
		from := at
		for at < len(extents) && extents[at].Shard == parts[i].sh.key {
			at++
		}
		parts[i].extents = extents[from:at:at]
	}
}

// chunkOf returns the records of an extent of this session's log from memory, or reads them back.
func (s *Store) chunkOf(ctx context.Context, sh *shard, e Extent) (*segment.Chunk, error) {
	sh.mu.Lock()
	if len(sh.tail) > 0 && sh.memFirst() <= e.First {
		c := sh.tail[sh.tailAt(e.First)]
		sh.mu.Unlock()
		if c.First == e.First && c.Count == e.Count {
			return c.Chunk, nil
		}
	} else {
		sh.mu.Unlock()
	}
	return s.readExtent(ctx, e)
}

// readExtent reads a whole extent and checks it.
func (s *Store) readExtent(ctx context.Context, e Extent) (*segment.Chunk, error) {
	stored, err := s.readObject(ctx, e.Object, e.Off, e.Len)
	if err != nil {
		return nil, err
	}
	return s.coder.DecodeExtent(e, stored)
}

// readObject reads a byte range of a segment or a pack.
func (s *Store) readObject(ctx context.Context, key string, off, length int64) ([]byte, error) {
	if session, n, ok := wal.ParseKey(key); ok {
		return s.cfg.Driver.Read(ctx, session, n, off, length)
	}
	return s.cfg.Blobs.Read(ctx, key, off, length)
}

// objectReader reads extents in the order in which they lie in their objects, with few large requests.
type objectReader struct {
	s      *Store
	window int64 // bytes of one request
	object string
	off    int64
	bytes  []byte
}

func (r *objectReader) chunk(ctx context.Context, e Extent) (*segment.Chunk, error) {
	in := e.Object == r.object && e.Off >= r.off && e.Off+e.Len <= r.off+int64(len(r.bytes))
	if !in {
		b, err := r.s.readObject(ctx, e.Object, e.Off, max(e.Len, r.window))
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", e.Object, err)
		}
		r.object, r.off, r.bytes = e.Object, e.Off, b
	}
	if at := e.Off - r.off; at+e.Len <= int64(len(r.bytes)) {
		return r.s.coder.DecodeExtent(e, r.bytes[at:at+e.Len])
	}
	return nil, leat.Errorf(leat.KindCorrupt, "object %s ends before byte %d", e.Object, e.Off+e.Len)
}
