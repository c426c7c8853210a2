// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package billing

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/billing/rating"
	"github.com/leatstream/leat/internal/sqldb"
	"github.com/leatstream/leat/server/catalog"
)

// Book books every hour that is over and settled, and corrects what became known since of earlier ones. Nodes may call it at the same time, and
// again after any error: each hour is one transaction.
func (b *Billing) Book(ctx context.Context) error {
	for more := true; more; {
		err := b.db.Tx(ctx, func(tx *sqldb.Tx) (err error) {
			more, err = b.bookNext(tx)
			return err
		})
		if err != nil {
			return err
		}
	}
	for more := true; more; {
		err := b.db.Tx(ctx, func(tx *sqldb.Tx) (err error) {
			more, err = b.correct(tx)
			return err
		})
		if err != nil {
			return err
		}
	}
	return b.sumUp(ctx)
}

// Booked is the time up to which hours are in the ledger; 0 when there are none.
func (b *Billing) Booked(ctx context.Context) (micros int64, err error) {
	err = b.db.View(ctx, func(tx *sqldb.Tx) error {
		return tx.Row("SELECT booked FROM billing_state WHERE one = 1").Scan(&micros)
	})
	return micros, err
}

// bookNext books one hour when one is due. The row of the state is taken first, so that such transactions are one after the other.
func (b *Billing) bookNext(tx *sqldb.Tx) (more bool, err error) {
	hour, err := b.lockBooked(tx)
	if err != nil {
		return false, err
	}
	if hour+hourMicros > leat.Micros(b.now().Add(-b.opts.Settle)) {
		return false, nil
	}
	// The marks go first: whoever writes one from here on is read by this transaction, or leaves a mark that stays.
	if _, err := tx.Exec("DELETE FROM dirty WHERE hour = $1", hour); err != nil {
		return false, err
	}
	if err := b.bookHour(tx, hour, nil); err != nil {
		return false, err
	}
	_, err = tx.Exec("UPDATE billing_state SET booked = $1 WHERE one = 1", hour+hourMicros)
	return true, err
}

// lockBooked locks the state and returns the first hour that is not booked. The first of all is the one in which anything was used.
func (b *Billing) lockBooked(tx *sqldb.Tx) (hour int64, err error) {
	if err := tx.Row("UPDATE billing_state SET booked = booked WHERE one = 1 RETURNING booked").Scan(&hour); err != nil || hour > 0 {
		return hour, err
	}
	now := leat.Micros(b.now())
	var spans, usage int64
	err = tx.Row(`
SELECT COALESCE((SELECT MIN(began) FROM spans), $1), COALESCE((SELECT MIN(hour) FROM usage), $1)`, now).Scan(&spans, &usage)
	return max(hourOf(min(spans, usage, now)), 0), err
}

// correctAtOnce is how many marks one transaction takes away.
const correctAtOnce = 200

// correct books streams again that are marked, from the marked hour on.
func (b *Billing) correct(tx *sqldb.Tx) (more bool, err error) {
	booked, err := b.lockBooked(tx)
	if err != nil {
		return false, err
	}
	from := map[leat.StreamID]int64{}
	first, n := booked, 0
	err = tx.Each(`
DELETE FROM dirty WHERE (stream, hour) IN (SELECT stream, hour FROM dirty WHERE hour < $1 ORDER BY stream, hour LIMIT $2)
RETURNING stream, hour`, func(scan sqldb.Scan) error {
		var id leat.StreamID
		var hour int64
		err := scan(sqldb.ID(&id), &hour)
		if at, ok := from[id]; !ok || hour < at {
			from[id] = hour
		}
		first = min(first, hour)
		n++
		return err
	}, booked, correctAtOnce)
	if err != nil || n == 0 {
		return false, err
	}
	for hour := first; hour < booked; hour += hourMicros {
		var streams []leat.StreamID
		for id, at := range from {
			if at <= hour {
				streams = append(streams, id)
			}
		}
		if err := b.bookHour(tx, hour, streams); err != nil {
			return false, err
		}
	}
	return n == correctAtOnce, nil
}

// place is where usage belongs.
type place struct {
	stream leat.StreamID
	mode   leat.StreamMode
}

// entry is a place's account and quantities.
type entry struct {
	account string
	q       rating.Quantities
	seq     int64 // the next one, where the ledger has some
}

// hourly gathers an hour.
type hourly map[place]*entry

func (h hourly) at(p place, account string) *entry {
	e := h[p]
	if e == nil {
		e = &entry{account: account}
		h[p] = e
	}
	return e
}

