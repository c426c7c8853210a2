// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package shardstore

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore/blob"
	"github.com/leatstream/leat/shardstore/segment"
	"github.com/leatstream/leat/shardstore/wal"
)

// packer turns durable segments into packs (data-plane.md, rule 7): whole segments only, in order, one pack at a time.
// Its steps are: gather chunks, write the object, register, forget. Until registration succeeds nothing is forgotten,
// so a step that fails is done again.
type packer struct {
	s      *Store
	number atomic.Uint64 // of the next pack or merge
	kick   chan struct{}

	one sync.Mutex // held by whoever packs: the loop, or Close

	mu    sync.Mutex
	queue []tailSegment // durable, not packed, in order of n
	bytes int64         // of their encoded records
	since time.Time     // when the oldest became durable
	held  map[string]uint64
	adopt bool // some shard has pending extents of a closed session
}

func newPacker(s *Store) *packer {
	return &packer{s: s, kick: make(chan struct{}, 1), held: map[string]uint64{}}
}

// logged hears of each durable segment, in order.
func (p *packer) logged(t tailSegment) {
	p.mu.Lock()
	if len(p.queue) == 0 {
		p.since = p.s.cfg.Clock.Now()
	}
	p.queue = append(p.queue, t)
	p.bytes += t.raw
	full := p.bytes >= p.s.cfg.Params.PackBytes
	p.mu.Unlock()
	if full {
		p.wake()
	}
}

func (p *packer) wake() {
	select {
	case p.kick <- struct{}{}:
	default:
	}
}

// adopting says that shards with pending extents were opened.
func (p *packer) adopting(opened []*shard) {
	for _, sh := range opened {
		if len(sh.pending) > 0 {
			p.mu.Lock()
			p.adopt = true
			p.mu.Unlock()
			p.wake()
			return
		}
	}
}

// hold keeps segments from n on until release: a reshard in them is not yet in the catalog.
func (p *packer) hold(id string, n uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held[id] = n
}

func (p *packer) release(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.held, id)
}

// run packs when it is due, until ctx ends. Failures are logged and tried again with a pause: the catalog or the store
// may be away for long, and puts go on meanwhile.
func (p *packer) run(ctx context.Context) {
	const check = time.Second
	pause := time.Duration(0)
	for {
		c, stop := p.s.cfg.Clock.NewTimer(max(check, pause))
		kick := p.kick
		if pause > 0 {
			kick = nil
		}
		select {
		case <-ctx.Done():
			stop()
			return
		case <-kick:
			stop()
		case <-c:
		}
		err := p.due(ctx)
		switch {
		case err == nil:
			pause = 0
		case ctx.Err() != nil:
			return
		case errors.Is(err, ErrFenced):
			p.s.abort(fmt.Errorf("the catalog refused a pack: %w", err))
			return
		default:
			pause = min(max(2*pause, check), 15*time.Second)
			p.s.stats.packFailures.Add(1)
			p.s.cfg.Logger.Warn("packing waits", "error", err, "retry_in", pause)
		}
	}
}

// due adopts what closed sessions left, then packs while a pack is due.
func (p *packer) due(ctx context.Context) error {
	p.one.Lock()
	defer p.one.Unlock()
	if err := p.adoptAll(ctx); err != nil {
		return err
	}
	for p.ready() {
		if done, err := p.packOne(ctx); err != nil || !done {
			return err
		}
	}
	return nil
}

func (p *packer) ready() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.queue) == 0 {
		return false
	}
	par := p.s.cfg.Params
	return p.bytes >= par.PackBytes || p.s.cfg.Clock.Now().Sub(p.since) >= par.PackEvery
}

// packAll packs everything durable now.
func (p *packer) packAll(ctx context.Context) error {
	p.one.Lock()
	defer p.one.Unlock()
	if err := p.adoptAll(ctx); err != nil {
		return err
	}
	for {
		if done, err := p.packOne(ctx); err != nil || !done {
			return err
		}
	}
}

// take chooses the segments of the next pack: from the oldest on, up to PackBytes, none at or beyond a held reshard.
func (p *packer) take() []tailSegment {
	p.mu.Lock()
	defer p.mu.Unlock()
	limit := uint64(math.MaxUint64)
	for _, n := range p.held {
		limit = min(limit, n)
	}
	k, size := 0, int64(0)
	for k < len(p.queue) && p.queue[k].n < limit && (k == 0 || size+p.queue[k].raw <= p.s.cfg.Params.PackBytes) {
		size += p.queue[k].raw
		k++
	}
	return p.queue[:k:k]
}

// drop forgets segments that are packed.
func (p *packer) drop(segments []tailSegment) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, t := range segments {
		p.bytes -= t.raw
	}
	p.queue = append([]tailSegment(nil), p.queue[len(segments):]...)
	p.since = p.s.cfg.Clock.Now()
}

