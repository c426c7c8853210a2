// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package grpcapi

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/netip"
	"runtime/debug"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/tracing"
)

// requestIDKey is the metadata and header that names a request in answers and logs. A caller may bring its own.
const requestIDKey = "x-request-id"

// accountKey is the metadata and header by which an operator names the account that it acts for.
const accountKey = "x-leat-account"

// ticketKey is how the gateway tells the server inside who makes a request: see tickets. From outside it says nothing.
const ticketKey = "x-leat-ticket"

const maxRequestID = 64

// caller is what is known of a request when its method begins.
type caller struct {
	id  string
	who leat.Principal
}

type callerKey struct{}

// callerOf returns who makes a request; guarded has put it there for every method of the API.
func callerOf(ctx context.Context) caller {
	c, _ := ctx.Value(callerKey{}).(caller)
	return c
}

func principal(ctx context.Context) leat.Principal { return callerOf(ctx).who }

// isAPI tells whether a method is Leat's: health and reflection need no credential.
func isAPI(method string) bool { return strings.HasPrefix(method, "/leat.") }

// isInternal tells whether a method is for other nodes, which have credentials of their own.
func (s *Server) isInternal(method string) bool { return s.internal != nil && s.internal.Owns(method) }

// unary puts around a method what comes before it. From the outside: request id, error and log; recovery; authentication; decoding, within bounds;
// form; handler. An interceptor of gRPC would be asked when the message is decoded already, whoever sent it.
func (s *Server) unary(method string, next grpc.MethodHandler) grpc.MethodHandler {
	bounds, patience := s.boundsOf(method), s.patience.message(method)
	form := func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		if err := s.form(method, req); err != nil {
			return nil, err
		}
		return handler(ctx, req)
	}
	return func(srv any, ctx context.Context, dec func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
		id := requestID(ctx)
		_ = grpc.SetHeader(ctx, metadata.Pairs(requestIDKey, id)) // fails only when the caller is gone
		var span tracing.Span
		if s.tracer != nil {
			ctx, span = s.follow(ctx, id, method)
		}
		resp, err := s.guarded(ctx, id, method, func(ctx context.Context) (any, error) {
			return next(srv, ctx, func(m any) error {
				return within(ctx, patience, "the message did not arrive", func() error { return bounds.decode(dec, m) })
			}, form)
		})
		if err != nil {
			span.Fail(failureOf(err))
			return nil, s.tell(ctx, id, method, err)
		}
		span.End(nil)
		return resp, nil
	}
}

// follow begins the span of a request, unless another node makes it: server/forward follows those.
func (s *Server) follow(ctx context.Context, id, method string) (context.Context, tracing.Span) {
	if s.isInternal(method) || !isAPI(method) {
		return ctx, tracing.Span{}
	}
	edge := leat.EdgeGRPC
	if inside(ctx) {
		edge = leat.EdgeREST
	}
	ctx, span := s.tracer.Request(s.tracer.FromGRPC(ctx), edge, method[strings.LastIndexByte(method, '/')+1:])
	span.Text("leat.request_id", id)
	return ctx, span
}

// failureOf is the kind of an error.
func failureOf(err error) leat.Kind {
	e, _ := kindOf(err)
	return e.Kind
}

// stream is the one interceptor of streaming calls, which comes before their messages; their bounds and their form are checked as they are received.
func (s *Server) stream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	ctx := ss.Context()
	id := requestID(ctx)
	if !s.isInternal(info.FullMethod) {
		ss = &patientStream{ss, s.patience, s.patience.message(info.FullMethod)}
	}
	_ = ss.SetHeader(metadata.Pairs(requestIDKey, id)) // fails only when the caller is gone
	var span tracing.Span
	if s.tracer != nil {
		ctx, span = s.follow(ctx, id, info.FullMethod)
	}
	_, err := s.guarded(ctx, id, info.FullMethod, func(ctx context.Context) (any, error) {
		return nil, handler(srv, &checkedStream{ServerStream: ss, ctx: ctx, server: s, method: info.FullMethod, bounds: s.boundsOf(info.FullMethod)})
	})
	if err != nil {
		span.Fail(failureOf(err))
		return s.tell(ctx, id, info.FullMethod, err)
	}
	span.End(nil)
	return nil
}

