// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

// Package rig runs the leat binary as people run it: as a server process, and as a command.
//
// [Binary] builds it once for a test binary (LEAT_BIN names one that is built already). A [Node] is one `leat dev` or
// `leat serve` that keeps its ports through kill -9 and restart; a [Backend] is the PostgreSQL and the bucket of
// `leat serve`; [Run] is one command line. Processes get the environment that they are given and nothing else, and die
// with the test binary.
//
// What a server holds is judged by `leat fsck` ([CheckDev], [Backend.Check]), with which every scenario ends.
package rig
