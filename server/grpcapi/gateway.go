// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package grpcapi

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"
	"time"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/leatstream/leat"
	leatv1 "github.com/leatstream/leat/api/leat/v1"
	"github.com/leatstream/leat/internal/tracing"
	"github.com/leatstream/leat/server/auth"
)

// writeTime is how long a caller may take to take in a piece of the answer.
const writeTime = 2 * time.Minute

// maxBodyBytes is 16 MiB of message in base64, and room.
const maxBodyBytes = 24 << 20

// dialLoopback connects the gateway to the gRPC server inside, over memory.
func (s *Server) dialLoopback() (*grpc.ClientConn, error) {
	return grpc.NewClient("passthrough:///loopback",
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return s.loopback.DialContext(ctx) }),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessageBytes), grpc.MaxCallSendMsgSize(maxMessageBytes)),
		grpc.WithInitialWindowSize(window), grpc.WithInitialConnWindowSize(connWindow),
		grpc.WithDisableRetry(), grpc.WithDisableServiceConfig(),
	)
}

// newHandler puts REST, the documents and health together.
func (s *Server) newHandler() (http.Handler, error) {
	gateway, err := s.newGateway()
	if err != nil {
		return nil, err
	}
	page, err := newReference(leatv1.OpenAPI())
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("/v1/", s.rest(gateway))
	mux.HandleFunc("GET /openapi.json", s.openapi)
	mux.Handle("GET /docs", page)
	mux.HandleFunc("GET /healthz", s.healthz)
	mux.HandleFunc("GET /readyz", s.readyz)
	return mux, nil
}

func (s *Server) newGateway() (*runtime.ServeMux, error) {
	rules, err := newRoutes()
	if err != nil {
		return nil, err
	}
	mux := runtime.NewServeMux(
		runtime.WithMarshalerOption(runtime.MIMEWildcard, newJSON()),
		runtime.WithErrorHandler(s.restError),
		runtime.WithRoutingErrorHandler(s.routingError),
		runtime.WithStreamErrorHandler(restStreamError),
		runtime.WithIncomingHeaderMatcher(incomingHeader),
		runtime.WithOutgoingHeaderMatcher(outgoingHeader),
		runtime.WithMiddlewares(s.check(rules)),
		runtime.WithDisablePathLengthFallback(),
		runtime.WithDisableHTTPMethodOverride(),
	)
	for _, register := range []func(context.Context, *runtime.ServeMux, *grpc.ClientConn) error{
		leatv1.RegisterStreamServiceHandler, leatv1.RegisterShardServiceHandler, leatv1.RegisterRecordServiceHandler,
		leatv1.RegisterConsumerServiceHandler, leatv1.RegisterResourceServiceHandler, leatv1.RegisterAccountServiceHandler,
		leatv1.RegisterBillingServiceHandler, leatv1.RegisterKeyServiceHandler, leatv1.RegisterDeliveryServiceHandler, leatv1.RegisterIdentityServiceHandler,
		leatv1.RegisterAuditServiceHandler, leatv1.RegisterSystemServiceHandler,
	} {
		if err := register(context.Background(), mux, s.conn); err != nil {
			return nil, err
		}
	}
	return mux, nil
}

// incomingHeader passes on what the server inside reads.
func incomingHeader(key string) (string, bool) {
	for _, known := range []string{requestIDKey, ticketKey, tracing.ParentHeader, tracing.StateHeader} {
		if strings.EqualFold(key, known) {
			return known, true
		}
	}
	return "", false
}

func outgoingHeader(key string) (string, bool) {
	return textproto.CanonicalMIMEHeaderKey(requestIDKey), key == requestIDKey
}

// rest gives each request its id and its bound, keeps web pages out of a server that is open, and finds the right HTTP status for a stream that fails before its
// first message.
func (s *Server) rest(gateway http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := r.Header.Get(requestIDKey)
		if !fitID(id) {
			id = newRequestID()
			r.Header.Set(requestIDKey, id)
		}
		call := &restCall{id: id}
		r = r.WithContext(context.WithValue(r.Context(), restCallKey{}, call))
		if s.open {
			if err := auth.RefusePages(r); err != nil {
				s.restError(r.Context(), nil, newJSON(), w, r, err)
				return
			}
		}
		r.Body = &restBody{ReadCloser: http.MaxBytesReader(w, r.Body, maxBodyBytes), call: call}
		gateway.ServeHTTP(&restWriter{ResponseWriter: w, call: call}, r)
	})
}

