// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package billing

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/billing/rating"
	"github.com/leatstream/leat/internal/sqldb"
)

// flushEvery is how often a node writes its counts.
const flushEvery = 10 * time.Second

// Meter counts what one life of a node reads, pushes and delivers: in memory, and flushed under numbers. A flush whose outcome is not
// known is sent again as it was, under its own number, so that it counts once. A node that dies loses what it counted since its last
// flush: ten seconds' worth, or more where the database was away before.
type Meter struct {
	b       *Billing
	session leat.SessionID // of this life of the node

	mu     sync.Mutex
	counts map[tally]*counts

	one     sync.Mutex // of whoever flushes
	pending map[tally]*counts
	number  uint64 // of pending; of the last flush where nothing is pending
}

// tally is whose count it is.
type tally struct {
	place
	account string
	hour    int64
}

// counts are in the order of counted.
type counts [10]int64

// NewMeter makes the meter of one life of a node.
func (b *Billing) NewMeter() *Meter {
	return &Meter{b: b, session: leat.NewID[leat.SessionID](b.opts.Rand), counts: map[tally]*counts{}}
}

// Count adds what was done for a stream now. It never blocks on anything but memory.
func (m *Meter) Count(account string, stream leat.StreamID, mode leat.StreamMode, what rating.Meter, n int64) {
	i := slices.Index(counted, what)
	if i < 0 || n == 0 {
		return
	}
	at := tally{place{stream, mode}, account, hourOf(leat.Micros(m.b.now()))}
	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.counts[at]
	if c == nil {
		c = new(counts)
		m.counts[at] = c
	}
	c[i] += n
}

// CountRead counts an answer of GetRecords; CountPush one of a subscription. They are what server/broker asks of its Meter.
func (m *Meter) CountRead(s *leat.Stream, records, bytes int64) {
	m.Count(s.Account, s.ID, s.Mode, rating.ReadRecords, records)
	m.Count(s.Account, s.ID, s.Mode, rating.ReadBytes, bytes)
}

// CountPush counts a batch of a subscription.
func (m *Meter) CountPush(s *leat.Stream, records, bytes int64) {
	m.Count(s.Account, s.ID, s.Mode, rating.PushRecords, records)
	m.Count(s.Account, s.ID, s.Mode, rating.PushBytes, bytes)
}

// Flush writes what was counted. After an error it is all still there.
func (m *Meter) Flush(ctx context.Context) error {
	m.one.Lock()
	defer m.one.Unlock()
	for {
		if m.pending == nil {
			m.mu.Lock()
			if len(m.counts) == 0 {
				m.mu.Unlock()
				return nil
			}
			m.pending, m.counts = m.counts, map[tally]*counts{}
			m.mu.Unlock()
			m.number++
		}
		if err := m.b.applyFlush(ctx, m.session, m.number, m.pending); err != nil {
			return err
		}
		m.pending = nil
	}
}

// Run flushes until ctx ends, and once more then.
func (m *Meter) Run(ctx context.Context) error {
	for {
		c, stop := m.b.opts.Clock.NewTimer(flushEvery)
		select {
		case <-c:
			if err := m.Flush(ctx); err != nil && ctx.Err() == nil {
				m.b.opts.Logger.Warn("usage waits to be written", "error", err)
			}
		case <-ctx.Done():
			stop()
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			if err := m.Flush(last); err != nil {
				m.b.opts.Logger.Warn("usage that was counted last is lost", "error", err)
			}
			return nil
		}
	}
}

// errApplied ends the transaction of a flush that was applied before.
var errApplied = errors.New("billing: flush is applied")

func (b *Billing) applyFlush(ctx context.Context, session leat.SessionID, number uint64, pending map[tally]*counts) error {
	err := b.db.Tx(ctx, func(tx *sqldb.Tx) error {
		n, err := tx.Exec(`
INSERT INTO billing_flushes (session, number, at) VALUES ($1, $2, $3)
ON CONFLICT (session) DO UPDATE SET number = excluded.number, at = excluded.at WHERE billing_flushes.number < excluded.number`, session, number, b.now())
		if err != nil {
			return err
		}
		if n == 0 {
			return errApplied
		}
		return addCounts(tx, pending)
	})
	if errors.Is(err, errApplied) {
		return nil
	}
	return err
}

func addCounts(tx *sqldb.Tx, pending map[tally]*counts) error {
	all := make([]tally, 0, len(pending))
	for t := range pending {
		all = append(all, t)
	}
	slices.SortFunc(all, func(x, y tally) int { // locks are taken in one order
		if c := slices.Compare(x.stream[:], y.stream[:]); c != 0 {
			return c
		}
		if x.hour != y.hour {
			return int(min(max(x.hour-y.hour, -1), 1))
		}
		return strings.Compare(string(x.mode), string(y.mode))
	})
	rows, dirty := sqldb.NewRows(4+len(counted), len(all)), sqldb.NewRows(2, len(all))
	for i, t := range all {
		row := []any{t.stream, t.hour, string(t.mode), t.account}
		for _, n := range pending[t] {
			row = append(row, n)
		}
		rows.Add(row...)
		if i == 0 || all[i-1].stream != t.stream || all[i-1].hour != t.hour {
			dirty.Add(t.stream, t.hour)
		}
	}
	var sums []string
	for _, m := range counted {
		sums = append(sums, m.Column()+" = billing_counts."+m.Column()+" + excluded."+m.Column())
	}
	_, err := tx.ExecRows("INSERT INTO billing_counts (stream, hour, mode, account, "+countColumns()+") VALUES $rows ON CONFLICT (stream, hour, mode) DO UPDATE SET "+strings.Join(sums, ", "), rows)
	if err != nil {
		return err
	}
	_, err = tx.ExecRows("INSERT INTO dirty (stream, hour) VALUES $rows ON CONFLICT (stream, hour) DO UPDATE SET hour = excluded.hour", dirty)
	return err
}