// guarded authenticates the caller and turns a panic of the handler into an internal error.
func (s *Server) guarded(ctx context.Context, id, method string, run func(context.Context) (any, error)) (resp any, err error) {
	defer func() {
		if p := recover(); p != nil {
			resp, err = nil, fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	c := caller{id: id}
	if s.isInternal(method) {
		if err = s.internal.Authenticate(ctx, method); err != nil {
			return nil, err
		}
	} else if isAPI(method) {
		if c.who, err = s.authenticate(ctx); err != nil {
			return nil, err
		}
		c.who.Origin.Request = id
		if !isData(method) {
			err = s.broker.Watch(ctx, func(ctx context.Context) (err error) {
				resp, err = run(context.WithValue(ctx, callerKey{}, c))
				return err
			})
			return resp, err
		}
	} else if compressed(ctx) {
		return nil, status.Error(codes.Unimplemented, "messages to this method, which needs no credential, must not be compressed")
	}
	return run(context.WithValue(ctx, callerKey{}, c))
}

// authenticate returns who calls, for which account, and from where.
func (s *Server) authenticate(ctx context.Context) (who leat.Principal, err error) {
	if inside(ctx) {
		return s.tickets.who(first(ctx, ticketKey))
	}
	from := leat.Origin{Source: source(ctx), Edge: leat.EdgeGRPC, Agent: first(ctx, "user-agent")}
	return s.signIn(ctx, from, first(ctx, "authorization"), first(ctx, accountKey))
}

// signIn returns who presents a credential; an account that is not empty is the one to act for.
func (s *Server) signIn(ctx context.Context, from leat.Origin, authorization, account string) (who leat.Principal, err error) {
	known := func() bool {
		tokens, ok := s.auth.(knower)
		return ok && tokens.Knows(authorization)
	}
	if err := s.failures.CheckUnless(from, known); err != nil {
		return leat.Principal{}, err
	}
	if who, err = s.auth.Authenticate(authorization); err != nil {
		if leat.KindOf(err) == leat.KindUnauthenticated {
			s.failures.Failed(from, err)
		}
		return leat.Principal{}, err
	}
	if account != "" {
		actor, ok := s.auth.(actor)
		if !ok {
			return leat.Principal{}, leat.Errorf(leat.KindUnsupported, "this server has no accounts to act for")
		}
		if who, err = actor.ActFor(ctx, who, account); err != nil {
			return leat.Principal{}, err
		}
	}
	who.Origin = from
	return who, nil
}

// inside tells whether the gateway asks.
func inside(ctx context.Context) bool {
	p, ok := peer.FromContext(ctx)
	return ok && p.Addr.Network() == "bufconn"
}

// isData tells whether a method is about records: there are too many for the audit log to follow each.
func isData(method string) bool {
	return strings.HasPrefix(method, "/leat.v1.RecordService/") || strings.HasSuffix(method, "/PutDeliveryRecords")
}

// knower is an authenticator that can tell for next to nothing that some credentials are right.
type knower interface {
	Knows(authorization string) bool
}

// actor is an authenticator that lets callers act for other accounts.
type actor interface {
	ActFor(ctx context.Context, who leat.Principal, account string) (leat.Principal, error)
}

// source is where a request comes from; the zero address where that is not known.
func source(ctx context.Context) netip.Addr {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return netip.Addr{}
	}
	at, err := netip.ParseAddrPort(p.Addr.String())
	if err != nil {
		return netip.Addr{}
	}
	return at.Addr().Unmap()
}

// form checks a message against the rules of its proto.
func (s *Server) form(method string, req any) error {
	if m, ok := req.(proto.Message); ok && isAPI(method) && !s.isInternal(method) {
		return s.validate(m)
	}
	return nil
}

// tell logs an error and makes the status that the caller gets. Faults of the server's own are logged whole, as errors;
// what a caller did wrong only for who debugs.
func (s *Server) tell(ctx context.Context, id, method string, err error) error {
	e, _ := kindOf(err)
	level := slog.LevelDebug
	switch e.Kind {
	case leat.KindInternal, leat.KindCorrupt, leat.KindUnknownOutcome:
		level = slog.LevelError
	}
	st := statusOf(err, id)
	if _, ours := reasonOf(st); !ours {
		level = slog.LevelDebug
	}
	s.log.Log(ctx, level, "request failed", "method", method, "request_id", id, "kind", e.Kind.String(), "code", st.Code().String(), "error", err)
	return st.Err()
}

// checkedStream checks each message that is received.
type checkedStream struct {
	grpc.ServerStream
	ctx    context.Context
	server *Server
	method string
	bounds bounds
}

func (c *checkedStream) Context() context.Context { return c.ctx }

func (c *checkedStream) RecvMsg(m any) error {
	if err := c.bounds.decode(c.ServerStream.RecvMsg, m); err != nil {
		return err
	}
	return c.server.form(c.method, m)
}

// requestID returns the caller's id where it is fit for a log, or a new one.
func requestID(ctx context.Context) string {
	if id := first(ctx, requestIDKey); fitID(id) {
		return id
	}
	return newRequestID()
}

func newRequestID() string {
	var b [12]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

func fitID(id string) bool {
	if id == "" || len(id) > maxRequestID {
		return false
	}
	for _, c := range id {
		if c != '-' && c != '_' && c != '.' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return true
}

func first(ctx context.Context, key string) string {
	if v := metadata.ValueFromIncomingContext(ctx, key); len(v) > 0 {
		return v[0]
	}
	return ""
}
