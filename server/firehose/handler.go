// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package firehose

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/tracing"
	"github.com/leatstream/leat/server/auth"
	"github.com/leatstream/leat/server/awswire"
	"github.com/leatstream/leat/server/broker"
)

// Options is what the edge needs; Rand and Logger have defaults.
type Options struct {
	Broker *broker.Broker
	Auth   auth.Signatures
	Rand   io.Reader       // for request ids
	Tracer *tracing.Tracer // nil: requests are not followed
	Logger *slog.Logger
}

// Handler answers requests of the AWS Firehose wire. It has no life of its own.
type Handler struct {
	broker     *broker.Broker
	auth       auth.Signatures
	rand       io.Reader
	tracer     *tracing.Tracer
	log        *slog.Logger
	operations map[string]operation
}

// New makes the handler.
func New(o Options) (*Handler, error) {
	if o.Broker == nil || o.Auth == nil {
		return nil, errors.New("firehose: broker and auth must be given")
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Handler{broker: o.Broker, auth: o.Auth, rand: o.Rand, tracer: o.Tracer, log: o.Logger, operations: operations()}, nil
}

const (
	targetPrefix = "Firehose_20150804."
	contentJSON  = "application/x-amz-json-1.1"
)

// Handles tells whether a request on POST / speaks this wire, well or badly.
func Handles(r *http.Request) bool {
	return strings.HasPrefix(r.Header.Get("X-Amz-Target"), targetPrefix)
}

// call is one request under way.
type call struct {
	r         *http.Request
	id        string
	operation string
	who       leat.Principal
	body      []byte
	span      tracing.Span
}

// ServeHTTP answers one request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := &call{r: r}
	var err error
	if c.id, err = awswire.NewID(h.rand, w.Header()); err != nil {
		h.log.Error("no randomness for a request id", "error", err)
	}
	if h.tracer != nil {
		h.follow(c)
	}
	out, err := h.guarded(w, c)
	status := http.StatusOK
	if err != nil {
		told := h.tell(c, err)
		w.Header()["X-Amzn-Errortype"] = []string{told.Type}
		out, status = told.Body(), told.Code()
	}
	body, err := encode(out)
	if err != nil {
		h.log.Error("an answer cannot be written", "operation", c.operation, "request_id", c.id, "error", err)
		status = http.StatusInternalServerError
	}
	w.Header()["Content-Type"] = []string{contentJSON}
	w.Header()["Content-Length"] = []string{strconv.Itoa(len(body))}
	w.WriteHeader(status)
	_, _ = w.Write(body) // fails only when the caller is gone
	c.span.End(nil)      // nothing, where it has failed
}

// follow begins a request's span, below the one that its caller names.
func (h *Handler) follow(c *call) {
	name := strings.TrimPrefix(c.r.Header.Get("X-Amz-Target"), targetPrefix)
	if _, known := h.operations[name]; !known {
		name = "unknown operation"
	}
	var ctx context.Context
	ctx, c.span = h.tracer.Request(h.tracer.FromHTTP(c.r.Context(), c.r.Header), leat.EdgeFirehose, name)
	c.span.Text("leat.request_id", c.id)
	c.r = c.r.WithContext(ctx)
}

