// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"context"
	"math"
	"strings"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/sqldb"
)

// scaleEventsKept is how many scale events a stream keeps: the newest.
const scaleEventsKept = 1000

// ScaleAction is what on-demand scaling did.
type ScaleAction string

// The actions. A hold is a split that a hot shard would need and does not get.
const (
	ScaleSplit ScaleAction = "split"
	ScaleMerge ScaleAction = "merge"
	ScaleHold  ScaleAction = "hold"
)

// ScaleEvent is one decision of on-demand scaling, and why.
type ScaleEvent struct {
	At     time.Time
	Action ScaleAction
	Shards []uint64 // the ordinals of the parents; of a hold the shard
	Reason string
	Place  ScaleEventPlace // in the log; set by ScaleEvents
}

// ScaleEventPlace is where in a stream's log an event stands: later ones have greater places.
type ScaleEventPlace struct {
	At     int64 // microseconds since 1970
	Number int64 // among those of one moment
}

// ScaleEvents returns up to limit events of a stream that stand before a place, or the newest where that is zero; newest
// first. A stream that does not exist has none.
func (c *Catalog) ScaleEvents(ctx context.Context, stream leat.StreamID, before ScaleEventPlace, limit int) (all []ScaleEvent, err error) {
	if before == (ScaleEventPlace{}) {
		before.At = math.MaxInt64
	}
	err = c.db.View(ctx, func(tx *sqldb.Tx) error {
		all = nil
		return tx.Each(`
SELECT at, number, action, shards, reason FROM scale_events
WHERE stream = $1 AND (at, number) < ($2, $3) ORDER BY at DESC, number DESC LIMIT $4`, func(scan sqldb.Scan) error {
			var e ScaleEvent
			var shards string
			if err := scan(&e.Place.At, &e.Place.Number, &e.Action, &shards, &e.Reason); err != nil {
				return err
			}
			e.At = time.UnixMicro(e.Place.At).UTC()
			for _, id := range strings.Split(shards, ",") {
				ordinal, err := leat.ParseShardID(id)
				if err != nil {
					return leat.Errorf(leat.KindCorrupt, "a scale event of stream %s in the catalog names no shard: %w", stream, err)
				}
				e.Shards = append(e.Shards, ordinal)
			}
			all = append(all, e)
			return nil
		}, stream, before.At, before.Number, limit)
	})
	return all, err
}

// AddScaleEvent keeps an event of a stream. KindNotFound when there is none, KindInUse when it is being deleted.
func (c *Catalog) AddScaleEvent(ctx context.Context, stream leat.StreamID, e ScaleEvent) error {
	return c.settle(ctx, func(tx *sqldb.Tx) error {
		if err := hold(tx); err != nil {
			return err
		}
		s, err := theStream(tx, stream)
		if err != nil {
			return err
		}
		if s.Status == leat.StreamDeleting {
			return notActive(&s) // its events are gone already
		}
		return addScaleEvents(tx, stream, []ScaleEvent{e})
	})
}

// addScaleEvents writes events, but those that are there already from an earlier run of the transaction, and drops the
// oldest beyond those kept. The caller holds the revision.
func addScaleEvents(tx *sqldb.Tx, stream leat.StreamID, events []ScaleEvent) error {
	for _, e := range events {
		var ids []string
		for _, o := range e.Shards {
			ids = append(ids, leat.ShardID(o))
		}
		shards := strings.Join(ids, ",")
		var there int
		if err := tx.Row("SELECT count(*) FROM scale_events WHERE stream = $1 AND at = $2 AND action = $3 AND shards = $4 AND reason = $5",
			stream, e.At, string(e.Action), shards, e.Reason).Scan(&there); err != nil {
			return err
		}
		if there > 0 {
			continue
		}
		if _, err := tx.Exec(`
INSERT INTO scale_events (stream, at, number, action, shards, reason)
VALUES ($1, $2, (SELECT COALESCE(MAX(number), -1) + 1 FROM scale_events WHERE stream = $1 AND at = $2), $3, $4, $5)`,
			stream, e.At, string(e.Action), shards, e.Reason); err != nil {
			return err
		}
	}
	_, err := tx.Exec(`
DELETE FROM scale_events WHERE stream = $1 AND (at, number) < (
	SELECT at, number FROM scale_events WHERE stream = $1 ORDER BY at DESC, number DESC LIMIT 1 OFFSET $2)`, stream, scaleEventsKept-1)
	return err
}
