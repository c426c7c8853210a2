// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

// Package audit keeps the audit log: who asked for what, from where, and what came of it. The broker writes it, in one place,
// and reads it; this package makes rows of what it is told, keeps them in tables of their own for a while, and finds them again.
//
// Invariants:
//   - A change that was made is a row of its own, and is durable before its caller is answered, unless the database does not
//     answer within a moment: then it is written later, and Lost counts what could not be.
//   - Everything else (reads of the control plane, calls that were refused or failed) is merged: what is alike but for its
//     time is one row a round, which counts. Memory and rows are bounded for each account and in all; beyond the bound what
//     differs is merged too, into one row for each account and outcome.
//   - Failed attempts to sign in are merged so too, a minute long: who has no credential fills a bounded number of rows.
//   - Changes are bounded too, in bytes for each account: Wait says that one has made too many, before it makes the next. One that
//     was made is never left out for that.
//   - Add never waits. Nothing here can fail a call that was made.
//
// It does not own: who may read it, what is worth a row, and what must not stand in one (server/broker).
package audit
