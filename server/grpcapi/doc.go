// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

// Package grpcapi serves the native API: gRPC, and REST under /v1 through a gateway that speaks to the same gRPC server
// over a connection in memory, so that both edges pass the same interceptors and give the same answers.
//
// It translates between messages and the broker's requests and decides nothing. Beside the API it serves the OpenAPI
// document, a reference page made from it, health (gRPC's own, /healthz, /readyz) and gRPC reflection.
//
// Invariants:
//   - One table (errors.go) maps each leat.Kind to its gRPC code and HTTP status; a test shows that it is complete.
//   - What an unexpected error says goes to the log with the request's id; the caller gets the id alone.
//   - Neither payloads nor credentials are logged.
package grpcapi
