// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

// Package rating turns usage into the lines of a bill: a pure function of usage and a price book.
//
// # Invariants
//
//   - Nothing is a float. Quantities are whole numbers of base units (bytes, records, byte-hours, microseconds), prices are
//     decimals, and each line is divided and rounded once, at its end.
//   - A bill's total is the sum of its lines, to the last digit.
//   - The order in which usage comes does not matter, nor do the pieces in which it comes: prices that change, tiers and
//     allowances follow the hours that usage belongs to.
//   - Memory grows with streams and price versions, not with hours.
//
// It does not own: where usage comes from and what an invoice is (package billing).
package rating
