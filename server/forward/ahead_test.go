// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package forward_test

import (
	"context"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore"
)

// A split that no table of owners shows, since the catalog is away: the owner of the parent says what became of it, to
// whoever puts and to whoever reads, and the children are found there (data-plane.md, rule 16).
func TestChildrenThatTheTableDoesNotHave(t *testing.T) {
	split := &shardstore.Reshard{ID: "split", Time: 7, Parents: []shardstore.ReshardParent{{Shard: shard(0), Epoch: 3, Final: 1}}}
	for i, first := range []leat.HashKey{{}, {Hi: 1 << 63}} {
		split.Children = append(split.Children, shardstore.ReshardChild{Shard: shard(uint64(1 + i)), Range: leat.HashKeyRange{Start: first, End: leat.MaxHashKey}})
	}
	for name, ask := range map[string]func(r *rig) *shardstore.Reshard{
		"put": func(r *rig) *shardstore.Reshard {
			puts := []shardstore.Put{put(shard(0), "k", "late")}
			r.must(r.nodes[0].router.Append(r.t.Context(), puts))
			var over *shardstore.ReshardedError
			if !errors.As(puts[0].Err, &over) || !errors.Is(puts[0].Err, shardstore.ErrResharded) {
				r.t.Fatalf("a put for a closed shard was told %v", puts[0].Err)
			}
			return over.Reshard
		},
		"read": func(r *rig) *shardstore.Reshard {
			p, err := r.nodes[0].router.Read(r.t.Context(), shard(0), 0, shardstore.ReadLimits{Records: 9, Bytes: 1})
			r.must(err)
			if !p.Ended || len(p.Records) != 1 {
				r.t.Fatalf("the parent reads %+v", p)
			}
			return p.Became
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 2, within)
			owner := r.nodes[1]
			r.open(shard(0), owner)
			r.must(r.nodes[0].router.Append(t.Context(), []shardstore.Put{put(shard(0), "k", "before")}))
			for _, c := range split.Children {
				r.open(c.Shard, owner)
				r.owners.forget(c.Shard)
			}
			s := owner.session.Load()
			s.mu.Lock()
			s.became = map[leat.ShardKey]*shardstore.Reshard{shard(0): split}
			s.mu.Unlock()

			if got := ask(r); got == nil || !reflect.DeepEqual(got, split) {
				t.Fatalf("the owner said %+v", got)
			}
			// The answer takes longer than the sweep lets a put wait whose owner nobody knows.
			s.mu.Lock()
			s.after = func(ctx context.Context) {
				select {
				case <-time.After(2 * time.Second):
				case <-ctx.Done():
				}
			}
			s.mu.Unlock()
			puts := []shardstore.Put{put(shard(1), "k", "after"), put(shard(2), "k", "after")}
			r.must(r.nodes[0].router.Append(t.Context(), puts))
			for i := range puts {
				if puts[i].Err != nil {
					t.Errorf("a put for a child: %v", puts[i].Err)
				}
			}
			if n := r.nodes[0].router.Ahead(); n != 2 {
				t.Errorf("%d children are known ahead of the table", n)
			}
			for _, c := range split.Children {
				r.owners.set(c.Shard, place{s.id, 1, owner.address})
			}
			r.poll("the children are forgotten", func() bool { return r.nodes[0].router.Ahead() == 0 })
		})
	}
}

// Children whose stream is gone come into no table of owners: they are forgotten with the session that told of them.
func TestChildrenOfAStreamThatIsGone(t *testing.T) {
	r := newRig(t, 2, within)
	owner := r.nodes[1]
	r.open(shard(0), owner)
	r.must(r.nodes[0].router.Append(t.Context(), []shardstore.Put{put(shard(0), "k", "x")}))
	s := owner.session.Load()
	s.mu.Lock()
	s.became = map[leat.ShardKey]*shardstore.Reshard{shard(0): {
		ID: "split", Parents: []shardstore.ReshardParent{{Shard: shard(0)}}, Children: []shardstore.ReshardChild{{Shard: shard(1)}},
	}}
	s.mu.Unlock()
	_, err := r.nodes[0].router.Read(t.Context(), shard(0), 0, shardstore.ReadLimits{Records: 9, Bytes: 1})
	r.must(err)
	if n := r.nodes[0].router.Ahead(); n != 1 {
		t.Fatalf("%d children are known", n)
	}
	r.owners.forget(shard(0))
	r.poll("the child is forgotten", func() bool { return r.nodes[0].router.Ahead() == 0 })
}
