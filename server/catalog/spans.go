// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"database/sql"
	"errors"
	"slices"
	"strconv"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/sqldb"
	"github.com/leatstream/leat/server/journal"
)

// Spans are what shard-hours and their like are computed from: from when to when something of a stream held. Their times
// are those of the events: a shard's begin and end are those of the reshard's record, whenever the catalog learnt of it.

// SpanKind says what held.
type SpanKind string

// The kinds of spans.
const (
	SpanStream    SpanKind = "stream"    // it existed; Name is its name
	SpanMode      SpanKind = "mode"      // Value is the mode
	SpanRetention SpanKind = "retention" // Value is the retention in microseconds
	SpanShard     SpanKind = "shard"     // it was open; Name is its ordinal
	SpanConsumer  SpanKind = "consumer"  // it was registered; Name is its name
)

// meter brings the spans of what a transaction noted up to date, in that transaction.
func (c *Catalog) meter(tx *sqldb.Tx) error {
	var streams []leat.StreamID
	var shards []leat.ShardKey
	for _, note := range tx.Notes() {
		switch n := note.(type) {
		case changedStream:
			streams = append(streams, n.id)
		case goneStream:
			streams = append(streams, n.id)
		case changedShards:
			shards = append(shards, n.shards...)
			for _, k := range n.shards {
				streams = append(streams, k.Stream)
			}
		}
	}
	return c.meterThese(tx, streams, shards)
}

func (c *Catalog) meterThese(tx *sqldb.Tx, streams []leat.StreamID, shards []leat.ShardKey) error {
	if len(streams) == 0 {
		return nil
	}
	if err := meterShards(tx, shards); err != nil {
		return err
	}
	slices.SortFunc(streams, func(a, b leat.StreamID) int { return slices.Compare(a[:], b[:]) })
	now := leat.Micros(c.now())
	for _, id := range slices.Compact(streams) {
		if err := meterStream(tx, id, now); err != nil {
			return err
		}
	}
	return nil
}

// meterEntry does for an entry of the journal what meter does for notes.
func (c *Catalog) meterEntry(tx *sqldb.Tx, e *journal.Entry) error {
	var streams []leat.StreamID
	var shards []leat.ShardKey
	for i := range e.Streams {
		streams = append(streams, e.Streams[i].ID)
		for _, sh := range e.Streams[i].Shards {
			shards = append(shards, sh.Key)
		}
	}
	return c.meterThese(tx, streams, shards)
}

// meterShards writes when shards opened and closed.
func meterShards(tx *sqldb.Tx, shards []leat.ShardKey) error {
	rows := shardRows(shards)
	_, err := tx.ExecRows(`
INSERT INTO spans (stream, kind, name, began, ended, value, account)
SELECT h.stream, 'shard', CAST(h.ordinal AS TEXT), h.created, h.closed, '', s.account FROM shards h JOIN streams s ON s.id = h.stream
WHERE (h.stream, h.ordinal) IN (VALUES $rows)
ON CONFLICT (stream, kind, name, began) DO UPDATE SET ended = excluded.ended`, rows)
	if err != nil {
		return err
	}
	dirty := sqldb.NewRows(2, len(shards))
	seen := map[leat.ShardKey]bool{} // of a stream and an hour
	err = tx.EachRows(`
WITH v (stream, ordinal) AS (VALUES $rows)
SELECT h.stream, h.created, h.closed FROM v JOIN shards h ON h.stream = v.stream AND h.ordinal = v.ordinal`, rows, func(scan sqldb.Scan) error {
		var id leat.StreamID
		var created, closed int64
		err := scan(sqldb.ID(&id), &created, &closed)
		at := created
		if closed > 0 {
			at = closed
		}
		if key := (leat.ShardKey{Stream: id, Ordinal: uint64(hourOf(at))}); !seen[key] {
			seen[key] = true
			dirty.Add(id, hourOf(at))
		}
		return err
	})
	if err != nil {
		return err
	}
	return mark(tx, dirty)
}

const markDirty = "INSERT INTO dirty (stream, hour) VALUES $rows ON CONFLICT (stream, hour) DO UPDATE SET hour = excluded.hour"

// mark says from which hours on streams' usage is to be computed again. The row is locked until the transaction ends, so that billing, which
// takes it away, reads what this transaction wrote or finds the mark again.
func mark(tx *sqldb.Tx, rows *sqldb.Rows) error {
	_, err := tx.ExecRows(markDirty, rows)
	return err
}

func markHour(tx *sqldb.Tx, id leat.StreamID, at int64) error {
	rows := sqldb.NewRows(2, 1)
	rows.Add(id, hourOf(at))
	return mark(tx, rows)
}

