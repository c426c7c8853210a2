// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package web

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/tracing"
	"github.com/leatstream/leat/server/auth"
	"github.com/leatstream/leat/server/broker"
)

// Root is where the console is served.
const Root = "/console"

// Info is what the console says of the server.
type Info struct {
	Version string
	Node    string
}

// Options is what a console needs; Keys, OIDC, Login, Clock and Logger may be nil.
type Options struct {
	Broker *broker.Broker
	Auth   auth.Authenticator // of bearer tokens
	Keys   auth.Keys          // access keys; nil: nobody signs in with one
	OIDC   *auth.OIDC         // tells whom an identity provider's claims make what; nil: there is none
	Login  *auth.Login        // at the provider; nil: nobody signs in there
	// Failures bounds how often an address may fail to sign in; nil: not at all.
	Failures *auth.Failures
	// Open lets everybody in as whoever Auth takes them for, for a server that accepts any credentials. Then requests are
	// answered for loopback hosts alone, so that a page elsewhere cannot reach the server under a name of its own.
	Open    bool
	Secret  []byte   // of the cluster, 16 bytes or more: seals sessions, so that they are good on every node
	Metrics Gatherer // nil: there is no page of health
	Info    Info
	Tracer  *tracing.Tracer // nil: requests are not followed
	Clock   leat.Clock
	Logger  *slog.Logger
}

// Console serves the pages. Its methods may be called concurrently.
type Console struct {
	Options
	pages    *pages
	assets   *assets
	sessions sessions
	cross    *http.CrossOriginProtection
	handler  http.Handler

	filters   chan struct{} // a slot for each filter that runs
	looks     chan struct{} // and for each look at records
	tails     chan struct{} // a slot for each tail that is followed
	draining  chan struct{} // closed by Drain
	drainOnce sync.Once
	work      sync.WaitGroup // what goes on after a request was answered
}

// New makes a console.
func New(o Options) (*Console, error) {
	if o.Broker == nil || o.Auth == nil || len(o.Secret) < 16 {
		return nil, errors.New("web: a broker, an authenticator and a secret of 16 bytes or more must be given")
	}
	if o.Clock == nil {
		o.Clock = leat.SystemClock{}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	c := &Console{Options: o, cross: http.NewCrossOriginProtection(), draining: make(chan struct{}),
		filters: make(chan struct{}, filtersAtOnce), looks: make(chan struct{}, looksAtOnce), tails: make(chan struct{}, tailsAtOnce)}
	var err error
	if c.assets, err = newAssets(); err != nil {
		return nil, err
	}
	if c.pages, err = newPages(c.assets); err != nil {
		return nil, err
	}
	if c.sessions, err = newSessions(o.Secret, o.Clock); err != nil {
		return nil, err
	}
	c.handler = c.routes()
	return c, nil
}

// ServeHTTP serves everything under Root.
func (c *Console) ServeHTTP(w http.ResponseWriter, r *http.Request) { c.handler.ServeHTTP(w, r) }

// Drain ends what goes on for long, so that it does not keep the node from stopping. It may be called twice.
func (c *Console) Drain() {
	c.drainOnce.Do(func() { close(c.draining) })
	c.work.Wait()
}

// outlive is a context for work that goes on after its request: it ends with the console, or after a while.
func (c *Console) outlive(d time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	c.work.Go(func() {
		select {
		case <-c.draining:
			cancel()
		case <-ctx.Done():
		}
	})
	return ctx, cancel
}

// handler answers a request of somebody who is in. Its error becomes a page.
type handler func(w http.ResponseWriter, r *http.Request, s *session) error

func (c *Console) routes() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET "+Root+"/static/{hash}/{file...}", c.assets)
	mux.HandleFunc("GET "+Root+"/signin", c.signInPage)
	mux.HandleFunc("POST "+Root+"/signin", c.signIn)
	mux.HandleFunc("POST "+Root+"/signout", c.signOut)
	if c.Login != nil {
		mux.HandleFunc("GET "+loginPath, c.beginLogin)
		mux.HandleFunc("GET "+auth.CallbackPath, c.endLogin)
	}
	for pattern, h := range c.inside() {
		mux.HandleFunc(pattern, c.signedIn(h))
	}
	mux.HandleFunc(Root+"/", c.signedIn(func(_ http.ResponseWriter, r *http.Request, _ *session) error {
		return leat.Errorf(leat.KindNotFound, "There is no page %s.", r.URL.Path)
	}))
	return c.guarded(mux)
}

