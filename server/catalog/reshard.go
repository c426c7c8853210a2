// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/sqldb"
	"github.com/leatstream/leat/shardstore"
)

// child is a shard that an intent will open, as stored.
type child struct {
	Ordinal uint64 `json:"ordinal"`
	Start   string `json:"start"` // decimal
	End     string `json:"end"`
}

// BeginReshard fixes a split or merge as an intent, with the children's ids and ranges, and makes the stream UPDATING.
// The owner of the parents carries it out (PendingReshards, FinishReshard).
//
// KindNotFound for an unknown shard, unless it may be one that a reshard under way makes; KindInvalidArgument for one that is closed, a new start that is not strictly inside,
// or shards that are not adjacent in this order; then KindInUse when the stream is not ACTIVE.
func (c *Catalog) BeginReshard(ctx context.Context, stream leat.StreamID, step Step) (r shardstore.Reshard, err error) {
	id := leat.NewID[leat.SessionID](c.opts.Rand).String()
	err = c.change(ctx, stream, func(tx *sqldb.Tx, s *leat.Stream) (err error) {
		if there, err := readIntents(tx, "id = $1", id); err != nil || len(there) > 0 {
			if len(there) > 0 {
				r = there[0]
			}
			return err // an earlier run of this transaction was applied
		}
		parents, ranges, err := checkStep(tx, s, step)
		if err != nil {
			return err
		}
		if s.Status != leat.StreamActive {
			return notActive(s)
		}
		r, err = c.writeIntent(tx, s, id, parents, ranges)
		return err
	})
	return r, err
}

// NextScaleStep begins the next split or merge towards the stream's target, or ends the scaling when there is none to do.
// did tells whether anything changed; nothing does while a reshard is under way.
func (c *Catalog) NextScaleStep(ctx context.Context, stream leat.StreamID) (did bool, err error) {
	id := leat.NewID[leat.SessionID](c.opts.Rand).String()
	err = c.change(ctx, stream, func(tx *sqldb.Tx, s *leat.Stream) error {
		before := *s
		did = false
		pending, err := readIntents(tx, "stream = $1 AND state = 'pending'", s.ID)
		if err != nil || len(pending) > 0 || s.Status != leat.StreamUpdating {
			did = len(pending) > 0 && pending[0].ID == id
			return err
		}
		step := Step{}
		if s.TargetShards > 0 {
			shards, err := shardsOf(tx, s.ID)
			if err != nil {
				return err
			}
			step = NextStep(shards, s.TargetShards)
		}
		if step.Kind == StepDone {
			s.TargetShards = 0
			err := rest(tx, s)
			did = !s.Equal(&before)
			return err
		}
		parents, ranges, err := checkStep(tx, s, step)
		if err != nil {
			return err
		}
		did = true
		_, err = c.writeIntent(tx, s, id, parents, ranges)
		return err
	})
	return did && err == nil, err
}

// checkStep returns the parents and the children's ranges of a step that is possible.
func checkStep(tx *sqldb.Tx, s *leat.Stream, step Step) (parents []leat.Shard, ranges []leat.HashKeyRange, err error) {
	ordinals := []uint64{step.Shard}
	if step.Kind == StepMerge {
		ordinals = append(ordinals, step.Adjacent)
	}
	for _, o := range ordinals {
		p, err := scanShard(tx.Row("SELECT "+shardColumns+" FROM shards WHERE stream = $1 AND ordinal = $2", s.ID, o).Scan)
		if errors.Is(err, sql.ErrNoRows) {
			if s.Status == leat.StreamUpdating && o < s.NextOrdinal {
				return nil, nil, notActive(s) // a child: nodes may know it before FinishReshard does
			}
			return nil, nil, leat.Errorf(leat.KindNotFound, "Could not find shard %s in stream %s under account %s.", leat.ShardID(o), s.Name, s.Account)
		}
		if err != nil {
			return nil, nil, err
		}
		parents = append(parents, p)
	}
	ranges, err = step.ranges(s, parents)
	if err != nil {
		return nil, nil, err
	}
	for _, p := range parents {
		if !p.Open() {
			return nil, nil, leat.Errorf(leat.KindInvalidArgument,
				"Shard %s in stream %s under account %s has already been merged or split, and thus is not eligible for merging or splitting.",
				leat.ShardID(p.Key.Ordinal), s.Name, s.Account)
		}
	}
	return parents, ranges, nil
}

