// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

// Package catalog keeps the control plane's tables and their transactions: the cluster's identity, sessions, streams,
// shards and who owns them, reshards, the extent index, the deletion queue, consumers, tags, policies, account settings and
// usage. One SQL text runs on PostgreSQL and SQLite.
//
// A Catalog satisfies shardstore.Index. It is never asked on the path of a put or a tail read.
//
// # What the transactions keep (data-plane.md)
//
//   - A session goes live → fencing → closed, or live → closed by its own node, and never back (rules 10, 11).
//   - Its trim moves only while it is live, by compare-and-swap, together with the registration of what was trimmed (6, 7).
//   - A shard's epoch rises each time it gets an owner, and only its owner changes its extents (I12, rule 17).
//   - Counted extents begin where the shard's registered ones end, and a merge covers the same offsets as what it
//     replaces; so the extents of a shard join from its horizon on (I7).
//   - Usage is written with the extents that it counts, once (I15); for shards that are gone without the extents, as spans tell whose it is.
//   - An object is queued for deletion in the transaction that takes its last extent away, not earlier, and a segment
//     only when a committed trim is beyond it or when its closed session holds nothing any more (6, 12). Fences are
//     never queued (I6).
//   - A reshard closes its parents and opens its children in one transaction, once (16).
//
// # Locks
//
// Two rows stand for others (see "Isolation" in internal/sqldb): revision for streams and the ownership of shards, and
// an object's row for the extents that name it. Transactions take, in this order: revision, sessions, shards, objects;
// where two deadlock all the same, PostgreSQL ends one and it is run again.
//
// The package does not decide who may do what (server/broker), when a session is dead or who gets a shard
// (server/cluster), and touches no object store.
package catalog
