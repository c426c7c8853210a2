// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

// Package rebuild makes a catalog out of a bucket alone: streams and their settings from the journal, the ends of
// sessions by recovering their logs as any recoverer does, shards' records from the tables of contents of all packs.
//
// Why that is right (data-plane.md):
//
//   - Two journal entries are written first. From then on no server with an older catalog opens a session or changes
//     anything, and a server that began an entry of its own meanwhile is found out.
//   - Every session that was ever opened is in the journal. Each is recovered: its fence ends a server that still runs
//     (rules 10, 11). The journal's marks of deletions say from which segment on its log is whole.
//   - Whatever a pack holds is true, registered or not: packs are written of durable records alone, and an offset of a
//     shard never has two values (I1, I2). So any extents that join will do; those are taken that reach from the end
//     of the shard furthest back.
//   - Epochs begin far above all that any record has (I12).
//
// With a backup of the lost catalog (History) its usage, spans and other history come along. That counts records up to an offset of each
// shard, and manifests in the bucket those of packs that were registered later; what neither has, since the last manifests were lost with
// the database, is counted from the packs. So each record is on a bill once, and `leat billing verify` finds no difference.
//
// Records that had expired and whose objects are still there for another shard's sake may come back for a moment;
// retention, which is in the journal, takes them away again. It does not own: the rows (server/catalog), the journal
// (server/journal), the protocol of recovery (shardstore).
package rebuild
