// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package web

import (
	"cmp"
	"context"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/broker"
)

// Bounds of one page of records.
const (
	recordsShown = 50
	recordsMost  = 500
	previewMost  = 4 << 10   // bytes of a record's text in a list
	recordMost   = 256 << 10 // on its own page
	newestShards = 16        // that "newest of all" looks at
	scanTime     = 2 * time.Second
	scanPage     = 500 // records asked for at once while one looks for something
)

// recordRow is a record as it is listed.
type recordRow struct {
	Shard    uint64
	Sequence string
	At       time.Time
	Key      string
	Size     int
	Hash     string
	Data     decoded
}

// Link is the record's address.
func (r *recordRow) Link(stream string) string {
	return streamPath(stream) + "/data/" + strconv.FormatUint(r.Shard, 10) + "/" + r.Sequence
}

// dataPage is the page of a stream's records.
type dataPage struct {
	Stream    broker.StreamDescription
	Shards    []leat.Shard // to choose from
	Shard     string
	From      string // newest, oldest, time, sequence
	Time      string
	Sequence  string
	Key       string
	JQ        string
	Limit     int
	Rows      []recordRow
	Looked    int // records that were looked at
	Hidden    int // of them, that the filter or the key left out
	Next      string
	Ended     []leat.Shard // the shard has ended; these are its children
	Behind    time.Duration
	TimeOver  bool
	KeyShard  *leat.Shard // where the key's records go now
	Error     string
	Put       putForm
	OfAll     bool
	Scattered bool // only some of the shards were looked at
}

// putForm is the form of a new record, as it was filled in.
type putForm struct {
	Key, Hash, Data, Error string
}

func (c *Console) data(w http.ResponseWriter, r *http.Request, s *session) error {
	return c.showData(w, r, s, http.StatusOK, putForm{})
}

func (c *Console) showData(w http.ResponseWriter, r *http.Request, s *session, status int, put putForm) error {
	d, _, err := c.describe(r, s)
	if err != nil {
		return err
	}
	q := r.URL.Query()
	p := &dataPage{
		Stream: d, Shard: q.Get("shard"), From: cmp.Or(q.Get("from"), "newest"), Time: q.Get("time"), Sequence: strings.TrimSpace(q.Get("sequence")),
		Key: q.Get("key"), JQ: strings.TrimSpace(q.Get("jq")), Limit: min(max(atoi(q.Get("limit"), recordsShown), 1), recordsMost), Put: put,
	}
	if p.Shards, err = c.allShards(r.Context(), s.who, d.Name); err != nil {
		return err
	}
	if d.Status == leat.StreamActive || d.Status == leat.StreamUpdating {
		if err := c.look(r.Context(), s, p, q.Get("at")); err != nil {
			if kind := leat.KindOf(err); kind == leat.KindInternal || kind == leat.KindCorrupt {
				return err
			}
			p.Error = told(err)
			status = max(status, statusOf(leat.KindOf(err)))
		}
	}
	if q.Get("download") != "" && p.Error == "" {
		return download(w, p)
	}
	page := c.streamPage(d, "data", p)
	page.Copy = c.copyData(p)
	c.show(w, r, s, status, "data", page)
	return nil
}

// look reads what the page asks for.
func (c *Console) look(ctx context.Context, s *session, p *dataPage, at string) error {
	f, err := c.newFilter(p.JQ)
	if err != nil {
		return err
	}
	if p.Key != "" {
		if p.KeyShard = shardOf(p.Shards, leat.HashPartitionKey(p.Key)); p.KeyShard != nil && p.Shard == "" {
			p.Shard = strconv.FormatUint(p.KeyShard.Key.Ordinal, 10)
		}
	}
	filtering, cancel := context.WithTimeout(ctx, filterTime)
	defer cancel()
	l := &looker{c: c, who: s.who, p: p, filter: f, filtering: filtering, until: c.Clock.Now().Add(scanTime)}
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
	if at == "" && p.From == "newest" && p.Key == "" {
		return l.newest(ctx)
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

// looker reads records for one page, within its bounds.
type looker struct {
	c         *Console
	who       leat.Principal
	p         *dataPage
	filter    *filter
	filtering context.Context //nolint:containedctx // it bounds the time of all filters of a page
	until     time.Time
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
			if leat.KindOf(err) == leat.KindThroughputExceeded && len(p.Rows) > 0 {
				p.Next, p.TimeOver = at, true
				return nil
			}
			return err
		}
		p.Shard = strconv.FormatUint(res.Shard.Ordinal, 10)
		p.Behind, p.Ended = res.Behind, res.Children
		for i := range res.Records {
			full, err := l.add(res.Shard, &res.Records[i])
			if err != nil || full && i+1 < len(res.Records) {
				// The page is full in the middle of what was read: go on at the next record.
				next, seqErr := l.c.Broker.GetShardIterator(ctx, l.who, broker.GetShardIteratorRequest{Stream: p.Stream.Name, Shard: p.Shard, Start: broker.StartingPosition{
					Type: broker.AfterSequenceNumber, SequenceNumber: leat.SequenceNumber(res.Shard, res.Records[i].Offset),
				}})
				p.Next, p.Ended, p.TimeOver = next, nil, err != nil
				return seqErr
			}
		}
		p.Next, at = res.Next, res.Next
		switch {
		case at == "" || len(p.Rows) >= p.Limit || len(res.Records) == 0 && res.Behind == 0:
			return nil
		case l.c.Clock.Now().After(l.until):
			p.TimeOver = true
			return nil
		}
	}
}

