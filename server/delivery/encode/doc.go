// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

// Package encode makes the bytes of delivered objects: a format (raw, delimited, JSON lines, CSV, Parquet) inside a
// compression (none, gzip, zstd, framed snappy, Hadoop's snappy, zip).
//
// Invariants:
//   - The same records in the same order make the same bytes: no clock, no randomness, no order of maps, no second
//     goroutine. (As far as the compressors do, whose output may differ between two releases of theirs or between kinds
//     of processors: nodes of one cluster run one build.)
//   - A record that a format cannot hold (spec.Unfit) leaves no trace in the object.
//   - Whatever bytes a record has, an encoder neither panics nor reads deeper than maxDepth.
//
// What is told JSON MUST be JSON as RFC 8259 has it, in UTF-8. A record may hold several JSON texts, one after another,
// with or without white space between them: each becomes a line or a row, or none of them does. Of members that come
// twice in an object, the last one counts.
//
// It does not own: which records go into an object, nor its name (package objectname).
package encode
