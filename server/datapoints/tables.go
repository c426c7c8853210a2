// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package datapoints

import (
	"context"
	"errors"
	"math/bits"
	"time"

	"github.com/leatstream/leat/internal/sqldb"
)

// write may be run again for the same rows: each stands for all that this node has counted in its minute.
func (l *Log) write(ctx context.Context, places []place) error {
	if len(places) == 0 {
		return nil
	}
	rows := sqldb.NewRows(9, len(places))
	for _, at := range places {
		metrics, text, err := l.waiting[at].text()
		if err != nil {
			return err
		}
		rows.Add(at.Account, int64(at.Space), at.Name, at.Shard, at.Consumer, at.minute, l.writer, metrics, text)
	}
	const runs = 3
	for n := 1; ; n++ {
		err := l.db.Tx(ctx, func(tx *sqldb.Tx) error {
			_, err := tx.ExecRows(`
INSERT INTO datapoints (account, space, name, shard, consumer, minute, writer, metrics, stats) VALUES $rows
ON CONFLICT (account, space, name, minute, shard, consumer, writer) DO UPDATE SET metrics = excluded.metrics, stats = excluded.stats`, rows)
			return err
		})
		if !errors.Is(err, sqldb.ErrCommitUnknown) || n == runs || ctx.Err() != nil {
			return err
		}
	}
}

// Sweep deletes what is older than it is kept.
func (l *Log) Sweep(ctx context.Context) error {
	before := minuteOf(l.opts.Clock.Now().Add(-l.opts.Keep))
	return l.db.Tx(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Exec(`DELETE FROM datapoints WHERE minute < $1`, before)
		return err
	})
}

// Minutes are the statistics of one series, by when their minute begins.
type Minutes map[time.Time]Stat

// Ask is a question for one metric of a series.
type Ask struct {
	Series
	Metric Metric
}

// Read answers questions as all nodes have counted it, at one moment, for the minutes that begin at or after from and before
// to.
func (l *Log) Read(ctx context.Context, asks []Ask, from, to time.Time) ([]Minutes, error) {
	var order []Series
	of := map[Series][]int{} // the questions
	for i := range asks {
		if s := asks[i].Series; of[s] == nil {
			order = append(order, s)
		}
		of[asks[i].Series] = append(of[asks[i].Series], i)
	}
	var out []Minutes
	err := l.db.View(ctx, func(tx *sqldb.Tx) error {
		out = make([]Minutes, len(asks))
		for i := range out {
			out[i] = Minutes{}
		}
		for _, s := range order {
			err := eachRow(tx, s, from, to, func(at time.Time, counted stats) {
				for _, i := range of[s] {
					if one := counted.of(asks[i].Metric); one.Count > 0 {
						sum := out[i][at]
						sum.Merge(one)
						out[i][at] = sum
					}
				}
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	return out, err
}

func eachRow(tx *sqldb.Tx, s Series, from, to time.Time, each func(at time.Time, counted stats)) error {
	first, end := (from.Unix()+59)/60, (to.Unix()+59)/60
	return tx.Each(`
SELECT minute, stats FROM datapoints
WHERE account = $1 AND space = $2 AND name = $3 AND shard = $4 AND consumer = $5 AND minute >= $6 AND minute < $7`, func(scan sqldb.Scan) error {
		var m int64
		var text string
		if err := scan(&m, &text); err != nil {
			return err
		}
		counted, err := readStats(text)
		if err == nil {
			each(time.Unix(m*60, 0).UTC(), counted)
		}
		return err
	}, s.Account, int64(s.Space), s.Name, s.Shard, s.Consumer, first, end)
}

// Listed is a series with the metrics that it has.
type Listed struct {
	Series
	Metrics []Metric
}

// List returns the series of an account that have counted anything since a time, in order. space 0 and an empty name stand
// for all.
func (l *Log) List(ctx context.Context, account string, space Space, name string, since time.Time) ([]Listed, error) {
	var out []Listed
	err := l.db.View(ctx, func(tx *sqldb.Tx) error {
		out = nil
		last, there := Series{}, int64(0)
		end := func() {
			if there != 0 {
				out = append(out, Listed{last, metricsOf(there)})
			}
			there = 0
		}
		err := tx.Each(`
SELECT DISTINCT space, name, shard, consumer, metrics FROM datapoints
WHERE account = $1 AND minute >= $2 AND (CAST($3 AS BIGINT) = 0 OR space = $3) AND (CAST($4 AS TEXT) = '' OR name = $4) ORDER BY space, name, shard, consumer`, func(scan sqldb.Scan) error {
			s := Series{Account: account}
			var number, metrics int64
			if err := scan(&number, &s.Name, &s.Shard, &s.Consumer, &metrics); err != nil {
				return err
			}
			if s.Space = Space(number); s != last {
				end()
				last = s
			}
			there |= metrics
			return nil
		}, account, minuteOf(since), int64(space), name)
		end()
		return err
	})
	return out, err
}

func metricsOf(there int64) (all []Metric) {
	for b := uint64(there); b != 0; b &= b - 1 {
		all = append(all, Metric(bits.TrailingZeros64(b)))
	}
	return all
}
