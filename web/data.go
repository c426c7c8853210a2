// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package web

import (
	"cmp"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/url"
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
	whole    []byte // for downloads: its JSON where it is that, otherwise its data
	isJSON   bool
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
	Costly    int // of those left out, that took the filter too many steps
	Next      string
	Skip      string       // goes on after a record that the filter does not get through
	Ended     []leat.Shard // the shard has ended; these are its children
	Behind    time.Duration
	Stopped   string      // what came before the page was full: "after 2 seconds"
	Filters   bool        // whoever looks may have filters run
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
		Filters: c.Broker.MayTransform(r.Context(), s.who),
	}
	if p.Shards, err = c.allShards(r.Context(), s.who, d.Name); err != nil {
		return err
	}
	whole := q.Get("download") != ""
	if d.Status == leat.StreamActive || d.Status == leat.StreamUpdating {
		if err := c.look(r.Context(), s, p, cmp.Or(q.Get("at"), q.Get("before")), whole); err != nil {
			if kind := leat.KindOf(err); kind == leat.KindInternal || kind == leat.KindCorrupt {
				return err
			}
			p.Error = told(err)
			status = max(status, statusOf(leat.KindOf(err)))
		}
	}
	if whole && p.Error == "" {
		return download(w, p)
	}
	page := c.streamPage(d, "data", p)
	page.Copy = c.copyData(p)
	c.show(w, r, s, status, "data", page)
	return nil
}

// More is the address of the next page.
func (p *dataPage) More() string { return p.beginning(p.Next) }

// Past is the address of the page behind the record that the filter does not get through.
func (p *dataPage) Past() string { return p.beginning(p.Skip) }

// beginning is the address of this page from another place on.
func (p *dataPage) beginning(at string) string {
	q := url.Values{"from": {p.From}}
	if p.From == "newest" {
		q.Set("before", at)
	} else {
		q.Set("at", at)
	}
	for name, v := range map[string]string{"shard": p.Shard, "key": p.Key, "jq": p.JQ, "time": p.Time, "sequence": p.Sequence} {
		if v != "" {
			q.Set(name, v)
		}
	}
	q.Set("limit", strconv.Itoa(p.Limit))
	return streamPath(p.Stream.Name) + "/data?" + q.Encode()
}

// download sends the page's records as lines of JSON, each as it was put: JSON as "json", text as "text", everything else as "data", in base64. Where
// the look has stopped early the last line says so.
func download(w http.ResponseWriter, p *dataPage) error {
	w.Header().Set("Content-Type", "application/x-ndjson; charset=utf-8")
	w.Header().Set("Content-Disposition", `attachment; filename="`+p.Stream.Name+`.ndjson"`)
	answers(w)
	out := json.NewEncoder(w)
	out.SetEscapeHTML(false)
	for i := range p.Rows {
		if err := out.Encode(p.Rows[i].line()); err != nil {
			return nil //nolint:nilerr // who has gone needs nothing
		}
	}
	if p.Stopped != "" {
		_ = out.Encode(map[string]string{"stopped": p.Stopped, "next": p.More()}) // as above
	}
	return nil
}

// line is a record as a download has it.
func (r *recordRow) line() map[string]any {
	line := map[string]any{"shardId": leat.ShardID(r.Shard), "sequenceNumber": r.Sequence, "time": r.At.UTC(), "partitionKey": r.Key}
	switch {
	case r.isJSON:
		line["json"] = json.RawMessage(r.whole)
	case r.Data.Kind == "text":
		line["text"] = string(r.whole)
	default:
		line["data"] = r.whole
	}
	return line
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
