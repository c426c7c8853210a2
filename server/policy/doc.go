// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

// Package policy reads policies in the language of AWS IAM and decides by them. It is pure: it knows no catalog, no clock and
// no transport, and the same question always has the same answer.
//
// Invariants:
//   - An explicit Deny wins over every Allow; what nothing allows is denied.
//   - What a policy says and this package does not know (an operator, a condition key, a variable) is refused when the policy
//     is read, never passed over.
//   - The order of statements does not matter.
//
// It does not own: who has which policy (auth.Identities), what operations there are (broker).
package policy
