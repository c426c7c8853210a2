// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

// Package billing keeps the ledger of what was used, and makes invoices of it.
//
// # How a number comes about
//
// Sources: the catalog's usage (puts, written in the transaction that registers a pack: invariant I15), its spans (from when to
// when something of a stream held, written in the transactions that change it), and counts of reads, pushes and deliveries, which nodes flush
// under a (session, number). [Billing.Book] computes from these what each stream used in an hour that is over and writes it to the
// ledger. [rating.Rate] turns the ledger of a month into the lines of an invoice.
//
// # Invariants
//
//   - An hour is booked as the difference between what the sources say and what the ledger has: booking again, or by two nodes
//     at once, adds nothing.
//   - Rows of the ledger are never changed. What comes late is a signed correction beside them: whoever changes a source
//     leaves a mark (table dirty) in the same transaction, with a lock that billing waits for.
//   - A closed invoice is never changed. What is corrected in its month afterwards is a line of the next open one.
//   - A flush of counts is applied once, however often it is sent; a node that dies loses what it had not flushed.
//
// It does not own: the sources' tables (server/catalog), who may see what (server/broker).
package billing