// packOne writes and registers one pack. done is false when there was nothing to pack.
func (p *packer) packOne(ctx context.Context) (done bool, err error) {
	segments := p.take()
	if len(segments) == 0 {
		return false, nil
	}
	from, to := segments[0].n, segments[len(segments)-1].n+1
	parts, err := p.gather(ctx, segments, to)
	if err != nil {
		return false, err
	}
	reg := Registration{Session: p.s.cfg.Session, TrimFrom: from, TrimTo: to, Counted: true}
	for n := from; n < to; n++ {
		reg.Deletes = append(reg.Deletes, wal.Key(p.s.cfg.Session, n))
	}
	if err := p.write(ctx, &reg, parts, 1); err != nil {
		return false, err
	}
	p.s.mu.Lock()
	p.s.trim = to
	p.s.mu.Unlock()
	for _, part := range parts {
		part.sh.packed(to, part.extents)
	}
	p.drop(segments)
	return true, nil
}

// part is one shard's share of a pack.
type part struct {
	sh      *shard
	chunks  []*segment.Chunk
	extents []Extent // as registered; set by write
}

// gather collects the chunks of segments below to, shard by shard, from memory or from the segments.
func (p *packer) gather(ctx context.Context, segments []tailSegment, to uint64) ([]part, error) {
	seen := map[*shard]bool{}
	var parts []part
	for _, t := range segments {
		for _, sh := range t.shards {
			if seen[sh] {
				continue
			}
			seen[sh] = true
			part := part{sh: sh}
			for _, e := range sh.loggedBelow(to) {
				c, err := p.s.chunkOf(ctx, sh, e)
				if err != nil {
					return nil, fmt.Errorf("gather %s from %s: %w", sh.key, e.Object, err)
				}
				part.chunks = append(part.chunks, c)
			}
			if len(part.chunks) > 0 {
				parts = append(parts, part)
			}
		}
	}
	return parts, nil
}

// write encodes the parts as one object, makes it durable and registers it. The parts learn their extents.
func (p *packer) write(ctx context.Context, reg *Registration, parts []part, level uint8) error {
	reg.Number = p.number.Add(1) - 1
	reg.NotBefore = leat.Micros(p.s.cfg.Clock.Now().Add(p.s.cfg.Params.DeleteAfter))
	if len(parts) > 0 {
		sortParts(parts)
		var chunks []*segment.Chunk
		for _, part := range parts {
			chunks = append(chunks, part.chunks...)
		}
		h := segment.Header{Kind: segment.KindPack, Cluster: p.s.cfg.Cluster, Session: reg.Session, N: reg.Number, Created: leat.Micros(p.s.cfg.Clock.Now())}
		h.Nonce = leat.NewID[leat.SessionID](p.s.cfg.Rand)
		object, extents, err := p.s.coder.Encode(h, chunks, nil, segment.Options{Codec: segment.CodecZstd, Level: level})
		if err != nil {
			return fmt.Errorf("encode pack %d: %w", reg.Number, err)
		}
		reg.Object = PackKey(reg.Session, reg.Number)
		for i := range extents {
			extents[i].Object = reg.Object
		}
		if err := p.s.create(ctx, reg.Object, object); err != nil {
			return err
		}
		reg.Extents = extents
		share(parts, extents)
	}
	return p.register(ctx, reg)
}

// register commits, again and again while the outcome is unknown: the number makes that safe.
func (p *packer) register(ctx context.Context, reg *Registration) error {
	pause := 100 * time.Millisecond
	for {
		err := p.s.cfg.Index.Register(ctx, *reg)
		if err == nil || errors.Is(err, ErrFenced) || ctx.Err() != nil {
			return err
		}
		p.s.stats.packFailures.Add(1)
		p.s.cfg.Logger.Warn("the catalog does not take a pack yet", "pack", reg.Number, "error", err, "retry_in", pause)
		if err := p.s.sleep(ctx, pause); err != nil {
			return err
		}
		pause = min(2*pause, 10*time.Second)
	}
}

// create writes an object that only this session can name, so that an object that stands there is our own earlier try.
func (s *Store) create(ctx context.Context, key string, body []byte) error {
	pause := 50 * time.Millisecond
	for {
		err := s.cfg.Blobs.Create(ctx, key, body)
		if err == nil {
			return nil
		}
		if errors.Is(err, blob.ErrExists) {
			return s.sameObject(ctx, key, body)
		}
		if ctx.Err() != nil {
			return err
		}
		s.cfg.Logger.Warn("the object store does not take a pack yet", "key", key, "error", err, "retry_in", pause)
		if err := s.sleep(ctx, pause); err != nil {
			return err
		}
		pause = min(2*pause, 10*time.Second)
	}
}

// sameObject tells our own earlier attempt from a stranger's object by the header's nonce.
func (s *Store) sameObject(ctx context.Context, key string, body []byte) error {
	head, err := s.cfg.Blobs.Read(ctx, key, 0, segment.HeaderSize)
	if err != nil {
		return fmt.Errorf("read back %s: %w", key, err)
	}
	if string(head) != string(body[:segment.HeaderSize]) {
		return leat.Errorf(leat.KindCorrupt, "object %s is not the one that this session wrote", key)
	}
	return nil
}

// PackKey is the key of a pack: pack/<session>/<number>.
func PackKey(s leat.SessionID, number uint64) string {
	return fmt.Sprintf("pack/%s/%020d", s, number)
}
