// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package tracing

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc/credentials"

	"github.com/leatstream/leat"
)

// Options say where spans go and which requests are followed.
type Options struct {
	Endpoint string            // HOST:PORT of a collector that takes OTLP over gRPC
	Plain    bool              // no TLS
	CA       []byte            // PEM of the authorities to trust; nil: the machine's
	Headers  map[string]string // sent with every batch; they may hold secrets
	Sample   float64           // from 0 to 1: how many of the requests whose caller has not decided
	Version  string            // of this program
	Node     string            // this node's name
	Logger   *slog.Logger      // nil for none
}

const (
	queueSpans  = 8192 // bound of what waits to be sent, some 10 MiB
	batchSpans  = 512
	sendEvery   = 2 * time.Second
	sendWithin  = 5 * time.Second // a batch, retries included
	closeWithin = 2 * time.Second // for what is left when the node stops
)

// Tracer makes spans. A nil one makes none.
type Tracer struct {
	spans    trace.Tracer
	provider *sdk.TracerProvider
	queue    *queue
}

// New makes a Tracer. It connects when there is something to send. Close MUST be called.
func New(o Options) (*Tracer, error) {
	if o.Endpoint == "" || o.Sample < 0 || o.Sample > 1 {
		return nil, errors.New("tracing: an endpoint, and a sample from 0 to 1, must be given")
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	opts := []otlptracegrpc.Option{
		otlptracegrpc.WithEndpoint(o.Endpoint), otlptracegrpc.WithHeaders(o.Headers), otlptracegrpc.WithTimeout(sendWithin),
		otlptracegrpc.WithRetry(otlptracegrpc.RetryConfig{Enabled: true, InitialInterval: 200 * time.Millisecond, MaxInterval: 2 * time.Second, MaxElapsedTime: sendWithin}),
	}
	if o.Plain {
		opts = append(opts, otlptracegrpc.WithInsecure())
	} else {
		trust := &tls.Config{MinVersion: tls.VersionTLS12}
		if o.CA != nil {
			trust.RootCAs = x509.NewCertPool()
			trust.RootCAs.AppendCertsFromPEM(o.CA)
		}
		opts = append(opts, otlptracegrpc.WithTLSCredentials(credentials.NewTLS(trust)))
	}
	out := otlptracegrpc.NewUnstarted(opts...)
	if err := out.Start(context.Background()); err != nil { // makes a connection that is idle yet
		return nil, err
	}
	q := newQueue(out, o.Logger)
	provider := sdk.NewTracerProvider(
		sdk.WithSpanProcessor(q),
		sdk.WithSampler(sdk.ParentBased(sdk.TraceIDRatioBased(o.Sample))),
		sdk.WithResource(resource.NewSchemaless(
			attribute.String("service.name", "leat"), attribute.String("service.version", o.Version), attribute.String("service.instance.id", o.Node),
		)),
	)
	return &Tracer{spans: provider.Tracer("github.com/leatstream/leat"), provider: provider, queue: q}, nil
}

// Close sends what is left, for closeWithin at most, and ends. Spans that end later are lost.
func (t *Tracer) Close() error {
	if t == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeWithin)
	defer cancel()
	t.queue.drain(ctx)
	return t.provider.Shutdown(ctx) // its processor has ended already
}

// Metrics count spans by what became of them.
func (t *Tracer) Metrics() prometheus.Collector { return t.queue.spans }

// Request begins the span of a request that came in at an edge. ctx has the caller's own, where it sent one.
func (t *Tracer) Request(ctx context.Context, edge leat.Edge, operation string) (context.Context, Span) {
	if t == nil {
		return ctx, Span{}
	}
	ctx, s := t.spans.Start(ctx, operation, trace.WithSpanKind(trace.SpanKindServer))
	if !s.IsRecording() {
		return ctx, Span{} // ctx says that it is not followed
	}
	s.SetAttributes(attribute.String("leat.edge", string(edge)), attribute.String("rpc.method", operation))
	return ctx, Span{s}
}

// Begin begins a span of a part of the work that ctx belongs to, if that is followed.
func (t *Tracer) Begin(ctx context.Context, name string) (context.Context, Span) {
	if t == nil {
		return ctx, Span{}
	}
	return t.below(ctx, name, trace.SpanKindInternal)
}

// Call begins a span of a call to something else, if the work that ctx belongs to is followed.
func (t *Tracer) Call(ctx context.Context, name string) (context.Context, Span) {
	if t == nil {
		return ctx, Span{}
	}
	return t.below(ctx, name, trace.SpanKindClient)
}

// Serve begins a span of a call from another node, if the request that it is for is followed.
func (t *Tracer) Serve(ctx context.Context, name string) (context.Context, Span) {
	if t == nil {
		return ctx, Span{}
	}
	return t.below(ctx, name, trace.SpanKindServer)
}

func (t *Tracer) below(ctx context.Context, name string, kind trace.SpanKind) (context.Context, Span) {
	if !trace.SpanContextFromContext(ctx).IsSampled() {
		return ctx, Span{}
	}
	ctx, s := t.spans.Start(ctx, name, trace.WithSpanKind(kind))
	return ctx, Span{s}
}

// Work begins a trace of something that a node does by itself.
func (t *Tracer) Work(ctx context.Context, name string) (context.Context, Span) {
	if t == nil {
		return ctx, Span{}
	}
	ctx, s := t.spans.Start(ctx, name, trace.WithNewRoot())
	if !s.IsRecording() {
		return ctx, Span{}
	}
	return ctx, Span{s}
}

// Current returns the span of ctx, for who knows more about it than who began it.
func (t *Tracer) Current(ctx context.Context) Span {
	if t == nil {
		return Span{}
	}
	if s := trace.SpanFromContext(ctx); s.IsRecording() {
		return Span{s}
	}
	return Span{}
}

// Carry returns ctx with the span of another context in the place of its own.
func (t *Tracer) Carry(ctx, from context.Context) context.Context {
	if t == nil {
		return ctx
	}
	return trace.ContextWithSpan(ctx, trace.SpanFromContext(from))
}
