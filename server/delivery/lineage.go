// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"context"
	"slices"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/delivery/spec"
)

// lineage says in which order the shards of one delivery stream are delivered: a child after its parents' ends. Retention
// forgets closed shards of which nothing is left, so any ancestor may be gone, with a cursor or without.
type lineage struct {
	d    *spec.Delivery
	have map[uint64]*cursor
	kept map[uint64]*leat.Shard
	told map[uint64]bool // what expected said
}

func newLineage(d *spec.Delivery, cursors []cursor, shards []leat.Shard) *lineage {
	l := &lineage{d: d, have: map[uint64]*cursor{}, kept: map[uint64]*leat.Shard{}, told: map[uint64]bool{}}
	for i := range cursors {
		l.have[cursors[i].ordinal] = &cursors[i]
	}
	for i := range shards {
		l.kept[shards[i].Key.Ordinal] = &shards[i]
	}
	return l
}

func parents(s *leat.Shard) (all []uint64) {
	for _, p := range []*uint64{s.Parent, s.AdjacentParent} {
		if p != nil {
			all = append(all, *p)
		}
	}
	return all
}

// expected tells whether a shard without a cursor is to get one, now or later.
func (l *lineage) expected(s *leat.Shard) bool {
	if told, ok := l.told[s.Key.Ordinal]; ok {
		return told
	}
	is := l.expects(s)
	l.told[s.Key.Ordinal] = is
	return is
}

func (l *lineage) expects(s *leat.Shard) bool {
	src := &l.d.Config.Source
	if over(src, s) {
		return false
	}
	gone := false
	for _, p := range parents(s) {
		parent := l.kept[p]
		if l.have[p] != nil || parent != nil && l.expected(parent) {
			return true
		}
		gone = gone || parent == nil
	}
	if src.From != spec.Latest {
		return true
	}
	// Each shard that was made since the delivery began comes from one with a cursor, unless all between are gone. One that
	// was open when it began has a cursor.
	return gone && (s.Open() || s.Closed.After(l.d.Created))
}

// due tells whether a shard without a cursor is to get one now.
func (l *lineage) due(s *leat.Shard) bool {
	for _, p := range parents(s) {
		switch c, parent := l.have[p], l.kept[p]; {
		case c != nil && !c.done, c == nil && parent != nil && l.expected(parent):
			return false
		}
	}
	return l.expected(s)
}

// follow adds the cursors of shards whose parents have been delivered to their ends, and notes where closed shards end.
func (e *Engine) follow(ctx context.Context, d *spec.Delivery, cursors []cursor) ([]cursor, error) {
	shards := e.cfg.Directory.Shards(d.Stream)
	if d.Config.Source.Direct() && len(cursors) == 0 {
		return e.started(ctx, d, shards)
	}
	l := newLineage(d, cursors, shards)
	if err := e.ends(ctx, d, l); err != nil {
		return cursors, err
	}
	var born []cursor
	for i := range shards {
		if s := &shards[i]; l.have[s.Key.Ordinal] == nil && l.due(s) {
			born = append(born, cursor{ordinal: s.Key.Ordinal, stop: -1})
		}
	}
	if len(born) == 0 {
		return cursors, nil
	}
	return append(cursors, born...), e.tables.begin(ctx, d.ID, "", born)
}

// ends notes where closed shards end, so that it is known when they are gone.
func (e *Engine) ends(ctx context.Context, d *spec.Delivery, l *lineage) error {
	for ordinal, c := range l.have {
		s := l.kept[ordinal]
		if s == nil || s.Open() || c.done || c.stop >= 0 {
			continue
		}
		if err := e.tables.ends(ctx, d.ID, ordinal, s.Final); err != nil {
			return err
		}
		c.stop = int64(s.Final)
	}
	return nil
}

// gone returns the shards that cursors stand in and that are no more: nothing of them is left to read. The directory may be
// behind, so the catalog is asked. The catalog may be behind too, since nodes know of a durable reshard before it does
// (data-plane.md, rule 16): not of a stream that it says is at rest, asked before its shards are and after the cursors were
// read. A shard had to be made for its cursor to be, so what such a stream does not have was removed.
func (e *Engine) gone(ctx context.Context, d *spec.Delivery, tracks map[string][]cursor) (gone []uint64, err error) {
	kept := map[uint64]bool{}
	for _, s := range e.cfg.Directory.Shards(d.Stream) {
		kept[s.Key.Ordinal] = true
	}
	for _, cursors := range tracks {
		for _, c := range cursors {
			if !c.done && !kept[c.ordinal] {
				gone = append(gone, c.ordinal)
			}
		}
	}
	slices.Sort(gone)
	gone = slices.Compact(gone)
	if len(gone) == 0 || len(kept) == 0 { // of a stream that is no more there is nothing to follow
		return nil, nil
	}
	s, err := e.cfg.Catalog.StreamByID(ctx, d.Stream)
	if leat.KindOf(err) == leat.KindNotFound || err == nil && s.Status == leat.StreamUpdating {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	there, err := e.cfg.Catalog.Shards(ctx, d.Stream)
	if err != nil || len(there) == 0 {
		return nil, err
	}
	return slices.DeleteFunc(gone, func(o uint64) bool {
		return slices.ContainsFunc(there, func(s leat.Shard) bool { return s.Key.Ordinal == o })
	}), nil
}

// standsIn tells whether this node finishes what is left to do for shards that nobody owns because they are no more: the
// owner of the first open shard does.
func (e *Engine) standsIn(d *spec.Delivery) bool {
	for _, s := range e.cfg.Directory.Shards(d.Stream) {
		if s.Open() {
			_, mine := e.cfg.Owns(s.Key)
			return mine
		}
	}
	return false
}

// started gives a stream of direct puts its cursors.
func (e *Engine) started(ctx context.Context, d *spec.Delivery, shards []leat.Shard) ([]cursor, error) {
	var born []cursor
	for i := range shards {
		if shards[i].Parent == nil {
			born = append(born, cursor{ordinal: shards[i].Key.Ordinal, stop: -1})
		}
	}
	return born, e.tables.begin(ctx, d.ID, "", born)
}
