// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package shardstore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore"
	"github.com/leatstream/leat/shardstore/blob"
	"github.com/leatstream/leat/shardstore/blob/disk"
	"github.com/leatstream/leat/shardstore/blob/mem"
	"github.com/leatstream/leat/shardstore/wal"
)

// rot turns a bit of a record in the one object that shows it.
func (r *rig) rot(text string) (key string) {
	r.tb.Helper()
	for k, b := range r.stored() {
		if at := bytes.Index([]byte(b), []byte(text)); at >= 0 {
			spoilt := []byte(b)
			spoilt[at] ^= 1
			r.must(r.blobs.(*mem.Store).Replace(r.tb.Context(), k, spoilt))
			return k
		}
	}
	r.tb.Fatalf("no object shows %q", text)
	return ""
}

// wantRotten checks that a shard's records are all readable but for those at one offset.
func (r *rig) wantRotten(shard int, at uint64, want []string) {
	r.tb.Helper()
	for i, text := range want {
		p, err := r.store.Read(r.tb.Context(), r.key(shard), uint64(i), shardstore.ReadLimits{Records: 1, Bytes: 1000})
		switch {
		case uint64(i) == at && leat.KindOf(err) != leat.KindCorrupt:
			r.tb.Errorf("rotten record %d: %v, %v", i, p, err)
		case uint64(i) != at && (err != nil || len(p.Records) != 1 || string(p.Records[0].Data) != text):
			r.tb.Errorf("record %d: %v, %v", i, p, err)
		}
	}
}

// wantAllIndexed checks that nothing waits for the index any more.
func (r *rig) wantAllIndexed() {
	r.tb.Helper()
	if st := r.store.Stats(); st.Trim != st.Durable || st.Unindexed != 0 {
		r.tb.Errorf("trim %d of %d segments, %d extents are not in the index", st.Trim, st.Durable, st.Unindexed)
	}
}

// A rotten record that a dead session left is CORRUPT for whoever reads it. Everything else of the node goes on: its shard's
// other records and all other shards are adopted, packed and trimmed, the shard can be released, and a session closed.
func TestRottenLeftovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t).shards(2)
		r.params.TailBytes = 1
		r.open()
		r.put(0, "one")
		r.put(0, "two is rotten")
		r.put(1, "other")
		r.put(0, "three")
		r.kill()
		r.must(r.recover())
		rotten := r.rot("two is rotten")
		s := r.open()
		r.put(0, "four")
		r.put(1, "another")
		r.must(s.Pack(t.Context()))
		r.wantAllIndexed()
		want := []string{"one", "", "three", "four"}
		r.wantRotten(0, 1, want)
		r.wantAll(1, []string{"other", "another"})
		if found := r.problems(); len(found) != 1 || found[0].Offset != 1 || found[0].Object != rotten {
			t.Errorf("fsck finds %v", found)
		}
		pause(20 * time.Minute)
		r.must(s.Housekeep(t.Context()))
		if left := r.objects(wal.KeyPrefix); len(left) != 2 { // the rotten one, and the fence
			t.Errorf("segments %v stand", left)
		}
		if _, err := s.Release(t.Context(), r.key(0), 2); err != nil {
			t.Errorf("release: %v", err)
		}
		r.must(s.Close(t.Context()))
		r.checkUsage(t)
	})
}

// What rots in a session's own log, after it has left memory, keeps nothing from being packed.
func TestRottenSegments(t *testing.T) {
	r := newRig(t).shards(2)
	r.params.TailBytes = 1
	s := r.open()
	r.put(0, "one")
	r.put(0, "two is rotten")
	r.put(0, "three")
	r.put(1, "other")
	rotten := r.rot("two is rotten")
	r.must(s.Pack(t.Context()))
	r.wantAllIndexed()
	if kept, all := r.kept(0); kept != 1 || all != 3 {
		t.Errorf("%d of %d extents stayed", kept, all)
	}
	r.wantRotten(0, 1, []string{"one", "", "three"})
	r.wantAll(1, []string{"other"})
	if found := r.problems(); len(found) != 1 || found[0].Object != rotten {
		t.Errorf("fsck finds %v", found)
	}
	r.must(s.Close(t.Context()))
}

// What is lost of several shards in a session's own log holds up packing for the five minutes once, not once for each.
func TestLostSegmentsHoldUpPackingOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t).shards(3)
		r.params.TailBytes = 1
		s := r.open()
		for shard := range 3 {
			r.put(shard, fmt.Sprintf("lost %d", shard))
		}
		r.put(0, "kept")
		for key, b := range r.stored() {
			if bytes.Contains([]byte(b), []byte("lost")) {
				r.must(r.blobs.Delete(t.Context(), key))
			}
		}
		if err := s.Pack(t.Context()); !errors.Is(err, blob.ErrNotFound) {
			t.Errorf("pack at once: %v", err)
		}
		pause(6 * time.Minute)
		r.must(s.Pack(t.Context()))
		r.wantAllIndexed()
	})
}

