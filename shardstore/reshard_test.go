// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package shardstore_test

import (
	"errors"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore"
	"github.com/leatstream/leat/shardstore/segment"
)

// Two parents become one child, whose clock is at least the later one's (rule 16, I9). The session dies before the
// catalog hears of it, and after.
func TestMergeOfTwoParents(t *testing.T) {
	for _, told := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t).shards(2)
			s := r.open()
			a, b := texts("a", 5), texts("b", 7)
			r.put(0, a...)
			pause(time.Second)
			r.put(1, b...)
			merge := shardstore.Reshard{
				ID: "merge", Parents: []segment.ReshardParent{{Shard: r.key(0)}, {Shard: r.key(1)}},
				Children: []segment.ReshardChild{{Shard: r.key(2)}},
			}
			done, err := s.Reshard(t.Context(), merge)
			if err != nil || done.Parents[0].Final != 5 || done.Parents[1].Final != 7 {
				t.Fatalf("%+v, %v", done, err)
			}
			if last := r.all(1)[6].Time; done.Time < last {
				t.Errorf("the child begins at %d, its parent ended at %d", done.Time, last)
			}
			r.put(2, "child")
			late := []shardstore.Put{{Shard: r.key(1), Record: leat.Record{PartitionKey: "k"}}}
			if err := s.Append(t.Context(), late); err != nil {
				t.Fatal(err)
			}
			var over *shardstore.ReshardedError
			if !errors.As(late[0].Err, &over) || !errors.Is(late[0].Err, shardstore.ErrResharded) || !reflect.DeepEqual(*over.Reshard, done) {
				t.Errorf("a put that came late was told %v", late[0].Err)
			}
			page, err := s.Read(t.Context(), r.key(0), 5, shardstore.ReadLimits{Records: 1, Bytes: 1})
			if err != nil || !page.Ended || page.Became == nil || !reflect.DeepEqual(*page.Became, done) {
				t.Errorf("the end of a parent reads %+v, %v", page, err)
			}
			if page, err = s.Read(t.Context(), r.key(0), 4, shardstore.ReadLimits{Records: 1, Bytes: 1}); err != nil || page.Next != 5 || page.Became == nil {
				t.Errorf("the last record of a parent reads %+v, %v", page, err)
			}
			if page, err = s.Read(t.Context(), r.key(0), 3, shardstore.ReadLimits{Records: 1, Bytes: 1}); err != nil || page.Ended || page.Became != nil {
				t.Errorf("before the end it reads %+v, %v", page, err)
			}
			if told {
				if err := r.index.confirm(done, s.Session()); err != nil {
					t.Fatal(err)
				}
				s.ConfirmReshard("merge")
				if err := s.Pack(t.Context()); err != nil {
					t.Fatal(err)
				}
				if st := s.Stats(); st.Unindexed != 0 {
					t.Errorf("%d extents are not in the index after the reshard was confirmed", st.Unindexed)
				}
			}
			r.kill()
			r.reopen()
			r.wantAll(0, a)
			r.wantAll(1, b)
			r.wantAll(2, []string{"child"})
			for i := range 2 {
				if bounds, err := r.store.Bounds(t.Context(), r.key(i)); err != nil || !bounds.Closed {
					t.Errorf("parent %d: %+v, %v", i, bounds, err)
				}
			}
			r.fsck()
			r.checkUsage(t)
		})
	}
}

// A reshard that makes no sense changes nothing.
func TestReshardsThatAreRefused(t *testing.T) {
	r := newRig(t).shards(2)
	s := r.open()
	parent := func(i int) segment.ReshardParent { return segment.ReshardParent{Shard: r.key(i)} }
	child := func(i int) segment.ReshardChild { return segment.ReshardChild{Shard: r.key(i)} }
	for name, c := range map[string]struct {
		r    shardstore.Reshard
		want func(error) bool
	}{
		"an unknown parent": {
			shardstore.Reshard{ID: "1", Parents: []segment.ReshardParent{parent(0), parent(7)}, Children: []segment.ReshardChild{child(8)}},
			func(err error) bool { return errors.Is(err, shardstore.ErrNotOwned) },
		},
		"a parent twice": {
			shardstore.Reshard{ID: "2", Parents: []segment.ReshardParent{parent(0), parent(0)}, Children: []segment.ReshardChild{child(8)}},
			func(err error) bool { return err != nil && leat.KindOf(err) == leat.KindInternal },
		},
		"a child that exists": {
			shardstore.Reshard{ID: "3", Parents: []segment.ReshardParent{parent(0)}, Children: []segment.ReshardChild{child(8), child(1)}},
			func(err error) bool { return err != nil && leat.KindOf(err) == leat.KindInternal },
		},
	} {
		if _, err := s.Reshard(t.Context(), c.r); !c.want(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for i := range 2 {
		if p := r.put(i, "x"); p[0].Err != nil {
			t.Errorf("shard %d after refused reshards: %v", i, p[0].Err)
		}
	}
	if err := s.Close(t.Context()); err != nil {
		t.Errorf("a refused reshard was left behind: %v", err)
	}
}
