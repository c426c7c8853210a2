// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"context"
	"slices"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/sqldb"
)

// ScaleDecision is a step that on-demand scaling wants, and why.
type ScaleDecision struct {
	Step   Step
	Reason string
}

// ScaleOnDemand begins the splits and merges that on-demand scaling has decided, all in one transaction, and keeps an
// event of each. The stream is UPDATING until all are carried out. No two steps may have a shard in common.
//
// session is who decided: the decisions rest on what it counted, so nothing happens unless it owns all the parents; other
// shards may have other owners, who decide for them. version is the stream's when they were decided, 0 for any: bounds on
// how many shards it has were kept with that in mind, so nothing happens either when anybody has changed it since.
// KindInUse then, when the stream is not ACTIVE, not in on-demand mode, or would come below the least number of shards
// that it is to keep; otherwise the errors of BeginReshard.
func (c *Catalog) ScaleOnDemand(ctx context.Context, stream leat.StreamID, version uint64, session leat.SessionID, decisions []ScaleDecision) error {
	ids := make([]string, len(decisions))
	for i := range ids {
		ids[i] = leat.NewID[leat.SessionID](c.opts.Rand).String()
	}
	at := c.now()
	return c.change(ctx, stream, func(tx *sqldb.Tx, s *leat.Stream) error {
		if there, err := readIntents(tx, "id = $1", ids[0]); err != nil || len(there) > 0 {
			return err // an earlier run of this transaction was applied
		}
		if s.Status != leat.StreamActive {
			return notActive(s)
		}
		if s.Mode != leat.ModeOnDemand {
			return leat.Errorf(leat.KindInUse, "Stream %s under account %s is not in on-demand mode.", s.Name, s.Account)
		}
		if version != 0 && version != s.Version {
			return leat.Errorf(leat.KindInUse, "Stream %s under account %s has changed since its scaling was decided.", s.Name, s.Account)
		}
		events, err := c.beginScaling(tx, s, session, ids, decisions)
		if err != nil {
			return err
		}
		for i := range events {
			events[i].At = at
		}
		return addScaleEvents(tx, stream, events)
	})
}

// beginScaling writes the intents of decisions and returns their events.
func (c *Catalog) beginScaling(tx *sqldb.Tx, s *leat.Stream, session leat.SessionID, ids []string, decisions []ScaleDecision) (events []ScaleEvent, err error) {
	var taken []uint64
	var merges int
	for i, d := range decisions {
		parents, ranges, err := checkStep(tx, s, d.Step)
		if err != nil {
			return nil, err
		}
		e := ScaleEvent{Action: ScaleSplit, Reason: d.Reason}
		if d.Step.Kind == StepMerge {
			e.Action = ScaleMerge
			merges++
		}
		for _, p := range parents {
			if p.Owner != session {
				return nil, leat.Errorf(leat.KindInUse, "shard %s of stream %s belongs to another node", leat.ShardID(p.Key.Ordinal), s.Name)
			}
			if slices.Contains(taken, p.Key.Ordinal) {
				return nil, leat.Invalid("decisions", "two steps at once would reshard %s of stream %s", leat.ShardID(p.Key.Ordinal), s.Name)
			}
			taken = append(taken, p.Key.Ordinal)
			e.Shards = append(e.Shards, p.Key.Ordinal)
		}
		if _, err := c.writeIntent(tx, s, ids[i], parents, ranges); err != nil {
			return nil, err
		}
		events = append(events, e)
	}
	return events, keepsFloor(tx, s, merges)
}

// keepsFloor refuses merges that would leave a stream fewer shards than it keeps at least.
func keepsFloor(tx *sqldb.Tx, s *leat.Stream, merges int) error {
	if merges == 0 {
		return nil
	}
	var open, least int
	err := tx.Row("SELECT (SELECT count(*) FROM shards WHERE stream = $1 AND closed = 0), scale_min FROM streams WHERE id = $1", s.ID).Scan(&open, &least)
	if err != nil {
		return err
	}
	if least = max(scaleFloor(least), s.WarmThroughput); open-merges < least {
		return leat.Errorf(leat.KindInUse, "Stream %s under account %s keeps %d shards at least.", s.Name, s.Account, least)
	}
	return nil
}

// ScaleFloors returns the least number of shards that on-demand scaling leaves each stream in on-demand mode: a quarter
// of what it was created with, but four where that is more and what it was created with where that is less. Where its
// warm throughput needs more than that, it keeps as many.
func (c *Catalog) ScaleFloors(ctx context.Context) (floors map[leat.StreamID]int, err error) {
	err = c.db.View(ctx, func(tx *sqldb.Tx) error {
		floors = map[leat.StreamID]int{}
		return tx.Each("SELECT id, scale_min FROM streams WHERE mode = $1", func(scan sqldb.Scan) error {
			var id leat.StreamID
			var least int
			err := scan(sqldb.ID(&id), &least)
			floors[id] = scaleFloor(least)
			return err
		}, string(leat.ModeOnDemand))
	})
	return floors, err
}

func scaleFloor(least int) int {
	if least == 0 {
		return leat.DefaultOnDemand // it was not made in on-demand mode
	}
	return least
}

// setScaleFloor fixes what a stream that is made keeps at least.
func setScaleFloor(tx *sqldb.Tx, s *leat.Stream, shards int) error {
	if s.Mode != leat.ModeOnDemand {
		return nil
	}
	if shards <= s.WarmThroughput {
		shards = leat.DefaultOnDemand // it has more for as long as it is to be warm
	}
	_, err := tx.Exec("UPDATE streams SET scale_min = $2 WHERE id = $1", s.ID, min(shards, max(leat.DefaultOnDemand, shards/4)))
	return err
}
