// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package billing

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/sqldb"
	"github.com/leatstream/leat/server/catalog"
	"github.com/leatstream/leat/shardstore"
	"github.com/leatstream/leat/shardstore/blob"
	"github.com/leatstream/leat/shardstore/segment"
)

// Verification is what Verify found.
type Verification struct {
	From, To    time.Time
	Manifests   int // that were read
	Packs       int // whose footers were compared with their manifests
	PacksGone   int // that retention or a merge has taken since
	StreamHours int // that were compared
	Records     int64
	Bytes       int64
	Units       int64
	Problems    []string
}

// Verify computes the puts of hours that begin in [from, to) again, from the manifests of registered packs in the bucket, and compares them with the
// usage in the catalog and, as far as hours are booked, with the ledger. Manifests are compared with the footers of their packs where
// these are still there, and a shard's must follow one on another without gap or overlap. It reads alone.
//
// While a server is at work, hours that are not over may differ for a moment: their packs may be registered between two reads.
func (b *Billing) Verify(ctx context.Context, from, to time.Time) (v Verification, err error) {
	if b.opts.Blobs == nil {
		return v, leat.Errorf(leat.KindUnsupported, "there is no bucket to verify against")
	}
	if hourOf(leat.Micros(from)) != leat.Micros(from) || hourOf(leat.Micros(to)) != leat.Micros(to) || !from.Before(to) {
		return v, leat.Invalid("from", "give two whole hours, the first before the second")
	}
	c := &verifier{b: b, v: &v, whole: window{leat.Micros(from), leat.Micros(to)}, puts: map[streamHour]*puts{}, runs: map[leat.ShardKey]*runs{}}
	v.From, v.To = from.UTC(), to.UTC()
	for month := time.Date(v.From.Year(), v.From.Month(), 1, 0, 0, 0, 0, time.UTC); month.Before(to); month = month.AddDate(0, 1, 0) {
		if err := c.month(ctx, month.Format("2006-01")); err != nil {
			return v, err
		}
	}
	c.joined()
	if err := c.compare(ctx); err != nil {
		return v, err
	}
	slices.Sort(v.Problems)
	return v, nil
}

// verifier adds up what manifests say.
type verifier struct {
	b     *Billing
	v     *Verification
	whole window
	puts  map[streamHour]*puts
	runs  map[leat.ShardKey]*runs
}

type streamHour struct {
	stream leat.StreamID
	hour   int64
}

// puts are what was put into a stream in an hour: all, and the part in on-demand mode.
type puts struct{ records, bytes, units, odRecords, odBytes, odUnits int64 }

// runs are the stretches of a shard's offsets that manifests have, joined where they touch.
type runs struct{ all []run }

type run struct{ from, to uint64 }

func (c *verifier) problem(format string, args ...any) {
	c.v.Problems = append(c.v.Problems, fmt.Sprintf(format, args...))
}

// month reads the manifests of a month, those that are still in the database too.
func (c *verifier) month(ctx context.Context, month string) error {
	waiting := map[string]string{}
	err := c.b.db.View(ctx, func(tx *sqldb.Tx) error {
		return tx.Each("SELECT session, number, body FROM manifests WHERE month = $1", func(scan sqldb.Scan) error {
			q := queued{month: month}
			err := scan(sqldb.ID(&q.session), sqldb.U64(&q.number), &q.body)
			waiting[q.key()] = q.body
			return err
		}, month)
	})
	if err != nil {
		return err
	}
	for info, err := range blob.All(ctx, c.b.opts.Blobs, manifestPrefix+month+"/") {
		if err != nil {
			return err
		}
		delete(waiting, info.Key)
		text, err := readManifest(ctx, c.b.opts.Blobs, info.Key)
		if err != nil {
			return err
		}
		if err := c.manifest(ctx, info.Key, text); err != nil {
			return err
		}
	}
	for key, body := range waiting {
		if err := c.manifest(ctx, key, []byte(body)); err != nil {
			return err
		}
	}
	return nil
}

func (c *verifier) manifest(ctx context.Context, key string, text []byte) error {
	m, err := parseManifest(key, text)
	if err != nil {
		return err
	}
	touched := false
	for i := range m.Streams {
		s := &m.Streams[i]
		for j := range s.Extents {
			e := &s.Extents[j]
			if catalog.MonthOf(e.MaxTime) != m.Month {
				c.problem("%s has an extent of %s", key, catalog.MonthOf(e.MaxTime))
			}
			if e.MaxTime < c.whole.from || e.MaxTime >= c.whole.to {
				continue
			}
			touched = true
			c.count(s.Stream, e)
		}
	}
	if !touched {
		return nil
	}
	c.v.Manifests++
	return c.pack(ctx, m)
}

