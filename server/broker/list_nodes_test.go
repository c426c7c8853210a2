// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker_test

import (
	"testing"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/broker"
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
