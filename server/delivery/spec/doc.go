// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

// Package spec is the vocabulary of delivery: what a delivery stream is told to do. It does no I/O and decides nothing.
//
// A Config is kept as JSON, in the catalog and in the answers of the API; members are added and never change their
// meaning. Secrets are no part of that JSON (Config.Secrets).
//
// Invariant: from a Config, the records of a range and nothing else come the same keys and the same bytes, whoever
// computes them and when. So everything that a Config can ask for MUST be deterministic: no wall clock, no randomness.
// What cannot be (Transform.Repeatable) has its outcome kept before anything of it is written.
//
// It does not own: whether an expression, a query or a module compiles (objectname, transform), nor tables (delivery).
package spec