// restCall is what the parts of the gateway tell each other about one request.
type restCall struct {
	id     string
	fault  error // what is wrong with the body, found by the decoder
	status int   // to send instead of what the gateway derives from the gRPC code; 0 for none
}

type restCallKey struct{}

func restCallOf(ctx context.Context) *restCall {
	if c, ok := ctx.Value(restCallKey{}).(*restCall); ok {
		return c
	}
	return &restCall{id: newRequestID()}
}

// restWriter replaces the status of a failed stream.
type restWriter struct {
	http.ResponseWriter
	call *restCall
}

func (w *restWriter) WriteHeader(code int) {
	if w.call.status != 0 {
		code = w.call.status
	}
	w.ResponseWriter.WriteHeader(code)
}

// Write gives the caller writeTime for each piece: one that takes nothing in would keep the memory of the answer.
func (w *restWriter) Write(b []byte) (int, error) {
	if rc := http.NewResponseController(w.ResponseWriter); rc.SetWriteDeadline(time.Now().Add(writeTime)) == nil {
		defer func() { _ = rc.SetWriteDeadline(time.Time{}) }()
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController flush.
func (w *restWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// restError answers an error as JSON: {"code", "message", "details"} as the gRPC status has them.
func (s *Server) restError(ctx context.Context, _ *runtime.ServeMux, m runtime.Marshaler, w http.ResponseWriter, r *http.Request, err error) {
	call := restCallOf(r.Context())
	st := restStatus(call, err)
	code := httpStatus(st)
	body, merr := m.Marshal(st.Proto())
	if merr != nil {
		s.log.Error("status does not marshal", "request_id", call.id, "error", merr)
		code, body = http.StatusInternalServerError, []byte(`{"code":13,"message":"internal error, request id `+call.id+`"}`)
	}
	h := w.Header()
	h.Set(textproto.CanonicalMIMEHeaderKey(requestIDKey), call.id)
	h.Set("Content-Type", "application/json")
	if code == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Bearer realm="leat"`)
	}
	if wait := retryAfter(st); wait > 0 {
		h.Set("Retry-After", strconv.Itoa(int((wait+time.Second-1)/time.Second)))
	}
	w.WriteHeader(code)
	_, _ = w.Write(append(body, '\n')) // fails only when the caller is gone
}

// restStatus classes what the gateway itself complains about; what came from the server inside is classed already.
func restStatus(call *restCall, err error) *status.Status {
	if call.fault != nil {
		return statusOf(call.fault, call.id)
	}
	st := status.Convert(err)
	if _, ours := reasonOf(st); ours {
		return st
	}
	var e *leat.Error
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &e):
		return statusOf(err, call.id)
	case errors.As(err, &tooLarge):
		return statusOf(leat.Invalid("", "the body is larger than %d bytes", tooLarge.Limit), call.id)
	}
	code := st.Code()
	if code == codes.DeadlineExceeded {
		code = codes.Canceled
	}
	for _, k := range leat.Kinds() {
		if answerOf(k).code == code {
			return statusOf(&leat.Error{Kind: k, Message: st.Message(), Err: err}, call.id)
		}
	}
	return statusOf(leat.Errorf(leat.KindInternal, "gateway: %w", err), call.id)
}

// httpStatus is the table's for Leat's own errors.
func httpStatus(st *status.Status) int {
	if k, ok := reasonOf(st); ok {
		return answerOf(k).http
	}
	return runtime.HTTPStatusFromCode(st.Code())
}

// restStreamError keeps the status of a stream that fails, for restWriter.
func restStreamError(ctx context.Context, err error) *status.Status {
	call := restCallOf(ctx)
	st := restStatus(call, err)
	call.status = httpStatus(st)
	return st
}

// routingError answers paths and methods that are not there.
func (s *Server) routingError(ctx context.Context, mux *runtime.ServeMux, m runtime.Marshaler, w http.ResponseWriter, r *http.Request, code int) {
	call := restCallOf(r.Context())
	var err error = leat.Errorf(leat.KindNotFound, "%s %.200q is not a method of this API: /docs lists them", r.Method, r.URL.Path)
	switch code {
	case http.StatusMethodNotAllowed:
		err, call.status = leat.Errorf(leat.KindUnsupported, "%s is not a method of %.200q: /docs lists them", r.Method, r.URL.Path), code
	case http.StatusBadRequest:
		err = leat.Invalid("", "the path %.200q is malformed", r.URL.Path)
	}
	s.restError(ctx, mux, m, w, r, err)
}
