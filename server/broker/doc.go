// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

// Package broker does every operation of Leat once, free of transport: it authorises, validates, applies quotas and
// acts. Edges (gRPC, REST, the AWS wires) only translate into and out of its requests.
//
// One operation is one file, which opens with what the operation promises and where it differs from AWS.
//
// Invariants:
//   - No SQL on the path of a put, or of a read: streams and shards come from the Directory, an immutable snapshot that
//     is kept when the catalog is away. Only a stream that is not known, or not active yet, is looked up.
//   - A put is repeated by the broker itself only when the engine says that it was certainly not written. Anything
//     else is an unknown outcome, and the caller is told so.
//   - Operations that change streams write the catalog's intent, wake the control loop (Control.Kick) and return
//     without waiting, as AWS does.
//   - Requests are refused in this order: form, permission, existence and state, quota, then meaning.
//
// It does not own: credentials (server/auth), shard ownership and the control loop (server/cluster), tables
// (server/catalog), durability (shardstore).
package broker
