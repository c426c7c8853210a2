// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/sqldb"
	"github.com/leatstream/leat/shardstore"
)

// Usage is what was put into one stream in one hour, as far as it is registered in packs. Records belong to the hour in
// which the last record of their extent came, so a pack that spans the turn of an hour counts for the later one; and to the mode
// that the stream was in then.
type Usage struct {
	Account string
	Stream  leat.StreamID
	Hour    time.Time // its beginning, UTC
	Records int64
	Bytes   int64 // of data and partition keys
	Units   int64 // 25 KiB put payload units

	// The part that was put while the stream was in on-demand mode.
	OnDemandRecords, OnDemandBytes, OnDemandUnits int64
}

func hourOf(micros int64) int64 {
	hour := time.Hour.Microseconds()
	return micros - ((micros%hour)+hour)%hour
}

// Usage returns an account's usage in hours that begin in [from, to), by hour, then stream. It tells of streams that are
// deleted, too.
func (c *Catalog) Usage(ctx context.Context, account string, from, to time.Time) (all []Usage, err error) {
	err = c.db.View(ctx, func(tx *sqldb.Tx) error {
		all = nil
		return tx.Each(`
SELECT account, stream, hour, records, bytes, units, od_records, od_bytes, od_units FROM usage
WHERE account = $1 AND hour >= $2 AND hour < $3
ORDER BY hour, stream`, func(scan sqldb.Scan) error {
			var u Usage
			err := scan(&u.Account, sqldb.ID(&u.Stream), sqldb.Time(&u.Hour), &u.Records, &u.Bytes, &u.Units, &u.OnDemandRecords, &u.OnDemandBytes, &u.OnDemandUnits)
			all = append(all, u)
			return err
		}, account, from, to)
	})
	return all, err
}

// countedExtent is an extent as it is billed.
type countedExtent struct {
	*shardstore.Extent
	account  string
	onDemand bool
}

// modeSpan is since when a stream was in a mode.
type modeSpan struct {
	began    int64
	onDemand bool
}

// billing is what counting must know of a stream.
type billing struct {
	account string
	modes   []modeSpan
}

// onDemandAt tells whether the stream was in on-demand mode at a time. Its last mode holds on: what came by another clock when it was deleted
// was put in that.
func (b *billing) onDemandAt(at int64) bool {
	var last modeSpan
	for _, m := range b.modes {
		if at >= m.began && m.began >= last.began {
			last = m
		}
	}
	return last.onDemand
}

// readBilling reads who owns streams and what modes they were in: of those that are gone as spans tell. A stream that neither knows is missing.
func readBilling(tx *sqldb.Tx, streams []leat.StreamID) (map[leat.StreamID]*billing, error) {
	const present = `
WITH v (stream) AS (VALUES $rows)
SELECT s.id, s.account, COALESCE(m.began, 0), COALESCE(m.value, s.mode)
FROM v JOIN streams s ON s.id = v.stream LEFT JOIN spans m ON m.stream = s.id AND m.kind = 'mode'`
	const gone = `
WITH v (stream) AS (VALUES $rows)
SELECT m.stream, m.account, m.began, m.value FROM v JOIN spans m ON m.stream = v.stream AND m.kind = 'mode'`
	known := map[leat.StreamID]*billing{}
	if err := readModes(tx, present, streams, known); err != nil || len(known) == len(streams) {
		return known, err
	}
	return known, readModes(tx, gone, slices.DeleteFunc(streams, func(id leat.StreamID) bool { return known[id] != nil }), known)
}

func readModes(tx *sqldb.Tx, query string, streams []leat.StreamID, known map[leat.StreamID]*billing) error {
	rows := sqldb.NewRows(1, len(streams))
	for _, id := range streams {
		rows.Add(id)
	}
	return tx.EachRows(query, rows, func(scan sqldb.Scan) error {
		var id leat.StreamID
		var account, value string
		var m modeSpan
		if err := scan(sqldb.ID(&id), &account, &m.began, &value); err != nil {
			return err
		}
		if known[id] == nil {
			known[id] = &billing{account: account}
		}
		m.onDemand = leat.StreamMode(value) == leat.ModeOnDemand
		known[id].modes = append(known[id].modes, m)
		return nil
	})
}

