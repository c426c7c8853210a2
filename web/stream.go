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

// setting is a member of the form: what stands in it, and what stood there when the page was made. Who saves the form changes
// what they touched, and nothing that others did meanwhile.
type setting struct{ Value, Was string }

func (s setting) touched() bool { return s.Value != s.Was }

// streamSettings is the page that changes a stream.
type streamSettings struct {
	Stream                                   broker.StreamDescription
	Tags                                     []broker.Tag
	Error, Field                             string
	Mode, Retention, MaxRecord, Warm, Target setting
}

// settingNames are the form's members, and what people call them.
var settingNames = []struct{ name, text string }{
	{"mode", "the capacity"}, {"retention", "how long records are kept"}, {"max_record", "the largest record"}, {"warm", "the warm throughput"}, {"target", "the number of shards"},
}

func (f *streamSettings) member(name string) *setting {
	return map[string]*setting{"mode": &f.Mode, "retention": &f.Retention, "max_record": &f.MaxRecord, "warm": &f.Warm, "target": &f.Target}[name]
}

// settingsOf is the form of a stream as it is.
func settingsOf(d broker.StreamDescription) *streamSettings {
	as := func(text string) setting { return setting{text, text} }
	return &streamSettings{
		Stream: d, Mode: as(string(d.Mode)), Retention: as(formatPlain(int(d.Retention.Hours()))), MaxRecord: as(formatPlain(d.MaxRecordBytes >> 10)),
		Warm: as(formatPlain(d.WarmThroughput)), Target: as(formatPlain(d.OpenShards)),
	}
}

func (c *Console) settings(w http.ResponseWriter, r *http.Request, s *session) error {
	d, _, err := c.describe(r, s)
	if err != nil {
		return err
	}
	return c.showSettings(w, r, s, http.StatusOK, settingsOf(d))
}

func formatPlain(n int) string { return strings.ReplaceAll(formatCount(n), ",", "") }

func (c *Console) showSettings(w http.ResponseWriter, r *http.Request, s *session, status int, f *streamSettings) (err error) {
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
	var sent streamSettings
	for _, m := range settingNames {
		*sent.member(m.name) = setting{strings.TrimSpace(r.PostForm.Get(m.name)), r.PostForm.Get("was_" + m.name)}
	}
	failed := sent.changedMeanwhile(settingsOf(d))
	if failed == nil {
		failed = c.change(r, s, d.Name, &sent)
	}
	if failed == nil {
		http.Redirect(w, r, streamPath(d.Name)+"/settings?done=settings", http.StatusSeeOther)
		return nil
	}
	if !keepsForm(failed) {
		return failed
	}
	if d, _, err = c.describe(r, s); err != nil { // some of it may have been done
		return err
	}
	f := settingsOf(d)
	for _, m := range settingNames {
		if typed := sent.member(m.name); typed.touched() {
			f.member(m.name).Value = typed.Value
		}
	}
	f.Error, f.Field = told(failed), strings.TrimPrefix(fieldOf(failed), "settings.")
	return c.showSettings(w, r, s, statusOf(leat.KindOf(failed)), f)
}

// changedMeanwhile refuses to change what somebody else has changed since the page was made.
func (f *streamSettings) changedMeanwhile(now *streamSettings) error {
	for _, m := range settingNames {
		if sent, is := f.member(m.name), now.member(m.name); sent.touched() && sent.Was != is.Value {
			return leat.Errorf(leat.KindInUse, "Since you opened this page %s was changed to %s, so nothing of yours was done. Look at it again and save what you still want.", m.text, is.Value)
		}
	}
	return nil
}

// change carries out what was touched.
func (c *Console) change(r *http.Request, s *session, stream string, f *streamSettings) error {
	var hours, kib, warm, target int
	if err := wholeNumbers(map[string]*int{"retention": &hours, "max_record": &kib, "warm": &warm, "target": &target}, r); err != nil {
		return err
	}
	req := broker.UpdateStreamRequest{Stream: stream}
	mode, some := leat.StreamMode(f.Mode.Value), false
	if f.Retention.touched() {
		retention := time.Duration(hours) * time.Hour
		req.Retention, some = &retention, true
	}
	if f.MaxRecord.touched() {
		size := kib << 10
		req.MaxRecordBytes, some = &size, true
	}
	if f.Mode.touched() {
		req.Mode, some = &mode, true
	}
	if mode == leat.ModeOnDemand && f.Warm.touched() {
		req.WarmThroughput, some = &warm, true
	}
	update := func(ctx context.Context) error {
		if !some {
			return nil
		}
		_, err := c.Broker.UpdateStream(ctx, s.who, req)
		return err
	}
	if mode != leat.ModeProvisioned || !f.Target.touched() {
		return update(r.Context())
	}
	if err := c.Broker.Watch(r.Context(), update); err != nil { // it stays whatever comes of the shards: the audit log has it by itself
		return err
	}
	_, err := c.Broker.ScaleStream(r.Context(), s.who, broker.ScaleStreamRequest{Stream: stream, Target: target})
	if err != nil && some {
		return &leat.Error{Kind: leat.KindOf(err), Field: fieldOf(err), Message: "The number of shards was not changed, but everything else was. " + told(err), Err: err}
	}
	return err
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
