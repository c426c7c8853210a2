// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"context"
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

// modeSpan is from when to when a stream was in a mode.
type modeSpan struct {
	began, ended int64
	onDemand     bool
}

// billing is what counting must know of a stream.
type billing struct {
	account string
	modes   []modeSpan
}

// onDemandAt tells whether the stream was in on-demand mode at a time.
func (b *billing) onDemandAt(at int64) bool {
	for _, m := range b.modes {
		if at >= m.began && (m.ended == 0 || at < m.ended) {
			return m.onDemand
		}
	}
	return false
}

// readBilling reads who owns streams and what modes they were in.
func readBilling(tx *sqldb.Tx, streams *sqldb.Rows) (map[leat.StreamID]*billing, error) {
	known := map[leat.StreamID]*billing{}
	err := tx.EachRows(`
WITH v (stream) AS (VALUES $rows)
SELECT s.id, s.account, s.mode, COALESCE(m.began, 0), COALESCE(m.ended, 0), COALESCE(m.value, s.mode)
FROM v JOIN streams s ON s.id = v.stream LEFT JOIN spans m ON m.stream = s.id AND m.kind = 'mode'`, streams, func(scan sqldb.Scan) error {
		var id leat.StreamID
		var account, mode, value string
		var m modeSpan
		if err := scan(sqldb.ID(&id), &account, &mode, &m.began, &m.ended, &value); err != nil {
			return err
		}
		if known[id] == nil {
			known[id] = &billing{account: account}
		}
		m.onDemand = leat.StreamMode(value) == leat.ModeOnDemand
		known[id].modes = append(known[id].modes, m)
		return nil
	})
	return known, err
}

// writeUsage counts extents that are new to the index (I15) and returns those that it counted.
func writeUsage(tx *sqldb.Tx, extents []shardstore.Extent, there map[leat.ShardKey]bool) (counted []countedExtent, err error) {
	type place struct {
		stream leat.StreamID
		hour   int64
	}
	type sums struct{ records, bytes, units, odRecords, odBytes, odUnits int64 }
	streams := sqldb.NewRows(1, len(extents))
	var last leat.StreamID
	for i := range extents {
		if id := extents[i].Shard.Stream; there[extents[i].Shard] && (streams.Len() == 0 || id != last) { // they are sorted
			streams.Add(id)
			last = id
		}
	}
	known, err := readBilling(tx, streams)
	if err != nil {
		return nil, err
	}
	total := map[place]*sums{}
	var order []place // of streams, as the extents are sorted
	for i := range extents {
		e := &extents[i]
		b := known[e.Shard.Stream]
		if !there[e.Shard] || b == nil {
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
