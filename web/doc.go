// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

// Package web is the console: pages for people, served under /console by every node.
//
// It is an edge as the others are: it turns a request into a call of the broker with the rights of the person who is signed
// in, and the answer into a page. Pages are made on the server (html/template); everything can be read and done without
// script. Script makes numbers live, follows a stream, and saves keystrokes. There is no build: the files in static are
// served as they are.
//
// Invariants:
//   - What records, keys, names and errors contain is text on every page and never markup: html/template escapes it, and the
//     content security policy lets no page run or style anything but this package's own files.
//   - A request that changes something comes from a page of this console: same origin, and with the token of the session.
//   - A browser holds its credential sealed: a session cookie tells it nothing and ends by itself. The credential is checked
//     anew on each request, so a key that is disabled is out at once.
//   - What a reader asks for is bounded in time, bytes and number: a page, a filter or a tail cannot hold up a node.
//
// It does not own: what may be done (server/broker), who somebody is (server/auth).
package web
