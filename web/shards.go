// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package web

import (
	"cmp"
	"context"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/broker"
)

// shardsAPage is how many shards the table lists at once.
const shardsAPage = 100

// shardRow is a shard with its load.
type shardRow struct {
	leat.Shard
	broker.Rate // of about the last minute
	Counted     bool
	Behind      time.Duration
	Width       float64 // share of the hash space
}

// Life tells from when to when a shard takes records.
func (s *shardRow) Life() string {
	if s.Open() {
		return "open since " + s.Created.UTC().Format("2006-01-02 15:04:05 UTC")
	}
	return s.Created.UTC().Format("2006-01-02 15:04:05") + " to " + s.Closed.UTC().Format("2006-01-02 15:04:05 UTC")
}

// shardPage is the page of all shards of a stream.
type shardPage struct {
	Stream        broker.StreamDescription
	Heat, State   string
	Unit          string
	Sort          string
	Hottest       float64
	Limit         float64 // what a shard takes or gives, as in AWS
	Bar           template.HTML
	Lives         template.HTML
	From          time.Time
	Rows          []shardRow
	Found, All    int
	Open, Counted int
	Silent        int // open shards whose owner does not answer
	Page, Pages   int
	Hot           []broker.HotKey
	Advice        []advice
	Query         url.Values
}

// At is the address of this page with one thing changed.
func (p *shardPage) At(name, value string) string {
	q := url.Values{}
	for k, v := range p.Query {
		q[k] = v
	}
	q.Set(name, value)
	return streamPath(p.Stream.Name) + "/shards?" + q.Encode()
}

// Prev and Next are the numbers of the pages beside this one.
func (p *shardPage) Prev() string { return p.At("page", strconv.Itoa(p.Page-1)) }

// Next is one more.
func (p *shardPage) Next() string { return p.At("page", strconv.Itoa(p.Page+1)) }

// advice is what would even out the load of a hot shard.
type advice struct {
	Shard   leat.Shard
	Load    float64 // of what a shard is made for, 0 to 1 and beyond
	At      leat.HashKey
	Below   float64
	Key     string // one key is most of the load: no split helps
	KeyPart float64
}

// hotShard is the share of a shard's capacity from which advice is given.
const hotShard = 0.6

// capacity is how much of what a shard takes as in AWS a rate is.
func capacity(r broker.Rate) float64 {
	return max(r.BytesIn/leat.ShardBytesIn, r.RecordsIn/leat.ShardRecordsIn)
}

func (c *Console) shards(w http.ResponseWriter, r *http.Request, s *session) error {
	d, _, err := c.describe(r, s)
	if err != nil {
		return err
	}
	all, err := c.allShards(r.Context(), s.who, d.Name)
	if err != nil {
		return err
	}
	load, err := c.Broker.StreamLoad(r.Context(), s.who, d.Name)
	if err != nil {
		return err
	}
	q := r.URL.Query()
	p := &shardPage{Stream: d, Heat: q.Get("heat"), State: q.Get("state"), Sort: q.Get("sort"), All: len(all), Hot: load.Hot, Silent: load.Silent, Query: url.Values{}}
	for _, name := range []string{"heat", "state", "sort"} {
		if v := q.Get(name); v != "" {
			p.Query.Set(name, v)
		}
	}
	p.fill(all, load, c.Clock.Now(), atoi(q.Get("page"), 1))
	page := c.streamPage(d, "shards", p)
	page.Copy = c.copyShards(d)
	c.show(w, r, s, http.StatusOK, "shards", page)
	return nil
}

func (c *Console) allShards(ctx context.Context, who leat.Principal, stream string) (all []leat.Shard, err error) {
	req := broker.ListShardsRequest{Stream: stream, PageSize: leat.MaxListShards}
	for {
		res, err := c.Broker.ListShards(ctx, who, req)
		if err != nil {
			return nil, err
		}
		all = append(all, res.Shards...)
		if res.NextPageToken == "" {
			return all, nil
		}
		req = broker.ListShardsRequest{Stream: stream, PageSize: leat.MaxListShards, PageToken: res.NextPageToken}
	}
}

