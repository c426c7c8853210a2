// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

// Package tracing makes OpenTelemetry spans of what a node does and sends them to a collector over OTLP/gRPC.
//
// A trace begins where a request enters the cluster, or where it began in the caller's program if that sends a W3C
// traceparent, and goes with it from node to node. Whether a request is followed is decided once: by the caller, or by the
// ratio of [Options]. What a node does by itself, such as a pack, is a trace of its own.
//
// Invariants:
//   - A nil *Tracer and a zero Span are good for all calls and do nothing: with tracing off a call costs a comparison.
//   - Nothing waits for a collector: what does not fit into a bounded queue is dropped and counted.
//   - A span has names, sizes and kinds of errors: never a record, a partition key, a credential or an error's text.
//
// It does not own what is worth a span: its callers do.
package tracing
