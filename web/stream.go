// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package web

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/broker"
)

// head is what all pages about a stream begin with.
type head struct {
	broker.StreamDescription
	ARN  string
	Tab  string
	Tabs []place
}

// streamPage makes the frame of a page about a stream.
func (c *Console) streamPage(d broker.StreamDescription, tab string, body any) *page {
	at := streamPath(d.Name)
	h := &head{StreamDescription: d, ARN: d.ARN(c.Broker.Region()), Tab: tab, Tabs: []place{
		{ID: "overview", Text: "Overview", Link: at},
		{ID: "shards", Text: "Shards", Link: at + "/shards"},
		{ID: "data", Text: "Data", Link: at + "/data"},
		{ID: "tail", Text: "Live", Link: at + "/tail"},
		{ID: "consumers", Text: "Consumers", Link: at + "/consumers"},
		{ID: "scaling", Text: "Scaling", Link: at + "/scaling"},
		{ID: "access", Text: "Access", Link: at + "/access"},
		{ID: "settings", Text: "Settings", Link: at + "/settings"},
	}}
	return &page{Title: d.Name, Nav: "streams", Crumbs: []crumb{{"Streams", Root + "/streams"}}, Stream: h, Body: body, Copy: c.copyStream(d)}
}

// describe finds the stream of a request.
func (c *Console) describe(r *http.Request, s *session) (broker.StreamDescription, int, error) {
	return c.Broker.DescribeStreamSummary(r.Context(), s.who, r.PathValue("stream"))
}

// streamOverview is the first page about a stream.
type streamOverview struct {
	broker.StreamLoad
	Stream    broker.StreamDescription
	Consumers int
	Points    []point // the charts' numbers, the oldest first
	Tags      []broker.Tag
	First     bool // nothing was put since the nodes started
}

// point is the load of a stream in one step.
type point struct {
	At time.Time
	broker.Rate
}

func (c *Console) overview(w http.ResponseWriter, r *http.Request, s *session) error {
	d, consumers, err := c.describe(r, s)
	if err != nil {
		return err
	}
	o := streamOverview{Stream: d, Consumers: consumers}
	if d.Status != leat.StreamDeleting {
		if o.StreamLoad, err = c.Broker.StreamLoad(r.Context(), s.who, d.Name); err != nil {
			return err
		}
	}
	for i, rate := range o.Steps {
		o.Points = append(o.Points, point{o.Until.Add(-time.Duration(len(o.Steps)-1-i) * o.Step).UTC(), rate})
	}
	o.First = o.Total.RecordsIn == 0
	if o.Tags, _, err = c.Broker.ListTags(r.Context(), s.who, broker.ListTagsRequest{ResourceRequest: broker.ResourceRequest{Stream: d.Name}}); err != nil && leat.KindOf(err) != leat.KindAccessDenied {
		return err
	}
	c.show(w, r, s, http.StatusOK, "overview", c.streamPage(d, "overview", o))
	return nil
}

// defaultKey is what the console calls the key of an encrypted stream, as AWS calls its own.
const defaultKey = "alias/aws/kinesis"

// streamSettings is the page that changes a stream.
type streamSettings struct {
	Stream       broker.StreamDescription
	Tags         []broker.Tag
	Error, Field string
	Retention    string
	MaxRecord    string
	Warm         string
	Target       string
	Mode         leat.StreamMode
}

func (c *Console) settings(w http.ResponseWriter, r *http.Request, s *session) error {
	d, _, err := c.describe(r, s)
	if err != nil {
		return err
	}
	return c.showSettings(w, r, s, http.StatusOK, streamSettings{
		Stream: d, Mode: d.Mode, Retention: formatPlain(int(d.Retention.Hours())), MaxRecord: formatPlain(d.MaxRecordBytes >> 20),
		Warm: formatPlain(d.WarmThroughput), Target: formatPlain(d.OpenShards),
	})
}

func formatPlain(n int) string { return strings.ReplaceAll(formatCount(n), ",", "") }

