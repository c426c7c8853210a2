// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package shardstore_test

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore"
	"github.com/leatstream/leat/shardstore/wal"
)

// kept counts the registered extents of a shard that are in segments, or in second names of log files.
func (r *rig) kept(shard int) (kept, all int) {
	r.tb.Helper()
	got, err := r.index.Extents(r.tb.Context(), []leat.ShardKey{r.key(shard)})
	if err != nil {
		r.tb.Fatal(err)
	}
	for _, e := range got[0].Extents {
		if !strings.HasPrefix(e.Object, "pack/") {
			kept++
		}
	}
	return kept, len(got[0].Extents)
}

func (r *rig) must(errs ...error) {
	r.tb.Helper()
	for _, err := range errs {
		if err != nil {
			r.tb.Fatal(err)
		}
	}
}

// long makes records that do not get smaller.
func long(prefix string, n, size int) []string {
	out := texts(prefix, n)
	for i := range out {
		b := make([]byte, size)
		for j := range b {
			b[j] = byte(rand.Uint32())
		}
		out[i] += string(b)
	}
	return out
}

// Large extents stay in their segments, which outlive the deletion of those around them, are read, survive their session,
// and go when a merge has taken their records.
func TestLargeExtentsStay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t).shards(2)
		r.params.KeepBytes, r.params.MergeFanIn, r.params.TailBytes, r.params.CacheBytes = 200, 4, 1, 1
		s := r.open()
		var want [2][]string
		for i := range 3 {
			small, large := texts("small", 1), long("large", 10+i, 100)
			r.put(0, large...)
			r.put(1, small...)
			want[0], want[1] = append(want[0], large...), append(want[1], small...)
		}
		r.must(s.Pack(t.Context()))
		if kept, all := r.kept(0); kept != 3 || all != 3 {
			t.Errorf("%d of %d large extents stayed, want 3", kept, all)
		}
		if kept, all := r.kept(1); kept != 0 || all != 1 {
			t.Errorf("%d of %d small extents stayed, want one that is packed", kept, all)
		}
		if st := s.Stats(); st.Kept != 3 {
			t.Errorf("stats say that %d stayed", st.Kept)
		}
		pause(20 * time.Minute)
		r.must(s.Housekeep(t.Context()))
		if left := r.objects(wal.KeyPrefix); len(left) != 3 {
			t.Errorf("segments %v stand, want the 3 that are named", left)
		}
		check := func() {
			t.Helper()
			r.wantAll(0, want[0])
			r.wantAll(1, want[1])
			r.fsck()
		}
		check()
		r.kill()
		s = r.reopen()
		check()
		more := long("more", 10, 100)
		r.put(0, more...)
		want[0] = append(want[0], more...)
		r.must(s.Pack(t.Context()), s.Housekeep(t.Context()))
		if kept, all := r.kept(0); kept != 0 || all != 1 {
			t.Errorf("%d of %d extents stayed after a merge", kept, all)
		}
		check()
		pause(20 * time.Minute)
		r.must(s.Housekeep(t.Context()))
		check()
		if left := r.objects(wal.KeyPrefix); len(left) != 1 { // the fence
			t.Errorf("segments %v stand after the merge", left)
		}
		r.checkUsage(t)
	})
}

// The debt of rows is bounded: beyond it everything is packed, until merges have caught up.
func TestKeptRowsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t).shards(1)
		r.params.KeepBytes, r.params.KeepRows, r.params.MergeFanIn = 200, 5, 4
		s := r.open()
		var want []string
		round := func() (kept, all int) {
			for range 4 {
				d := long("x", 10, 100)
				r.put(0, d...)
				want = append(want, d...)
			}
			r.must(s.Pack(t.Context()))
			return r.kept(0)
		}
		if kept, _ := round(); kept != 4 {
			t.Errorf("%d stayed at first, want 4", kept)
		}
		if kept, all := round(); kept != 5 || all != 6 {
			t.Errorf("%d of %d stayed at the bound, want 5 of 6", kept, all)
		}
		r.must(s.Housekeep(t.Context()))
		if kept, _ := round(); kept != 4 {
			t.Errorf("%d stayed after a merge, want 4", kept)
		}
		r.wantAll(0, want)
		r.fsck()
	})
}

// What should be sealed is not left plain: once a stream is encrypted, or its key rotated, extents are packed.
func TestWhatIsNotSealedIsPacked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t).shards(1)
		v := newVault()
		r.keys = v
		r.params.KeepBytes = 200
		s := r.open()
		for i, want := range []int{1, 1, 2} {
			r.put(0, long("x", 10, 100)...)
			if i == 1 {
				v.rotate(r.stream) // after the segment was written
			}
			r.must(s.Pack(t.Context()))
			if kept, _ := r.kept(0); kept != want {
				t.Errorf("round %d: %d stayed, want %d", i, kept, want)
			}
		}
		r.fsck()
	})
}

