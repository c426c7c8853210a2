// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package web

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/billing"
	"github.com/leatstream/leat/server/broker"
)

// streamsAPage is how many streams one page lists.
const streamsAPage = 50

// streamRow is a stream in the list.
type streamRow struct {
	broker.StreamDescription
	Now  broker.Rate
	Line []float64
	Cost decimal.Decimal
}

// streamList is the page of all streams.
type streamList struct {
	Query       string
	Sort        string
	Rows        []streamRow
	Found, All  int
	Page, Pages int
	Shards      int
	In          broker.Rate // of the rows that are shown
	Silent      int         // shards of these rows whose owner does not say what it has counted
	Costs       billing.Costs
	Priced      bool // whoever asks may see what streams cost
	Counted     bool // and that is known
}

// Prev and Next are the numbers of the pages beside this one.
func (l streamList) Prev() int { return l.Page - 1 }

// Next is one more.
func (l streamList) Next() int { return l.Page + 1 }

func (c *Console) listStreams(w http.ResponseWriter, r *http.Request, s *session) error {
	all, err := c.allStreams(r.Context(), s.who)
	if err != nil {
		return err
	}
	l := streamList{Query: strings.TrimSpace(r.URL.Query().Get("q")), Sort: r.URL.Query().Get("sort"), All: len(all)}
	found := all
	if l.Query != "" {
		found = slices.DeleteFunc(slices.Clone(all), func(d broker.StreamDescription) bool {
			return !strings.Contains(strings.ToLower(d.Name), strings.ToLower(l.Query))
		})
	}
	for i := range all {
		l.Shards += all[i].OpenShards
	}
	if l.Costs, l.Counted, err = c.Broker.StreamCosts(r.Context(), s.who); err == nil {
		l.Priced = true
	} else if kind := leat.KindOf(err); kind != leat.KindAccessDenied && kind != leat.KindUnsupported {
		return err
	}
	sortStreams(found, &l)
	l.Found = len(found)
	l.Pages = max(1, (len(found)+streamsAPage-1)/streamsAPage)
	l.Page = min(max(atoi(r.URL.Query().Get("page"), 1), 1), l.Pages)
	found = found[(l.Page-1)*streamsAPage:]
	found = found[:min(len(found), streamsAPage)]
	names := make([]string, len(found))
	for i := range found {
		names[i] = found[i].Name
	}
	loads := c.Broker.StreamLoads(r.Context(), s.who, names)
	for _, d := range found {
		row := streamRow{StreamDescription: d, Cost: l.Costs.Of[d.ID]}
		if load, told := loads[d.Name]; told {
			row.Now = load.Now
			row.Line = line(load.Steps, func(r broker.Rate) float64 { return r.BytesIn })
			l.Silent += load.Silent
		}
		l.In.BytesIn += row.Now.BytesIn
		l.In.RecordsIn += row.Now.RecordsIn
		l.Rows = append(l.Rows, row)
	}
	c.show(w, r, s, http.StatusOK, "streams", &page{Title: "Streams", Nav: "streams", Body: l, Copy: c.copyList()})
	return nil
}

// allStreams returns every stream of the caller's account.
func (c *Console) allStreams(ctx context.Context, who leat.Principal) (all []broker.StreamDescription, err error) {
	for token := ""; ; {
		res, err := c.Broker.ListStreams(ctx, who, broker.ListStreamsRequest{PageSize: 10_000, PageToken: token})
		if err != nil {
			return nil, err
		}
		all = append(all, res.Streams...)
		if token = res.NextPageToken; token == "" {
			return all, nil
		}
	}
}

func sortStreams(all []broker.StreamDescription, l *streamList) {
	switch l.Sort {
	case "cost":
		slices.SortStableFunc(all, func(a, b broker.StreamDescription) int { return l.Costs.Of[b.ID].Cmp(l.Costs.Of[a.ID]) })
	case "shards":
		slices.SortStableFunc(all, func(a, b broker.StreamDescription) int { return cmp.Compare(b.OpenShards, a.OpenShards) })
	case "created":
		slices.SortStableFunc(all, func(a, b broker.StreamDescription) int { return b.Created.Compare(a.Created) })
	}
}