// fill turns shards and their load into what the page shows.
func (p *shardPage) fill(all []leat.Shard, load broker.StreamLoad, now time.Time, page int) {
	m, ok := measures[p.Heat]
	if !ok {
		p.Heat, m = "bytes", measures["bytes"]
	}
	p.Unit, p.Limit = m.unit, m.limit
	rates := make(map[uint64]*broker.ShardRate, len(load.Shards))
	for i := range load.Shards {
		rates[load.Shards[i].Shard.Key.Ordinal] = &load.Shards[i]
	}
	rows, open := make([]shardRow, len(all)), []shardRow{}
	p.From = now
	for i := range all {
		row := shardRow{Shard: all[i], Width: width(all[i].Range)}
		if rate := rates[all[i].Key.Ordinal]; rate != nil {
			row.Rate, row.Behind, row.Counted = rate.Last60s, rate.IteratorAge, rate.Total.RecordsIn+rate.Total.RecordsOut > 0
		}
		if row.Open() {
			open = append(open, row)
			p.Hottest = max(p.Hottest, m.of(row.Rate))
			if row.Counted {
				p.Counted++
			}
			p.advise(rates[row.Key.Ordinal], load.Hot)
		}
		if row.Created.Before(p.From) {
			p.From = row.Created
		}
		rows[i] = row
	}
	p.Open = len(open)
	p.Bar = bar(p.Stream.Name, open, p.Hottest, m, plural(len(open), "open shard", "open shards")+" by hash range; the hottest takes "+formatRate(p.Hottest, m.unit))
	p.Lives = genealogy(p.Stream.Name, rows, p.Hottest, m, p.From, now)
	p.table(rows, m, page)
}

// table chooses, orders and cuts the rows.
func (p *shardPage) table(rows []shardRow, m measure, page int) {
	rows = slices.DeleteFunc(slices.Clone(rows), func(s shardRow) bool {
		return p.State == "open" && !s.Open() || p.State == "closed" && s.Open()
	})
	switch p.Sort {
	case "load":
		slices.SortStableFunc(rows, func(a, b shardRow) int { return cmp.Compare(m.of(b.Rate), m.of(a.Rate)) })
	case "range":
		slices.SortStableFunc(rows, func(a, b shardRow) int { return a.Range.Start.Compare(b.Range.Start) })
	}
	p.Found = len(rows)
	p.Pages = max(1, (len(rows)+shardsAPage-1)/shardsAPage)
	p.Page = min(max(page, 1), p.Pages)
	rows = rows[(p.Page-1)*shardsAPage:]
	p.Rows = rows[:min(len(rows), shardsAPage)]
}

// advise says what would help a shard that takes nearly all it can.
func (p *shardPage) advise(rate *broker.ShardRate, hot []broker.HotKey) {
	const most = 5
	if rate == nil || len(p.Advice) == most || capacity(rate.Last60s) < hotShard {
		return
	}
	a := advice{Shard: rate.Shard, Load: capacity(rate.Last60s), At: rate.Balance.At, Below: rate.Balance.Below}
	for i := range hot {
		if hot[i].Shard == rate.Shard.Key && hot[i].Least > 0.5 {
			a.Key, a.KeyPart = hot[i].Key, hot[i].Share
		}
	}
	p.Advice = append(p.Advice, a)
}

// oneShard is the page of one shard.
type oneShard struct {
	broker.ShardDescription
	Rate         broker.ShardRate
	Counted      bool
	Node         string // where it is owned, where that may be known
	Hot          []broker.HotKey
	SplitAt      string
	Error, Field string
	Width        float64
	Range        hashRange
}

// hashRange is a range as people read it.
type hashRange struct{ From, To, FromHex, ToHex string }

func (c *Console) shard(w http.ResponseWriter, r *http.Request, s *session) error {
	return c.showShard(w, r, s, http.StatusOK, oneShard{})
}

