// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

// Package shardstore is the engine of one node: it gives the records of its shards their offsets, makes them durable by
// group commit into one session log, serves them from memory or from the object store, and packs them in the background.
//
// # One session
//
// A Store is one session: one life of one node's log. Its states are
//
//	opening ──OPEN durable──▶ live ──Close──▶ draining ──packed──▶ closing ──CLOSE durable──▶ ended
//	                           └──fenced, stalled or failed, from any of them─────────────────▶ ended
//
// Only a live session takes puts; a draining one still serves reads; a closing one, whose successor may begin at any
// moment, does neither. An ended one answers nothing; server/cluster recovers it and opens another.
// A shard inside a session is
//
//	assigned (offsets from Assignment.Next on) ──RESHARD taken──▶ closing ──segment durable──▶ closed (read only)
//	assigned or closed ──Release──▶ releasing (no puts) ──all of it in the index, RELEASE placed──▶ not ours in this epoch
//	                                    └──something failed before──▶ as it was
//
// # One record
//
// Append gives it an offset under the sequencer's lock and copies it into the pending batch (batch.go). The log's
// writer takes the oldest batch as segment n whenever a flush is due. When segments up to n are durable, the batch's
// chunks become the visible tail of their shards, waiters wake and Append returns: durable, visible and acked are one
// step (invariants I2, I3). When the session ends first, the outcome is ErrUnknownOutcome.
//
// # Where a record is
//
// In order of offset a shard consists of: extents in packs (the index has them), extents still only in segments of
// closed sessions (adopt.go packs them first), extents in packs of this session that the index does not have yet,
// extents in its segments (pack.go), and the pending batch. The newest chunks of the last three stay in memory as the
// tail until the budget is used; below, reads go to the objects (fetch.go). I7 says that these parts join without gap or
// overlap; OpenShards, Register and fsck check it.
//
// # Without the catalog
//
// Puts and reads of the tail need the log alone. Packs are written while the store works and registered when the
// catalog is back (register.go), so what a node has to remember meanwhile is an extent a shard and pack; Params.UnindexedRuns
// bounds even that. Retention, merges, deletion and the sweep of orphans (housekeep.go) wait.
//
// The package does not own: who owns which shard (server/cluster), the index's tables (server/catalog), the medium of
// the log (wal) and of objects (blob), bytes (segment), nor any decision of an API (server/broker).
package shardstore