// Patterns are the methods and paths of all that those who are in can ask for, in order.
func Patterns() []string { return slices.Sorted(maps.Keys((*Console)(nil).inside())) }

// inside are the pages for those who are in.
func (c *Console) inside() map[string]handler {
	return map[string]handler{
		"GET " + Root:                   c.home,
		"GET " + Root + "/{$}":          c.home,
		"GET " + Root + "/search":       c.search,
		"POST " + Root + "/preferences": c.setPreferences,

		"GET " + Root + "/streams":                       c.listStreams,
		"GET " + Root + "/streams/new":                   c.newStream,
		"POST " + Root + "/streams":                      c.createStream,
		"POST " + Root + "/sample":                       c.makeSample,
		"GET " + stream:                                  c.overview,
		"GET " + stream + "/shards":                      c.shards,
		"GET " + stream + "/shards/{shard}":              c.shard,
		"POST " + stream + "/shards/{shard}/split":       c.splitShard,
		"POST " + stream + "/shards/{shard}/merge":       c.mergeShard,
		"GET " + stream + "/data":                        c.data,
		"GET " + stream + "/data/{shard}/{sequence}":     c.record,
		"GET " + stream + "/data/{shard}/{sequence}/raw": c.rawRecord,
		"GET " + stream + "/which":                       c.which,
		putPattern:                                       c.putRecord,
		"GET " + stream + "/tail":                        c.tail,
		"GET " + stream + "/tail/events":                 c.tailEvents,
		"GET " + stream + "/consumers":                   c.consumers,
		"POST " + stream + "/consumers":                  c.changeConsumers,
		"GET " + Root + "/deliveries":                    c.deliveries,
		"GET " + delivery:                                c.delivery,
		"GET " + delivery + "/objects":                   c.deliveryObjects,
		"GET " + delivery + "/errors":                    c.deliveryObjects,
		"GET " + delivery + "/errors/{object}":           c.failedRecords,
		"POST " + delivery + "/state":                    c.changeDelivery,
		"POST " + delivery + "/backfill":                 c.backfillDelivery,
		"POST " + delivery + "/verify":                   c.verifyDelivery,
		"GET " + Root + "/usage":                         c.usage,
		"GET " + Root + "/usage/hours/{id}":              c.usageHours,
		"GET " + Root + "/usage/invoices/{month}":        c.invoicePage,
		"GET " + Root + "/usage/invoices/{month}/file":   c.invoiceFile,
		"POST " + Root + "/usage/budgets":                c.changeBudgets,
		"GET " + Root + "/estimate":                      c.estimate,
		"GET " + Root + "/audit":                         c.auditLog,
		"GET " + Root + "/audit/events/{event}":          c.auditEvent,
		"GET " + Root + "/audit/export":                  c.auditExport,
		"GET " + Root + "/roles":                         c.roles,
		"GET " + Root + "/health":                        c.health,
		"GET " + Root + "/nodes":                         c.nodes,
		"GET " + Root + "/keys":                          c.keys,
		"POST " + Root + "/keys":                         c.changeKeys,
		"GET " + stream + "/scaling":                     c.scaling,
		"GET " + stream + "/access":                      c.access,
		"GET " + stream + "/settings":                    c.settings,
		"POST " + stream + "/settings":                   c.updateStream,
		"POST " + stream + "/tags":                       c.updateTags,
		"POST " + stream + "/encryption":                 c.updateEncryption,
		"GET " + stream + "/delete":                      c.confirmDelete,
		"POST " + stream + "/delete":                     c.deleteStream,
	}
}

// stream is the path of one stream.
const stream = Root + "/streams/{stream}"

func (c *Console) home(w http.ResponseWriter, r *http.Request, _ *session) error {
	http.Redirect(w, r, Root+"/streams", http.StatusSeeOther)
	return nil
}
