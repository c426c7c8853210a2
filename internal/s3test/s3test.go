// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package s3test

import (
	"sync"
	"testing"
)

// shared is the server of this test binary. It is a package variable because
// nothing else lives as long as the binary does; testproc ends it.
var shared = sync.OnceValues(open)

// Start returns the server that all tests of this test binary share, and starts
// it at the first call. Do not stop it: see [New].
func Start(tb testing.TB) *Server {
	tb.Helper()
	s, err := shared()
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// New starts a server for this test alone and removes it when the test ends.
func New(tb testing.TB) *Server {
	tb.Helper()
	s, err := open()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.close(); err != nil {
			tb.Error(err)
		}
	})
	return s
}
