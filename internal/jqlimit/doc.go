// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

// Package jqlimit bounds what a query in jq takes of a process: how deep it may be in itself before it is compiled (Unfit), how many
// steps it may run (Steps), and how long the text of what it gives may be (Marshal).
//
// It does not own: what one step allocates, for which gojq has no bound (docs/limits.md), and who may run a query.
package jqlimit