// One merge does not take the medium for itself: the rest waits for the next round.
func TestMergeRoundIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t).shards(3)
		r.params.KeepBytes, r.params.MergeFanIn, r.params.MergeRound, r.params.MergeBytes = 200, 2, 1, 3000
		s := r.open()
		for range 4 {
			for i := range 3 {
				r.put(i, long("x", 10, 100)...)
			}
		}
		r.must(s.Pack(t.Context()))
		for round := uint64(1); round <= 3; round++ {
			r.must(s.Housekeep(t.Context()))
			if n := s.Stats().Merges; n != round {
				t.Errorf("%d merges after %d rounds", n, round)
			}
		}
		r.fsck()
	})
}

// In a local folder the log file gets a second name: the log's own goes with the trim, the other with the last extent.
func TestLargeExtentsStayInLogFiles(t *testing.T) {
	l := newLocal(t)
	l.shards(2)
	l.params.KeepBytes, l.params.MergeFanIn, l.params.TailBytes, l.params.CacheBytes = 200, 64, 1, 1
	l.params.DeleteAfter = 1
	l.fileSize = 64 << 10
	l.stop()
	l.start()
	s := l.open()
	var want [2][]string
	fill := func() {
		for range 20 {
			large, small := long("large", 50, 100), texts("small", 2)
			l.put(0, large...)
			l.put(1, small...)
			want[0], want[1] = append(want[0], large...), append(want[1], small...)
		}
	}
	check := func() {
		t.Helper()
		l.wantAll(0, want[0])
		l.wantAll(1, want[1])
		l.fsck()
	}
	fill()
	l.must(s.Pack(t.Context()))
	if kept, all := l.kept(0); kept < 15 { // those in the last file are perhaps too few
		t.Errorf("%d of %d large extents stayed, want 20 or almost", kept, all)
	}
	if len(l.objects("kept/")) < 2 {
		t.Errorf("only %v is kept: the log was to roll", l.objects("kept/"))
	}
	l.must(s.Housekeep(t.Context()))
	if names, _ := filepath.Glob(filepath.Join(l.dir, "wal", s.Session().String(), "*.log")); len(names) != 1 {
		t.Errorf("log files %v are there, want the last alone", names)
	}
	check()
	fill() // more in the file that was named already
	l.must(s.Pack(t.Context()))
	check()
	l.stop()
	l.tear(s.Session())
	l.start()
	s = l.reopen()
	check()
	l.must(s.Pack(t.Context()))
	l.expire(time.Now().Add(time.Hour).UnixMicro())
	l.must(s.Housekeep(t.Context()), s.Housekeep(t.Context()))
	if left := l.objects("kept/"); len(left) != 0 {
		t.Errorf("%v are kept though everything has expired", left)
	}
	l.fsck()
}

// A log file gets a second name only where an extent is kept in it, wherever among the files the room for kept rows ends.
func TestSecondNamesAreUsed(t *testing.T) {
	for _, rows := range []int{1, 6, 9, 12, 13, 16, 100} {
		t.Run(fmt.Sprint(rows), func(t *testing.T) {
			l := newLocal(t)
			l.shards(1)
			l.params.KeepBytes, l.params.KeepRows, l.params.DeleteAfter = 200, rows, 1
			l.fileSize = 64 << 10
			l.stop()
			l.start()
			s := l.open()
			for range 20 {
				l.put(0, long("large", 50, 100)...)
			}
			l.must(s.Pack(t.Context()))
			named := map[string]bool{}
			for _, e := range l.index.shards[l.key(0)].extents {
				named[e.Object] = true
			}
			for _, key := range l.objects("kept/") {
				if !named[key] {
					t.Errorf("%s is a second name that no extent has", key)
				}
			}
			if kept, _ := l.kept(0); kept > rows {
				t.Errorf("%d extents are kept, more than %d", kept, rows)
			}
			l.fsck()
		})
	}
}

// A second name that nothing came to name is an orphan, once its session is over.
func TestSecondNamesAreSwept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t).shards(1)
		s := r.open()
		orphan := shardstore.KeptKey(s.Session(), 7, 0)
		r.must(r.blobs.Create(t.Context(), orphan, []byte("x")))
		r.kill()
		s = r.reopen()
		r.must(r.blobs.Create(t.Context(), shardstore.KeptKey(s.Session(), 7, 0), []byte("x")))
		pause(25 * time.Hour)
		r.must(s.Housekeep(t.Context()))
		if left := r.objects("kept/"); len(left) != 1 || left[0] == orphan {
			t.Errorf("%v is left, want that of the live session", left)
		}
	})
}
