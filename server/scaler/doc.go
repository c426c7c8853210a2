// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

// Package scaler makes streams in on-demand mode scale: it splits a shard that stays hot and merges neighbours that stay
// cold, and keeps each decision with its reason.
//
// Watch decides, without I/O; Scaler looks every few seconds at what the broker has counted, lets Watch decide, and has
// the broker begin the splits and merges, as if somebody had called SplitShard and MergeShards.
//
// Invariants:
//   - It acts on a stream only while it is ACTIVE, and on those shards alone that this node's session owns, since it
//     decides by what this node has counted: other nodes decide for theirs. Neighbours are merged where they have one owner.
//   - Bounds are those of the whole stream. The catalog checks who owns the shards, and that the stream is as it was when
//     the scaler looked: of two nodes that decide at once one looks again.
//   - A merge is never followed by the split that undoes it, nor the other way around, while the load stays: two shards
//     are merged only when together they are far below what makes a shard hot.
//   - A shard is in one reshard at a time; the number of shards stays between the stream's least and Params.MaxShards, and that
//     of an account's within its quota, but for what several nodes decide at the same moment.
//   - It forgets what it saw when the session ends: a node that takes over watches anew before it acts.
//
// It does not own: the counts (server/broker), what a reshard is and that no record is lost by it (server/catalog,
// shardstore), or the least number of shards (server/catalog).
package scaler
