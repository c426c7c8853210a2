// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package shardstore_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore"
	"github.com/leatstream/leat/shardstore/segment"
)

func TestPutAndRead(t *testing.T) {
	r := newRig(t).shards(2)
	r.open()
	a, b := texts("a", 300), texts("b", 5)
	for i, p := range r.put(0, a...) {
		if p.Err != nil || p.Record.Offset != uint64(i) {
			t.Fatalf("put %d: offset %d, %v", i, p.Record.Offset, p.Err)
		}
	}
	r.put(1, b...)
	r.wantAll(0, a)
	r.wantAll(1, b)
}

func TestPutToAnUnknownShard(t *testing.T) {
	r := newRig(t).shards(1)
	s := r.open()
	puts := []shardstore.Put{put(r.key(0), "x"), put(r.key(7), "y")}
	if err := s.Append(context.Background(), puts); err != nil {
		t.Fatal(err)
	}
	if puts[0].Err != nil || !errors.Is(puts[1].Err, shardstore.ErrNotOwned) {
		t.Fatalf("got %v and %v", puts[0].Err, puts[1].Err)
	}
}

// A record moves from memory to segment, to pack, to merged pack; at each place it reads the same.
func TestReadFromEveryPlace(t *testing.T) {
	for name, tune := range map[string]func(*shardstore.Params){
		"memory":  func(*shardstore.Params) {},
		"objects": func(p *shardstore.Params) { p.TailBytes = 1 },
		"small windows": func(p *shardstore.Params) {
			p.TailBytes, p.CacheBytes, p.ReadWindow, p.ReadAhead = 1, 1, 1000, 1
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t).shards(1)
			tune(&r.params)
			r.params.MergeFanIn = 4
			s := r.open()
			var want []string
			for round := range 6 {
				part := texts(string(rune('a'+round)), 200)
				r.put(0, part...)
				want = append(want, part...)
				r.wantAll(0, want)
				if err := s.Pack(context.Background()); err != nil {
					t.Fatal(err)
				}
				r.wantAll(0, want)
			}
			if err := s.Housekeep(context.Background()); err != nil {
				t.Fatal(err)
			}
			if got := s.Stats().Merges; got == 0 {
				t.Fatal("nothing was merged")
			}
			r.wantAll(0, want)
			r.fsck()
			r.kill()
			r.reopen()
			r.wantAll(0, want)
			r.fsck()
		})
	}
}