// meterStream writes since when a stream has its mode, retention and consumers. Of one that is being deleted, or gone,
// everything ends.
func meterStream(tx *sqldb.Tx, id leat.StreamID, now int64) error {
	s, err := streamBy(tx, "id = $1", id)
	if errors.Is(err, sql.ErrNoRows) || err == nil && s.Status == leat.StreamDeleting {
		return endSpans(tx, id, now)
	}
	if err != nil {
		return err
	}
	changed := int64(0)
	n, err := tx.Exec(`
INSERT INTO spans (stream, kind, name, began, ended, value, account) VALUES ($1, 'stream', $2, $3, 0, '', $4)
ON CONFLICT (stream, kind, name, began) DO NOTHING`, id, s.Name, s.Created, s.Account)
	if err != nil {
		return err
	}
	changed += n
	for kind, value := range map[SpanKind]string{SpanMode: string(s.Mode), SpanRetention: strconv.FormatInt(s.Retention.Microseconds(), 10)} {
		n, err := setSpan(tx, &s, kind, value, now)
		if err != nil {
			return err
		}
		changed += n
	}
	n, err = meterConsumers(tx, &s, now)
	if err != nil || changed+n == 0 {
		return err
	}
	return markHour(tx, id, now)
}

// setSpan ends a span whose value was another and begins the next.
func setSpan(tx *sqldb.Tx, s *leat.Stream, kind SpanKind, value string, now int64) (changed int64, err error) {
	var was string
	began := now
	switch err := tx.Row("SELECT value FROM spans WHERE stream = $1 AND kind = $2 AND ended = 0", s.ID, string(kind)).Scan(&was); {
	case errors.Is(err, sql.ErrNoRows):
		began = leat.Micros(s.Created)
	case err != nil:
		return 0, err
	case was == value:
		return 0, nil
	}
	if _, err := tx.Exec("UPDATE spans SET ended = $3 WHERE stream = $1 AND kind = $2 AND ended = 0", s.ID, string(kind), now); err != nil {
		return 0, err
	}
	return tx.Exec(`
INSERT INTO spans (stream, kind, name, began, ended, value, account) VALUES ($1, $2, '', $3, 0, $4, $5)
ON CONFLICT (stream, kind, name, began) DO UPDATE SET value = excluded.value, ended = 0`, s.ID, string(kind), began, value, s.Account)
}

func meterConsumers(tx *sqldb.Tx, s *leat.Stream, now int64) (changed int64, err error) {
	begun, err := tx.Exec(`
INSERT INTO spans (stream, kind, name, began, ended, value, account)
SELECT stream, 'consumer', name, created, 0, '', $2 FROM consumers WHERE stream = $1
ON CONFLICT (stream, kind, name, began) DO NOTHING`, s.ID, s.Account)
	if err != nil {
		return 0, err
	}
	ended, err := tx.Exec(`
UPDATE spans SET ended = $2 WHERE stream = $1 AND kind = 'consumer' AND ended = 0
AND NOT EXISTS (SELECT 1 FROM consumers c WHERE c.stream = spans.stream AND c.name = spans.name AND c.created = spans.began)`, s.ID, now)
	return begun + ended, err
}

// endSpans ends what holds of a stream, once: shards of a reshard that is found later end with it.
func endSpans(tx *sqldb.Tx, id leat.StreamID, now int64) error {
	var end int64
	err := tx.Row("SELECT ended FROM spans WHERE stream = $1 AND kind = 'stream' ORDER BY began DESC LIMIT 1", id).Scan(&end)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil
	case err != nil:
		return err
	case end == 0:
		end = now
	}
	n, err := tx.Exec("UPDATE spans SET ended = CASE WHEN began > $2 THEN began ELSE $2 END WHERE stream = $1 AND (ended = 0 OR ended > $2)", id, end)
	if err != nil || n == 0 {
		return err
	}
	return markHour(tx, id, end)
}

// meterAll begins the spans of everything that there is: of a catalog that was rebuilt.
func meterAll(tx *sqldb.Tx) error {
	for _, query := range []string{
		`SELECT id, 'stream', name, created, 0, '', account FROM streams`,
		`SELECT id, 'mode', '', created, 0, mode, account FROM streams`,
		`SELECT id, 'retention', '', created, 0, CAST(retention AS TEXT), account FROM streams`,
		`SELECT h.stream, 'shard', CAST(h.ordinal AS TEXT), h.created, h.closed, '', s.account FROM shards h JOIN streams s ON s.id = h.stream`,
		`SELECT c.stream, 'consumer', c.name, c.created, 0, '', s.account FROM consumers c JOIN streams s ON s.id = c.stream`,
	} {
		if _, err := tx.Exec("INSERT INTO spans (stream, kind, name, began, ended, value, account) " + query); err != nil {
			return err
		}
	}
	return nil
}