// The same in a local folder, where a log file gets a second name. Where bytes are right again after all, as those of a bad
// sector may be, their records are there too.
func TestRottenLogFiles(t *testing.T) {
	const own, left, found = "its own", "left by a dead session", "found damaged by the process that adopts it"
	all := []string{"one", "two", "three"}
	for name, tc := range map[string]struct {
		of     string
		rotten []string
		last   bool // nothing was put after them
		zeros  bool // for their pages
	}{
		own: {of: own, rotten: all[1:2]}, left: {of: left, rotten: all[1:2]}, found: {of: found, rotten: all[1:2]},
		"two, found so": {of: found, rotten: all[1:]}, "the last two, found so": {of: found, rotten: all[1:], last: true},
		"zeros for two, found so": {of: found, rotten: all[1:], zeros: true},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLocal(t)
			l.shards(2)
			l.params.TailBytes = 1
			s := l.open()
			others := []string{"other"}
			l.put(1, "other")
			for _, text := range all {
				l.put(0, text)
			}
			if !tc.last {
				l.put(1, "after")
				others = append(others, "after")
			}
			file := l.lastFile(s.Session())
			if tc.of != own {
				l.stop()
				l.start()
				l.must(l.recover())
			}
			f, err := os.OpenFile(file, os.O_RDWR, 0)
			l.must(err)
			defer func() { l.must(f.Close()) }()
			b, err := os.ReadFile(file)
			l.must(err)
			write := func(spoil func(page []byte, at int)) {
				for _, text := range tc.rotten {
					at := bytes.Index(b, []byte(text))
					const size = 4096 // frames begin at pages
					from := at &^ (size - 1)
					page := bytes.Clone(b[from : from+size])
					spoil(page, at-from)
					_, err := f.WriteAt(page, int64(from))
					l.must(err)
				}
			}
			write(func(page []byte, at int) {
				if page[at] ^= 1; tc.zeros {
					clear(page)
				}
			})
			if tc.of == found {
				l.stop()
				l.start()
			}
			if tc.of != own {
				s = l.open()
			}
			l.must(s.Pack(t.Context()))
			l.wantAllIndexed()
			if kept, extents := l.kept(0); kept != len(tc.rotten) || extents != len(all) {
				t.Errorf("%d of %d extents stayed", kept, extents)
			}
			l.wantAll(1, others)
			if found := l.problems(); len(found) != len(tc.rotten) || found[0].Offset != 1 {
				t.Errorf("fsck finds %v", found)
			}
			if len(tc.rotten) == 1 {
				l.wantRotten(0, 1, []string{"one", "", "three"})
			}
			write(func([]byte, int) {})
			l.wantAll(0, all)
			l.must(s.Close(t.Context()))
		})
	}
}

// unlinked is a store on another file system than the logs.
type unlinked struct {
	*disk.Store
	packs int
}

func (u *unlinked) Create(ctx context.Context, key string, body []byte) error {
	if strings.HasPrefix(key, "pack/") {
		u.packs++
	}
	return u.Store.Create(ctx, key, body)
}

func (u *unlinked) Link(context.Context, string, string) error {
	return &os.LinkError{Op: "link", Err: syscall.EXDEV}
}

// Where log files cannot get second names, what is rotten holds up packing; no pack is written in vain again and again for it.
func TestRottenLogFilesOfAnotherFileSystem(t *testing.T) {
	l := newLocal(t)
	l.shards(1)
	l.params.TailBytes = 1
	u := &unlinked{Store: l.disk}
	l.blobs = u
	s := l.open()
	l.put(0, "one")
	l.put(0, "two is rotten")
	l.put(0, "three")
	name := l.lastFile(s.Session())
	b, err := os.ReadFile(name)
	l.must(err)
	at := bytes.Index(b, []byte("two is rotten"))
	f, err := os.OpenFile(name, os.O_WRONLY, 0)
	l.must(err)
	_, err = f.WriteAt([]byte{b[at] ^ 1}, int64(at))
	l.must(err, f.Close())
	for range 3 {
		if err := s.Pack(t.Context()); err == nil {
			t.Fatal("packed")
		}
	}
	if u.packs > 1 {
		t.Errorf("%d packs were written", u.packs)
	}
}

// A key that cannot be had for long keeps back the records of its stream, at first, and then nobody any more. They are all
// there when the key is.
func TestAKeyThatIsAwayForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t).shards(1)
		r.params.TailBytes = 1
		v := newVault()
		r.keys = v
		plain, later := leat.NewID[leat.StreamID](nil), leat.NewID[leat.StreamID](nil)
		sealed := r.stream
		r.index.addShard(leat.ShardKey{Stream: plain})
		r.index.addShard(leat.ShardKey{Stream: later})
		v.rotate(sealed)
		r.open()
		r.put(0, "sealed")
		r.stream = plain
		r.put(0, "left plain")
		r.kill()
		v.lock(true)
		s := r.reopen()
		r.put(0, "plain")
		if err := s.Pack(t.Context()); !errors.Is(err, errLocked) {
			t.Errorf("pack without a key: %v", err)
		}
		r.wantAllIndexed()
		r.stream = later
		r.put(0, "in the clear")
		v.rotate(later)
		if err := s.Pack(t.Context()); !errors.Is(err, errLocked) {
			t.Errorf("pack without a key to seal with: %v", err)
		}
		pause(10 * time.Minute)
		r.must(s.Pack(t.Context()))
		r.wantAllIndexed()
		v.lock(false)
		r.wantAll(0, []string{"in the clear"})
		r.stream = plain
		r.wantAll(0, []string{"left plain", "plain"})
		r.stream = sealed
		r.wantAll(0, []string{"sealed"})
		r.fsck()
		r.must(s.Close(t.Context()))
	})
}
