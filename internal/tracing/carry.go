// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package tracing

import (
	"context"
	"net/http"

	"go.opentelemetry.io/otel/propagation"
	"google.golang.org/grpc/metadata"
)

// The headers of W3C Trace Context, and the metadata of the same names over gRPC.
const (
	ParentHeader = "traceparent"
	StateHeader  = "tracestate"
)

// format reads and writes them. What is malformed is taken for absent, as the standard wants it.
var format propagation.TraceContext

// FromHTTP returns ctx with the span that a request's headers name, if any.
func (t *Tracer) FromHTTP(ctx context.Context, h http.Header) context.Context {
	if t == nil || h.Get(ParentHeader) == "" {
		return ctx
	}
	return format.Extract(ctx, propagation.HeaderCarrier(h))
}

// FromGRPC returns ctx with the span that the incoming metadata of a call names, if any.
func (t *Tracer) FromGRPC(ctx context.Context) context.Context {
	if t == nil {
		return ctx
	}
	in := incoming{ctx}
	if in.Get(ParentHeader) == "" {
		return ctx
	}
	return format.Extract(ctx, in)
}

// ToGRPC returns ctx with its span in the outgoing metadata, if it has one.
func (t *Tracer) ToGRPC(ctx context.Context) context.Context {
	if t == nil {
		return ctx
	}
	out := propagation.MapCarrier{}
	format.Inject(ctx, out)
	for key, value := range out {
		ctx = metadata.AppendToOutgoingContext(ctx, key, value)
	}
	return ctx
}

// incoming is the metadata of a call that came in.
type incoming struct{ ctx context.Context }

func (c incoming) Get(key string) string {
	if v := metadata.ValueFromIncomingContext(c.ctx, key); len(v) > 0 {
		return v[0]
	}
	return ""
}

// Set does nothing: nobody writes to what came in.
func (incoming) Set(string, string) {}

// Keys returns what is read of it.
func (incoming) Keys() []string { return []string{ParentHeader, StateHeader} }