func (c *Console) showShard(w http.ResponseWriter, r *http.Request, s *session, status int, p oneShard) (err error) {
	name := r.PathValue("stream")
	if p.ShardDescription, err = c.Broker.DescribeShard(r.Context(), s.who, name, r.PathValue("shard")); err != nil {
		return err
	}
	load, err := c.Broker.StreamLoad(r.Context(), s.who, name)
	if err != nil {
		return err
	}
	for i := range load.Shards {
		if load.Shards[i].Shard.Key == p.Shard.Key {
			p.Rate, p.Counted = load.Shards[i], load.Shards[i].Total.RecordsIn+load.Shards[i].Total.RecordsOut > 0
		}
	}
	for _, k := range load.Hot {
		if k.Shard == p.Shard.Key {
			p.Hot = append(p.Hot, k)
		}
	}
	if p.SplitAt == "" {
		p.SplitAt = p.Shard.Range.Middle().String()
		if p.Counted {
			p.SplitAt = p.Rate.Balance.At.String()
		}
	}
	p.Width = width(p.Shard.Range)
	p.Range = hashRange{p.Shard.Range.Start.String(), p.Shard.Range.End.String(), hexKey(p.Shard.Range.Start), hexKey(p.Shard.Range.End)}
	p.Node = c.owner(r.Context(), s.who, &p.Shard)
	d := p.Stream
	page := c.streamPage(d, "shards", &p)
	page.Crumbs = append(page.Crumbs, crumb{d.Name, streamPath(d.Name)}, crumb{"Shards", streamPath(d.Name) + "/shards"})
	page.Title = leat.ShardID(p.Shard.Key.Ordinal)
	page.Copy = c.copyShard(d, &p.Shard)
	c.show(w, r, s, status, "shard", page)
	return nil
}

// hexKey is a hash key in 32 digits.
func hexKey(k leat.HashKey) string {
	b := k.Bytes()
	const digits = "0123456789abcdef"
	var out strings.Builder
	for _, x := range b {
		out.WriteByte(digits[x>>4])
		out.WriteByte(digits[x&15])
	}
	return out.String()
}

// owner names the node that serves a shard, and notes in the shard which session that is where one node serves all; empty where the caller may
// not know it.
func (c *Console) owner(ctx context.Context, who leat.Principal, shard *leat.Shard) string {
	if !who.Operator { // to ask would be refused, and be in the audit log
		return ""
	}
	nodes, err := c.Broker.ListNodes(ctx, who)
	if err != nil {
		return ""
	}
	if shard.Owner.IsZero() && len(nodes) == 1 { // it serves all shards, and no shard says so
		shard.Owner = nodes[0].ID
	}
	for i := range nodes {
		if nodes[i].ID == shard.Owner {
			return nodes[i].Node
		}
	}
	return ""
}

// splitShard cuts a shard.
func (c *Console) splitShard(w http.ResponseWriter, r *http.Request, s *session) error {
	at := strings.TrimSpace(r.PostForm.Get("at"))
	err := c.Broker.SplitShard(r.Context(), s.who, broker.SplitShardRequest{Stream: r.PathValue("stream"), Shard: r.PathValue("shard"), NewStartingHashKey: at})
	return c.resharded(w, r, s, at, "split", err)
}

// mergeShard joins a shard and the one above or below it.
func (c *Console) mergeShard(w http.ResponseWriter, r *http.Request, s *session) error {
	lower, upper := r.PathValue("shard"), r.PostForm.Get("with")
	if r.PostForm.Get("side") == "below" {
		lower, upper = upper, lower
	}
	err := c.Broker.MergeShards(r.Context(), s.who, broker.MergeShardsRequest{Stream: r.PathValue("stream"), Shard: lower, Adjacent: upper})
	return c.resharded(w, r, s, "", "merged", err)
}

func (c *Console) resharded(w http.ResponseWriter, r *http.Request, s *session, at, done string, err error) error {
	if err != nil {
		if keepsForm(err) {
			return c.showShard(w, r, s, statusOf(leat.KindOf(err)), oneShard{SplitAt: at, Error: told(err), Field: fieldOf(err)})
		}
		return err
	}
	http.Redirect(w, r, streamPath(r.PathValue("stream"))+"/shards?done="+done, http.StatusSeeOther)
	return nil
}

// scaling is the page of what on-demand scaling did.
func (c *Console) scaling(w http.ResponseWriter, r *http.Request, s *session) error {
	d, _, err := c.describe(r, s)
	if err != nil {
		return err
	}
	res, err := c.Broker.ListScaleEvents(r.Context(), s.who, broker.ListScaleEventsRequest{Stream: d.Name, PageSize: 100, PageToken: r.URL.Query().Get("page")})
	if err != nil {
		return err
	}
	page := c.streamPage(d, "scaling", map[string]any{"Stream": d, "Events": res.Events, "Next": res.NextPageToken})
	page.Copy = c.copyScaling(d)
	c.show(w, r, s, http.StatusOK, "scaling", page)
	return nil
}
