// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package grpcapi

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"buf.build/go/protovalidate"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/experimental"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/test/bufconn"

	"github.com/leatstream/leat"
	leatv1 "github.com/leatstream/leat/api/leat/v1"
	"github.com/leatstream/leat/internal/tracing"
	"github.com/leatstream/leat/internal/wiremem"
	"github.com/leatstream/leat/server/auth"
	"github.com/leatstream/leat/server/broker"
)

// Internal is a service for the other nodes of the cluster, on the same port. No client may call it, REST does not have
// it, and reflection does not list it.
type Internal interface {
	// Register adds it to a server.
	Register(grpc.ServiceRegistrar)
	// Owns tells whether a full method is its own.
	Owns(method string) bool
	// Authenticate returns an error unless a node of the cluster makes the call.
	Authenticate(ctx context.Context, method string) error
}

// Options is what the edge needs; Memory, Tracer, Clock, Logger, TLS and Internal have defaults.
type Options struct {
	Broker *broker.Broker
	Auth   auth.Authenticator
	Info   Info         // about this node
	Ready  func() error // why the node cannot serve now; nil when it can. Joined errors are reasons of their own
	TLS    credentials.TransportCredentials
	// Failures bounds how often an address may fail to sign in; nil: not at all.
	Failures *auth.Failures
	Memory   mem.BufferPool  // of messages; it need not clear it
	Tracer   *tracing.Tracer // nil: requests are not followed
	Clock    leat.Clock
	Logger   *slog.Logger

	Internal Internal // nil: other nodes ask nothing of this one
	Patience Patience // zero: a minute for messages, 10 s for those of strangers, two minutes for pushes
}

const (
	maxMessageBytes = 16 << 20 // 10 MiB of records, 500 keys of 256 characters, and room
	window          = 4 << 20  // of one stream: a large batch is not held up by flow control
	connWindow      = 16 << 20 // of one connection
	connBuffer      = 128 << 10
	loopbackBuffer  = 1 << 20

	// A call that waits for its commit does so deep in a stack, which a goroutine of its own would have to grow for it. With
	// more calls at a time than this the rest get goroutines of their own.
	workers        = 256
	maxHeaderBytes = 64 << 10         // as over HTTP
	handshakeTime  = 10 * time.Second // for a connection to be made, TLS included
	maxCalls       = 10_000           // at once on one connection
)

// Server is the native API over gRPC and REST.
type Server struct {
	broker    *broker.Broker
	auth      auth.Authenticator
	open      bool // callers need no credential
	info      Info
	ready     func() error
	clock     leat.Clock
	log       *slog.Logger
	validator protovalidate.Validator
	internal  Internal // may be nil
	failures  *auth.Failures
	patience  Patience
	memory    mem.BufferPool
	tracer    *tracing.Tracer
	puts      putCalls
	tickets   tickets

	grpc     *grpc.Server // for callers from outside
	inside   *grpc.Server // for the gateway, over memory
	loopback *bufconn.Listener
	conn     *grpc.ClientConn
	handler  http.Handler
	draining atomic.Bool   // Stop was called
	stop     chan struct{} // closed by Close: ends health watches
	serving  sync.WaitGroup
	closing  sync.Once
}

