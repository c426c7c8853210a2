// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

// Package firehose speaks the wire of Amazon Data Firehose: POST / with X-Amz-Target: Firehose_20150804.<Operation>, in
// JSON 1.1. It translates to the delivery operations of package broker and decides nothing itself. Each operation is one
// file; operations.go lists them all.
//
// A destination is kept as package spec's Config, which says all that is done. What AWS's form has besides (roles,
// retry durations, the names of processors) is kept in the Config's notes and answered again as long as it still says
// the same as the Config; a delivery stream that was made or changed elsewhere is described from its Config alone.
//
// Invariants:
//   - A member that Leat does not know or cannot do is refused by its name, wherever it stands; none is ignored.
//   - What is described, given again, makes the same delivery stream.
//   - Secrets are in no answer and in no note.
//
// It does not own: signatures and keys (package auth), permissions and semantics (packages broker and delivery).
package firehose
