// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

// Package server puts the parts of a Leat process together: catalog, log, object store, node, broker and edges. It is
// wiring alone and decides nothing.
//
// A Server is made by Dev (SQLite and a local folder) or Serve (Postgres and an S3-compatible bucket) and lives in Run.
// It stops in this order: the edges refuse new calls and finish those under way, the node drains its session, and the
// stores close.
package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc/credentials"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/billing"
	"github.com/leatstream/leat/billing/rating"
	"github.com/leatstream/leat/internal/sqldb"
	"github.com/leatstream/leat/internal/tracing"
	"github.com/leatstream/leat/server/audit"
	"github.com/leatstream/leat/server/auth"
	"github.com/leatstream/leat/server/broker"
	"github.com/leatstream/leat/server/catalog"
	"github.com/leatstream/leat/server/cloudwatch"
	"github.com/leatstream/leat/server/cluster"
	"github.com/leatstream/leat/server/datapoints"
	"github.com/leatstream/leat/server/delivery"
	"github.com/leatstream/leat/server/firehose"
	"github.com/leatstream/leat/server/forward"
	"github.com/leatstream/leat/server/grpcapi"
	"github.com/leatstream/leat/server/journal"
	"github.com/leatstream/leat/server/keyring"
	"github.com/leatstream/leat/server/kinesis"
	"github.com/leatstream/leat/server/masterkey"
	"github.com/leatstream/leat/server/scaler"
	"github.com/leatstream/leat/shardstore"
	"github.com/leatstream/leat/shardstore/wal"
	"github.com/leatstream/leat/web"
)

// Server is one Leat process.
type Server struct {
	log     *slog.Logger
	node    *cluster.Node
	broker  *broker.Broker
	grpcapi *grpcapi.Server
	kinesis *kinesis.Handler
	console *web.Console
	keys    *auth.KeyStore
	sealing *keyring.Ring
	audit   *audit.Log
	oidc    *auth.OIDC  // nil: tokens of identity providers are not taken
	login   *auth.Login // nil: nobody signs in to the console there
	who     *auth.Identities
	scaler  *scaler.Scaler // nil when it is off
	deliver *delivery.Engine
	sharing *sharing // nil when this node serves all shards alone
	billing *billing.Billing
	meter   *billing.Meter
	metrics *prometheus.Registry
	calls   *measuredEngine
	points  *datapoints.Log // nil: there are no datapoints
	debug   http.Handler
	open    bool        // it has no token of its own, and anybody is an operator
	close   []io.Closer // in the order of closing

	doors

	firehose   *firehose.Handler
	cloudwatch *cloudwatch.Handler
}

// parts are what Dev and Serve open, each in its own way.
type parts struct {
	common    Common
	version   string
	log       *slog.Logger
	db        *sqldb.DB
	driver    wal.Driver
	logParams wal.Params
	blobs     *measuredStore
	journal   *journal.Log // nil: changes of the catalog are kept nowhere else
	objects   delivery.S3  // where deliveries go that name no server of their own
	bucket    string       // its name, where another one could be given by mistake
	params    shardstore.Params
	node      string
	exclusive bool
	reopen    func(context.Context) error
	bootstrap *auth.Bootstrap // nil: the server has no token of its own, and anybody is an operator
	signed    bool            // the AWS wire takes signed requests alone; otherwise anybody
	master    *masterkey.Ring // nil: none was given
	nodes     []byte          // what nodes know each other by, and what seals the console's cookies; nil without a master key
	reference func() (time.Time, error)
	shared    bool            // this node is one of many that share the shards
	token     string          // the operator's; empty: loopback alone
	settings  any             // without secrets
	address   string          // where other nodes reach it
	peerTLS   *forward.TLS    // nil: calls between nodes are not encrypted
	book      *rating.Book    // nil: the default
	tracer    *tracing.Tracer // nil: nothing is followed
	doors     doors
	close     []io.Closer
}

// HTTPAddr is where REST is served: HOST:PORT.
func (s *Server) HTTPAddr() string { return s.http.Addr().String() }

// GRPCAddr is where gRPC is served: HOST:PORT.
func (s *Server) GRPCAddr() string { return s.grpc.Addr().String() }

// Node is this process's part in the cluster.
func (s *Server) Node() *cluster.Node { return s.node }

