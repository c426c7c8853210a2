// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package web

import (
	"bytes"
	"cmp"
	"context"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/broker"
)

// Bounds of one look at a stream's records.
const (
	looksAtOnce  = 8  // on a node
	newestShards = 16 // that "newest of all" looks at
	scanTime     = 2 * time.Second
	scanPage     = 500      // records asked for at once while one looks for something
	downloadMost = 16 << 20 // bytes of records that one download has
)

// Why a look ends before its page is full.
const (
	stoppedTime   = "after 2 seconds"
	stoppedFilter = "when the filter's second was over"
	stoppedReads  = "since the shard takes no more reads in this second"
	stoppedBytes  = "at 16 MiB"
)

// look reads what the page asks for.
func (c *Console) look(ctx context.Context, s *session, p *dataPage, at string, whole bool) error {
	f, err := c.newFilter(ctx, s.who, p.JQ)
	if err != nil {
		return err
	}
	done, err := c.beginLook(ctx)
	if err != nil {
		return err
	}
	defer done()
	if p.Key != "" {
		if p.KeyShard = shardOf(p.Shards, leat.HashPartitionKey(p.Key)); p.KeyShard != nil && p.Shard == "" {
			p.Shard = strconv.FormatUint(p.KeyShard.Key.Ordinal, 10)
		}
	}
	filtering, cancel := context.WithTimeout(ctx, filterTime)
	defer cancel()
	if f != nil {
		defer func() { p.Costly = f.costly }()
	}
	l := &looker{c: c, who: s.who, p: p, filter: f, filtering: filtering, until: c.Clock.Now().Add(scanTime), whole: whole}
	if p.Sequence != "" && p.From == "sequence" && p.Shard == "" {
		if p.Shard = shardOfSequence(p.Sequence); p.Shard == "" {
			return leat.Invalid("sequence", "%.80q is no sequence number: it has 56 digits.", p.Sequence)
		}
	}
	if at == "" && p.Shard == "" && p.From != "newest" && len(p.Shards) > 0 {
		p.Shard = strconv.FormatUint(p.Shards[0].Key.Ordinal, 10)
		for i := range p.Shards {
			if p.Shards[i].Open() {
				p.Shard = strconv.FormatUint(p.Shards[i].Key.Ordinal, 10)
				break
			}
		}
	}
	if p.From == "newest" {
		return l.newest(ctx, at)
	}
	if at == "" {
		if at, err = c.Broker.GetShardIterator(ctx, s.who, broker.GetShardIteratorRequest{Stream: p.Stream.Name, Shard: p.Shard, Start: l.start()}); err != nil {
			return err
		}
		if l.p.Error != "" {
			return nil
		}
	}
	return l.scan(ctx, at)
}

// beginLook waits for one of the places for those who look at records: each holds a page of the store's and what one record unpacks to.
func (c *Console) beginLook(ctx context.Context) (done func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, scanTime)
	defer cancel()
	select {
	case c.looks <- struct{}{}:
		return func() { <-c.looks }, nil
	case <-ctx.Done():
		return nil, leat.Errorf(leat.KindThroughputExceeded, "This node looks for %d others already: try again in a moment.", looksAtOnce)
	}
}

// looker reads records for one page, within its bounds.
type looker struct {
	c         *Console
	who       leat.Principal
	p         *dataPage
	filter    *filter
	filtering context.Context //nolint:containedctx // it bounds the time of all filters of a page
	until     time.Time
	whole     bool // rows keep what is downloaded
	kept      int  // bytes of it
}

// start is the place where the page says to begin.
func (l *looker) start() broker.StartingPosition {
	switch l.p.From {
	case "time":
		t, err := parseTime("time", l.p.Time)
		if err == nil {
			return broker.StartingPosition{Type: broker.AtTimestamp, Timestamp: t}
		}
		l.p.Error = told(err)
	case "sequence":
		return broker.StartingPosition{Type: broker.AtSequenceNumber, SequenceNumber: l.p.Sequence}
	}
	return broker.StartingPosition{Type: broker.TrimHorizon}
}

// parseTime reads a time as people write it; without a zone it is UTC.
func parseTime(field, text string) (time.Time, error) {
	for _, form := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02"} {
		if t, err := time.Parse(form, strings.TrimSpace(text)); err == nil {
			return t, nil
		}
	}
	return time.Time{}, leat.Invalid(field, "%.40q is no time such as 2026-11-20 14:00 (UTC).", text)
}

