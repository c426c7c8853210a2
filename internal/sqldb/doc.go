// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

// Package sqldb opens the database of the control plane, PostgreSQL or SQLite, so that one SQL text runs on both.
//
// # Transactions
//
// [DB.Tx] runs a function in one transaction and runs it again when the engine asks for that: serialization failures,
// deadlocks, a busy SQLite, a connection that was lost before COMMIT was sent. The function MUST therefore have no
// effect outside its transaction but for what it sets afresh on each run. Errors come back as leat.Error: KindUnavailable
// says that nothing was committed, KindUnknownOutcome (which is [ErrCommitUnknown]) that COMMIT was sent and not answered.
// COMMIT is not cut short by the caller's context, so that unknown outcomes stay rare.
//
// # Isolation
//
// On PostgreSQL a Tx is READ COMMITTED. That suffices for a transaction whose decisions are compare-and-swaps: an
// UPDATE or DELETE waits for the row's other writer and then judges its WHERE clause on the newest version. It does not
// suffice where a decision rests on rows that are only read ("no other row names this object"): such a transaction
// first locks, by an UPDATE that changes nothing, a row which every writer of those rows locks too; its next statement
// then sees what they committed. Nor does it suffice for two SELECTs that must agree with each other: [DB.View] gives
// them one snapshot. On SQLite writers are one after the other, and all of this holds by itself.
//
// # What is the same on both engines
//
// $1 placeholders in any order, RETURNING, ON CONFLICT, UPDATE … FROM, WITH v (a, b) AS (VALUES …), BIGINT and TEXT.
// `COLLATE "binary"` compares bytes on both: [DB.Migrate] makes the collation on PostgreSQL. Times are microseconds in
// BIGINT; uint64 is stored as the BIGINT of the same bits; booleans are 0 and 1; ids and hash keys are lower-case
// hexadecimal TEXT. Arguments are converted so by [Tx], and [U64], [ID], [HashKey], [Time] and [Bool] read them back.
//
// The package does not own any table: callers bring their migrations.
package sqldb