// add lists a record if it is asked for. An error says that the filter's time is over.
func (l *looker) add(shard leat.ShardKey, r *leat.Record) (full bool, err error) {
	p := l.p
	p.Looked++
	if p.Key != "" && r.PartitionKey != p.Key {
		p.Hidden++
		return false, nil
	}
	d, keep, err := l.filter.apply(l.filtering, decode(r.Data, previewMost), previewMost)
	if err != nil {
		return true, err
	}
	if !keep {
		p.Hidden++
		return false, nil
	}
	p.Rows = append(p.Rows, row(shard, r, d))
	return len(p.Rows) >= p.Limit, nil
}

func row(shard leat.ShardKey, r *leat.Record, d decoded) recordRow {
	return recordRow{
		Shard: shard.Ordinal, Sequence: leat.SequenceNumber(shard, r.Offset), At: time.UnixMicro(r.Time), Key: r.PartitionKey, Size: len(r.Data),
		Hash: r.HashKey().String(), Data: d,
	}
}

// newest reads the last records of a shard, or of all open shards, the newest first.
func (l *looker) newest(ctx context.Context) error {
	p := l.p
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
	for i := range shards {
		if err := l.newestOf(ctx, shards[i].Key); err != nil {
			return err
		}
	}
	slices.SortStableFunc(p.Rows, func(a, b recordRow) int { return cmp.Or(b.At.Compare(a.At), strings.Compare(b.Sequence, a.Sequence)) })
	p.Rows = p.Rows[:min(len(p.Rows), p.Limit)]
	return nil
}

