// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package shardstore_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore"
	"github.com/leatstream/leat/shardstore/blob/fault"
	"github.com/leatstream/leat/shardstore/blob/mem"
)

// registered are the extents of a shard that the index has.
func (r *rig) registered(shard int) []shardstore.Extent {
	r.tb.Helper()
	got, err := r.index.Extents(r.tb.Context(), []leat.ShardKey{r.key(shard)})
	r.must(err)
	return got[0].Extents
}

// packEach puts one record into each of some shards, and packs them together.
func (r *rig) packEach(text string, shards ...int) {
	r.tb.Helper()
	for _, i := range shards {
		r.put(i, text)
	}
	r.mustPack()
}

// A rotten extent is not merged. It keeps neither its neighbours from being merged nor what other shards have in the same
// objects, and is not read again all the time.
func TestMergesGoOnAroundRot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t).shards(2)
		r.params.MergeFanIn, r.params.TailBytes, r.params.CacheBytes = 4, 1, 1
		s := r.open()
		want := texts("record", 6)
		for _, text := range want {
			r.packEach(text, 0, 1)
		}
		e := r.registered(0)[0]
		b, err := r.blobs.Read(t.Context(), e.Object, 0, -1)
		r.must(err)
		b[e.Off+e.Len/2] ^= 1
		r.must(r.blobs.(*mem.Store).Replace(t.Context(), e.Object, b))
		if err := s.Housekeep(t.Context()); leat.KindOf(err) != leat.KindCorrupt {
			t.Errorf("housekeeping says %v", err)
		}
		if got := len(r.registered(1)); got != 1 {
			t.Errorf("the other shard has %d extents", got)
		}
		r.must(s.Housekeep(t.Context()))
		if got := len(r.registered(0)); got != 2 {
			t.Errorf("its own has %d extents, want the rotten one and the others", got)
		}
		r.must(s.Housekeep(t.Context()))
		r.wantRotten(0, 0, want)
		r.wantAll(1, want)
	})
}

// A read that fails for a while leaves nothing alone between merged neighbours, where it would never be due again.
func TestMergesWaitForReadsThatPass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t).shards(1)
		r.params.MergeFanIn, r.params.TailBytes, r.params.CacheBytes = 4, 1, 1
		f := r.faulty()
		s := r.open()
		for _, text := range texts("record", 4) {
			r.packEach(text, 0)
		}
		first := r.registered(0)[0]
		away := errors.New("away")
		f.SetHook(func(op fault.Op, key string) fault.Fault {
			if op == fault.Read && key == first.Object {
				return fault.Fault{Kind: fault.Refuse, Err: away}
			}
			return fault.Fault{}
		})
		if err := s.Housekeep(t.Context()); !errors.Is(err, away) {
			t.Errorf("housekeeping says %v", err)
		}
		f.SetHook(nil)
		r.packEach("one more", 0)
		r.must(s.Housekeep(t.Context()))
		pause(time.Hour)
		r.must(s.Housekeep(t.Context()))
		if got := r.registered(0); got[0].Count < 4 {
			t.Errorf("the extents are %+v", got)
		}
		r.fsck()
	})
}

// Nor does a stream whose key is away, and it is merged when the key is there.
func TestMergesGoOnWithoutAKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t).shards(1)
		r.params.MergeFanIn, r.params.TailBytes, r.params.CacheBytes = 2, 1, 1
		v := newVault()
		r.keys = v
		keyless, other := r.stream, leat.NewID[leat.StreamID](nil)
		r.index.addShard(leat.ShardKey{Stream: other})
		s := r.open()
		want := texts("record", 2)
		for _, text := range want {
			r.stream = keyless
			r.put(0, text)
			r.stream = other
			r.packEach(text, 0)
		}
		v.rotate(keyless)
		v.lock(true)
		if err := s.Housekeep(t.Context()); !errors.Is(err, errLocked) {
			t.Errorf("housekeeping says %v", err)
		}
		if got := len(r.registered(0)); got != 1 {
			t.Errorf("the other stream has %d extents", got)
		}
		r.must(s.Housekeep(t.Context()))
		v.lock(false)
		pause(time.Hour)
		r.stream = keyless
		if got := len(r.registered(0)); got != 1 {
			t.Errorf("the stream has %d extents when its key is there", got)
		}
		r.wantAll(0, want)
		r.fsck()
	})
}

// A shard that is always due at one level keeps no other shard from being merged at another.
func TestLevelsTakeTurns(t *testing.T) {
	r := newRig(t).shards(2)
	r.params.MergeFanIn = 2
	s := r.open()
	for range 2 {
		r.packEach("cold", 1)
		r.packEach("cold", 1)
		r.must(s.Housekeep(t.Context()))
	}
	if got := len(r.registered(1)); got != 2 {
		t.Fatalf("%d extents of the cold shard, want 2 of level 2", got)
	}
	for range 2 {
		r.packEach("hot", 0)
		r.packEach("hot", 0)
		r.must(s.Housekeep(t.Context()))
	}
	if got := len(r.registered(1)); got != 1 {
		t.Errorf("%d extents of the cold shard, want 1 of level 3", got)
	}
	r.fsck()
}