// writeIntent stores an intent and takes the children's ordinals; the caller stores the stream.
func (c *Catalog) writeIntent(tx *sqldb.Tx, s *leat.Stream, id string, parents []leat.Shard, ranges []leat.HashKeyRange) (r shardstore.Reshard, err error) {
	r.ID = id
	r.Parents = slices.Grow(r.Parents, len(parents))[:len(parents)]
	r.Children = slices.Grow(r.Children, len(ranges))[:len(ranges)]
	var ordinals []uint64
	for i, p := range parents {
		r.Parents[i].Shard, r.Parents[i].Epoch = p.Key, p.Epoch
		ordinals = append(ordinals, p.Key.Ordinal)
	}
	var children []child
	for i, hashes := range ranges {
		r.Children[i].Shard, r.Children[i].Range = leat.ShardKey{Stream: s.ID, Ordinal: s.NextOrdinal}, hashes
		children = append(children, child{s.NextOrdinal, hashes.Start.String(), hashes.End.String()})
		s.NextOrdinal++
	}
	if s.NextOrdinal > leat.MaxOrdinal {
		return r, leat.Errorf(leat.KindLimitExceeded, "stream %s has used up its shard ids", s.Name)
	}
	parentsText, err := json.Marshal(ordinals)
	if err != nil {
		return r, err
	}
	childrenText, err := json.Marshal(children)
	if err != nil {
		return r, err
	}
	s.Status = leat.StreamUpdating
	_, err = tx.Exec("INSERT INTO intents (id, stream, parents, children, state, created) VALUES ($1, $2, $3, $4, 'pending', $5)",
		id, s.ID, string(parentsText), string(childrenText), c.now())
	return r, err
}

// PendingReshards lists a stream's intents that are not carried out, oldest first, with the parents' present epochs.
func (c *Catalog) PendingReshards(ctx context.Context, stream leat.StreamID) (all []shardstore.Reshard, err error) {
	err = c.db.View(ctx, func(tx *sqldb.Tx) (err error) {
		all, err = readIntents(tx, "stream = $1 AND state = 'pending'", stream)
		return err
	})
	return all, err
}

func readIntents(tx *sqldb.Tx, where string, args ...any) (all []shardstore.Reshard, err error) {
	err = tx.Each("SELECT id, stream, parents, children FROM intents WHERE "+where+" ORDER BY created, id", func(scan sqldb.Scan) error {
		r, err := scanIntent(scan)
		all = append(all, r)
		return err
	}, args...)
	if err != nil {
		return nil, err
	}
	for i := range all {
		for j := range all[i].Parents {
			p := &all[i].Parents[j]
			err := tx.Row("SELECT epoch FROM shards WHERE stream = $1 AND ordinal = $2", p.Shard.Stream, p.Shard.Ordinal).Scan(sqldb.U64(&p.Epoch))
			if err != nil {
				return nil, fmt.Errorf("parent %s of reshard %s: %w", p.Shard, all[i].ID, err)
			}
		}
	}
	return all, nil
}

func scanIntent(scan sqldb.Scan) (r shardstore.Reshard, err error) {
	var stream leat.StreamID
	var parentsText, childrenText string
	if err := scan(&r.ID, sqldb.ID(&stream), &parentsText, &childrenText); err != nil {
		return r, err
	}
	var ordinals []uint64
	var children []child
	if err := errors.Join(json.Unmarshal([]byte(parentsText), &ordinals), json.Unmarshal([]byte(childrenText), &children)); err != nil {
		return r, leat.Errorf(leat.KindCorrupt, "reshard %s in the catalog cannot be read: %w", r.ID, err)
	}
	r.Parents = slices.Grow(r.Parents, len(ordinals))[:len(ordinals)]
	for i, o := range ordinals {
		r.Parents[i].Shard = leat.ShardKey{Stream: stream, Ordinal: o}
	}
	r.Children = slices.Grow(r.Children, len(children))[:len(children)]
	for i, ch := range children {
		start, err1 := leat.ParseHashKey(ch.Start)
		end, err2 := leat.ParseHashKey(ch.End)
		if err := errors.Join(err1, err2); err != nil {
			return r, leat.Errorf(leat.KindCorrupt, "reshard %s in the catalog cannot be read: %w", r.ID, err)
		}
		r.Children[i].Shard, r.Children[i].Range = leat.ShardKey{Stream: stream, Ordinal: ch.Ordinal}, leat.HashKeyRange{Start: start, End: end}
	}
	return r, nil
}
