// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package shardstore

import (
	"context"
	"errors"
	"math"
	"slices"

	"github.com/leatstream/leat"
)

// hold keeps the log from segment n on until release: a reshard in it is not yet in the catalog. Packs of it are
// written but not registered.
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

// heldFrom is the first segment that must not be registered yet.
func (p *packer) heldFrom() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := uint64(math.MaxUint64)
	for _, m := range p.held {
		n = min(n, m)
	}
	return n
}

// registerWritten registers packs in order, as far as no reshard is held and nothing is left to adopt before them.
func (p *packer) registerWritten(ctx context.Context) error {
	for len(p.written) > 0 {
		pk := p.written[0]
		if pk.reg.TrimTo > p.heldFrom() || pk.waitsForAdoption() {
			return nil
		}
		if err := p.registerPack(ctx, pk); err != nil {
			return err
		}
		p.written = p.written[1:]
	}
	p.written = nil
	return nil
}

// waitsForAdoption tells whether a shard was opened, after the last adoption, with extents that come before the pack's.
func (pk *pack) waitsForAdoption() bool {
	for _, part := range pk.parts {
		part.sh.mu.Lock()
		waits := len(part.sh.pending) > 0
		part.sh.mu.Unlock()
		if waits {
			return true
		}
	}
	return false
}

// registerPack registers a pack of our own segments and moves its records from the log to the index.
func (p *packer) registerPack(ctx context.Context, pk *pack) (err error) {
	ctx, end := p.s.part(ctx, pk.traced, "register pack")
	defer func() { end(err) }()
	if err := p.register(ctx, &pk.reg); err != nil {
		return err
	}
	p.s.stats.packs.Add(1)
	for _, part := range pk.parts {
		p.s.unindexed.Add(part.sh.packed(part.extents))
	}
	return nil
}

// register tries once to commit. A registration that is no pack of our segments moves no trim, but names the one that
// stands, so registrations of one session go one after another.
func (p *packer) register(ctx context.Context, reg *Registration) error {
	if err := p.sql.lock(ctx); err != nil {
		return err
	}
	defer p.sql.unlock()
	if reg.TrimFrom == reg.TrimTo {
		reg.TrimFrom = p.s.trimmed()
		reg.TrimTo = reg.TrimFrom
	}
	reg.NotBefore = leat.Micros(p.s.cfg.Clock.Now().Add(p.s.cfg.Params.DeleteAfter))
	err := p.s.cfg.Index.Register(ctx, *reg)
	if err == nil {
		p.s.mu.Lock()
		p.s.trim = reg.TrimTo
		p.s.mu.Unlock()
	}
	if len(reg.Replaces) == 0 {
		p.unsure.Store(err != nil && !errors.Is(err, ErrFenced))
	}
	return err
}

// left tells whether something durable of this session, or of those before it, is not in the index. A segment without
// records, such as that of CLOSE, is nothing.
func (p *packer) left(ctx context.Context) (bool, error) {
	if err := p.one.lock(ctx); err != nil {
		return false, err
	}
	defer p.one.unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	records := slices.ContainsFunc(p.queue, func(t tailSegment) bool { return len(t.shards) > 0 })
	return records || len(p.written) > 0 || p.adopting != nil || p.adopt, nil
}

func (s *Store) trimmed() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.trim
}
