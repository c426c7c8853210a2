// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package cloudwatch

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/tracing"
	"github.com/leatstream/leat/server/auth"
	"github.com/leatstream/leat/server/awswire"
	"github.com/leatstream/leat/server/broker"
)

// Options is what the edge needs; Clock, Rand, Tracer and Logger have defaults.
type Options struct {
	Broker *broker.Broker
	Auth   auth.Signatures
	Clock  leat.Clock
	Rand   io.Reader       // for request ids
	Tracer *tracing.Tracer // nil: requests are not followed
	Logger *slog.Logger
}

// Handler answers requests of the CloudWatch wire. It has no life of its own.
type Handler struct {
	Options
	operations map[string]operation
}

// operation does what a request asks for and returns its answer.
type operation func(h *Handler, ctx context.Context, c *call) (any, error)

// New makes the handler.
func New(o Options) (*Handler, error) {
	if o.Broker == nil || o.Auth == nil {
		return nil, errors.New("cloudwatch: broker and auth must be given")
	}
	if o.Clock == nil {
		o.Clock = leat.SystemClock{}
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Handler{Options: o, operations: map[string]operation{
		"GetMetricData": (*Handler).getMetricData, "GetMetricStatistics": (*Handler).getMetricStatistics, "ListMetrics": (*Handler).listMetrics,
	}}, nil
}

const (
	service = "GraniteServiceVersion20100801"
	maxBody = 1 << 20
)

// Pattern is the path of the protocol that names operations there.
const Pattern = "POST /service/" + service + "/operation/{operation}"

// Handles tells whether a request on POST / speaks this wire, well or badly: no other that is served here is of forms.
func Handles(r *http.Request) bool {
	return strings.HasPrefix(r.Header.Get("X-Amz-Target"), service+".") || r.Header.Get("X-Amz-Target") == "" && mediaType(r) == formType
}

// call is one request under way.
type call struct {
	r         *http.Request
	id        string
	wire      wire
	operation string // empty until it is known
	who       leat.Principal
	body      []byte
	span      tracing.Span
}

// ServeHTTP answers one request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := &call{r: r, wire: wireOf(r)}
	var err error
	if c.id, err = awswire.NewID(h.Rand, w.Header()); err != nil {
		h.Logger.Error("no randomness for a request id", "error", err)
	}
	if h.Tracer != nil {
		var ctx context.Context
		ctx, c.span = h.Tracer.Request(h.Tracer.FromHTTP(r.Context(), r.Header), leat.EdgeCloudWatch, "CloudWatch")
		c.span.Text("leat.request_id", c.id)
		c.r = r.WithContext(ctx)
	}
	out, err := h.guarded(w, c)
	status, body := http.StatusOK, []byte(nil)
	if err == nil {
		body, err = c.wire.answer(c, out)
	}
	if err != nil {
		told := h.tell(c, err)
		status, body = told.Code(), c.wire.refusal(c, told)
		w.Header()["X-Amzn-Errortype"] = []string{told.Type}
		w.Header()["X-Amzn-Query-Error"] = []string{codeOf(told.Type) + ";" + faultOf(told)}
	}
	for name, value := range c.wire.headers() {
		w.Header()[name] = []string{value}
	}
	w.Header()["Content-Length"] = []string{strconv.Itoa(len(body))}
	w.WriteHeader(status)
	_, _ = w.Write(body) // fails only when the caller is gone
	c.span.End(nil)      // nothing, where it has failed
}

// guarded turns a panic of a handler into an internal error.
func (h *Handler) guarded(w http.ResponseWriter, c *call) (out any, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return h.serve(w, c)
}

// serve does what a request asks for, in the order in which AWS checks it.
func (h *Handler) serve(w http.ResponseWriter, c *call) (out any, err error) {
	read := func() ([]byte, error) { return h.read(c) }
	if c.who, c.body, err = awswire.SignIn(h.Auth, c.r, maxBody, read); err != nil {
		return nil, err
	}
	c.who.Origin = auth.Origin(c.r, leat.EdgeCloudWatch, c.id)
	name, err := c.wire.operation(c)
	if err != nil {
		return nil, err
	}
	run, known := h.operations[name]
	if !known {
		return nil, &awswire.Error{Type: typeUnknown, Message: fmt.Sprintf("%.80q is not an operation of CloudWatch that this server has: it has GetMetricData, GetMetricStatistics and ListMetrics", name)}
	}
	c.operation = name
	c.span.Text("rpc.method", name)
	err = h.Broker.Watch(c.r.Context(), func(ctx context.Context) (err error) {
		out, err = run(h, ctx, c)
		return err
	})
	return out, err
}