// build puts a server on opened parts. It closes them when it fails.
func build(ctx context.Context, p parts) (_ *Server, err error) {
	s := &Server{doors: p.doors, log: p.log, close: p.close, debug: debugHandler(p.token, p.settings), open: p.token == ""}
	defer func() {
		if err != nil {
			s.shut()
		}
	}()
	wrapped := keyring.NewStore(p.blobs, nil)
	cat := catalog.New(p.db, catalog.Options{Logger: p.log, Journal: p.journal, Deliveries: delivery.Journaled{}, DestroyKeys: wrapped.Destroy})
	if err := cat.Migrate(ctx); err != nil {
		return nil, err
	}
	if err := delivery.Migrate(ctx, p.db); err != nil { // the journal reads its tables
		return nil, err
	}
	if s.billing, err = openBilling(ctx, &p); err != nil {
		return nil, err
	}
	s.meter = s.billing.NewMeter()
	s.audit = audit.New(p.db, audit.Options{Keep: p.common.AuditKeep, Every: p.common.AuditEvery, Logger: p.log})
	if err := s.audit.Migrate(ctx); err != nil {
		return nil, err
	}
	if p.common.MetricKeep > 0 {
		s.points = datapoints.New(p.db, datapoints.Options{Keep: p.common.MetricKeep, Logger: p.log})
		if err := s.points.Migrate(ctx); err != nil {
			return nil, err
		}
	}
	info, err := cat.Cluster(ctx)
	if err != nil {
		return nil, err
	}
	if p.bucket != "" {
		if err := claim(ctx, cat, info.ID, p.blobs, p.bucket); err != nil {
			return nil, err
		}
		if err := cat.CatchUp(ctx); err != nil {
			return nil, err
		}
		p.reopen = func(ctx context.Context) error {
			if err := owned(ctx, p.blobs, info.ID); err != nil {
				return fmt.Errorf("bucket %s: %w", p.bucket, err)
			}
			return cat.CatchUp(ctx) // another catalog may have been put in its place
		}
	}
	if p.nodes, err = cat.NodeSecret(ctx, p.master, p.exclusive); err != nil {
		return nil, err
	}
	keys := keyring.New(keyring.Options{
		Catalog: cat, Store: wrapped, Master: p.master, Logger: p.log,
		Streams: func(id leat.StreamID) (leat.Stream, bool) { return s.broker.Directory().Stream(id) },
		Loaded:  func() bool { return s.broker.Directory().Loaded() },
	})
	s.sealing = keys
	if err := keys.Load(ctx); err != nil {
		return nil, err
	}
	if p.shared {
		p.log.Info("sharing the shards", "node", p.node, "reached_at", p.address)
	}
	s.node = cluster.New(cluster.Config{
		Catalog: cat, Info: info, Driver: p.driver, Log: p.logParams, Blobs: p.blobs, Params: p.params,
		Node: p.node, Address: p.address, Shared: p.shared, NodeSecret: p.nodes != nil, Exclusive: p.exclusive, Reopen: p.reopen, Reference: p.reference, Logger: p.log,
		Transition: p.common.Transition, Tracer: forEngine(p.tracer),
		Streams: func(id leat.StreamID) (leat.Stream, bool) { return s.broker.Directory().Stream(id) },
		Keys:    keys,
		Hold: func(id leat.StreamID) (int64, bool) {
			if s.deliver == nil {
				return 0, true
			}
			return s.deliver.Hold(id)
		},
		Known:     func(ctx context.Context) error { return s.broker.Directory().RefreshAll(ctx) },
		Changed:   func(ctx context.Context) { s.broker.Directory().Changed(ctx) },
		Resharded: func(ctx context.Context, r shardstore.Reshard) { s.broker.Directory().Resharded(ctx, r) },
	})
	if p.shared {
		if s.sharing, err = newSharing(s.node, func(own broker.OwnShards) broker.Metered { return s.broker.Metered(own) },
			func(streams []leat.StreamID) ([]byte, error) { return s.broker.Report(streams) }, info, &p); err != nil {
			return nil, err
		}
	}
	s.keys, err = auth.NewKeyStore(auth.KeyStoreOptions{Catalog: cat, Master: p.master, Logger: p.log})
	if err != nil {
		return nil, err
	}
	if s.who, err = auth.NewIdentities(auth.IdentitiesOptions{
		Catalog: cat, Region: p.common.Region, Logger: p.log,
		Tags: func(ctx context.Context, account, name string) (map[string]string, error) {
			return s.deliver.Tags(ctx, account, name)
		},
	}); err != nil {
		return nil, err
	}
	if s.oidc, s.login, err = p.common.OIDC.open(s.who, p.log); err != nil {
		return nil, err
	}
	if s.deliver, err = s.newDeliveries(&p, p.db, cat); err != nil {
		return nil, err
	}
	if err := s.deliver.Rewrap(ctx); err != nil {
		return nil, err
	}
	p.common.Scaling.Defaults()
	s.calls = newMeasuredEngine(s.engine())
	s.broker, err = broker.New(broker.Config{
		Engine: s.calls, Shared: p.shared, Owner: s.owner(), Peers: s.others(), Catalog: cat, Control: s.node, Authorizer: s.who, Identities: s.who, ReadOnly: p.common.ReadOnly, ShardLimits: broker.ShardLimits(p.common.ShardLimits),
		ScaleLimits: broker.ScaleLimits(p.common.ScaleLimits), TransitionDelay: p.common.Transition,
		Region: p.common.Region, Secret: info.Secret[:], AccessKeys: s.keys, StreamKeys: keys, Deliveries: s.deliver, Logger: p.log, Tracer: p.tracer, Points: s.points,
		RateStep: p.common.Scaling.Every, Meter: s.meter, Billing: s.billing, Audit: s.audit,
	})
	if err != nil {
		return nil, err
	}
	if p.common.OnDemand != "off" {
		s.scaler, err = scaler.New(scaler.Config{Streams: s.broker, Session: s.node.Session, Owns: s.owns, Params: p.common.Scaling, Logger: p.log})
		if err != nil {
			return nil, err
		}
	}
	failures := auth.NewFailures(nil, s.broker.SignInFailed)
	s.grpcapi, err = grpcapi.New(grpcapi.Options{
		TLS: s.credentials(), Failures: failures, Tracer: p.tracer,
		Broker: s.broker, Auth: s.bearers(&p), Logger: p.log, Ready: s.Ready, Internal: s.internal(),
		Info: grpcapi.Info{Version: p.version, ClusterID: info.ID.String(), Node: p.node, Session: s.node.Session},
	})
	if err != nil {
		return nil, err
	}
	signatures, err := s.signatures(&p, "kinesis")
	if err != nil {
		return nil, err
	}
	s.kinesis, err = kinesis.New(kinesis.Options{Broker: s.broker, Auth: &auth.GuardedSignatures{Verifier: signatures, Failures: failures, Edge: leat.EdgeKinesis}, Tracer: p.tracer, Logger: p.log})
	if err != nil {
		return nil, err
	}
	s.metrics = newMetrics(s.node)
	s.metrics.MustRegister(newBillingMetrics(s.billing, s.node.Leads), s.audit.Metrics(), newKeyMetrics(keys))
	s.metrics.MustRegister(newMonitoring(s.broker, s.node.Session, s.owns), newClusterMetrics(cat, s.node.Session), s.deliver.Metrics(), s.calls, p.blobs)
	s.metrics.MustRegister(newBackupMetrics(backups{p.blobs}, s.node.Leads, leat.SystemClock{}), newCertificateMetrics(s.tls, p.peerTLS))
	if p.tracer != nil {
		s.metrics.MustRegister(p.tracer.Metrics())
	}
	if s.console, err = s.newConsole(&p, info.Secret[:], failures); err != nil {
		return nil, err
	}
	if signatures, err = s.signatures(&p, "firehose"); err != nil {
		return nil, err
	}
	s.firehose, err = firehose.New(firehose.Options{Broker: s.broker, Auth: &auth.GuardedSignatures{Verifier: signatures, Failures: failures, Edge: leat.EdgeFirehose}, Tracer: p.tracer, Logger: p.log})
	if err != nil {
		return nil, err
	}
	if signatures, err = s.signatures(&p, "monitoring"); err != nil {
		return nil, err
	}
	s.cloudwatch, err = cloudwatch.New(cloudwatch.Options{Broker: s.broker, Auth: &auth.GuardedSignatures{Verifier: signatures, Failures: failures, Edge: leat.EdgeCloudWatch}, Tracer: p.tracer, Logger: p.log})
	if err != nil {
		return nil, err
	}
	if s.points != nil {
		s.metrics.MustRegister(s.points.Metrics()...)
	}
	if s.sharing != nil {
		s.metrics.MustRegister(s.sharing.metrics()...)
	}
	return s, nil
}

