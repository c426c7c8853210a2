// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package shardstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/leatstream/leat"
)

// extentsBatch is how many shards one question to the index covers.
const extentsBatch = 500

// shardMerge is what one shard brings to a merge.
type shardMerge struct {
	sh     *shard
	groups [][]Extent
}

// merge joins small extents of one level into larger ones, so that the index and the number of objects stay bounded
// (data-plane.md, "Pack" and rule 17). One call works on the lowest level that is due.
func (s *Store) merge(ctx context.Context) error {
	due, level, err := s.mergeCandidates(ctx)
	if err != nil || len(due) == 0 {
		return err
	}
	shared := map[string]bool{}
	for _, m := range due {
		for _, g := range m.groups {
			for _, e := range g {
				shared[e.Object] = true
			}
		}
	}
	all, err := s.mergeCompany(ctx, due, shared, level)
	if err != nil {
		return err
	}
	return s.runMerge(ctx, all, level+1)
}

// mergeCandidates finds the shards that have a level with enough extents to join, and the lowest such level.
func (s *Store) mergeCandidates(ctx context.Context) ([]shardMerge, uint8, error) {
	var grown []*shard
	for _, sh := range s.owned() {
		sh.mu.Lock()
		if sh.count-sh.checked >= s.cfg.Params.MergeFanIn && !sh.gone {
			grown = append(grown, sh)
		}
		sh.mu.Unlock()
	}
	var due []shardMerge
	lowest := uint8(maxLevel)
	err := s.eachExtents(ctx, grown, func(sh *shard, extents []Extent) {
		span := s.mergeSpan(sh.key.Stream)
		if !mergeDue(extents, s.cfg.Params, span) {
			sh.mu.Lock()
			sh.checked = len(extents)
			sh.mu.Unlock()
			return
		}
		m := shardMerge{sh: sh}
		for _, g := range planMerges(extents, s.cfg.Params, span, false) {
			m.groups = append(m.groups, extents[g.from:g.to])
			lowest = min(lowest, extents[g.from].Level)
		}
		due = append(due, m)
	})
	due = slices.DeleteFunc(due, func(m shardMerge) bool { return !m.keepLevel(lowest) })
	return due, lowest, err
}

// keepLevel drops the groups of other levels.
func (m *shardMerge) keepLevel(level uint8) bool {
	m.groups = slices.DeleteFunc(m.groups, func(g []Extent) bool { return g[0].Level != level })
	return len(m.groups) > 0
}

// mergeCompany adds the extents of the other shards that lie in the same objects, single ones too: then those objects
// are named by nobody after the merge, and go.
func (s *Store) mergeCompany(ctx context.Context, due []shardMerge, shared map[string]bool, level uint8) ([]shardMerge, error) {
	in := map[*shard]bool{}
	for _, m := range due {
		in[m.sh] = true
	}
	var others []*shard
	for _, sh := range s.owned() {
		sh.mu.Lock()
		if !in[sh] && sh.count > 0 && !sh.gone {
			others = append(others, sh)
		}
		sh.mu.Unlock()
	}
	err := s.eachExtents(ctx, others, func(sh *shard, extents []Extent) {
		m := shardMerge{sh: sh}
		in := func(e Extent) bool {
			return shared[e.Object] && e.Level == level && e.Raw < s.cfg.Params.OwnObjectBytes
		}
		covered := 0
		for _, g := range planMerges(extents, s.cfg.Params, s.mergeSpan(sh.key.Stream), true) {
			group := extents[g.from:g.to]
			if slices.ContainsFunc(group, in) {
				m.groups = append(m.groups, singles(extents[covered:g.from], in)...)
				m.groups = append(m.groups, group)
				covered = g.to
			}
		}
		m.groups = append(m.groups, singles(extents[covered:], in)...)
		if m.keepLevel(level) {
			due = append(due, m)
		}
	})
	slices.SortFunc(due, func(a, b shardMerge) int { return a.sh.key.Compare(b.sh.key) })
	return due, err
}

func singles(extents []Extent, in func(Extent) bool) (groups [][]Extent) {
	for i := range extents {
		if in(extents[i]) {
			groups = append(groups, extents[i:i+1])
		}
	}
	return groups
}

