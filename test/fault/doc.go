// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

// Package fault runs real Leat processes under load and under faults, and checks what they promise.
//
// [Load] puts records whose bytes tell who put them and as which of their key, each exactly once and never again, and
// notes every answer in a [History]: acknowledged at a place, certainly not written, or of unknown fate. It also follows
// every shard, by polling and by pushes, through splits and merges. [Tail] does a little of both at a slow pace and
// keeps the calls themselves, for porcupine. The tests meanwhile kill, freeze and stop the nodes, PostgreSQL and the
// S3 server.
//
// What is checked, by the numbers of the data plane's invariants:
//
//   - I1 Every acknowledged record is in the stream, once, at the place that its acknowledgement named, with its bytes.
//     What was refused as certainly not written is not there; what is of unknown fate is there once or not at all.
//   - I2 Offsets are dense, and nobody ever saw two values at one place.
//   - I3 Whatever any reader saw at any time is in the stream at the end.
//   - I9 Arrival times do not fall within a shard.
//   - I10 A reader of a shard's children began after the end of its parents; the records of a key are in the order of
//     their acknowledgements across them.
//   - I13 No answer that says "caught up" leaves out a record that was acknowledged before the question was asked.
//   - I14 A reader sees a shard move forward only, without a gap.
//
// After each run leat fsck checks the catalog against storage (I7 and every checksum).
//
// A run takes its seed from LEAT_FAULT_SEED or makes one, and prints it. LEAT_FAULT_FOR=10m makes runs longer,
// LEAT_FAULT_ONLY=zombie keeps to the faults with that in their names, and LEAT_FAULT_REPORT=FILE appends what each run
// did, as a row of a table in Markdown.
package fault
