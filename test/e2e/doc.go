// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

// Package e2e tests Leat as people meet it: the binary, its output, its exit status and its ports, as `leat dev` on a
// folder and as `leat serve` on PostgreSQL and an S3 server. Each scenario that leaves data behind ends with leat fsck.
//
// Processes under load and faults are in test/fault.
package e2e
