// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker_test

import (
	"testing"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/broker"
	"github.com/leatstream/leat/server/catalog"
)

func TestNodesAreForOperators(t *testing.T) {
	b := newRig(t, broker.LimitsOff).Broker
	for _, who := range []leat.Principal{{Account: leat.DevAccount, Name: "app"}, {Name: "nobody", Operator: true}} {
		if nodes, err := b.ListNodes(t.Context(), who); leat.KindOf(err) != leat.KindAccessDenied {
			t.Errorf("%s is told of %d nodes: %v", who.Name, len(nodes), err)
		}
	}
	if _, err := b.ListNodes(t.Context(), leat.Principal{Account: leat.DevAccount, Name: "bootstrap", Operator: true}); err != nil {
		t.Error(err)
	}
}

func TestDrainNode(t *testing.T) {
	b := newRig(t, broker.LimitsOff)
	operator := leat.Principal{Account: leat.DevAccount, Name: "bootstrap", Operator: true}
	open := func(node string) string {
		t.Helper()
		s := catalog.Session{ID: leat.NewID[leat.SessionID](nil), Node: node, Address: "127.0.0.1:1"}
		if err := b.catalog.OpenSession(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		return s.ID.String()
	}
	draining := func(session string) (is bool) {
		t.Helper()
		nodes, err := b.ListNodes(t.Context(), operator)
		if err != nil {
			t.Fatal(err)
		}
		for i := range nodes {
			is = is || nodes[i].ID.String() == session && broker.StateOf(&nodes[i]) == broker.NodeDraining
		}
		return is
	}
	one, twin, other := open("one"), open("twin"), open("twin")
	for _, c := range []struct {
		who  leat.Principal
		node string
		want leat.Kind
	}{
		{leat.Principal{Account: leat.DevAccount, Name: "app"}, "one", leat.KindAccessDenied},
		{operator, "nobody", leat.KindNotFound},
		{operator, "twin", leat.KindInvalidArgument},
	} {
		if _, err := b.DrainNode(t.Context(), c.who, broker.DrainNodeRequest{Node: c.node}); leat.KindOf(err) != c.want {
			t.Errorf("%s drains %s: %v", c.who.Name, c.node, err)
		}
	}
	for _, name := range []string{"one", twin} {
		if _, err := b.DrainNode(t.Context(), operator, broker.DrainNodeRequest{Node: name}); err != nil {
			t.Error(err)
		}
	}
	if !draining(one) || !draining(twin) || draining(other) {
		t.Errorf("draining: %v, %v, and the one of the same name %v", draining(one), draining(twin), draining(other))
	}
	if _, err := b.DrainNode(t.Context(), operator, broker.DrainNodeRequest{Node: "one", Undo: true}); err != nil || draining(one) {
		t.Errorf("undone: %v, draining %v", err, draining(one))
	}
}
