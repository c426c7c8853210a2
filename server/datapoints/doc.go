// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

// Package datapoints keeps what streams and delivery streams did in each minute, under the names that Amazon CloudWatch has
// for it: of each metric how often it was measured, and the sum, the least and the most of what was measured. The broker
// and the server tell it, the broker reads it for callers.
//
// Each node counts in memory and writes a row for each series and minute that has anything, every quarter of a minute anew
// until the minute is over: under a name of its own, so that the rows of several nodes add up and a row that is written
// twice counts once. A node that dies loses a quarter of a minute of it, and a database that is away for long loses what is
// beyond maxWaiting.
//
// Invariants:
//   - Observe never waits for the database, and does not allocate for a series that it knows.
//   - Memory is bounded by maxSeries and maxWaiting, rows by the time for which they are kept.
//   - The numbers of metrics never change: they are in the tables.
//
// It does not own: who may read them, and what bills are made of (package billing), which loses nothing.
package datapoints
