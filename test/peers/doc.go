// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

// Command peers measures Leat beside Redis Streams and NATS JetStream on this
// machine, all three made to acknowledge only what is on the disk, and prints
// Leat's ratio to each. `make bench-peers` runs it.
//
// What makes the comparison fair:
//
//   - One server runs at a time, in a fresh folder of one filesystem, on
//     127.0.0.1 over TCP. The order of the servers turns from round to round, and
//     a ratio is the median of the rounds' ratios: a machine that is slower for a
//     while is so for all of them.
//   - The same payloads, the same number of callers, one Go process as client,
//     each server's own Go client library. Where a server can be used in several
//     ways (pipelines of several sizes, batches or single messages without
//     waiting) all are measured and the best one counts.
//   - Each log has the same number of lanes: shards of a Leat stream, Redis
//     streams, JetStream streams. Within a lane records are in order.
//   - Leat's records carry a partition key, and the batch is spread over the
//     shards by it. The peers' records carry the payload alone.
//   - What a server does beside its log counts against it where it cannot be turned
//     off: Leat's packing does; Redis takes no snapshots and does not rewrite its
//     file, which its users would have it do.
//   - What is read is checked: as many records as were acknowledged, with the
//     same sum of checksums.
//   - Durability is checked, not believed: each server's settings are asked for
//     and, where strace may be used, its calls of fsync and fdatasync are counted.
//
// It is a module of its own so that the peers' clients stay out of Leat's.
package main
