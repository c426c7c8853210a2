// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

// Package fault is a blob.Store that misbehaves on request, as networks and
// stores do: answers get lost, writes arrive late or twice, reads come back
// short or wrong, conditional creation is broken.
//
// A Hook decides about each call by its operation and key. It may be a script of
// a test, or Seeded, whose choice depends on the seed and on the call alone,
// never on how goroutines are scheduled.
//
// Nothing here sleeps or starts goroutines. What waits, waits for a Gate; what is
// late, lies in the store's mailbox until Release delivers it. Counts says
// what reached the store.
package fault