// bookHour writes the difference between what the sources say of an hour and what the ledger has. streams says whose; nil: everybody's.
func (b *Billing) bookHour(tx *sqldb.Tx, hour int64, streams []leat.StreamID) error {
	is, err := usedIn(tx, hour, streams)
	if err != nil {
		return err
	}
	was, err := ledgerOf(tx, hour, streams)
	if err != nil {
		return err
	}
	var places []place
	for p, e := range is {
		if w := was[p]; w != nil {
			for m := range e.q {
				e.q[m] -= w.q[m]
			}
			e.seq = w.seq
		}
		places = append(places, p)
	}
	for p, w := range was {
		if is[p] == nil {
			for m := range w.q {
				w.q[m] = -w.q[m]
			}
			is[p] = w
			places = append(places, p)
		}
	}
	slices.SortFunc(places, func(x, y place) int {
		if c := slices.Compare(x.stream[:], y.stream[:]); c != 0 {
			return c
		}
		return strings.Compare(string(x.mode), string(y.mode))
	})
	rows := sqldb.NewRows(7+int(rating.Meters), len(places))
	sums := sqldb.NewRows(3+int(rating.Meters), len(places))
	now := b.now()
	for _, p := range places {
		e := is[p]
		if e.q == (rating.Quantities{}) {
			continue
		}
		row, sum := []any{p.stream, hour, string(p.mode), e.seq, e.account, now, int64(1)}, []any{e.account, p.stream, string(p.mode)}
		for _, n := range e.q {
			row, sum = append(row, n), append(sum, n)
		}
		rows.Add(row...)
		sums.Add(sum...)
	}
	_, err = tx.ExecRows("INSERT INTO billing_ledger (stream, hour, mode, seq, account, booked, summed, "+columns("")+") VALUES $rows", rows)
	if err != nil {
		return err
	}
	return addSums(tx, hour, sums)
}

// columns are the ledger's quantities, each in a function of SQL where one is named.
func columns(function string) string {
	var names []string
	for m := range rating.Meters {
		name := m.Column()
		if function != "" {
			name = "CAST(" + function + "(" + name + ") AS BIGINT)"
		}
		names = append(names, name)
	}
	return strings.Join(names, ", ")
}

func scanInto(q *rating.Quantities) []any {
	dest := make([]any, len(q))
	for m := range q {
		dest[m] = &q[m]
	}
	return dest
}

// each runs a query over all streams, or over some: query has a WHERE that ends where a condition on t.stream may follow.
func each(tx *sqldb.Tx, streams []leat.StreamID, query, tail string, scan func(sqldb.Scan) error, args ...any) error {
	if streams == nil {
		return tx.Each(query+tail, scan, args...)
	}
	rows := sqldb.NewRows(1, len(streams))
	for _, id := range streams {
		rows.Add(id)
	}
	return tx.EachRows(query+" AND t.stream IN (VALUES $rows)"+tail, rows, scan, args...)
}

// ledgerOf is what the ledger has of an hour.
func ledgerOf(tx *sqldb.Tx, hour int64, streams []leat.StreamID) (hourly, error) {
	h := hourly{}
	err := each(tx, streams, "SELECT t.stream, t.mode, t.account, MAX(t.seq), "+columns("SUM")+" FROM billing_ledger t WHERE t.hour = $1", " GROUP BY t.stream, t.mode, t.account", func(scan sqldb.Scan) error {
		var p place
		e := &entry{}
		err := scan(append([]any{sqldb.ID(&p.stream), &p.mode, &e.account, &e.seq}, scanInto(&e.q)...)...)
		e.seq++
		h[p] = e
		return err
	}, hour)
	return h, err
}

// usedIn is what the sources say of an hour.
func usedIn(tx *sqldb.Tx, hour int64, streams []leat.StreamID) (hourly, error) {
	h := hourly{}
	lives, err := livesIn(tx, window{hour, hour + hourMicros}, streams)
	if err != nil {
		return nil, err
	}
	kept, err := keptAt(tx, hour, lives)
	if err != nil {
		return nil, err
	}
	for id, l := range lives {
		l.usedIn(hour, kept[id], func(mode leat.StreamMode) *rating.Quantities { return &h.at(place{id, mode}, l.account).q })
	}
	if err := putsIn(tx, hour, streams, h); err != nil {
		return nil, err
	}
	return h, countsIn(tx, hour, streams, h)
}

// livesIn reads the spans that touch a window, and all earlier retentions: what expired under these stays expired.
func livesIn(tx *sqldb.Tx, w window, streams []leat.StreamID) (map[leat.StreamID]*life, error) {
	lives := map[leat.StreamID]*life{}
	err := each(tx, streams, `
SELECT t.stream, t.kind, t.began, t.ended, t.value, t.account FROM spans t
WHERE t.began < $2 AND (t.ended = 0 OR t.ended > $1 OR t.kind = 'retention')`, " ORDER BY t.stream, t.began", func(scan sqldb.Scan) error {
		var id leat.StreamID
		var kind catalog.SpanKind
		var s span
		var value, account string
		if err := scan(sqldb.ID(&id), &kind, &s.from, &s.to, &value, &account); err != nil {
			return err
		}
		if s.to == 0 {
			s.to = forever
		}
		l := lives[id]
		if l == nil {
			l = &life{account: account}
			lives[id] = l
		}
		return l.add(kind, s, value)
	}, w.from, w.to)
	for id, l := range lives {
		if len(l.existed) == 0 {
			delete(lives, id)
		}
	}
	return lives, err
}

