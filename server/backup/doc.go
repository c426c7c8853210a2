// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

// Package backup copies what the database knows and the bucket does not into one file, and makes it readable again.
//
// Records, streams, keys and where everything is are in the bucket (server/rebuild). What only the database has is history: the
// ledger, invoices, credits and budgets, counts of reads, what was used of streams that are gone, the audit log. A backup
// has all tables of that kind, and those of the control plane as they were, in one snapshot with the journal's position (the entry of
// server/journal that the snapshot's newest change is). So a restore is a rebuild from the bucket, which brings what was
// acknowledged since, with the history of the backup; and the tables of the control plane tell what that history has counted.
//
// Left out (leftOut has each table with its reason) is what the bucket says better, and what would make a stolen backup dangerous or keep an
// erased stream readable: keys and tokens, and the cluster's secrets. The secrets of webhooks are in it, wrapped under the master key.
//
// # Format
//
//	"leat-backup 1\n"
//	frame*   u32 length of the payload, at least 1 │ u32 CRC-32C of (u64 number of the frame, payload) │ payload
//	         payload: up to 1 MiB of lines, compressed as one zstd frame
//	end      u32 0 │ u32 how many frames │ 32 bytes SHA-256 of everything before them
//
// Numbers are little-endian. The lines of all frames, one after the other, are JSON: first [Header], then for each table
// {"table": name, "columns": [names]} followed by its rows, each an array of integers, strings and nulls, and at last
// {"rows": {table: how many}}. Every bit is under a checksum; a file that was cut short has no end; what follows the end is refused.
//
// The package does not own: tables (their owners migrate them), how a catalog is made from a bucket (server/rebuild), objects
// (server puts a backup into the bucket).
package backup