// toCount are the extents that a registration counts, sorted by shard and first offset: its own, those of shards that are gone too, and what it has of
// dropped shards that nobody else counts.
func toCount(tx *sqldb.Tx, r *shardstore.Registration) ([]shardstore.Extent, error) {
	if len(r.Gone) == 0 {
		return r.Extents, nil
	}
	var shards []leat.ShardKey
	for i := range r.Gone {
		shards = append(shards, r.Gone[i].Shard)
	}
	there := map[leat.ShardKey]bool{}
	err := tx.EachRows("SELECT stream, ordinal FROM shards WHERE (stream, ordinal) IN (VALUES $rows)", shardRows(shards), func(scan sqldb.Scan) error {
		k, err := scanShardKey(scan)
		there[k] = true
		return err
	})
	all := slices.Clone(r.Extents)
	for i := range r.Gone {
		if !there[r.Gone[i].Shard] {
			all = append(all, r.Gone[i])
		}
	}
	slices.SortFunc(all, func(a, b shardstore.Extent) int {
		return cmp.Or(a.Shard.Compare(b.Shard), compareOffsets(a.First, b.First))
	})
	return all, err
}

// writeUsage counts extents that are new to the index (I15), and sorted, and returns those that it counted: all whose stream there is or was.
func writeUsage(tx *sqldb.Tx, extents []shardstore.Extent) (counted []countedExtent, err error) {
	type place struct {
		stream leat.StreamID
		hour   int64
	}
	type sums struct{ records, bytes, units, odRecords, odBytes, odUnits int64 }
	var streams []leat.StreamID
	for i := range extents {
		streams = append(streams, extents[i].Shard.Stream)
	}
	streams = slices.Compact(streams)
	known, err := readBilling(tx, streams)
	if err != nil {
		return nil, err
	}
	total := map[place]*sums{}
	var order []place // of streams, as the extents are sorted
	for i := range extents {
		e := &extents[i]
		b := known[e.Shard.Stream]
		if b == nil {
			continue
		}
		at := place{e.Shard.Stream, hourOf(e.MaxTime)}
		t := total[at]
		if t == nil {
			t = &sums{}
			total[at] = t
			order = append(order, at)
		}
		c := countedExtent{Extent: e, account: b.account, onDemand: b.onDemandAt(e.MaxTime)}
		counted = append(counted, c)
		t.records += int64(e.Count)
		t.bytes += e.Bytes
		t.units += e.Units
		if c.onDemand {
			t.odRecords += int64(e.Count)
			t.odBytes += e.Bytes
			t.odUnits += e.Units
		}
	}
	rows, dirty := sqldb.NewRows(9, len(order)), sqldb.NewRows(2, len(order))
	for _, at := range order {
		t := total[at]
		rows.Add(at.stream, at.hour, known[at.stream].account, t.records, t.bytes, t.units, t.odRecords, t.odBytes, t.odUnits)
		dirty.Add(at.stream, at.hour)
	}
	return counted, addUsage(tx, rows, dirty)
}

// addUsage adds rows (stream, hour, account, and the six sums) to what there is, and marks hours (stream, hour) that change with it.
func addUsage(tx *sqldb.Tx, rows, dirty *sqldb.Rows) error {
	_, err := tx.ExecRows(`
INSERT INTO usage (stream, hour, account, records, bytes, units, od_records, od_bytes, od_units) VALUES $rows
ON CONFLICT (stream, hour) DO UPDATE
SET records = usage.records + excluded.records, bytes = usage.bytes + excluded.bytes, units = usage.units + excluded.units,
	od_records = usage.od_records + excluded.od_records, od_bytes = usage.od_bytes + excluded.od_bytes, od_units = usage.od_units + excluded.od_units`, rows)
	if err != nil {
		return err
	}
	return mark(tx, dirty)
}