// read takes in a body.
func (h *Handler) read(c *call) ([]byte, error) {
	if c.r.ContentLength > maxBody {
		return nil, awswire.TooLarge(maxBody)
	}
	body, err := awswire.ReadAll(c.r.Body, nil, maxBody, c.r.ContentLength)
	switch {
	case errors.Is(err, awswire.ErrLong):
		return nil, awswire.TooLarge(maxBody)
	case err != nil:
		return nil, &leat.Error{Kind: leat.KindCanceled, Message: "the request's body ended early", Err: err}
	}
	return body, nil
}

// tell logs an error and returns what the caller is told. Faults of the server's own are logged whole, as errors.
func (h *Handler) tell(c *call, err error) *awswire.Error {
	told, kind := awswire.Translate(err, c.id, exceptionOf)
	c.span.Fail(kind)
	level := slog.LevelDebug
	switch kind {
	case leat.KindInternal, leat.KindCorrupt, leat.KindUnknownOutcome:
		level = slog.LevelError
	}
	h.Logger.Log(context.WithoutCancel(c.r.Context()), level, "request failed",
		"operation", c.operation, "request_id", c.id, "type", told.Type, "status", told.Code(), "error", err)
	return told
}

// The exceptions of this service.
const (
	typeValue       = "InvalidParameterValueException"
	typeCombination = "InvalidParameterCombinationException"
	typeMissing     = "MissingRequiredParameterException"
	typeToken       = "InvalidNextToken"
	typeInternal    = "InternalServiceFault"
	typeDenied      = "AccessDeniedException"
	typeUnknown     = "UnknownOperationException"
)

// exceptionOf is the table of this edge.
func exceptionOf(k leat.Kind) awswire.Exception {
	switch k {
	case leat.KindInternal, leat.KindUnknownOutcome, leat.KindCorrupt:
		return awswire.Exception{Type: typeInternal, Status: http.StatusInternalServerError}
	case leat.KindThroughputExceeded, leat.KindUnavailable:
		return awswire.Exception{Type: "ServiceUnavailableException", Status: http.StatusServiceUnavailable}
	case leat.KindLimitExceeded:
		return awswire.Exception{Type: "LimitExceededFault", Status: http.StatusBadRequest}
	case leat.KindUnauthenticated:
		return awswire.Exception{Type: "UnrecognizedClientException", Status: http.StatusForbidden}
	case leat.KindAccessDenied:
		return awswire.Exception{Type: typeDenied, Status: http.StatusForbidden}
	case leat.KindCanceled:
		return awswire.Exception{Type: "RequestTimeoutException", Status: http.StatusRequestTimeout}
	}
	return awswire.Exception{Type: typeValue, Status: http.StatusBadRequest}
}

// codes are what the Query protocol calls exceptions; the others it calls by their name.
var codes = map[string]string{
	typeValue: "InvalidParameterValue", typeCombination: "InvalidParameterCombination", typeMissing: "MissingParameter",
	typeInternal: "InternalServiceError", typeDenied: "AccessDenied", typeUnknown: "InvalidAction", "ServiceUnavailableException": "ServiceUnavailable",
	"LimitExceededFault": "LimitExceeded", "UnrecognizedClientException": "InvalidClientTokenId",
}

func codeOf(exception string) string {
	if code, ok := codes[exception]; ok {
		return code
	}
	return exception
}

func faultOf(e *awswire.Error) string {
	if e.Code() >= http.StatusInternalServerError {
		return "Receiver"
	}
	return "Sender"
}

// refuse says that a member has a value that is not taken.
func refuse(format string, args ...any) error {
	return &awswire.Error{Type: typeValue, Message: fmt.Sprintf(format, args...)}
}

// missing says that a member is not there.
func missing(name string) error {
	return &awswire.Error{Type: typeMissing, Message: "The parameter " + name + " is required."}
}