// bearers says who may use gRPC, REST and the console.
func (s *Server) bearers(p *parts) *auth.Bearers {
	return &auth.Bearers{Identities: s.who, Bootstrap: p.bootstrap, OIDC: s.oidc, Open: p.bootstrap == nil}
}

// signatures says who may use the AWS wire of a service.
func (s *Server) signatures(p *parts, service string) (auth.Signatures, error) {
	signed, err := auth.NewSigV4(auth.SigV4Options{Keys: s.keys, Region: p.common.Region, Service: service})
	if err != nil || p.signed {
		return signed, err
	}
	return &auth.DevSignatures{Keys: s.keys, SigV4: signed}, nil
}

// credentials are gRPC's; nil without TLS.
func (s *Server) credentials() credentials.TransportCredentials {
	if s.tls == nil {
		return nil
	}
	return credentials.NewTLS(s.tls)
}

// URL is where HTTP is served: the scheme and HOST:PORT.
func (s *Server) URL() string {
	if s.tls != nil {
		return "https://" + s.HTTPAddr()
	}
	return "http://" + s.HTTPAddr()
}

// Ready returns nil when puts and reads are served.
func (s *Server) Ready() error {
	if !s.broker.Directory().Loaded() {
		return leat.Errorf(leat.KindUnavailable, "this node has not read the catalog yet")
	}
	return s.node.Ready()
}

