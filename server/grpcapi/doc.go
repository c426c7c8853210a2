// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

// Package grpcapi serves the native API: gRPC, and REST under /v1 through a gateway that speaks to the same gRPC server
// over a connection in memory, so that both edges go the same way and give the same answers. Callers sign in before anything of theirs is
// decoded: those of gRPC around each method, those of REST in the gateway, which tells the server inside who they are.
//
// It translates between messages and the broker's requests and decides nothing. Beside the API it serves the OpenAPI
// document, a reference page made from it, health (gRPC's own, /healthz, /readyz) and gRPC reflection.
//
// Invariants:
//   - One table (errors.go) maps each leat.Kind to its gRPC code and HTTP status; a test shows that it is complete.
//   - What an unexpected error says goes to the log with the request's id; the caller gets the id alone.
//   - Neither payloads nor credentials are logged.
package grpcapi
