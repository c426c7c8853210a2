// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package kinesis

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/tracing"
	"github.com/leatstream/leat/server/auth"
	"github.com/leatstream/leat/server/awswire"
	"github.com/leatstream/leat/server/broker"
)

// Options is what the edge needs; Clock, Rand and Logger have defaults.
type Options struct {
	Broker *broker.Broker
	Auth   auth.Signatures
	Clock  leat.Clock
	Rand   io.Reader       // for request ids
	Tracer *tracing.Tracer // nil: requests are not followed
	Logger *slog.Logger
}

// Handler answers requests of the AWS Kinesis wire. It has no life of its own.
type Handler struct {
	broker     *broker.Broker
	auth       auth.Signatures
	clock      leat.Clock
	rand       io.Reader
	tracer     *tracing.Tracer
	log        *slog.Logger
	operations map[string]operation
	buffers    *buffers
	puts       *putMemories
}

// New makes the handler.
func New(o Options) (*Handler, error) {
	if o.Broker == nil || o.Auth == nil {
		return nil, errors.New("kinesis: broker and auth must be given")
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
	return &Handler{
		broker: o.Broker, auth: o.Auth, clock: o.Clock, rand: o.Rand, tracer: o.Tracer, log: o.Logger,
		operations: operations(), buffers: newBuffers(), puts: newPutMemories(),
	}, nil
}

// targetPrefix begins the X-Amz-Target of every operation.
const targetPrefix = "Kinesis_20131202."

// Handles tells whether a request on POST / speaks this wire, well or badly.
func Handles(r *http.Request) bool {
	if target := r.Header.Get("X-Amz-Target"); target != "" {
		return strings.HasPrefix(target, targetPrefix)
	}
	t := contentType(r)
	return t == contentJSON || t == contentCBOR
}

// ServeHTTP answers one request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := &call{w: w, r: r, wire: jsonWire{}}
	h.name(c)
	defer h.release(c)
	if h.tracer != nil {
		h.follow(c)
	}
	if err := h.guarded(c); err != nil {
		h.fail(c, err)
		return
	}
	if !c.streamed {
		h.answer(c, http.StatusOK)
	}
	c.span.End(nil)
}

// follow begins a request's span, below the one that its caller names.
func (h *Handler) follow(c *call) {
	name := strings.TrimPrefix(c.r.Header.Get("X-Amz-Target"), targetPrefix)
	if _, known := h.operations[name]; !known {
		name = "unknown operation"
	}
	var ctx context.Context
	ctx, c.span = h.tracer.Request(h.tracer.FromHTTP(c.r.Context(), c.r.Header), leat.EdgeKinesis, name)
	c.span.Text("leat.request_id", c.id)
	c.r = c.r.WithContext(ctx)
}

// name gives a request its ids.
func (h *Handler) name(c *call) {
	var err error
	if c.id, err = awswire.NewID(h.rand, c.w.Header()); err != nil {
		h.log.Error("no randomness for a request id", "error", err)
	}
}

// serve does what a request asks for, in the order in which AWS checks it.
func (h *Handler) serve(c *call) error {
	wire, ok := wireOf(c.r)
	if !ok || c.r.Method != http.MethodPost {
		return &awsError{Type: "UnknownOperationException", Status: http.StatusNotFound}
	}
	c.wire = wire
	name, ok := strings.CutPrefix(c.r.Header.Get("X-Amz-Target"), targetPrefix)
	o, known := h.operations[name]
	known = known && ok
	limit := coldBody
	if known {
		c.operation, limit = name, o.body
	}
	var err error
	read := func() ([]byte, error) { return h.read(c, limit) }
	if c.who, c.body, err = awswire.SignIn(h.auth, c.r, limit, read); err != nil {
		return err
	}
	c.who.Origin = auth.Origin(c.r, leat.EdgeKinesis, c.id)
	if !known {
		return &awsError{Type: "UnknownOperationException"}
	}
	if broker.OnDataPlane(broker.Action(name)) {
		return o.run(h, c.r.Context(), c)
	}
	return h.broker.Watch(c.r.Context(), func(ctx context.Context) error { return o.run(h, ctx, c) })
}

// read takes in a body of at most limit bytes.
func (h *Handler) read(c *call, limit int) ([]byte, error) {
	if c.r.ContentLength > int64(limit) {
		return nil, awswire.TooLarge(limit)
	}
	c.in = h.buffers.get()
	body, err := awswire.ReadAll(c.r.Body, (*c.in)[:0], limit, c.r.ContentLength)
	*c.in = body
	switch {
	case errors.Is(err, awswire.ErrLong):
		return nil, awswire.TooLarge(limit)
	case err != nil:
		return nil, &leat.Error{Kind: leat.KindCanceled, Message: "the request's body ended early", Err: err}
	}
	return body, nil
}
