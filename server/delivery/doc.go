// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

// Package delivery moves the records of streams into buckets, or to HTTP endpoints, as Firehose does: plan → buffer →
// transform → encode → put → commit. Unlike Firehose's, each record is in exactly one object.
//
// # The protocol
//
// Each shard of a delivery stream has a cursor in the catalog. Whoever owns the shard
//
//	1  reads on from the cursor until the buffer's bytes or age are reached. Nothing is held that cannot be read again
//	2  plans: one transaction writes the range [first, end) with the version of the configuration, and ties the cursor to
//	   that plan, by compare-and-swap on the cursor's place and the shard's epoch
//	3  transforms. With a step that is not repeatable the outcome is written, if absent, to Leat's own bucket, and read
//	   back whenever it is there already
//	4  writes the names of the objects into the plan, and both into the ledger in Leat's own bucket (ledger.go). They come
//	   from the range and the configuration, from no clock
//	5  writes the objects, each if absent. One that stands already and says in its metadata that it is of this plan is this
//	   plan's object, whoever wrote it; one that does not is never touched, and the delivery stops with that reason
//	6  commits: one transaction writes what each object holds, and moves the cursor, by compare-and-swap on the plan
//
// Whoever comes after a death finds the plan at the cursor, and does 3 to 6 again with the same configuration: the same
// names, the same bytes. So two owners that do it at once do no harm either. Only what no name and no byte comes from is taken
// from the present configuration: credentials, the bound of retries, and whom transforms ask (renew).
//
// A child shard begins when the cursors of its parents are at their ends (lineage.go). Records that expire between two
// tries of a plan change none of this (again.go). A catalog that is made anew has its plans from the ledger.
//
// # Invariants
//
// D1 The plans of a shard cover [start, cursor) without a gap or an overlap. D2 Every record of a committed plan counts in
// exactly one of its objects, or as dropped by a filter, or as expired before it could be read. D3 A committed plan's
// objects stand in the bucket (until its owner removes them). `Verify` proves all three from the catalog and the bucket.
//
// It does not own: names, formats and transforms (objectname, encode, transform), what may be asked for (spec), who may
// ask (broker), nor records (shardstore).
package delivery
