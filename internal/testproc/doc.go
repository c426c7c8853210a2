// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

// Package testproc runs real servers as child processes of a Go test.
//
// A test binary can end in ways that run no cleanup: os.Exit, a panic in
// another goroutine, the timeout of go test, kill -9. This package promises
// that nothing stays behind even then:
//
//   - A [Process] dies with the test binary. The kernel sends its death signal
//     (Linux; elsewhere only [Process.Stop] and [Process.Kill] end it).
//   - A [Dir] is removed when the test binary is gone, by a shell that waits
//     for the end of a pipe.
//   - A [Port] stays reserved while its server is stopped, so that a server
//     that comes back finds its address free.
//
// Processes get the environment that they are given and nothing else, their own
// process group (Ctrl-C reaches the test alone), and a log file instead of the
// test's output (go test waits for whoever holds that output).
//
// A running Process holds one goroutine, [Process] method run. Tests that look
// for leaked goroutines while a shared server is up must ignore it:
// goleak.IgnoreAnyFunction("github.com/leatstream/leat/internal/testproc.(*Process).run").
//
// What the servers are, and when they are ready, is for pgtest, s3test and the
// end-to-end tests to say.
package testproc