// New makes the server and its gateway. Close MUST be called.
func New(o Options) (*Server, error) {
	if o.Broker == nil || o.Auth == nil || o.Ready == nil {
		return nil, errors.New("grpcapi: broker, auth and ready must be given")
	}
	if o.Memory == nil {
		o.Memory = new(wiremem.Pool)
	}
	if o.Clock == nil {
		o.Clock = leat.SystemClock{}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Info.Started.IsZero() {
		o.Info.Started = o.Clock.Now()
	}
	v, err := newValidator()
	if err != nil {
		return nil, err
	}
	s := &Server{
		broker: o.Broker, auth: o.Auth, info: o.Info, ready: o.Ready, clock: o.Clock, log: o.Logger, validator: v, internal: o.Internal,
		failures: o.Failures, patience: o.Patience.orDefaults(), memory: o.Memory, tracer: o.Tracer,
		loopback: bufconn.Listen(loopbackBuffer), stop: make(chan struct{}),
	}
	if _, err := s.auth.Authenticate(""); err == nil {
		s.open = true
	}
	s.grpc, s.inside = s.register(o.TLS, false), s.register(nil, true)
	if s.internal != nil {
		s.internal.Register(registrar{s.grpc, s})
	}
	if s.conn, err = s.dialLoopback(); err != nil {
		return nil, err
	}
	if s.handler, err = s.newHandler(); err != nil {
		return nil, errors.Join(err, s.conn.Close())
	}
	s.serving.Go(func() {
		if err := s.inside.Serve(s.loopback); err != nil {
			s.log.Error("gateway's connection ended", "error", err)
		}
	})
	return s, nil
}

// Transport is how messages come and go. What bare gRPC is measured with, beside a server, has it too.
func Transport(memory mem.BufferPool) []grpc.ServerOption {
	return []grpc.ServerOption{
		experimental.BufferPool(memory), grpc.MaxRecvMsgSize(maxMessageBytes),
		grpc.InitialWindowSize(window), grpc.InitialConnWindowSize(connWindow),
		grpc.ReadBufferSize(connBuffer), grpc.WriteBufferSize(connBuffer), grpc.NumStreamWorkers(workers),
	}
}

// register makes a gRPC server with every service, for callers outside or for the gateway inside.
func (s *Server) register(tls credentials.TransportCredentials, inside bool) *grpc.Server {
	opts := append(Transport(s.memory),
		grpc.StreamInterceptor(s.stream),
		grpc.ForceServerCodecV2(codec{wiremem.NewCodec(s.memory)}),
		grpc.MaxHeaderListSize(maxHeaderBytes), grpc.ConnectionTimeout(handshakeTime), grpc.MaxConcurrentStreams(maxCalls),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: time.Minute, Timeout: 20 * time.Second}), // a peer that is gone is noticed
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second, PermitWithoutStream: true}),
	)
	if tls != nil {
		opts = append(opts, grpc.Creds(tls))
	}
	if !inside {
		opts = append(opts, grpc.InTapHandle(tapped))
	}
	g := grpc.NewServer(opts...)
	r := registrar{g, s}
	leatv1.RegisterStreamServiceServer(r, streamService{Server: s})
	leatv1.RegisterShardServiceServer(r, shardService{Server: s})
	r.RegisterService(s.recordMethods(), recordService{Server: s})
	leatv1.RegisterConsumerServiceServer(r, consumerService{Server: s})
	leatv1.RegisterResourceServiceServer(r, resourceService{Server: s})
	leatv1.RegisterAccountServiceServer(r, accountService{Server: s})
	leatv1.RegisterBillingServiceServer(r, billingService{Server: s})
	leatv1.RegisterKeyServiceServer(r, keyService{Server: s})
	leatv1.RegisterDeliveryServiceServer(r, deliveryService{Server: s})
	leatv1.RegisterIdentityServiceServer(r, identityService{Server: s})
	leatv1.RegisterAuditServiceServer(r, auditService{Server: s})
	leatv1.RegisterSystemServiceServer(r, systemService{Server: s})
	grpc_health_v1.RegisterHealthServer(r, healthService{Server: s, services: g.GetServiceInfo()})
	reflection.Register(public{g, s})
	return g
}

// public is a gRPC server without what is internal.
type public struct {
	*grpc.Server
	s *Server
}

// GetServiceInfo is what reflection lists.
func (p public) GetServiceInfo() map[string]grpc.ServiceInfo {
	all := p.Server.GetServiceInfo()
	for name := range all {
		if p.s.isInternal("/" + name + "/") {
			delete(all, name)
		}
	}
	return all
}

// Serve answers gRPC on a listener until Close or Shutdown; then it returns nil.
func (s *Server) Serve(l net.Listener) error { return s.grpc.Serve(l) }

// Handler answers HTTP: REST under /v1, /openapi.json, /docs, /healthz and /readyz. Everything else is not found.
func (s *Server) Handler() http.Handler { return s.handler }

// Stop refuses new calls and waits for those under way, until ctx ends; then it closes. Subscriptions do not end by
// themselves in that time: ctx bounds them. The HTTP server in front of Handler MUST have stopped before.
func (s *Server) Stop(ctx context.Context) {
	s.draining.Store(true)
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.grpc.GracefulStop()
	}()
	select {
	case <-done:
	case <-ctx.Done():
		s.grpc.Stop()
		<-done
	}
	s.Close()
}

// Close ends every call at once. It may be called twice.
func (s *Server) Close() {
	s.closing.Do(func() {
		close(s.stop)
		s.grpc.Stop()
		if err := s.conn.Close(); err != nil {
			s.log.Warn("gateway's connection did not close", "error", err)
		}
		s.inside.Stop()
		s.serving.Wait()
	})
}