// The session is killed with records in the log; the next one finds them (I1), and adopts them into packs.
func TestKillAndReopen(t *testing.T) {
	r := newRig(t).shards(3)
	r.open()
	want := make([][]string, 3)
	for life := range 4 {
		for i := range want {
			part := texts(string(rune('a'+life)), 50*(i+1))
			r.put(i, part...)
			want[i] = append(want[i], part...)
		}
		r.kill()
		s := r.reopen()
		for i := range want {
			r.wantAll(i, want[i])
		}
		if life%2 == 1 { // every other life dies before it packs: chains of deaths (rule 12)
			if err := s.Pack(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
		r.fsck()
	}
}

func TestCloseLeavesNothingToRecover(t *testing.T) {
	r := newRig(t).shards(2)
	s := r.open()
	want := texts("x", 100)
	r.put(1, want...)
	if err := s.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := s.Append(context.Background(), []shardstore.Put{put(r.key(0), "late")}); leat.KindOf(err) != leat.KindUnavailable {
		t.Fatalf("a put after Close: %v", err)
	}
	trim := r.index.fence(s.Session())
	c, err := shardstore.Recover(context.Background(), shardstore.Recovery{Driver: r.driver, Blobs: r.blobs}, s.Session(), trim)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Shards) != 0 {
		t.Fatalf("a drained session left %d shards to recover", len(c.Shards))
	}
	r.index.close(c)
	r.open()
	r.wantAll(1, want)
}

// Two recoverers, one of them late, agree on the end (rule 11, I5).
func TestRecoverTwiceSaysTheSame(t *testing.T) {
	r := newRig(t).shards(1)
	s := r.open()
	r.put(0, texts("x", 10)...)
	r.kill()
	trim := r.index.fence(s.Session())
	o := shardstore.Recovery{Driver: r.driver, Blobs: r.blobs}
	a, err := shardstore.Recover(context.Background(), o, s.Session(), trim)
	if err != nil {
		t.Fatal(err)
	}
	b, err := shardstore.Recover(context.Background(), o, s.Session(), trim)
	if err != nil {
		t.Fatal(err)
	}
	if a.Fence != b.Fence || len(a.Shards) != 1 || a.Shards[0].Final != 10 || b.Shards[0].Final != 10 {
		t.Fatalf("recoverers disagree: %+v and %+v", a, b)
	}
}

// A fenced session acks nothing more (I4).
func TestFencedSessionStops(t *testing.T) {
	r := newRig(t).shards(1)
	s := r.open()
	r.put(0, "before")
	if err := r.recover(); err != nil { // another node takes over while we live
		t.Fatal(err)
	}
	puts := []shardstore.Put{put(r.key(0), "after")}
	err := s.Append(context.Background(), puts)
	if err == nil && puts[0].Err == nil {
		t.Fatal("a fenced session acked a put")
	}
	<-s.Done()
	if _, err := s.Read(context.Background(), r.key(0), 0, shardstore.ReadLimits{Records: 1, Bytes: 1}); leat.KindOf(err) != leat.KindUnavailable {
		t.Fatalf("a fenced session served a read: %v", err)
	}
	r.open()
	r.wantAll(0, []string{"before"})
}

func TestReshard(t *testing.T) {
	r := newRig(t).shards(1)
	s := r.open()
	parent := texts("p", 20)
	r.put(0, parent...)
	children := []segment.ReshardChild{{Shard: r.key(1)}, {Shard: r.key(2)}}
	done, err := s.Reshard(context.Background(), shardstore.Reshard{ID: "r1", Parents: []segment.ReshardParent{{Shard: r.key(0)}}, Children: children})
	if err != nil {
		t.Fatal(err)
	}
	if done.Parents[0].Final != 20 {
		t.Fatalf("final %d", done.Parents[0].Final)
	}
	puts := []shardstore.Put{put(r.key(0), "late"), put(r.key(1), "child")}
	if err := s.Append(context.Background(), puts); err != nil {
		t.Fatal(err)
	}
	if !errors.Is(puts[0].Err, shardstore.ErrResharded) || puts[1].Err != nil {
		t.Fatalf("got %v and %v", puts[0].Err, puts[1].Err)
	}
	p, err := s.Read(context.Background(), r.key(0), 20, shardstore.ReadLimits{Records: 1, Bytes: 1})
	if err != nil || !p.Ended {
		t.Fatalf("the parent's end: %+v, %v", p, err)
	}
	if puts[1].Record.Time < r.all(0)[19].Time {
		t.Fatal("a child's clock is behind its parent's")
	}

	// The catalog never heard of it: recovery finds the record in the log and finishes it.
	if err := s.Pack(context.Background()); err != nil {
		t.Fatal(err)
	}
	r.kill()
	r.reopen()
	r.wantAll(0, parent)
	r.wantAll(1, []string{"child"})
	r.wantAll(2, nil)
	r.fsck()
}

func TestWait(t *testing.T) {
	r := newRig(t).shards(1)
	s := r.open()
	got := make(chan error, 1)
	go func() { got <- s.Wait(context.Background(), r.key(0), 0) }()
	r.put(0, "x")
	if err := <-got; err != nil {
		t.Fatal(err)
	}
	go func() { got <- s.Wait(context.Background(), r.key(0), 1) }()
	r.kill()
	if err := <-got; err == nil {
		t.Fatal("a wait outlived its session")
	}
}

func TestLocate(t *testing.T) {
	r := newRig(t).shards(1)
	r.params.TailBytes = 1
	clock := newManualClock()
	r.clock = clock
	s := r.open()
	var times []int64
	for range 40 {
		clock.advance(time.Second)
		r.put(0, texts("x", 10)...)
		times = append(times, leat.Micros(clock.Now()))
		if len(times)%10 == 0 {
			if err := s.Pack(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
	}
	for i, at := range times {
		for _, q := range []struct {
			at   int64
			want uint64
		}{{at, uint64(10 * i)}, {at - 1, uint64(10 * i)}, {at + 1, uint64(10 * (i + 1))}} {
			got, err := s.Locate(context.Background(), r.key(0), q.at)
			if err != nil || got != q.want {
				t.Fatalf("time %d of step %d: offset %d, want %d (%v)", q.at, i, got, q.want, err)
			}
		}
	}
	p, err := s.Read(context.Background(), r.key(0), 0, shardstore.ReadLimits{Records: 5, Bytes: 1 << 20, MinTime: times[7]})
	if err != nil || len(p.Records) == 0 || p.Records[0].Offset != 70 {
		t.Fatalf("expired records were not skipped: %+v %v", p, err)
	}
}

// stepped puts and packs ten records of shard 0 an hour, and returns the times. All but the last are read from objects.
func stepped(t *testing.T, n int) (r *rig, times []int64) {
	t.Helper()
	r = newRig(t).shards(1)
	r.params.TailBytes = 1
	clock := newManualClock()
	r.clock = clock
	s := r.open()
	for range n {
		clock.advance(time.Hour)
		r.put(0, texts("x", 10)...)
		times = append(times, leat.Micros(clock.Now()))
		if err := s.Pack(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return r, times
}

// What is known of the index may be forgotten between any two steps of a search by time, which would then take kept records
// for expired ones.
func TestLocateWhileTheIndexIsForgotten(t *testing.T) {
	r, times := stepped(t, 4)
	s := r.store
	ctx, stop := context.WithCancel(t.Context())
	var forgetting sync.WaitGroup
	forgetting.Go(func() {
		for ctx.Err() == nil {
			s.Forget(r.key(0))
			runtime.Gosched()
		}
	})
	for range 2000 {
		for i, at := range times[:3] {
			if got, err := s.Locate(t.Context(), r.key(0), at); err != nil || got != uint64(10*i) {
				t.Errorf("step %d: offset %d (%v)", i, got, err)
				stop()
			}
		}
		if ctx.Err() != nil {
			break
		}
	}
	stop()
	forgetting.Wait()
}

// A reader that asks the index right after a horizon has moved there does not make the store believe that nothing is left.
func TestRetentionThatAReaderOvertakes(t *testing.T) {
	r, times := stepped(t, 6)
	s := r.store
	r.expire(times[2] + 1)
	locate := func() (uint64, error) { return s.Locate(t.Context(), r.key(0), times[4]) }
	overtaken := false
	r.index.setFault(func(op string, after bool) error {
		if op == "horizon" && after {
			overtaken = true
			if at, err := locate(); err != nil || at != 40 {
				t.Errorf("meanwhile: offset %d (%v)", at, err)
			}
		}
		return nil
	})
	if err := s.Housekeep(t.Context()); err != nil || !overtaken {
		t.Fatalf("no horizon has moved: %v", err)
	}
	r.index.setFault(nil)
	if at, err := locate(); err != nil || at != 40 {
		t.Errorf("after it: offset %d (%v)", at, err)
	}
	if p, err := s.Read(t.Context(), r.key(0), 30, shardstore.ReadLimits{Records: 5, Bytes: 1 << 20}); err != nil || len(p.Records) != 5 || p.Records[0].Offset != 30 {
		t.Errorf("from the horizon on: %+v (%v)", p, err)
	}
}

// Retention removes what has expired from the index and from the bucket.
func TestRetentionDeletesObjects(t *testing.T) {
	r := newRig(t).shards(1)
	clock := newManualClock()
	r.clock = clock
	s := r.open()
	r.put(0, texts("old", 10)...)
	if err := s.Pack(context.Background()); err != nil {
		t.Fatal(err)
	}
	objects := r.objects("pack/")
	clock.advance(time.Hour)
	r.put(0, "new")
	r.expire(leat.Micros(clock.Now().Add(-time.Minute)))
	if err := s.Pack(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := s.Housekeep(context.Background()); err != nil {
		t.Fatal(err)
	}
	if got := r.all(0); len(got) != 1 || string(got[0].Data) != "new" || got[0].Offset != 10 {
		t.Fatalf("after retention: %v", got)
	}
	if b, err := s.Bounds(context.Background(), r.key(0)); err != nil || b.Horizon != 10 {
		t.Fatalf("bounds %+v, %v", b, err)
	}
	for _, o := range objects {
		if !r.exists(o) {
			t.Fatalf("%s went before readers could finish", o)
		}
	}
	clock.advance(16 * time.Minute)
	if err := s.Housekeep(context.Background()); err != nil {
		t.Fatal(err)
	}
	for _, o := range append(objects, "") {
		if o != "" && r.exists(o) {
			t.Fatalf("%s is still in the bucket", o)
		}
	}
	r.fsck()
}

func (r *rig) objects(prefix string) (keys []string) {
	r.tb.Helper()
	infos, err := r.blobs.List(context.Background(), prefix, "", 0)
	if err != nil {
		r.tb.Fatal(err)
	}
	for _, i := range infos {
		keys = append(keys, i.Key)
	}
	return keys
}

func (r *rig) exists(key string) bool {
	_, err := r.blobs.Stat(context.Background(), key)
	return err == nil
}
