// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

// Package cluster lives a node's part in a cluster: it recovers sessions that are over, opens sessions of its own, takes
// shards, keeps the heartbeat, and carries out what the catalog intends (new streams, reshards, deletions).
//
// # The life of a node
//
//	           ┌── another session lives ──┐
//	           ▼                           │
//	start ─▶ settle ──nothing lives──▶ open ─▶ serve ──session over──▶ settle
//	                                           │
//	                                           └──context done──▶ drain: CLOSE, catalog close
//
// settle looks at every session that is not closed. One of a dead node is moved to fencing, its log is fenced, its end is
// decided once in closed/<session> (shardstore.Recover), and the catalog closes it (data-plane.md, rules 9 to 12). A
// session counts as dead when its heartbeat did not move across this node's own successful polls for DeadAfter, when it was this very
// process's earlier session, or when this process holds the exclusive lock of the folder.
//
// In this version one session at a time serves all shards: a second node stands by, answers Unavailable, and takes over
// when the first is dead. Ownership, epochs and hand-over are per shard already; spreading them comes with the
// cluster issue.
//
// A new session acks nothing before the read lease of the fenced one has passed (rule 13), unless a lock or a CLOSE
// proves that it serves no more.
//
// The package does not own: the log and its recovery (shardstore), the tables (server/catalog), or any decision of an
// API (server/broker).
package cluster