// WaitReady returns when puts and reads are served, or why they are not when ctx ends.
func (s *Server) WaitReady(ctx context.Context) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		err := s.Ready()
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return errors.Join(err, ctx.Err())
		}
	}
}

// Run serves until ctx is done, then drains and closes everything. It is called once.
func (s *Server) Run(ctx context.Context) error {
	defer s.shut()
	// The edges end first, then the node, then the rest: each has a context of its own.
	node, stopNode := context.WithCancel(context.WithoutCancel(ctx))
	defer stopNode()
	var inner errgroup.Group
	inner.Go(func() error { return s.node.Run(node) })
	inner.Go(func() error { return s.broker.Run(node) })
	inner.Go(func() error { return s.keys.Run(node) })
	inner.Go(func() error { return s.sealing.Run(node, s.node.Leads) })
	inner.Go(func() error { return s.meter.Run(node) })
	inner.Go(func() error { return s.billing.Run(node, s.node.Leads) })
	inner.Go(func() error { return s.who.Run(node) })
	inner.Go(func() error { return s.audit.Run(node, s.node.Leads) })
	if s.points != nil {
		inner.Go(func() error { return s.points.Run(node, s.node.Leads, newSampling(s, s.points).gather) })
	}
	if s.sharing != nil {
		inner.Go(func() error { return s.sharing.router.Run(node) })
	}

	edge := httpServer(s.handler(), s.tls)
	edges, ectx := errgroup.WithContext(ctx)
	edges.Go(func() error { return s.grpcapi.Serve(s.grpc) })
	if s.peers != nil {
		edges.Go(func() error { return s.sharing.peers.Serve(s.peers) })
	}
	if s.scaler != nil {
		edges.Go(func() error { return s.scaler.Run(ectx) }) // a node that stops begins no more reshards
	}
	edges.Go(func() error { return s.deliver.Run(ectx) }) // a node that stops begins no more objects
	edges.Go(func() error {
		serve := func() error { return edge.Serve(s.http) }
		if s.tls != nil {
			serve = func() error { return edge.ServeTLS(s.http, "", "") }
		}
		if err := serve(); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serve HTTP: %w", err)
		}
		return nil
	})
	edges.Go(func() error {
		<-ectx.Done()
		s.log.Info("stopping")
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), edgeStop)
		defer cancel()
		if s.sharing != nil {
			// What goes on for minutes ends now, so that other nodes have the shards soon; its readers go on there.
			s.broker.Drain()
			s.sharing.server.Stop()
		}
		s.console.Drain()
		err := edge.Shutdown(stop)
		if errors.Is(err, context.DeadlineExceeded) {
			err = edge.Close() // pushes and slow readers do not keep a node from stopping
		}
		s.grpcapi.Stop(stop)
		if s.peers != nil {
			s.sharing.stop(stop) // the last: what came in at the other edges may have needed it at another node
		}
		return err
	})
	err := edges.Wait()
	stopNode()
	return errors.Join(err, inner.Wait())
}

// edgeStop is how long calls under way may take when the process stops.
const edgeStop = 3 * time.Second

// handler is everything on the HTTP port.
func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", withoutPages(s.open, promhttp.HandlerFor(s.metrics, promhttp.HandlerOpts{})))
	mux.Handle(web.Root, s.console)
	mux.Handle(web.Root+"/", s.console)
	mux.Handle("/debug/", s.debug)
	mux.Handle(cloudwatch.Pattern, s.cloudwatch)
	native := s.grpcapi.Handler()
	mux.Handle("/", native)
	mux.HandleFunc("POST /{$}", func(w http.ResponseWriter, r *http.Request) {
		if firehose.Handles(r) {
			s.firehose.ServeHTTP(w, r)
			return
		}
		if cloudwatch.Handles(r) {
			s.cloudwatch.ServeHTTP(w, r)
			return
		}
		if kinesis.Handles(r) {
			s.kinesis.ServeHTTP(w, r)
			return
		}
		native.ServeHTTP(w, r)
	})
	return mux
}

func (s *Server) shut() {
	s.doors.shut()
	for _, c := range s.close {
		if err := c.Close(); err != nil {
			s.log.Warn("close", "error", err)
		}
	}
	s.close = nil
}
