// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/broker"
)

// A split that is durable when the catalog is lost: puts go to the children, readers follow, and nothing waits for the
// catalog to be told.
func TestSplitThatTheCatalogDoesNotKnow(t *testing.T) {
	r := newRig(t, broker.LimitsOff)
	s := r.stream("s", 1)
	r.put("s", "k", "before")
	r.consumer("s", "c")
	sub := r.subscribe("c", fromStart)
	if e := sub.next(); text(e.Records) != "before" {
		t.Fatalf("pushed %q", text(e.Records))
	}
	r.must(r.SplitShard(t.Context(), who, broker.SplitShardRequest{Stream: "s", Shard: "0"}))
	for _, done := range r.makeDurable(s.ID) {
		r.Directory().Resharded(t.Context(), done)
	}
	r.must(r.db.Close())
	if e := sub.next(); len(e.Children) != 2 {
		t.Errorf("the subscriber of the parent was told of children %v", e.Children)
	}

	res := r.put("s", "k", "after")
	if res.Shard.Ordinal == 0 {
		t.Fatal("a closed shard took a record")
	}
	end := r.read(r.iterator("s", "0", fromStart))
	if text(end.Records) != "before" || end.Next != "" || len(end.Children) != 2 {
		t.Fatalf("the parent gave %q, next %q, children %v", text(end.Records), end.Next, end.Children)
	}
	if got := text(r.read(r.iterator("s", leat.ShardID(res.Shard.Ordinal), fromStart)).Records); got != "after" {
		t.Errorf("the child gave %q", got)
	}
}

// What the directory knows ahead of the catalog stays when the stream changes meanwhile, is what the catalog says later,
// and is forgotten then.
func TestAheadOfTheCatalog(t *testing.T) {
	for name, begin := range map[string]func(*rig) error{
		"split": func(r *rig) error {
			return r.SplitShard(r.t.Context(), who, broker.SplitShardRequest{Stream: "s", Shard: "1"})
		},
		"merge": func(r *rig) error {
			return r.MergeShards(r.t.Context(), who, broker.MergeShardsRequest{Stream: "s", Shard: "0", Adjacent: "1"})
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, broker.LimitsOff)
			s := r.stream("s", 3)
			r.put("s", "k", "x")
			r.must(begin(r))
			r.Directory().Changed(t.Context())
			shards := func() []leat.Shard {
				t.Helper()
				res, err := r.ListShards(t.Context(), who, broker.ListShardsRequest{Stream: "s"})
				r.must(err)
				return res.Shards
			}
			before := shards()
			done := r.makeDurable(s.ID)
			if len(done) != 1 {
				t.Fatalf("%d reshards", len(done))
			}
			r.Directory().Resharded(t.Context(), done[0])
			ahead := shards()
			if cmp.Equal(before, ahead) {
				t.Fatal("nothing changed")
			}

			r.must(r.catalog.AbandonReshard(t.Context(), s.ID, done[0].ID, "given up by mistake")) // a new version of the stream
			r.Directory().Changed(t.Context())
			if diff := cmp.Diff(ahead, shards()); diff != "" {
				t.Errorf("a change of the stream undid the reshard:\n%s", diff)
			}

			r.must(r.catalog.FinishReshard(t.Context(), done[0]))
			r.Directory().Changed(t.Context())
			if diff := cmp.Diff(ahead, shards()); diff != "" {
				t.Errorf("the catalog says otherwise (-ahead +catalog):\n%s", diff)
			}
			if n := r.Directory().Ahead(); n != 0 {
				t.Errorf("%d reshards are kept that the catalog knows", n)
			}
		})
	}
}
