// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

// Package blob is Leat's view of an object store: immutable objects under
// keys, created only where none stands, listed in byte order.
//
// Drivers are blob/s3 (any S3-compatible server), blob/disk (a folder) and
// blob/mem (tests). blob/fault wraps any of them and misbehaves on request.
// Every driver passes the suite in blob/blobtest.
//
// Invariants that drivers keep:
//
//   - Create of one key succeeds for one body only, ever; of many callers
//     racing for a key exactly one gets nil. Replace, which not every driver
//     has, is for objects that nobody races for.
//   - An object is seen whole or not at all. After nil from Create every Read,
//     Stat and List sees it.
//   - A driver does not retry by itself. Each call is one attempt, because the
//     meaning of a 412 depends on what was sent before (see data-plane.md,
//     rules 1 and 2).
//   - "Not found" is said only when the store itself answered that the key is
//     absent. A vanished bucket, an unreadable folder or a timeout is another
//     error: nobody may conclude from it that data does not exist.
//
// This package does not own key layout, caching, retries or checksums of
// contents; those belong to the packages that store things.
package blob
