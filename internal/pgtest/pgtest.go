// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package pgtest

import (
	"sync"
	"testing"
)

// shared is the cluster of this test binary. It is a package variable because
// nothing else lives as long as the binary does; testproc ends it.
var shared = sync.OnceValues(func() (*Cluster, error) { return open(options{}) })

// Start returns the cluster that all tests of this test binary share, and
// starts it at the first call. Do not stop it: see [New].
func Start(tb testing.TB) *Cluster {
	tb.Helper()
	c, err := shared()
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

// Database makes an empty database in the shared cluster and returns its DSN.
// It is dropped, with whoever is still connected, when the test ends.
func Database(tb testing.TB) string {
	tb.Helper()
	return Start(tb).Database(tb)
}

// New starts a cluster for this test alone and removes it when the test ends.
func New(tb testing.TB, opts ...Option) *Cluster {
	tb.Helper()
	var o options
	for _, opt := range opts {
		opt(&o)
	}
	c, err := open(o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := c.close(); err != nil {
			tb.Error(err)
		}
	})
	return c
}

// Option changes how a cluster is made.
type Option func(*options)

type options struct {
	durable bool
}

// Durable has the cluster fsync as a production server does: for benchmarks.
func Durable() Option { return func(o *options) { o.durable = true } }
