// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

// Package objectname gives delivered objects their names, as Amazon Data Firehose documents them:
// <evaluated prefix><suffix>, where a prefix may hold expressions and the suffix is
// <delivery>-<version>-<yyyy-MM-dd-HH-mm-ss>-<uuid><extension>.
//
// Expressions are !{timestamp:<pattern of Java's DateTimeFormatter>}, !{firehose:random-string},
// !{firehose:error-output-type} (error prefix alone), !{partitionKeyFromQuery:<name>} and
// !{partitionKeyFromLambda:<name>} (prefix alone). A prefix without a timestamp gets yyyy/MM/dd/HH/ at its end.
// Times are those of the oldest record in the object, in the chosen time zone, UTC if none is.
//
// Invariants:
//   - A name is a function of the delivery, its version, the seed that stands for the range, the oldest record's time and
//     the partition keys: never of the wall clock or of chance. What is random with Firehose is derived from a hash of
//     these, so that a retry makes the same name.
//   - Objects of two seeds, or two partitions or parts of one, never share a name but by a collision of SHA-256.
//   - A name that was made is one that S3 and S3-like stores take: at most 1,024 bytes, no empty part, no "." or "..".
//
// It does not own: what a range is, where partition keys come from, which extension a format has.
package objectname
