// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package billing

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/billing/rating"
	"github.com/leatstream/leat/internal/sqldb"
	"github.com/leatstream/leat/server/catalog"
)

// Saving is something that costs and is not used.
type Saving struct {
	Kind     string // idle-stream, orphaned-consumer, spare-shards
	Stream   leat.StreamID
	Name     string // of the stream
	Consumer string
	Reason   string
	Needed   int // shards
	Shards   int
	Monthly  decimal.Decimal // what it costs in the present month, all of it, by the book's first tiers
}

// The kinds of savings.
const (
	IdleStream       = "idle-stream"
	OrphanedConsumer = "orphaned-consumer"
	SpareShards      = "spare-shards"
)

// savingsWindow is how far back Savings looks.
const savingsWindow = 7 * 24 * time.Hour

// headroom is how many times the load of the busiest hour a stream should have shards for.
const headroom = 2

// Savings finds what an account pays for and does not use, dearest first, from the last seven days that are booked: streams that nothing
// was put into or read from, consumers of streams that nothing was pushed of, and shards of provisioned streams beyond twice what the
// busiest hour needed. Streams and consumers that were made within these days are left out.
func (b *Billing) Savings(ctx context.Context, account string) (all []Saving, from, to time.Time, err error) {
	err = b.db.View(ctx, func(tx *sqldb.Tx) error {
		all = nil
		var booked int64
		if err := tx.Row("SELECT booked FROM billing_state WHERE one = 1").Scan(&booked); err != nil {
			return err
		}
		w := window{booked - savingsWindow.Microseconds(), booked}
		from, to = time.UnixMicro(w.from).UTC(), time.UnixMicro(w.to).UTC()
		found, err := b.savings(tx, account, w)
		all = found
		return err
	})
	slices.SortStableFunc(all, func(x, y Saving) int {
		if c := y.Monthly.Cmp(x.Monthly); c != 0 {
			return c
		}
		return strings.Compare(x.Name+x.Consumer, y.Name+y.Consumer)
	})
	return all, from, to, err
}

// loaded is what a stream did in the window.
type loaded struct {
	records, reads, pushes int64
	peakRecords, peakBytes int64 // of an hour
}

// standing is what a stream has now.
type standing struct {
	life
	name      string
	consumers []string // that were there all the time
}

func (b *Billing) savings(tx *sqldb.Tx, account string, w window) ([]Saving, error) {
	loads := map[leat.StreamID]loaded{}
	err := tx.Each(`
SELECT stream, CAST(SUM(r) AS BIGINT), CAST(SUM(g) AS BIGINT), CAST(SUM(p) AS BIGINT), MAX(r), MAX(b) FROM (
	SELECT stream, hour, SUM(put_records) AS r, SUM(put_bytes) AS b, SUM(read_records) AS g, SUM(push_records) AS p
	FROM billing_ledger WHERE account = $1 AND hour >= $2 AND hour < $3 GROUP BY stream, hour) AS hours
GROUP BY stream`, func(scan sqldb.Scan) error {
		var id leat.StreamID
		var l loaded
		var records, bytes decimal.Decimal // PostgreSQL's sums of BIGINT are decimals
		err := scan(sqldb.ID(&id), &l.records, &l.reads, &l.pushes, &records, &bytes)
		l.peakRecords, l.peakBytes = records.IntPart(), bytes.IntPart()
		loads[id] = l
		return err
	}, account, w.from, w.to)
	if err != nil {
		return nil, err
	}
	streams, err := standingIn(tx, account, w)
	if err != nil {
		return nil, err
	}
	var all []Saving
	for id, s := range streams {
		found, err := b.savingsOf(account, id, s, loads[id])
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
}

// standingIn reads the streams that are there now and were there all the time.
func standingIn(tx *sqldb.Tx, account string, w window) (map[leat.StreamID]*standing, error) {
	streams := map[leat.StreamID]*standing{}
	err := tx.Each("SELECT stream, name FROM spans WHERE account = $1 AND kind = 'stream' AND ended = 0 AND began <= $2", func(scan sqldb.Scan) error {
		var id leat.StreamID
		s := &standing{}
		err := scan(sqldb.ID(&id), &s.name)
		streams[id] = s
		return err
	}, account, w.from)
	if err != nil {
		return nil, err
	}
	err = tx.Each("SELECT stream, kind, name, began, value FROM spans WHERE account = $1 AND ended = 0", func(scan sqldb.Scan) error {
		var id leat.StreamID
		var kind, name, value string
		var began int64
		if err := scan(sqldb.ID(&id), &kind, &name, &began, &value); err != nil {
			return err
		}
		s := streams[id]
		switch {
		case s == nil:
			return nil
		case kind == "consumer" && began <= w.from:
			s.consumers = append(s.consumers, name)
		}
		return s.add(catalog.SpanKind(kind), span{window: window{began, forever}}, value)
	}, account)
	return streams, err
}

func (b *Billing) savingsOf(account string, id leat.StreamID, s *standing, l loaded) (all []Saving, err error) {
	mode, shards := s.modeAt(forever), int64(len(s.shards))
	extended := int64(0)
	for _, r := range s.retentions {
		if r.retention > day {
			extended = 1
		}
	}
	add := func(v Saving, q rating.Quantities) error {
		bill, err := rateHours(b.opts.Book, b.opts.Book.Month(b.now()), account, mode, q)
		v.Stream, v.Name, v.Monthly = id, s.name, bill.Total
		all = append(all, v)
		return err
	}
	shardTime := func(n int64) (q rating.Quantities) {
		q[rating.ShardHours], q[rating.ShardExtendedHours] = n*hourMicros, n*hourMicros*extended
		return q
	}
	if l.records == 0 && l.reads == 0 && l.pushes == 0 {
		q := shardTime(shards)
		q[rating.StreamHours], q[rating.ConsumerHours], q[rating.ConsumerShardHours] = hourMicros, int64(len(s.life.consumers))*hourMicros, int64(len(s.life.consumers))*shards*hourMicros
		return all, add(Saving{Kind: IdleStream, Reason: "nothing was put into it or read from it", Shards: int(shards)}, q)
	}
	if l.pushes == 0 {
		for _, name := range s.consumers {
			var q rating.Quantities
			q[rating.ConsumerHours], q[rating.ConsumerShardHours] = hourMicros, shards*hourMicros
			if err := add(Saving{Kind: OrphanedConsumer, Consumer: name, Reason: "nothing of the stream was pushed to any consumer"}, q); err != nil {
				return nil, err
			}
		}
	}
	if mode != leat.ModeProvisioned {
		return all, nil
	}
	needed := max(1, ceil(headroom*l.peakRecords, 3600*leat.ShardRecordsIn), ceil(headroom*l.peakBytes, 3600*leat.ShardBytesIn))
	if shards > needed {
		err = add(Saving{
			Kind: SpareShards, Needed: int(needed), Shards: int(shards),
			Reason: fmt.Sprintf("its busiest hour had %d records and %d bytes: twice that needs %d of its %d shards", l.peakRecords, l.peakBytes, needed, shards),
		}, shardTime(shards-needed))
	}
	return all, err
}

func ceil(n, by int64) int64 { return (n + by - 1) / by }