func encode(out any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(out)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
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
func (h *Handler) serve(w http.ResponseWriter, c *call) (any, error) {
	t, _, err := mime.ParseMediaType(c.r.Header.Get("Content-Type"))
	if err != nil || t != contentJSON || c.r.Method != http.MethodPost {
		return nil, &awswire.Error{Type: "UnknownOperationException", Status: http.StatusNotFound}
	}
	name := strings.TrimPrefix(c.r.Header.Get("X-Amz-Target"), targetPrefix)
	o, known := h.operations[name]
	limit := coldBody
	if known {
		c.operation, limit = name, o.body
	}
	read := func() ([]byte, error) { return h.read(c, limit) }
	if c.who, c.body, err = awswire.SignIn(h.auth, c.r, limit, read); err != nil {
		return nil, err
	}
	c.who.Origin = auth.Origin(c.r, leat.EdgeFirehose, c.id)
	if !known {
		return nil, &awswire.Error{Type: "UnknownOperationException"}
	}
	if strings.HasPrefix(name, "PutRecord") { // too many for the audit log to follow each
		return o.run(h, c.r.Context(), c)
	}
	var out any
	err = h.broker.Watch(c.r.Context(), func(ctx context.Context) (err error) {
		out, err = o.run(h, ctx, c)
		return err
	})
	return out, err
}

// read takes in a body of at most limit bytes.
func (h *Handler) read(c *call, limit int) ([]byte, error) {
	if c.r.ContentLength > int64(limit) {
		return nil, awswire.TooLarge(limit)
	}
	body, err := awswire.ReadAll(c.r.Body, nil, limit, c.r.ContentLength)
	switch {
	case errors.Is(err, awswire.ErrLong):
		return nil, awswire.TooLarge(limit)
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
	h.log.Log(context.WithoutCancel(c.r.Context()), level, "request failed",
		"operation", c.operation, "request_id", c.id, "type", told.Type, "status", told.Code(), "error", err)
	return told
}

// exceptionOf is the table of this edge.
func exceptionOf(k leat.Kind) awswire.Exception {
	switch k {
	case leat.KindInternal, leat.KindUnknownOutcome, leat.KindCorrupt:
		return awswire.Exception{Type: "InternalFailure", Status: http.StatusInternalServerError}
	case leat.KindInvalidArgument, leat.KindUnsupported, leat.KindExpiredIterator, leat.KindExpiredToken:
		return awswire.Exception{Type: "InvalidArgumentException", Status: http.StatusBadRequest}
	case leat.KindNotFound:
		return awswire.Exception{Type: "ResourceNotFoundException", Status: http.StatusBadRequest}
	case leat.KindInUse:
		return awswire.Exception{Type: "ResourceInUseException", Status: http.StatusBadRequest}
	case leat.KindLimitExceeded:
		return awswire.Exception{Type: "LimitExceededException", Status: http.StatusBadRequest}
	case leat.KindThroughputExceeded, leat.KindUnavailable: // certainly not executed: SDKs try again by themselves
		return awswire.Exception{Type: "ServiceUnavailableException", Status: http.StatusServiceUnavailable}
	case leat.KindUnauthenticated:
		return awswire.Exception{Type: "UnrecognizedClientException", Status: http.StatusBadRequest}
	case leat.KindAccessDenied:
		return awswire.Exception{Type: "AccessDeniedException", Status: http.StatusBadRequest}
	case leat.KindCanceled:
		return awswire.Exception{Type: "RequestTimeoutException", Status: http.StatusRequestTimeout}
	}
	return awswire.Exception{}
}

// decode reads a body into an input. A member that the input does not have is refused by its name.
func decode(body []byte, in any) error {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	err := d.Decode(in)
	if err == nil {
		if _, err = d.Token(); errors.Is(err, io.EOF) {
			return nil
		}
		return awswire.Serialization("the request's body is not one JSON object")
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok { // encoding/json has no type for it
		return leat.Errorf(leat.KindUnsupported, "%s is not supported by this server", strings.Trim(name, `"`))
	}
	clash, ok := errors.AsType[*json.UnmarshalTypeError](err)
	if ok {
		return awswire.Serialization("the member '" + clash.Field + "' cannot be a " + clash.Value)
	}
	return awswire.Serialization("the request's body is not valid JSON")
}

// stamp is a time on the wire: seconds with milliseconds as a fraction.
type stamp struct{ time.Time }

// MarshalJSON writes seconds.
func (s stamp) MarshalJSON() ([]byte, error) {
	return strconv.AppendFloat(nil, float64(s.UnixMilli())/1000, 'f', -1, 64), nil
}

// UnmarshalJSON reads nothing: times are answered, never asked for.
func (s *stamp) UnmarshalJSON([]byte) error {
	return errors.New("json: unknown field \"DeliveryStartTimestamp\"")
}