// scan reads from an iterator on until the page is full, the shard's end or tail is reached, or the time is over.
func (l *looker) scan(ctx context.Context, at string) error {
	p := l.p
	for {
		want := p.Limit - len(p.Rows)
		if l.filter != nil || p.Key != "" {
			want = scanPage
		}
		res, err := l.c.Broker.GetRecords(ctx, l.who, broker.GetRecordsRequest{Stream: p.Stream.Name, Iterator: at, Limit: want, Look: true})
		if err != nil {
			if leat.KindOf(err) == leat.KindThroughputExceeded && p.Looked > 0 {
				p.Next, p.Stopped = at, stoppedReads
				return nil
			}
			return err
		}
		p.Shard = strconv.FormatUint(res.Shard.Ordinal, 10)
		p.Behind, p.Ended = res.Behind, res.Children
		for i := range res.Records {
			if l.full() || l.over(p.Looked > 0) || !l.list(res.Shard, &res.Records[i]) {
				return l.stopBefore(ctx, res.Shard, &res.Records[i])
			}
		}
		p.Next, at = res.Next, res.Next
		if at == "" || l.full() || len(res.Records) == 0 && res.Behind == 0 || l.over(true) {
			return nil
		}
	}
}

// stopBefore has the next page begin with a record that was read and not decided.
func (l *looker) stopBefore(ctx context.Context, shard leat.ShardKey, r *leat.Record) (err error) {
	p := l.p
	p.Ended = nil
	if p.Next, err = l.iterator(ctx, shard, broker.AtSequenceNumber, r.Offset); err == nil && p.Looked == 0 {
		p.Skip, err = l.iterator(ctx, shard, broker.AfterSequenceNumber, r.Offset)
	}
	return err
}

func (l *looker) iterator(ctx context.Context, shard leat.ShardKey, how broker.IteratorType, offset uint64) (string, error) {
	return l.c.Broker.GetShardIterator(ctx, l.who, broker.GetShardIteratorRequest{Stream: l.p.Stream.Name, Shard: leat.ShardID(shard.Ordinal), Start: broker.StartingPosition{
		Type: how, SequenceNumber: leat.SequenceNumber(shard, offset),
	}})
}

// full tells whether the page has all that it takes.
func (l *looker) full() bool {
	if l.kept >= downloadMost && len(l.p.Rows) < l.p.Limit {
		l.p.Stopped = stoppedBytes
	}
	return l.kept >= downloadMost || len(l.p.Rows) >= l.p.Limit
}

// over tells whether the page's time is over; it is not before there is something of it.
func (l *looker) over(some bool) bool {
	if !some || !l.c.Clock.Now().After(l.until) {
		return false
	}
	l.p.Stopped = stoppedTime
	return true
}

// list lists a record if it is asked for; false says that the filter's time is over and nothing is decided.
func (l *looker) list(shard leat.ShardKey, r *leat.Record) (decided bool) {
	p := l.p
	if p.Key != "" && r.PartitionKey != p.Key {
		p.Looked, p.Hidden = p.Looked+1, p.Hidden+1
		return true
	}
	d, keep, err := l.filter.apply(l.filtering, decode(r.Data, previewMost), previewMost)
	if err != nil {
		p.Stopped = stoppedFilter
		return false
	}
	if p.Looked++; !keep {
		p.Hidden++
		return true
	}
	row := row(shard, r, d)
	if l.whole {
		row.whole = r.Data
		if row.isJSON = d.json != nil; row.isJSON {
			row.whole = d.json
		}
		row.whole = bytes.Clone(row.whole) // the rest of the page that it is of is not kept
		l.kept += len(row.whole)
	}
	row.Data.Subs, row.Data.json = nil, nil
	p.Rows = append(p.Rows, row)
	return true
}

func row(shard leat.ShardKey, r *leat.Record, d decoded) recordRow {
	return recordRow{
		Shard: shard.Ordinal, Sequence: leat.SequenceNumber(shard, r.Offset), At: time.UnixMicro(r.Time), Key: r.PartitionKey, Size: len(r.Data),
		Hash: r.HashKey().String(), Data: d,
	}
}

