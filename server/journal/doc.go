// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

// Package journal keeps the changes of the control plane in the bucket, so that a catalog can be made anew from it
// (`leat rebuild`), and so that a catalog that was restored from a backup is not taken for the present one.
//
// The journal is a write-ahead log: entries 1, 2, 3, … without a gap, each an object that is written if absent and never
// deleted, nor changed (but that Scrub takes keys out of those of former versions). An entry that stands is decided; the
// catalog follows. Entries hold states, not steps: applying one twice does no harm.
//
// # The state machine
//
// The catalog knows n, the entry that its newest journaled change is. A change of the control plane is one SQL transaction:
//
//	1  make the change, and lock the row of n
//	2  look whether entry n+1 stands. The bucket does not answer → roll back: certainly not done (Unavailable).
//	   It stands → roll back, catch up (below), begin again
//	3  write entry n+1 if absent. Another's stands → roll back, catch up, begin again. No clear answer, after some
//	   tries of the same bytes → roll back: unknown outcome
//	4  n becomes n+1; COMMIT
//
// Whoever dies between 3 and 4 leaves an entry that the catalog does not have. Whoever comes next finds it in step 2, and
//
//	catches up: entry n+2 stands as well → this catalog is older than the bucket: refuse, and name leat rebuild.
//	Otherwise apply entry n+1 and commit it as n+1
//
// Entry n+2 is written only by a transaction that saw n+1 committed, so it proves that this catalog has forgotten
// something. Of an entry that opened a session the session's log is the proof: it begins after the commit.
//
// A writer that was frozen between 2 and 3 while its transaction died finds entry n+1 taken (and its transaction gone),
// or writes it: then its change is decided, although it was told to nobody, and is caught up with.
//
// A catalog that misses no entry, or one that can be caught up with, still names nothing that is gone: before objects
// are deleted two entries are written (a mark and its proof), after the transactions that stopped naming them. The mark
// tells below which segment each log was packed, so that rebuild scans from there, and where shards end of which no
// record is left.
//
// Invariants: what entries decide never changes; the catalog's n never exceeds the last entry; a change that was told to a
// caller as done is in an entry. It is never asked on the path of a put or a tail read.
//
// Of deliveries it has what was asked for, not what was delivered: that is in objects beside it (server/delivery).
//
// It does not own: what is in the catalog's tables (server/catalog, server/delivery), nor what rebuild makes of the journal
// (server/rebuild).
//
// # Objects
//
//	journal/entries/<n, 20 digits>   "leat-journal 1 <CRC-32C of the rest>\n", then JSON
//	journal/full/<n, 20 digits>      empty: entry n has the whole state, reading may begin there
//	journal/scrubbed/<n, 20 digits>  empty: no entry up to n holds a key of a stream
package journal