func (c *Console) showSettings(w http.ResponseWriter, r *http.Request, s *session, status int, f streamSettings) (err error) {
	f.Tags, _, err = c.Broker.ListTags(r.Context(), s.who, broker.ListTagsRequest{ResourceRequest: broker.ResourceRequest{Stream: f.Stream.Name}})
	if err != nil && leat.KindOf(err) != leat.KindAccessDenied {
		return err
	}
	c.show(w, r, s, status, "settings", c.streamPage(f.Stream, "settings", f))
	return nil
}

func (c *Console) updateStream(w http.ResponseWriter, r *http.Request, s *session) error {
	d, _, err := c.describe(r, s)
	if err != nil {
		return err
	}
	f := streamSettings{
		Stream: d, Mode: leat.StreamMode(r.PostForm.Get("mode")), Retention: r.PostForm.Get("retention"),
		MaxRecord: r.PostForm.Get("max_record"), Warm: r.PostForm.Get("warm"), Target: r.PostForm.Get("target"),
	}
	if err := c.change(r, s, d, f.Mode); err != nil {
		if kind := leat.KindOf(err); kind == leat.KindInvalidArgument || kind == leat.KindInUse || kind == leat.KindLimitExceeded {
			f.Error, f.Field = told(err), strings.TrimPrefix(fieldOf(err), "settings.")
			return c.showSettings(w, r, s, statusOf(kind), f)
		}
		return err
	}
	http.Redirect(w, r, streamPath(d.Name)+"/settings?done=settings", http.StatusSeeOther)
	return nil
}

// change carries out what differs.
func (c *Console) change(r *http.Request, s *session, d broker.StreamDescription, mode leat.StreamMode) error {
	var hours, mib, warm, target int
	if err := wholeNumbers(map[string]*int{"retention": &hours, "max_record": &mib, "warm": &warm, "target": &target}, r); err != nil {
		return err
	}
	req := broker.UpdateStreamRequest{Stream: d.Name}
	some := false
	if retention := time.Duration(hours) * time.Hour; retention != d.Retention {
		req.Retention, some = &retention, true
	}
	if size := mib << 20; size != d.MaxRecordBytes {
		req.MaxRecordBytes, some = &size, true
	}
	if mode != d.Mode {
		req.Mode, some = &mode, true
	}
	if mode == leat.ModeOnDemand && warm != d.WarmThroughput {
		req.WarmThroughput, some = &warm, true
	}
	if some {
		if _, err := c.Broker.UpdateStream(r.Context(), s.who, req); err != nil {
			return err
		}
	}
	if mode == leat.ModeProvisioned && target != 0 && target != d.OpenShards {
		_, err := c.Broker.ScaleStream(r.Context(), s.who, broker.ScaleStreamRequest{Stream: d.Name, Target: target})
		return err
	}
	return nil
}

// updateTags adds, changes or removes one tag.
func (c *Console) updateTags(w http.ResponseWriter, r *http.Request, s *session) error {
	res := broker.ResourceRequest{Stream: r.PathValue("stream")}
	var err error
	if name := r.PostForm.Get("remove"); name != "" {
		err = c.Broker.RemoveTags(r.Context(), s.who, res, []string{name})
	} else {
		err = c.Broker.AddTags(r.Context(), s.who, res, map[string]string{strings.TrimSpace(r.PostForm.Get("name")): strings.TrimSpace(r.PostForm.Get("value"))})
	}
	if err != nil {
		return err
	}
	http.Redirect(w, r, streamPath(r.PathValue("stream"))+"/settings?done=tags#tags", http.StatusSeeOther)
	return nil
}

// updateEncryption turns encryption at rest on or off.
func (c *Console) updateEncryption(w http.ResponseWriter, r *http.Request, s *session) error {
	name, done := r.PathValue("stream"), "encrypted"
	var err error
	if r.PostForm.Get("encrypt") == "off" {
		done = "plain"
		err = c.Broker.StopStreamEncryption(r.Context(), s.who, name)
	} else {
		err = c.Broker.StartStreamEncryption(r.Context(), s.who, name, defaultKey)
	}
	if err != nil {
		return err
	}
	http.Redirect(w, r, streamPath(name)+"/settings?done="+done+"#encryption", http.StatusSeeOther)
	return nil
}

