// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"context"
	"slices"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/sqldb"
	"github.com/leatstream/leat/server/journal"
	"github.com/leatstream/leat/shardstore"
)

// RebuiltHistory is what a backup of the lost catalog has and what its usage lacks: each registered record is counted once.
type RebuiltHistory struct {
	// Write writes the history into the tables, usage and spans among it.
	Write Fill
	// Usage is what manifests in the bucket have counted since.
	Usage []Usage
	// Uncounted are registered extents that neither the backup nor a manifest counts, sorted by shard and first offset. Session, which
	// is a new one that never served, stands in their manifests for those who registered them.
	Uncounted []shardstore.Extent
	Session   leat.SessionID
	// Resharded are shards that a reshard closed or opened of which the journal does not have the outcome.
	Resharded []leat.ShardKey
}

// manifestExtents bounds a manifest of what was not counted.
const manifestExtents = 5000

// rebuildUsage counts what the catalog has.
func (c *Catalog) rebuildUsage(tx *sqldb.Tx, r *Rebuilt) error {
	h := r.History
	if h == nil {
		if err := meterAll(tx); err != nil {
			return err
		}
		_, err := writeUsage(tx, r.Extents)
		return err
	}
	if err := h.Write(tx); err != nil {
		return err
	}
	var streams []leat.StreamID
	for _, k := range h.Resharded {
		streams = append(streams, k.Stream)
	}
	if err := c.meterThese(tx, streams, h.Resharded); err != nil {
		return err
	}
	rows, dirty := sqldb.NewRows(9, len(h.Usage)), sqldb.NewRows(2, len(h.Usage))
	for _, u := range h.Usage {
		rows.Add(u.Stream, u.Hour, u.Account, u.Records, u.Bytes, u.Units, u.OnDemandRecords, u.OnDemandBytes, u.OnDemandUnits)
		dirty.Add(u.Stream, u.Hour)
	}
	if err := addUsage(tx, rows, dirty); err != nil {
		return err
	}
	counted, err := writeUsage(tx, h.Uncounted)
	if err != nil {
		return err
	}
	number := uint64(0)
	for some := range slices.Chunk(counted, manifestExtents) {
		if err := writeManifests(tx, &shardstore.Registration{Session: h.Session, Number: number}, some); err != nil {
			return err
		}
		number++
	}
	return nil
}

// Replay takes in the entry of the journal that follows the last one that this catalog has, whoever wrote it and whatever followed it: for a
// copy of a catalog, with which nobody serves. Spans begin and end when the entry was written.
func (c *Catalog) Replay(ctx context.Context, e *journal.Entry) error {
	then := *c
	then.opts.Clock = writtenAt{c.opts.Clock, time.UnixMicro(e.At).UTC()}
	return then.takeIn(ctx, e)
}

// writtenAt is a clock that stands still.
type writtenAt struct {
	leat.Clock
	at time.Time
}

// Now implements leat.Clock.
func (w writtenAt) Now() time.Time { return w.at }