// newest reads the last records of a shard, or of all open shards, the newest first; of one shard also those before an offset.
func (l *looker) newest(ctx context.Context, before string) error {
	p := l.p
	end := uint64(math.MaxUint64)
	if before != "" {
		var err error
		if end, err = strconv.ParseUint(before, 10, 64); err != nil || p.Shard == "" {
			return leat.Invalid("before", "%.40q is no offset of a shard.", before)
		}
	}
	var shards []leat.Shard
	for i := range p.Shards {
		s := &p.Shards[i]
		if p.Shard == "" && s.Open() || p.Shard != "" && strconv.FormatUint(s.Key.Ordinal, 10) == p.Shard {
			shards = append(shards, *s)
		}
	}
	p.OfAll = p.Shard == ""
	if p.Scattered = len(shards) > newestShards; p.Scattered {
		shards = shards[:newestShards]
	}
	var all []recordRow
	for i := range shards {
		p.Rows = nil
		if err := l.back(ctx, shards[i].Key, end); err != nil {
			return err
		}
		all = append(all, p.Rows...)
		slices.SortStableFunc(all, func(a, b recordRow) int { return cmp.Or(b.At.Compare(a.At), strings.Compare(b.Sequence, a.Sequence)) })
		all = all[:min(len(all), p.Limit)]
		if p.Stopped != "" && i+1 < len(shards) {
			p.Stopped += ", before all shards were looked at"
			break
		}
	}
	p.Rows = all
	return nil
}

// back lists records of a shard backwards from its tail, or from before end, until the page is full, nothing is before them, or the time is over.
func (l *looker) back(ctx context.Context, shard leat.ShardKey, end uint64) error {
	p := l.p
	tail, horizon, err := l.c.Broker.ShardTail(ctx, l.who, p.Stream.Name, leat.ShardID(shard.Ordinal))
	if err != nil {
		return err
	}
	most := uint64(p.Limit)
	if l.filter != nil || p.Key != "" {
		most = scanPage
	}
	to, step := min(tail, end), most
	for to > horizon && !l.full() && !l.over(p.Looked > 0) {
		from := max(horizon, to-min(to, step))
		records, first, err := l.between(ctx, shard, from, to)
		if err != nil {
			if leat.KindOf(err) != leat.KindThroughputExceeded || p.Looked == 0 {
				return err
			}
			p.Stopped = stoppedReads
			break
		}
		if first > from { // what is before has expired, though it may not be trimmed yet
			horizon = first
		}
		if n := len(records); n > 0 && records[n-1].Offset != to-1 { // it was too much for one page
			step = min(uint64(n), (to-from)/2)
			continue
		}
		if to = l.listBack(shard, records, first); p.Stopped != "" {
			break
		}
		step = min(2*step, most)
	}
	if to > horizon && p.Shard != "" {
		p.Next = strconv.FormatUint(to, 10)
	}
	return nil
}

// between reads the records from one offset to before another, as far as one page has them, and tells the offset of the first
// that there still is: to, where there is none.
func (l *looker) between(ctx context.Context, shard leat.ShardKey, from, to uint64) (records []leat.Record, first uint64, err error) {
	at, err := l.iterator(ctx, shard, broker.AtSequenceNumber, from)
	if err != nil {
		return nil, 0, err
	}
	res, err := l.c.Broker.GetRecords(ctx, l.who, broker.GetRecordsRequest{Stream: l.p.Stream.Name, Iterator: at, Limit: int(to - from), Look: true})
	records = res.Records
	for len(records) > 0 && records[len(records)-1].Offset >= to {
		records = records[:len(records)-1] // a read that passes over what has expired goes on beyond
	}
	if first = to; len(records) > 0 {
		first = records[0].Offset
	}
	return records, first, err
}

// listBack lists records from the last to the first, which has the offset from, and returns before which offset one goes on.
func (l *looker) listBack(shard leat.ShardKey, records []leat.Record, from uint64) uint64 {
	for i := len(records) - 1; i >= 0; i-- {
		r := &records[i]
		if l.full() || l.over(l.p.Looked > 0) {
			return r.Offset + 1
		}
		if !l.list(shard, r) {
			if l.p.Looked == 0 {
				l.p.Skip = strconv.FormatUint(r.Offset, 10)
			}
			return r.Offset + 1
		}
	}
	return from
}

// shardOf finds the open shard of a hash key.
func shardOf(all []leat.Shard, h leat.HashKey) *leat.Shard {
	for i := range all {
		if all[i].Open() && all[i].Range.Contains(h) {
			return &all[i]
		}
	}
	return nil
}

// shardOfSequence reads the shard out of a sequence number; empty when it is none. The broker checks it.
func shardOfSequence(number string) string {
	const digits, from, to = 56, 1, 13
	if len(number) != digits {
		return ""
	}
	n, err := strconv.ParseUint(number[from:to], 10, 64)
	if err != nil {
		return ""
	}
	return strconv.FormatUint(n, 10)
}
