// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

// Package awswire is what the AWS wires of Leat have in common: how a request gets its ids, how its body is read, and how
// errors are told. What differs, such as the exceptions of a service, is handed in.
//
// Invariants:
//   - Of a fault of the server's own a caller learns the request's id alone.
//   - A body never takes more memory than its limit, whatever it announces.
//
// It does not own: operations, encodings and signatures.
package awswire