func line(steps []broker.Rate, of func(broker.Rate) float64) []float64 {
	values := make([]float64, len(steps))
	for i, s := range steps {
		values[i] = of(s)
	}
	return values
}

func atoi(s string, otherwise int) int {
	if n, err := strconv.Atoi(s); err == nil {
		return n
	}
	return otherwise
}

// streamForm is the form of a new stream, as it was filled in.
type streamForm struct {
	Name, Mode, Shards, Retention, MaxRecord string
	Error, Field                             string
}

func (c *Console) newStream(w http.ResponseWriter, r *http.Request, s *session) error {
	return c.showNewStream(w, r, s, http.StatusOK, streamForm{Mode: string(leat.ModeOnDemand), Shards: "4", Retention: "24", MaxRecord: "1"})
}

func (c *Console) showNewStream(w http.ResponseWriter, r *http.Request, s *session, status int, f streamForm) error {
	c.show(w, r, s, status, "new-stream", &page{
		Title: "New stream", Nav: "streams", Crumbs: []crumb{{"Streams", Root + "/streams"}}, Body: f, Copy: c.copyNewStream(),
	})
	return nil
}

func (c *Console) createStream(w http.ResponseWriter, r *http.Request, s *session) error {
	f := streamForm{
		Name: strings.TrimSpace(r.PostForm.Get("name")), Mode: r.PostForm.Get("mode"), Shards: r.PostForm.Get("shards"),
		Retention: r.PostForm.Get("retention"), MaxRecord: r.PostForm.Get("max_record"),
	}
	req := broker.CreateStreamRequest{Stream: f.Name, Mode: leat.StreamMode(f.Mode)}
	err := wholeNumbers(map[string]*int{"shards": &req.Shards, "max_record": &req.MaxRecordBytes}, r)
	hours := 0
	if err == nil {
		err = wholeNumbers(map[string]*int{"retention": &hours}, r)
	}
	req.Retention, req.MaxRecordBytes = time.Duration(hours)*time.Hour, req.MaxRecordBytes<<20
	if req.Mode == leat.ModeOnDemand {
		req.Shards = 0
	}
	if err == nil {
		_, err = c.Broker.CreateStream(r.Context(), s.who, req)
	}
	if err != nil {
		if keepsForm(err) {
			f.Error, f.Field = told(err), fieldOf(err)
			return c.showNewStream(w, r, s, statusOf(leat.KindOf(err)), f)
		}
		return err
	}
	http.Redirect(w, r, streamPath(f.Name)+"?done=created", http.StatusSeeOther)
	return nil
}

// wholeNumbers reads members of a form; an empty one is 0.
func wholeNumbers(members map[string]*int, r *http.Request) error {
	for name, to := range members {
		text := strings.TrimSpace(r.PostForm.Get(name))
		if text == "" {
			continue
		}
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 || n > 1<<30 {
			return leat.Invalid(name, "%.40q is not a whole number", text)
		}
		*to = n
	}
	return nil
}

// untilActive waits for a stream that was just made.
func (c *Console) untilActive(ctx context.Context, who leat.Principal, name string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for {
		d, _, err := c.Broker.DescribeStreamSummary(ctx, who, name)
		if err != nil || d.Status != leat.StreamCreating {
			return err
		}
		tick, stop := c.Clock.NewTimer(20 * time.Millisecond)
		select {
		case <-tick:
		case <-ctx.Done():
			stop()
			return leat.Errorf(leat.KindUnavailable, "Stream %s was created but is not active yet; try again in a moment.", name)
		}
	}
}

// streamPath is the address of a stream's page. Its name needs no escaping.
func streamPath(name string) string { return Root + "/streams/" + name }
