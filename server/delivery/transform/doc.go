// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

// Package transform changes records on their way to a destination: it unpacks what the KPL packed, decompresses, maps and
// filters with jq, takes partition keys out of records, and asks HTTP endpoints and WebAssembly modules.
//
// Invariants:
//   - Every record of a batch has an outcome: outputs, a failure with its reason, or that a filter dropped it. Nothing is
//     lost between two steps.
//   - A failure keeps the bytes that came in: of a record that the KPL packed, those of the part that failed.
//   - jq and unpacking are functions of the record alone: there is no clock in them, no environment, and they are bounded
//     by steps, not by time. HTTP endpoints and the time bound of modules are not; spec.Transform.Repeatable says so.
//   - An error of Apply says that nothing was decided; whoever calls may try again.
//
// It does not own: order and buffering of batches, retries over time, where failures go (package delivery).
//
// # The ABI of modules
//
// A module is a WASI reactor (wasip1, no files, no arguments, no environment; its clock stands at a constant and its
// random numbers repeat) that exports, besides its memory:
//
//	leat_alloc(size i32) i32        memory for size bytes of input; it is free to use it again after leat_transform
//	leat_transform(at, size i32) i64  the place of the answer << 32 | its size
//
// An exported _initialize is called first. Integers are little-endian, 4 bytes but for the time; "bytes" is a length and
// then that many bytes. The input is one record:
//
//	bytes data · bytes partition key · bytes sequence number · 8 arrival, microseconds since 1970
//
// and the answer is what became of it:
//
//	1 result: 0 Ok, 1 Dropped, 2 ProcessingFailed
//	  Ok:               4 count, then count records of: bytes data · 4 count, then pairs of bytes name · bytes value,
//	                    the partition keys, which a prefix names !{partitionKeyFromLambda:name}
//	  ProcessingFailed: bytes reason, UTF-8
//
// A call has a time bound (1 s by default), memory (64 MiB by default) and up to 8 tables of 262,144 references. A module that traps, exceeds a bound or
// answers what is none of the above fails that record and begins anew with the next one. examples/wasm has one in Go.
package transform