func (l *looker) newestOf(ctx context.Context, shard leat.ShardKey) error {
	p := l.p
	tail, horizon, err := l.c.Broker.ShardTail(ctx, l.who, p.Stream.Name, leat.ShardID(shard.Ordinal))
	if err != nil || tail == horizon {
		return err
	}
	look := uint64(p.Limit)
	if l.filter != nil {
		look = scanPage
	}
	at, err := l.c.Broker.GetShardIterator(ctx, l.who, broker.GetShardIteratorRequest{Stream: p.Stream.Name, Shard: leat.ShardID(shard.Ordinal), Start: broker.StartingPosition{
		Type: broker.AtSequenceNumber, SequenceNumber: leat.SequenceNumber(shard, max(horizon, tail-min(tail, look))),
	}})
	if err != nil {
		return err
	}
	res, err := l.c.Broker.GetRecords(ctx, l.who, broker.GetRecordsRequest{Stream: p.Stream.Name, Iterator: at, Limit: int(look), Look: true})
	if err != nil {
		return err
	}
	for i := range res.Records {
		r := &res.Records[len(res.Records)-1-i]
		p.Looked++
		d, keep, err := l.filter.apply(l.filtering, decode(r.Data, previewMost), previewMost)
		if err != nil {
			p.TimeOver = true
			return nil //nolint:nilerr // the page says that the time was over
		}
		if !keep {
			p.Hidden++
			continue
		}
		p.Rows = append(p.Rows, row(shard, r, d))
	}
	return nil
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

// More is the address of the next page.
func (p *dataPage) More() string {
	q := url.Values{"from": {p.From}, "at": {p.Next}}
	for name, v := range map[string]string{"shard": p.Shard, "key": p.Key, "jq": p.JQ, "time": p.Time, "sequence": p.Sequence} {
		if v != "" {
			q.Set(name, v)
		}
	}
	q.Set("limit", strconv.Itoa(p.Limit))
	return streamPath(p.Stream.Name) + "/data?" + q.Encode()
}

// download sends the page's records as lines of JSON.
func download(w http.ResponseWriter, p *dataPage) error {
	w.Header().Set("Content-Type", "application/x-ndjson; charset=utf-8")
	w.Header().Set("Content-Disposition", `attachment; filename="`+p.Stream.Name+`.ndjson"`)
	answers(w)
	out := json.NewEncoder(w)
	for i := range p.Rows {
		r := &p.Rows[i]
		line := map[string]any{"shardId": leat.ShardID(r.Shard), "sequenceNumber": r.Sequence, "time": r.At.UTC(), "partitionKey": r.Key}
		if r.Data.json != nil {
			line["json"] = r.Data.json
		} else {
			line["text"] = r.Data.Text
		}
		if err := out.Encode(line); err != nil {
			return nil //nolint:nilerr // who has gone needs nothing
		}
	}
	return nil
}

// oneRecord is the page of one record.
type oneRecord struct {
	Stream     broker.StreamDescription
	Row        recordRow
	Hex        string
	HexCut     bool
	Explicit   bool
	Prev, Next string
}

// find reads one record.
func (c *Console) find(r *http.Request, s *session) (leat.ShardKey, *leat.Record, error) {
	name, number := r.PathValue("stream"), r.PathValue("sequence")
	at, err := c.Broker.GetShardIterator(r.Context(), s.who, broker.GetShardIteratorRequest{Stream: name, Shard: r.PathValue("shard"), Start: broker.StartingPosition{
		Type: broker.AtSequenceNumber, SequenceNumber: number,
	}})
	if err != nil {
		return leat.ShardKey{}, nil, err
	}
	res, err := c.Broker.GetRecords(r.Context(), s.who, broker.GetRecordsRequest{Stream: name, Iterator: at, Limit: 1, Look: true})
	if err != nil {
		return leat.ShardKey{}, nil, err
	}
	if len(res.Records) == 0 || leat.SequenceNumber(res.Shard, res.Records[0].Offset) != number {
		return leat.ShardKey{}, nil, leat.Errorf(leat.KindNotFound, "Record %s is not in %s: it has expired, or was never there.", number, leat.ShardID(res.Shard.Ordinal))
	}
	return res.Shard, &res.Records[0], nil
}

func (c *Console) record(w http.ResponseWriter, r *http.Request, s *session) error {
	d, _, err := c.describe(r, s)
	if err != nil {
		return err
	}
	shard, rec, err := c.find(r, s)
	if err != nil {
		return err
	}
	p := &oneRecord{Stream: d, Row: row(shard, rec, decode(rec.Data, recordMost)), Explicit: rec.ExplicitHash != nil}
	raw := decoded{}
	raw = cut(raw, hex.Dump(rec.Data[:min(len(rec.Data), hexMost)]), recordMost)
	p.Hex, p.HexCut = raw.Text, len(rec.Data) > hexMost
	if rec.Offset > 0 {
		p.Prev = streamPath(d.Name) + "/data/" + r.PathValue("shard") + "/" + leat.SequenceNumber(shard, rec.Offset-1)
	}
	p.Next = streamPath(d.Name) + "/data/" + r.PathValue("shard") + "/" + leat.SequenceNumber(shard, rec.Offset+1)
	page := c.streamPage(d, "data", p)
	page.Title = "Record"
	page.Crumbs = append(page.Crumbs, crumb{d.Name, streamPath(d.Name)}, crumb{"Data", streamPath(d.Name) + "/data"})
	page.Copy = c.copyRecord(d, shard.Ordinal, p.Row.Sequence, p.Row.At)
	c.show(w, r, s, http.StatusOK, "record", page)
	return nil
}

// rawRecord is a record's data as it was put, to be saved and never shown.
func (c *Console) rawRecord(w http.ResponseWriter, r *http.Request, s *session) error {
	_, rec, err := c.find(r, s)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Disposition", `attachment; filename="`+r.PathValue("stream")+"-"+r.PathValue("sequence")+`.bin"`)
	h.Set("Content-Length", strconv.Itoa(len(rec.Data)))
	answers(w)
	_, _ = w.Write(rec.Data) // who has gone needs nothing
	return nil
}

// putRecord puts one record, and shows it where it is.
func (c *Console) putRecord(w http.ResponseWriter, r *http.Request, s *session) error {
	f := putForm{Key: r.PostForm.Get("key"), Hash: strings.TrimSpace(r.PostForm.Get("hash")), Data: strings.ReplaceAll(r.PostForm.Get("data"), "\r\n", "\n")}
	rec := leat.Record{PartitionKey: f.Key, Data: []byte(f.Data)}
	var err error
	if f.Hash != "" {
		var h leat.HashKey
		if h, err = leat.ParseHashKey(f.Hash); err == nil {
			rec.ExplicitHash = &h
		}
	}
	var res broker.PutRecordResult
	if err == nil {
		res, err = c.Broker.PutRecord(r.Context(), s.who, broker.PutRecordRequest{Stream: r.PathValue("stream"), Record: rec})
	}
	if err != nil {
		if kind := leat.KindOf(err); kind == leat.KindInternal || kind == leat.KindNotFound {
			return err
		}
		f.Error = told(err)
		return c.showData(w, r, s, statusOf(leat.KindOf(err)), f)
	}
	http.Redirect(w, r, streamPath(r.PathValue("stream"))+"/data/"+strconv.FormatUint(res.Shard.Ordinal, 10)+"/"+leat.SequenceNumber(res.Shard, res.Offset)+"?done=put", http.StatusSeeOther)
	return nil
}

// which tells where a partition key's records go.
func (c *Console) which(w http.ResponseWriter, r *http.Request, s *session) error {
	d, _, err := c.describe(r, s)
	if err != nil {
		return err
	}
	shards, err := c.allShards(r.Context(), s.who, d.Name)
	if err != nil {
		return err
	}
	key := r.URL.Query().Get("key")
	h := leat.HashPartitionKey(key)
	c.show(w, r, s, http.StatusOK, "which", c.streamPage(d, "data", map[string]any{"Key": key, "Hash": h.String(), "Shard": shardOf(shards, h)}))
	return nil
}