func (c *verifier) count(stream leat.StreamID, e *catalog.ManifestExtent) {
	at := streamHour{stream, hourOf(e.MaxTime)}
	p := c.puts[at]
	if p == nil {
		p = &puts{}
		c.puts[at] = p
	}
	p.records += e.Records
	p.bytes += e.Bytes
	p.units += e.Units
	if e.OnDemand {
		p.odRecords += e.Records
		p.odBytes += e.Bytes
		p.odUnits += e.Units
	}
	k := leat.ShardKey{Stream: stream, Ordinal: e.Shard}
	r := c.runs[k]
	if r == nil {
		r = &runs{}
		c.runs[k] = r
	}
	if !r.add(run{e.First, e.First + uint64(e.Records)}) {
		c.problem("shard %s: records from %d on are in two manifests", k, e.First)
	}
}

// add takes a stretch in, and tells whether it was new. Stretches come almost in order.
func (r *runs) add(n run) bool {
	i, _ := slices.BinarySearchFunc(r.all, n.from, func(have run, from uint64) int {
		switch {
		case have.from < from:
			return -1
		case have.from > from:
			return 1
		}
		return 0
	})
	if i > 0 && r.all[i-1].to > n.from || i < len(r.all) && r.all[i].from < n.to {
		return false
	}
	before, after := i > 0 && r.all[i-1].to == n.from, i < len(r.all) && r.all[i].from == n.to
	switch {
	case before && after:
		r.all[i-1].to = r.all[i].to
		r.all = slices.Delete(r.all, i, i+1)
	case before:
		r.all[i-1].to = n.to
	case after:
		r.all[i].from = n.from
	default:
		r.all = slices.Insert(r.all, i, n)
	}
	return true
}

// joined looks that no manifest is missing in the middle: a shard's times do not fall, so its records of a stretch of time are one stretch of offsets.
func (c *verifier) joined() {
	for k, r := range c.runs {
		for i := 1; i < len(r.all); i++ {
			c.problem("shard %s: no manifest has records %d to %d", k, r.all[i-1].to, r.all[i].from-1)
		}
	}
}

// pack compares a manifest with the footer of its pack, where it is still there.
func (c *verifier) pack(ctx context.Context, m *catalog.Manifest) error {
	key := shardstore.PackKey(m.Session, m.Number)
	f, err := readFooter(ctx, c.b.opts.Blobs, key)
	if errors.Is(err, blob.ErrNotFound) {
		c.v.PacksGone++
		return nil
	}
	if err != nil {
		return err
	}
	c.v.Packs++
	stored := map[leat.ShardKey]map[uint64]*segment.Extent{}
	for i := range f.Extents {
		e := &f.Extents[i]
		if stored[e.Shard] == nil {
			stored[e.Shard] = map[uint64]*segment.Extent{}
		}
		stored[e.Shard][e.First] = e
	}
	var elsewhere []stayed
	for i := range m.Streams {
		for j := range m.Streams[i].Extents {
			e := &m.Streams[i].Extents[j]
			k := leat.ShardKey{Stream: m.Streams[i].Stream, Ordinal: e.Shard}
			s := stored[k][e.First]
			if s == nil {
				elsewhere = append(elsewhere, stayed{k, e})
			} else if int64(s.Count) != e.Records || s.Bytes != e.Bytes || s.Units != e.Units || s.MaxTime != e.MaxTime || fmt.Sprintf("%016x", s.Hash) != e.Hash {
				c.holdsElse(key, k, e)
			}
		}
	}
	return c.stayed(ctx, key, elsewhere)
}

func (c *verifier) holdsElse(key string, k leat.ShardKey, e *catalog.ManifestExtent) {
	c.problem("pack %s holds something else of shard %s at %d than its manifest says", key, k, e.First)
}

// stayed is an extent that was registered with a pack and is not in it.
type stayed struct {
	shard leat.ShardKey
	*catalog.ManifestExtent
}

// mayStay tells whether an extent can have been large enough to stay in its segment, with what each record costs there beside its data.
func mayStay(e *catalog.ManifestExtent) bool {
	const perRecord = 64
	return e.Bytes+perRecord*e.Records >= shardstore.DefaultParams().KeepBytes
}

