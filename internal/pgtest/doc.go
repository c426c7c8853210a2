// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

// Package pgtest gives tests a real PostgreSQL.
//
//	dsn := pgtest.Database(t) // a fresh, empty database of the package's cluster
//
// The first call in a test binary makes a cluster (about 0.6 s), later calls
// share it, and each database is dropped when its test ends. The cluster needs
// no TestMain: it ends with the test binary, also when that is killed, and its
// folder goes with it (see package testproc).
//
// Tests that stop the server or crash it take a cluster of their own with [New].
//
// A cluster listens on a Unix socket in its own folder and nowhere else, so
// there is no port to collide on and nobody else can enter. The server runs as
// the user postgres (or nobody) when the test runs as root, since PostgreSQL
// refuses to be root.
//
// Unless [Durable] asks for it the server never calls fsync: what it holds
// outlives its own crash but not the machine's. Nothing is skipped when
// PostgreSQL is absent: the test fails and says to run make test.
package pgtest
