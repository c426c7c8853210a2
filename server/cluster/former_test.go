// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"testing"

	"github.com/leatstream/leat/server/cluster"
)

// A node knows whether one lives beside it that has another secret than its own; and no longer than that.
func TestNodeKnowsOfFormerOnes(t *testing.T) {
	w := newWorld(t)
	sealed := func(c *cluster.Config) { c.Shared, c.NodeSecret = true, true }
	one := w.node("one", sealed).awaitReady()
	two := w.node("two", sealed).awaitReady()
	if one.Owners().Former() || two.Owners().Former() {
		t.Error("two nodes of this version take each other for former ones")
	}
	former := w.node("former", shared).awaitReady()
	await(t, "the others know of it", func() bool { return one.Owners().Former() && two.Owners().Former() })
	if err := former.end(); err != nil {
		t.Fatal(err)
	}
	await(t, "the others know that it is gone", func() bool { return !one.Owners().Former() && !two.Owners().Former() })
}