// stayed compares extents that were registered with a pack and are not in it with the index: large ones stay in their segments
// (shardstore/keep.go) until a merge takes them, of which nothing is left to compare then; nor is of those whose shard is gone.
func (c *verifier) stayed(ctx context.Context, key string, all []stayed) error {
	return c.b.db.View(ctx, func(tx *sqldb.Tx) error {
		for _, e := range all {
			var records, bytes, units, maxTime int64
			var hash uint64
			err := tx.Row("SELECT records, bytes, units, max_time, hash FROM extents WHERE stream = $1 AND ordinal = $2 AND first_offset = $3 AND object <> $4",
				e.shard.Stream, e.shard.Ordinal, e.First, key).Scan(&records, &bytes, &units, &maxTime, sqldb.U64(&hash))
			switch {
			case errors.Is(err, sql.ErrNoRows) || err == nil && records != e.Records: // merged with others, or expired
				if mayStay(e.ManifestExtent) {
					continue
				}
				// What was in the log of a shard when it was removed is counted, and in no pack.
				var there int
				if err := tx.Row("SELECT count(*) FROM shards WHERE stream = $1 AND ordinal = $2", e.shard.Stream, e.shard.Ordinal).Scan(&there); err != nil {
					return err
				}
				if there > 0 {
					c.holdsElse(key, e.shard, e.ManifestExtent)
				}
			case err != nil:
				return err
			case bytes != e.Bytes || units != e.Units || maxTime != e.MaxTime || fmt.Sprintf("%016x", hash) != e.Hash:
				c.holdsElse(key, e.shard, e.ManifestExtent)
			}
		}
		return nil
	})
}

func readFooter(ctx context.Context, blobs blob.Store, key string) (*segment.Footer, error) {
	info, err := blobs.Stat(ctx, key)
	if err != nil {
		return nil, err
	}
	for need := int64(segment.SuffixSize); ; {
		suffix, err := blobs.Read(ctx, key, -min(need, info.Size), -1)
		if err != nil {
			return nil, err
		}
		f, more, err := segment.ParseFooter(suffix, info.Size)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
		if f != nil {
			return f, nil
		}
		need = more
	}
}

// compare holds the catalog's usage, and the ledger, against what the bucket says.
func (c *verifier) compare(ctx context.Context) error {
	usage, ledger := map[streamHour]*puts{}, map[streamHour]*puts{}
	var booked int64
	read := func(tx *sqldb.Tx, into map[streamHour]*puts, query string) error {
		clear(into)
		return tx.Each(query, func(scan sqldb.Scan) error {
			var at streamHour
			p := &puts{}
			err := scan(sqldb.ID(&at.stream), &at.hour, &p.records, &p.bytes, &p.units, &p.odRecords, &p.odBytes, &p.odUnits)
			into[at] = p
			return err
		}, c.whole.from, c.whole.to)
	}
	err := c.b.db.View(ctx, func(tx *sqldb.Tx) error {
		if err := tx.Row("SELECT booked FROM billing_state WHERE one = 1").Scan(&booked); err != nil {
			return err
		}
		if err := read(tx, usage, "SELECT stream, hour, records, bytes, units, od_records, od_bytes, od_units FROM usage WHERE hour >= $1 AND hour < $2"); err != nil {
			return err
		}
		return read(tx, ledger, `
SELECT stream, hour, CAST(SUM(put_records) AS BIGINT), CAST(SUM(put_bytes) AS BIGINT), CAST(SUM(put_units) AS BIGINT),
	CAST(SUM(CASE WHEN mode = 'ON_DEMAND' THEN put_records ELSE 0 END) AS BIGINT),
	CAST(SUM(CASE WHEN mode = 'ON_DEMAND' THEN put_bytes ELSE 0 END) AS BIGINT),
	CAST(SUM(CASE WHEN mode = 'ON_DEMAND' THEN put_units ELSE 0 END) AS BIGINT)
FROM billing_ledger WHERE hour >= $1 AND hour < $2 GROUP BY stream, hour`)
	})
	if err != nil {
		return err
	}
	hours := map[streamHour]bool{}
	for _, m := range []map[streamHour]*puts{c.puts, usage, ledger} {
		for at := range m {
			hours[at] = true
		}
	}
	for at := range hours {
		is := value(c.puts[at])
		if is == (puts{}) && value(usage[at]) == is && value(ledger[at]) == is {
			continue // a stream that was there, and took nothing
		}
		c.v.StreamHours++
		c.v.Records += is.records
		c.v.Bytes += is.bytes
		c.v.Units += is.units
		c.differ("the catalog's usage", at, is, value(usage[at]))
		if at.hour < booked {
			c.differ("the ledger", at, is, value(ledger[at]))
		}
	}
	return nil
}

func value(p *puts) puts {
	if p == nil {
		return puts{}
	}
	return *p
}

func (c *verifier) differ(what string, at streamHour, is, said puts) {
	if is != said {
		c.problem("stream %s, %s: the bucket has %d records, %d bytes and %d units (%d, %d and %d of them on-demand); %s says %d, %d and %d (%d, %d and %d)",
			at.stream, time.UnixMicro(at.hour).UTC().Format(time.RFC3339), is.records, is.bytes, is.units, is.odRecords, is.odBytes, is.odUnits,
			what, said.records, said.bytes, said.units, said.odRecords, said.odBytes, said.odUnits)
	}
}