// deletion is the page that asks whether a stream may go.
type deletion struct {
	Stream    broker.StreamDescription
	Consumers []broker.ConsumerDescription
	Typed     string
	Error     string
}

func (c *Console) confirmDelete(w http.ResponseWriter, r *http.Request, s *session) error {
	return c.showDeletion(w, r, s, http.StatusOK, deletion{})
}

func (c *Console) showDeletion(w http.ResponseWriter, r *http.Request, s *session, status int, f deletion) error {
	d, n, err := c.describe(r, s)
	if err != nil {
		return err
	}
	f.Stream = d
	if n > 0 {
		list, err := c.Broker.ListConsumers(r.Context(), s.who, broker.ListConsumersRequest{Stream: d.Name})
		if err != nil {
			return err
		}
		f.Consumers = list.Consumers
	}
	c.show(w, r, s, status, "delete-stream", c.streamPage(d, "settings", f))
	return nil
}

// deleteStream removes a stream whose name was typed.
func (c *Console) deleteStream(w http.ResponseWriter, r *http.Request, s *session) error {
	name := r.PathValue("stream")
	f := deletion{Typed: strings.TrimSpace(r.PostForm.Get("name"))}
	if f.Typed != name {
		f.Error = "That is not the stream's name, so nothing was deleted."
		return c.showDeletion(w, r, s, http.StatusBadRequest, f)
	}
	err := c.Broker.DeleteStream(r.Context(), s.who, broker.DeleteStreamRequest{Stream: name, EnforceConsumerDeletion: r.PostForm.Get("consumers") != ""})
	if leat.KindOf(err) == leat.KindInUse && err != nil {
		f.Error = told(err)
		return c.showDeletion(w, r, s, http.StatusConflict, f)
	}
	if err != nil {
		return err
	}
	http.Redirect(w, r, Root+"/streams?done=deleted", http.StatusSeeOther)
	return nil
}

// hit is something that was found.
type hit struct{ Text, Note, Link, Icon string }

// deliveryHits are the delivery streams that a text fits, as far as they may be listed.
func (c *Console) deliveryHits(ctx context.Context, who leat.Principal, q string) (hits []hit) {
	const most, looked = 6, 1000
	res, err := c.Broker.ListDeliveries(ctx, who, broker.ListDeliveriesRequest{PageSize: looked})
	if err != nil { // there are none, or they are not for everybody: streams are found all the same
		return nil
	}
	for i := range res.Deliveries {
		if name := res.Deliveries[i].Name; len(hits) < most && strings.Contains(strings.ToLower(name), q) {
			hits = append(hits, hit{name, "delivery", Root + "/deliveries/" + name, "deliveries"})
		}
	}
	return hits
}

// search lists pages, streams and delivery streams that a text fits, for the palette and, without script, as a page.
func (c *Console) search(w http.ResponseWriter, r *http.Request, s *session) error {
	q := strings.ToLower(strings.TrimSpace(r.URL.Query().Get("q")))
	all, err := c.allStreams(r.Context(), s.who)
	if err != nil {
		return err
	}
	var hits []hit
	for i := range all {
		name := all[i].Name
		if strings.Contains(strings.ToLower(name), q) {
			hits = append(hits, hit{name, plural(all[i].OpenShards, "shard", "shards"), streamPath(name), "streams"})
		}
	}
	slices.SortStableFunc(hits, func(a, b hit) int { // names that begin with it come first
		return strings.Index(strings.ToLower(a.Text), q) - strings.Index(strings.ToLower(b.Text), q)
	})
	const most = 12
	more := max(0, len(hits)-most)
	hits = hits[:len(hits)-more]
	hits = append(hits, c.deliveryHits(r.Context(), s.who, q)...)
	for _, p := range append(c.places(s), place{Text: "New stream", Link: Root + "/streams/new", Icon: "plus"}) {
		if strings.Contains(strings.ToLower(p.Text), q) {
			hits = append(hits, hit{p.Text, "Go to", p.Link, p.Icon})
		}
	}
	c.show(w, r, s, http.StatusOK, "search", &page{Title: "Search", Body: map[string]any{"Query": r.URL.Query().Get("q"), "Hits": hits, "More": more}})
	return nil
}
