// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"fmt"
	"slices"
	"strings"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore"
)

// plan is what a registration comes to, shard by shard.
type plan struct {
	runs     []run    // one a shard, sorted
	replaced []string // objects that lose extents, sorted
}

// run is the part of one shard.
type run struct {
	shard    leat.ShardKey
	epoch    uint64 // the highest among its extents
	first    uint64 // of the first extent
	next     uint64 // the end of the last
	lastTime int64
}

func (p *plan) run(k leat.ShardKey) run {
	i, _ := slices.BinarySearchFunc(p.runs, k, func(r run, k leat.ShardKey) int { return r.shard.Compare(k) })
	return p.runs[i]
}

// planOf checks a registration for itself and sums it up.
func planOf(r *shardstore.Registration) (*plan, error) {
	if err := checkForm(r); err != nil {
		return nil, err
	}
	p := &plan{}
	for i := range r.Extents {
		if err := p.add(&r.Extents[i], r.Counted); err != nil {
			return nil, err
		}
	}
	if !r.Counted {
		if err := sameOffsets(r); err != nil {
			return nil, err
		}
	}
	for _, e := range r.Replaces {
		p.replaced = append(p.replaced, e.Object)
	}
	slices.Sort(p.replaced)
	p.replaced = slices.Compact(p.replaced)
	return p, nil
}

func checkForm(r *shardstore.Registration) error {
	switch {
	case r.TrimTo < r.TrimFrom:
		return leat.Errorf(leat.KindInvalidArgument, "pack %d of session %s moves the trim back from %d to %d", r.Number, r.Session, r.TrimFrom, r.TrimTo)
	case r.Counted && len(r.Replaces) > 0:
		return leat.Errorf(leat.KindInvalidArgument, "pack %d of session %s is counted and replaces extents: a merge is not counted", r.Number, r.Session)
	case len(r.Gone) > 0 && (!r.Counted || !r.Adopts.IsZero()):
		return leat.Errorf(leat.KindInvalidArgument, "pack %d of session %s counts dropped shards, and is none of its own segments", r.Number, r.Session)
	}
	deleted := make(map[string]bool, len(r.Deletes))
	for _, key := range r.Deletes {
		deleted[key] = true
	}
	for i := range r.Extents {
		object := r.Extents[i].Object
		if object != r.Object && !keeps(r, object) || object == "" || deleted[object] {
			return leat.Errorf(leat.KindInvalidArgument, "pack %d of session %s has an extent in %q, not in %q", r.Number, r.Session, object, r.Object)
		}
	}
	for _, key := range r.Deletes {
		// Rule 6: only below a trim that is committed with this very transaction, and only of the session's own log.
		session, n, ok := parseSegment(key)
		if strings.HasPrefix(key, segmentPrefix) && (!ok || session != r.Session || n >= r.TrimTo) {
			return leat.Errorf(leat.KindInvalidArgument, "pack %d of session %s must not delete %s: its trim is %d", r.Number, r.Session, key, r.TrimTo)
		}
	}
	return nil
}

// keeps tells whether extents of a registration may be in an object that is not its pack: one of the very segments whose
// records it registers, or a name that it alone gives. Nobody is about to delete those: of its own segments nothing else
// names one yet, and a closed session that it adopts from keeps them all while it holds something of the shard.
func keeps(r *shardstore.Registration, object string) bool {
	if !r.Counted {
		return false
	}
	if session, n, ok := parseSegment(object); ok {
		return session == r.Session && n >= r.TrimFrom && n < r.TrimTo || session == r.Adopts
	}
	return strings.HasPrefix(object, shardstore.KeptName(r.Session, r.Number))
}

// add takes an extent into its shard's run. Counted extents of a shard join without gap (I7).
func (p *plan) add(e *shardstore.Extent, counted bool) error {
	if e.Count == 0 {
		return leat.Errorf(leat.KindInvalidArgument, "shard %s: an extent at %d is empty", e.Shard, e.First)
	}
	if n := len(p.runs); n > 0 && p.runs[n-1].shard == e.Shard {
		last := &p.runs[n-1]
		if e.First < last.next || counted && e.First != last.next {
			return fmt.Errorf("shard %s: an extent begins at %d where %d was expected: %w", e.Shard, e.First, last.next, shardstore.ErrFenced)
		}
		last.epoch, last.next, last.lastTime = max(last.epoch, e.Epoch), e.End(), max(last.lastTime, e.MaxTime)
		return nil
	} else if n > 0 && p.runs[n-1].shard.Compare(e.Shard) > 0 {
		return leat.Errorf(leat.KindInvalidArgument, "extents of %s and %s are not sorted", p.runs[n-1].shard, e.Shard)
	}
	p.runs = append(p.runs, run{shard: e.Shard, epoch: e.Epoch, first: e.First, next: e.End(), lastTime: e.MaxTime})
	return nil
}

// sameOffsets checks that a merge puts back exactly the offsets that it takes away (I7).
func sameOffsets(r *shardstore.Registration) error {
	old := slices.Clone(r.Replaces)
	slices.SortFunc(old, func(a, b shardstore.Extent) int {
		if c := a.Shard.Compare(b.Shard); c != 0 {
			return c
		}
		return compareOffsets(a.First, b.First)
	})
	was, is := spans(old), spans(r.Extents)
	if !slices.Equal(was, is) {
		return leat.Errorf(leat.KindInvalidArgument, "merge %d of session %s covers other offsets than the extents that it replaces", r.Number, r.Session)
	}
	return nil
}

func compareOffsets(a, b uint64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// span is a stretch of a shard's offsets.
type span struct {
	shard    leat.ShardKey
	from, to uint64
}

// spans joins sorted extents that touch.
func spans(extents []shardstore.Extent) (out []span) {
	for i := range extents {
		e := &extents[i]
		if n := len(out); n > 0 && out[n-1].shard == e.Shard && out[n-1].to == e.First {
			out[n-1].to = e.End()
			continue
		}
		out = append(out, span{e.Shard, e.First, e.End()})
	}
	return out
}
