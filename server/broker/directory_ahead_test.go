// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/broker"
	"github.com/leatstream/leat/server/catalog"
	"github.com/leatstream/leat/shardstore"
)

// A split that is durable when the catalog is lost: puts go to the children, readers follow, and nothing waits for the
// catalog to be told. The node that did it tells its edges; those of others hear it from the engine, with the first put
// or read that meets the end of the parent.
func TestSplitThatTheCatalogDoesNotKnow(t *testing.T) {
	for _, told := range []bool{true, false} {
		for _, first := range []string{"push", "put", "read"} {
			t.Run(fmt.Sprint(first, " ", told), func(t *testing.T) {
				r := newRig(t, broker.LimitsOff)
				s := r.stream("s", 1)
				r.put("s", "k", "before")
				var sub *subscription
				if first == "push" {
					r.consumer("s", "c")
					sub = r.subscribe("c", fromStart)
					if e := sub.next(); text(e.Records) != "before" {
						t.Fatalf("pushed %q", text(e.Records))
					}
				}
				parent := r.iterator("s", "0", fromStart)
				r.must(r.SplitShard(t.Context(), who, broker.SplitShardRequest{Stream: "s", Shard: "0"}))
				r.Directory().Changed(t.Context())
				for _, done := range r.makeDurable(s.ID) {
					if told {
						r.Directory().Resharded(t.Context(), done)
					} else {
						r.engine.says(done)
					}
				}
				r.must(r.db.Close())
				var child uint64
				steps := map[string]func(){
					"push": func() {
						if e := sub.next(); len(e.Children) != 2 {
							t.Errorf("the subscriber of the parent was told of children %v", e.Children)
						}
					},
					"put": func() {
						if child = r.put("s", "k", "after").Shard.Ordinal; child == 0 {
							t.Fatal("a closed shard took a record")
						}
					},
					"read": func() {
						end := r.read(parent)
						if text(end.Records) != "before" || end.Next != "" || len(end.Children) != 2 {
							t.Fatalf("the parent gave %q, next %q, children %v", text(end.Records), end.Next, end.Children)
						}
					},
				}
				steps[first]()
				for _, next := range []string{"put", "read"} {
					if next != first {
						steps[next]()
					}
				}
				if got := text(r.read(r.iterator("s", leat.ShardID(child), fromStart)).Records); got != "after" {
					t.Errorf("the child gave %q", got)
				}
			})
		}
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

// Two splits that began together and that the catalog does not know stay known, whichever is told first, and told again.
func TestTwoAheadOfTheCatalog(t *testing.T) {
	r := newRig(t, broker.LimitsOff)
	s, done := twoSplits(r)
	for _, told := range []int{0, 1, 0, 1} {
		r.Directory().Resharded(t.Context(), done[told])
	}
	shards := func() string { return ids(r.Directory().Shards(s.ID)) }
	const all = "0 1 2 3 4 5 6 7"
	if got := shards(); got != all {
		t.Fatalf("shards %s", got)
	}
	for _, d := range done {
		r.must(r.catalog.AbandonReshard(t.Context(), s.ID, d.ID, "given up by mistake")) // a new version of the stream
	}
	r.Directory().Changed(t.Context())
	if got := shards(); got != all {
		t.Errorf("after a change of the stream: shards %s", got)
	}
}

// A child that another node has told a reader of is not said to be none while its split is not finished, though later shards
// are there; one that retention has removed is.
func TestChildOfASplitThatIsLate(t *testing.T) {
	r := newRig(t, broker.LimitsOff)
	_, done := twoSplits(r)
	r.must(r.catalog.FinishReshard(t.Context(), done[1]))
	ask := func(shard string) error {
		_, err := r.GetShardIterator(t.Context(), who, broker.GetShardIteratorRequest{Stream: "s", Shard: shard, Start: fromStart})
		return err
	}
	r.must(ask("6"))
	r.wantKind(ask("4"), leat.KindUnavailable, "")
	r.wantKind(ask("8"), leat.KindNotFound, "")
	r.must(r.catalog.FinishReshard(t.Context(), done[0]))
	r.clock.Advance(25 * time.Hour)
	r.must(ask("4"))

	gone, err := r.catalog.ExpireShards(t.Context())
	if err != nil || len(gone) != 2 {
		t.Fatalf("expired %v, %v", gone, err)
	}
	r.must(r.SplitShard(t.Context(), who, broker.SplitShardRequest{Stream: "s", Shard: "2"}))
	r.wantKind(ask("8"), leat.KindUnavailable, "")
	r.wantKind(ask("0"), leat.KindNotFound, "")
}

// twoSplits makes a stream of four shards of which the first two are split, as far as the log: the catalog does not know.
func twoSplits(r *rig) (leat.Stream, []shardstore.Reshard) {
	r.t.Helper()
	_, err := r.CreateStream(r.t.Context(), who, broker.CreateStreamRequest{Stream: "s"})
	r.must(err)
	r.settle()
	s := r.OnDemandStreams()[0]
	var steps []catalog.ScaleDecision
	for i, whole := range leat.SplitEvenly(4)[:2] {
		steps = append(steps, catalog.ScaleDecision{Step: catalog.Split(uint64(i), whole.Middle())})
	}
	r.must(r.ScaleOnDemand(r.t.Context(), s, leat.SessionID{}, steps)) // the shards of this rig belong to nobody
	r.Directory().Changed(r.t.Context())
	done := r.makeDurable(s.ID)
	if len(done) != 2 {
		r.t.Fatalf("%d splits", len(done))
	}
	slices.SortFunc(done, func(a, b shardstore.Reshard) int { return a.Children[0].Shard.Compare(b.Children[0].Shard) })
	return s, done
}
