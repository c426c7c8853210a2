// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package web

import (
	"bytes"
	"compress/gzip"
	"embed"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/leatstream/leat"
)

//go:embed templates
var templateFiles embed.FS

// page is what the frame of a page needs; Body is the page's own.
type page struct {
	Title  string
	Nav    string // the place in the navigation
	Crumbs []crumb
	Stream *head // of pages about one stream
	Copy   []snippet
	Body   any

	Now    time.Time
	Who    leat.Principal
	Token  string
	Open   bool
	Info   Info
	Region string
	Theme  string
	Zone   string
	Done   string // what was just done
	Path   string
	Places []place
}

type crumb struct{ Text, Link string }

// place is an entry of the navigation.
type place struct{ ID, Text, Link, Icon string }

// pages are the templates: each page with the frame and the parts.
type pages struct {
	byName map[string]*template.Template
	zips   sync.Pool
}

// bare pages have no frame around them.
var bare = map[string]string{"signin": "bare", "again": "bare", "failed": "body"}

func newPages(a *assets) (*pages, error) {
	p := &pages{byName: map[string]*template.Template{}}
	p.zips.New = func() any { w, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed); return w }
	frame, err := template.New("").Funcs(functions(a)).ParseFS(templateFiles, "templates/frame/*.html")
	if err != nil {
		return nil, err
	}
	files, err := fs.Glob(templateFiles, "templates/*.html")
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		t, err := frame.Clone()
		if err != nil {
			return nil, err
		}
		if t, err = t.ParseFS(templateFiles, file); err != nil {
			return nil, err
		}
		p.byName[strings.TrimSuffix(path.Base(file), ".html")] = t
	}
	return p, nil
}

// show answers with a page: whole, or where script asked for a part of it that part.
func (c *Console) show(w http.ResponseWriter, r *http.Request, s *session, status int, name string, p *page) {
	c.fill(r, s, p)
	root, ok := bare[name]
	if !ok {
		root = "frame"
	}
	if s == nil && root == "frame" {
		root = "bare"
	}
	if part := r.Header.Get("HX-Target"); fragment(r) && part != "" && c.pages.byName[name].Lookup("part-"+part) != nil {
		root = "part-" + part
	}
	var b bytes.Buffer
	if err := c.pages.byName[name].ExecuteTemplate(&b, root, p); err != nil {
		c.Logger.ErrorContext(r.Context(), "console: a page cannot be made", "page", name, "request_id", requestID(r), "error", err)
		http.Error(w, "This page cannot be made. The reason is in this node's log.", http.StatusInternalServerError)
		return
	}
	c.send(w, r, status, b.Bytes())
}

// send writes a page, compressed where the browser takes it.
func (c *Console) send(w http.ResponseWriter, r *http.Request, status int, b []byte) {
	answers(w)
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Add("Vary", "Accept-Encoding, HX-Request, HX-Target")
	const worth = 1 << 10
	if !takesGzip(r) || len(b) < worth {
		w.WriteHeader(status)
		_, _ = w.Write(b) // who has gone needs nothing
		return
	}
	h.Set("Content-Encoding", "gzip")
	w.WriteHeader(status)
	z, _ := c.pages.zips.Get().(*gzip.Writer)
	defer c.pages.zips.Put(z)
	z.Reset(w)
	_, _ = z.Write(b)
	_ = z.Close() // as above
}

// fill sets what every page has.
func (c *Console) fill(r *http.Request, s *session, p *page) {
	p.Now, p.Open, p.Info, p.Region = c.Clock.Now().UTC(), c.Open, c.Info, c.Broker.Region()
	p.Theme, p.Zone = preference(r, "theme", "auto", "light", "dark"), preference(r, "zone", "utc", "local")
	p.Done = doneTexts[r.URL.Query().Get("done")]
	p.Path = r.URL.RequestURI()
	for i := range p.Copy {
		p.Copy[i].Text = strings.ReplaceAll(p.Copy[i].Text, here, reached(r))
	}
	if s != nil {
		p.Who, p.Token, p.Places = s.who, s.token, c.places(s)
	}
}

// places are the entries of the navigation that somebody can use.
func (c *Console) places(s *session) []place {
	all := []place{{ID: "streams", Text: "Streams", Link: Root + "/streams", Icon: "streams"}, {ID: "deliveries", Text: "Deliveries", Link: Root + "/deliveries", Icon: "deliveries"}, {ID: "usage", Text: "Usage & cost", Link: Root + "/usage", Icon: "usage"}, {ID: "audit", Text: "Audit", Link: Root + "/audit", Icon: "audit"}, {ID: "roles", Text: "Roles", Link: Root + "/roles", Icon: "policies"}}
	if s.who.Operator && c.Metrics != nil {
		all = append(all, place{ID: "health", Text: "Health", Link: Root + "/health", Icon: "health"})
	}
	if s.who.Operator {
		all = append(all, place{ID: "nodes", Text: "Nodes", Link: Root + "/nodes", Icon: "nodes"}, place{ID: "keys", Text: "Access keys", Link: Root + "/keys", Icon: "keys"})
	}
	return all
}

// doneTexts are what a page can say of what was just done. Addresses name them, so that they cannot say anything else.
var doneTexts = map[string]string{
	"created":      "The stream was created. It takes records as soon as it is active.",
	"sample":       "The sample stream was created. Orders flow into it for two minutes.",
	"registered":   "The consumer is registered.",
	"deregistered": "The consumer is gone, and its subscriptions ended.",
	"keys":         "The key was changed. Every node follows within seconds.",
	"put":          "The record is durable. This is where it is.",
	"split":        "The split is under way: the children open when the shard's end is durable.",
	"merged":       "The merge is under way: the child opens when both shards' ends are durable.",
	"deleted":      "The stream is being deleted.",
	"budget":       "The budget is made.",
	"nobudget":     "The budget is gone.",
	"paused":       "The delivery is paused. It keeps its place.",
	"resumed":      "The delivery goes on.",
	"backfill":     "The backfill has begun.",
	"settings":     "The settings were changed.",
	"tags":         "The tags were changed.",
	"encrypted":    "Records are encrypted from now on.",
	"plain":        "Records are no longer encrypted. Those that were stay so.",
}
