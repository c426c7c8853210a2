// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package catalog_test

import (
	"testing"
	"time"

	"github.com/leatstream/leat/server/catalog"
)

func TestNodesTellWhoServesWhat(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		one := b.session()
		b.stream("s", 3)
		b.take(one)
		leads, err := b.AcquireLeader(t.Context(), one, time.Second)
		if b.must(err); !leads {
			t.Fatal("nobody leads, and the only session may not")
		}
		b.clock.advance(time.Second)
		two := b.session()
		b.stream("t", 2)
		b.take(two)
		gone := b.session()
		b.fence(gone, 0)
		fencing := b.session()
		_, err = b.BeginFencing(t.Context(), fencing)
		b.must(err)

		got, err := b.Nodes(t.Context())
		b.must(err)
		if len(got) != 3 {
			t.Fatalf("%d nodes: %+v", len(got), got)
		}
		byID := map[string]catalog.NodeStatus{}
		for _, n := range got {
			byID[n.ID.String()] = n
		}
		if n := byID[one.String()]; got[0].ID != one || n.Shards != 3 || !n.Leader || n.State != catalog.SessionLive || n.Opened.IsZero() {
			t.Errorf("the first: %+v", n)
		}
		if n := byID[two.String()]; n.Shards != 2 || n.Leader || n.Moving != 0 || n.Address != "127.0.0.1:1" {
			t.Errorf("the second: %+v", n)
		}
		if n := byID[fencing.String()]; n.Shards != 0 || n.State != catalog.SessionFencing {
			t.Errorf("the one that is being fenced: %+v", n)
		}
		if o, leads, err := b.Overview(t.Context(), one); err != nil || !leads || o != (catalog.Overview{Live: 2, Fencing: 1, Shards: 5}) {
			t.Errorf("the leader counts %+v (%v, %v)", o, leads, err)
		}
		if o, leads, err := b.Overview(t.Context(), two); err != nil || leads || o != (catalog.Overview{}) {
			t.Errorf("another counts %+v (%v, %v)", o, leads, err)
		}
		b.stream("u", 4)
		if o, _, err := b.Overview(t.Context(), one); err != nil || o.Shards != 9 || o.Unowned != 4 {
			t.Errorf("with four shards that nobody took: %+v (%v)", o, err)
		}
	})
}
