// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package tracing

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/leatstream/leat"
)

// Span is a part of a trace. The zero Span is of what is not followed: its methods do nothing.
type Span struct{ s trace.Span }

// Followed tells whether there is a span, for callers that would have to work out what to tell it.
func (s Span) Followed() bool { return s.s != nil }

// On says what the work is done to: a stream or delivery stream of an account.
func (s Span) On(account, stream string) {
	if s.s == nil {
		return
	}
	s.s.SetAttributes(attribute.String("leat.account", account))
	if stream != "" {
		s.s.SetAttributes(attribute.String("leat.stream", stream))
	}
}

// Size says how many records the work is about, and their bytes of data and partition keys.
func (s Span) Size(records, bytes int) {
	if s.s != nil {
		s.s.SetAttributes(attribute.Int("leat.records", records), attribute.Int("leat.bytes", bytes))
	}
}

// Text adds a name. It MUST NOT be anything of a record.
func (s Span) Text(key, value string) {
	if s.s != nil {
		s.s.SetAttributes(attribute.String(key, value))
	}
}

// Number adds a number.
func (s Span) Number(key string, n int64) {
	if s.s != nil {
		s.s.SetAttributes(attribute.Int64(key, n))
	}
}

// Link ties the span to the one that a context has: both are about the same, and neither is a part of the other.
func (s Span) Link(to context.Context) {
	if s.s != nil {
		s.s.AddLink(trace.LinkFromContext(to))
	}
}

// End ends the span, with the kind of an error where there is one.
func (s Span) End(err error) {
	switch {
	case s.s == nil:
	case err == nil:
		s.s.End()
	default:
		s.Fail(kindOf(err))
	}
}

// Fail ends the span with an error's kind: its text may hold what no span has.
func (s Span) Fail(kind leat.Kind) {
	if s.s == nil {
		return
	}
	s.s.SetAttributes(attribute.String("error.type", kind.String()))
	s.s.SetStatus(codes.Error, "")
	s.s.End()
}

func kindOf(err error) leat.Kind {
	var e *leat.Error
	switch {
	case errors.As(err, &e):
		return e.Kind
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return leat.KindCanceled
	}
	return leat.KindInternal
}