// mergeSpan bounds the time that one extent may cover, so that retention frees at most an eighth too late.
func (s *Store) mergeSpan(stream leat.StreamID) time.Duration {
	r, ok := s.cfg.Retention(stream)
	if !ok {
		return leat.MinRetention / 8
	}
	return max(r.Keep/8, time.Hour)
}

// eachExtents asks the index about shards, some hundreds at a time.
func (s *Store) eachExtents(ctx context.Context, shards []*shard, f func(*shard, []Extent)) error {
	for part := range slices.Chunk(shards, extentsBatch) {
		keys := make([]leat.ShardKey, len(part))
		for i, sh := range part {
			keys[i] = sh.key
		}
		answers, err := s.cfg.Index.Extents(ctx, keys)
		if err != nil {
			return fmt.Errorf("read the extent index: %w", err)
		}
		for i, a := range answers {
			f(part[i], a.Extents)
		}
	}
	return nil
}

// mergeOutput gathers groups for one object.
type mergeOutput struct {
	parts    []part
	replaces []Extent
	raw      int64
}

// runMerge reads the groups in the order of shards and writes objects of at most about MergeBytes. A shard with
// OwnObjectBytes and more gets objects of its own.
func (s *Store) runMerge(ctx context.Context, work []shardMerge, level uint8) error {
	readers := map[string]*objectReader{}
	var out mergeOutput
	for _, m := range work {
		for _, group := range m.groups {
			raw := int64(0)
			for _, e := range group {
				raw += e.Raw
			}
			own := raw >= s.cfg.Params.OwnObjectBytes
			if len(out.replaces) > 0 && (own || out.raw+raw > s.cfg.Params.MergeBytes) {
				if err := s.writeMerge(ctx, &out, level); err != nil {
					return err
				}
			}
			if err := s.readGroup(ctx, readers, &out, m.sh, group); err != nil {
				return err
			}
			out.raw += raw
			if own {
				if err := s.writeMerge(ctx, &out, level); err != nil {
					return err
				}
			}
		}
	}
	if len(out.replaces) == 0 {
		return nil
	}
	return s.writeMerge(ctx, &out, level)
}

// readGroup reads the extents of a group; every record is checked on the way.
func (s *Store) readGroup(ctx context.Context, readers map[string]*objectReader, out *mergeOutput, sh *shard, group []Extent) error {
	if n := len(out.parts); n == 0 || out.parts[n-1].sh != sh {
		out.parts = append(out.parts, part{sh: sh})
	}
	p := &out.parts[len(out.parts)-1]
	for _, e := range group {
		r := readers[e.Object]
		if r == nil {
			r = &objectReader{s: s, window: s.cfg.Params.ReadWindow / 4}
			readers[e.Object] = r
		}
		c, err := r.chunk(ctx, e)
		if err != nil {
			return err
		}
		p.chunks = append(p.chunks, c)
		out.replaces = append(out.replaces, e)
	}
	return nil
}

// writeMerge writes and registers one merged object. A refusal means that the extents changed meanwhile (a stream was
// deleted): the merge is forgotten, its object is swept later, and nothing is lost.
func (s *Store) writeMerge(ctx context.Context, out *mergeOutput, level uint8) error {
	done := *out
	*out = mergeOutput{}
	reg := Registration{Session: s.cfg.Session, TrimFrom: s.trimmed(), Replaces: done.replaces}
	reg.TrimTo = reg.TrimFrom
	err := s.packer.write(ctx, &reg, done.parts, level)
	if errors.Is(err, ErrFenced) {
		s.cfg.Logger.Warn("a merge was overtaken by other changes and is dropped", "object", reg.Object)
		return nil
	}
	if err != nil {
		return fmt.Errorf("merge into %s: %w", reg.Object, err)
	}
	s.stats.merges.Add(1)
	for _, p := range done.parts {
		p.sh.merged(done.replaces, p.extents)
	}
	return nil
}

// merged puts the new extents of this shard in the place of the old ones.
func (sh *shard) merged(replaced, merged []Extent) {
	var old []Extent
	for _, e := range replaced {
		if e.Shard == sh.key {
			old = append(old, e)
		}
	}
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.count += len(merged) - len(old)
	sh.checked = min(sh.checked, sh.count)
	// Groups of one shard need not be neighbours: the next read asks the index again.
	sh.unload()
}