func (l *life) add(kind catalog.SpanKind, s span, value string) (err error) {
	switch kind {
	case catalog.SpanStream:
		l.existed = append(l.existed, s)
	case catalog.SpanMode:
		s.mode = leat.StreamMode(value)
		l.modes = append(l.modes, s)
	case catalog.SpanRetention:
		s.retention, err = strconv.ParseInt(value, 10, 64)
		l.retentions = append(l.retentions, s)
	case catalog.SpanShard:
		l.shards = append(l.shards, s)
	case catalog.SpanConsumer:
		l.consumers = append(l.consumers, s)
	}
	return err
}

// keptAt is what streams hold when an hour begins: what was put in the hours before it, back to the horizon.
func keptAt(tx *sqldb.Tx, hour int64, lives map[leat.StreamID]*life) (map[leat.StreamID]stored, error) {
	rows := sqldb.NewRows(2, len(lives))
	for id, l := range lives {
		rows.Add(id, l.horizon(hour))
	}
	kept := map[leat.StreamID]stored{}
	err := tx.EachRows(`
WITH v (stream, horizon) AS (VALUES $rows)
SELECT v.stream,
	CAST(SUM(CASE WHEN u.hour >= $1 THEN u.bytes ELSE 0 END) AS BIGINT),
	CAST(SUM(CASE WHEN u.hour < $1 AND u.hour >= $2 THEN u.bytes ELSE 0 END) AS BIGINT),
	CAST(SUM(CASE WHEN u.hour < $2 THEN u.bytes ELSE 0 END) AS BIGINT)
FROM v JOIN usage u ON u.stream = v.stream AND u.hour >= v.horizon AND u.hour < $3
GROUP BY v.stream`, rows, func(scan sqldb.Scan) error {
		var id leat.StreamID
		var s stored
		err := scan(sqldb.ID(&id), &s.day, &s.week, &s.long)
		kept[id] = s
		return err
	}, hour-day, hour-7*day, hour)
	return kept, err
}

func putsIn(tx *sqldb.Tx, hour int64, streams []leat.StreamID, h hourly) error {
	return each(tx, streams, `
SELECT t.stream, t.account, t.records, t.bytes, t.units, t.od_records, t.od_bytes, t.od_units FROM usage t WHERE t.hour = $1`, "", func(scan sqldb.Scan) error {
		var id leat.StreamID
		var account string
		var all, od [3]int64
		if err := scan(sqldb.ID(&id), &account, &all[0], &all[1], &all[2], &od[0], &od[1], &od[2]); err != nil {
			return err
		}
		for i, m := range []rating.Meter{rating.PutRecords, rating.PutBytes, rating.PutUnits} {
			if n := all[i] - od[i]; n != 0 {
				h.at(place{id, leat.ModeProvisioned}, account).q[m] += n
			}
			if od[i] != 0 {
				h.at(place{id, leat.ModeOnDemand}, account).q[m] += od[i]
			}
		}
		return nil
	}, hour)
}

// counted are the meters that nodes count.
var counted = []rating.Meter{
	rating.ReadRecords, rating.ReadBytes, rating.PushRecords, rating.PushBytes, rating.DeliveryRecords, rating.DeliveryBytes,
	rating.DeliveryRoundedBytes, rating.DeliveryConvertedBytes, rating.DeliveryPartitionedBytes, rating.DeliveryObjects,
}

func countColumns() string {
	var names []string
	for _, m := range counted {
		names = append(names, m.Column())
	}
	return strings.Join(names, ", ")
}

func countsIn(tx *sqldb.Tx, hour int64, streams []leat.StreamID, h hourly) error {
	return each(tx, streams, "SELECT t.stream, t.mode, t.account, "+countColumns()+" FROM billing_counts t WHERE t.hour = $1", "", func(scan sqldb.Scan) error {
		var p place
		var account string
		n := make([]int64, len(counted))
		dest := []any{sqldb.ID(&p.stream), &p.mode, &account}
		for i := range n {
			dest = append(dest, &n[i])
		}
		if err := scan(dest...); err != nil {
			return err
		}
		e := h.at(p, account)
		for i, m := range counted {
			e.q[m] += n[i]
		}
		return nil
	}, hour)
}
