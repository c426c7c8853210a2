// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package shardstore_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/leatstream/leat/shardstore"
)

// Fsck finds each way in which storage may not agree with itself, and says where.
func TestFsckFinds(t *testing.T) {
	for _, c := range []struct {
		name string
		harm func(r *rig, sh *memShard)
		want string
	}{
		{"a gap", func(_ *rig, sh *memShard) { sh.extents = slices.Delete(sh.extents, 1, 2) }, "records up to 20 are not in any extent"},
		{"an overlap", func(_ *rig, sh *memShard) { sh.extents = append(sh.extents[:2:2], sh.extents[1:]...) }, "records up to 20 are in two extents"},
		{"a short end", func(_ *rig, sh *memShard) { sh.extents = sh.extents[:3] }, "the extents end at 30 but the shard at 40"},
		{"a late beginning", func(_ *rig, sh *memShard) { sh.extents = sh.extents[1:] }, "above the horizon"},
		{"no extents", func(_ *rig, sh *memShard) { sh.extents = nil }, "records up to 40 are not in any extent"},
		{"another final", func(_ *rig, sh *memShard) { sh.closed, sh.final = true, 41 }, "closed at 41 but its extents end at 40"},
		{"falling times", func(_ *rig, sh *memShard) { sh.extents[0].MaxTime += 1 << 40 }, "times fall"},
		{"falling epochs", func(_ *rig, sh *memShard) { sh.extents[0].Epoch = 9 }, "epoch"},
		{"a missing object", func(r *rig, sh *memShard) {
			if err := r.blobs.Delete(r.tb.Context(), sh.extents[1].Object); err != nil {
				r.tb.Fatal(err)
			}
		}, "the object is missing"},
		{"a turned bit", func(r *rig, sh *memShard) {
			r.rewrite(sh.extents[1].Object, func(b []byte) []byte { b[200] ^= 1; return b })
		}, "CRC"},
		{"a cut object", func(r *rig, sh *memShard) { r.rewrite(sh.extents[1].Object, func(b []byte) []byte { return b[:150] }) }, "bytes"},
		{"another hash", func(_ *rig, sh *memShard) { sh.extents[1].Hash++ }, "hash"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t).shards(1)
			s := r.open()
			for i := range 4 {
				r.put(0, texts(fmt.Sprint(i), 10)...)
				if err := s.Pack(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if found := r.problems(); len(found) != 0 {
				t.Fatalf("before any harm: %v", found)
			}
			c.harm(r, r.index.shards[r.key(0)])
			found := r.problems()
			if !slices.ContainsFunc(found, func(p shardstore.Problem) bool {
				return p.Shard == r.key(0) && strings.Contains(p.String(), c.want)
			}) {
				t.Errorf("found %v, want %q", found, c.want)
			}
		})
	}
}

// rewrite changes an object, which no store of ours can do.
func (r *rig) rewrite(key string, change func([]byte) []byte) {
	r.tb.Helper()
	b, err := r.blobs.Read(r.tb.Context(), key, 0, -1)
	if err != nil {
		r.tb.Fatal(err)
	}
	if err := r.blobs.Delete(r.tb.Context(), key); err != nil {
		r.tb.Fatal(err)
	}
	if err := r.blobs.Create(r.tb.Context(), key, change(b)); err != nil {
		r.tb.Fatal(err)
	}
}

// Zero sizes mean the defaults; nonsense is refused, all of it at once.
func TestParams(t *testing.T) {
	if err := shardstore.LocalParams().Validate(); err != nil {
		t.Error(err)
	}
	p := shardstore.DefaultParams()
	p.MergeFanIn, p.ReadWindow, p.PackEvery = 1, -1, -1
	err := p.Validate()
	for _, want := range []string{"MergeFanIn", "ReadWindow", "PackEvery"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not speak of %s", err, want)
		}
	}
	if _, err := shardstore.Open(t.Context(), shardstore.Config{}); err == nil {
		t.Error("a session of nothing was opened")
	}
	r := newRig(t).shards(1)
	r.params = shardstore.Params{MergeFanIn: 3}
	r.open()
	r.put(0, "x")
}
