// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package shardstore_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore"
	"github.com/leatstream/leat/shardstore/segment"
)

// vault holds keys as a server's ring does. It can be locked, as by a master key that is not there.
type vault struct {
	mu      sync.Mutex
	locked  bool
	unknown bool
	secrets map[leat.KeyID][]byte
	current map[leat.StreamID]leat.KeyID
}

func newVault() *vault {
	return &vault{secrets: map[leat.KeyID][]byte{}, current: map[leat.StreamID]leat.KeyID{}}
}

var errLocked = leat.Errorf(leat.KindUnavailable, "no master key here")

func (v *vault) Current(s leat.StreamID) (segment.Key, error) {
	v.mu.Lock()
	id, unknown := v.current[s], v.unknown
	v.mu.Unlock()
	if unknown {
		return segment.Key{}, leat.Errorf(leat.KindUnavailable, "not known: %w", shardstore.ErrUnknownStream)
	}
	if id.IsZero() {
		return segment.Key{}, nil
	}
	secret, err := v.Key(id)
	return segment.Key{ID: id, Secret: secret}, err
}

func (v *vault) Key(id leat.KeyID) ([]byte, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.locked || v.secrets[id] == nil {
		return nil, errLocked
	}
	return v.secrets[id], nil
}

// rotate gives a stream a new key; stop takes its key away for what comes.
func (v *vault) rotate(s leat.StreamID) leat.KeyID {
	v.mu.Lock()
	defer v.mu.Unlock()
	id := leat.NewID[leat.KeyID](nil)
	v.secrets[id] = make([]byte, segment.KeyBytes)
	if _, err := rand.Read(v.secrets[id]); err != nil {
		panic(err)
	}
	v.current[s] = id
	return id
}

func (v *vault) stop(s leat.StreamID) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.current, s)
}

// forget makes the vault know no stream.
func (v *vault) forget() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.unknown = true
}

func (v *vault) lock(locked bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.locked = locked
}

const marker = "marker-4711"

// stored returns everything that is in the bucket, by key.
func (r *rig) stored() map[string]string {
	r.tb.Helper()
	all := map[string]string{}
	infos, err := r.blobs.List(context.Background(), "", "", 0)
	if err != nil {
		r.tb.Fatal(err)
	}
	for _, i := range infos {
		b, err := r.blobs.Read(context.Background(), i.Key, 0, -1)
		if err != nil {
			r.tb.Fatal(err)
		}
		all[i.Key] = string(b)
	}
	return all
}

// showing are the objects that show the marker.
func showing(stored map[string]string) (keys []string) {
	for k, b := range stored {
		if strings.Contains(b, marker) {
			keys = append(keys, k)
		}
	}
	return keys
}

// sealedWith are the keys that a shard's registered extents have.
func (r *rig) sealedWith(shard int) []leat.KeyID {
	answer, err := r.index.Extents(context.Background(), []leat.ShardKey{r.key(shard)})
	if err != nil {
		r.tb.Fatal(err)
	}
	ids := map[leat.KeyID]bool{}
	for _, e := range answer[0].Extents {
		ids[e.Key] = true
	}
	return slices.Collect(maps.Keys(ids))
}

func (r *rig) mustPack() {
	r.tb.Helper()
	if err := r.store.Pack(r.tb.Context()); err != nil {
		r.tb.Fatal(err)
	}
}

// An encrypted stream shows its records nowhere: in segments, in packs, after a recovery, in merges. A plain one does,
// so that this test can fail.
func TestRecordsOfAnEncryptedStreamAreNowhereToBeSeen(t *testing.T) {
	for _, encrypted := range []bool{false, true} {
		t.Run(fmt.Sprint(encrypted), func(t *testing.T) {
			r := newRig(t).shards(2)
			r.params.MergeFanIn, r.params.TailBytes = 2, 1
			v := newVault()
			r.keys = v
			if encrypted {
				v.rotate(r.stream)
			}
			r.open()
			var want []string
			look := func(when string, least int) {
				t.Helper()
				if found := showing(r.stored()); (len(found) > 0) == encrypted {
					t.Errorf("%s: the marker stands in %v", when, found)
				}
				if n := len(r.stored()); n < least {
					t.Errorf("%s: only %d objects", when, n)
				}
				r.wantAll(0, want)
				r.fsck()
			}
			for life := range 2 {
				for i := range 4 {
					text := fmt.Sprintf("%s-%d-%d", marker, life, i)
					p := put(r.key(0), text)
					p.Record.PartitionKey = "user-" + marker
					p.Record.CRC = p.Record.Checksum()
					if err := errors.Join(r.store.Append(t.Context(), []shardstore.Put{p}), p.Err); err != nil {
						t.Fatal(err)
					}
					want = append(want, text)
					if life == 1 {
						r.mustPack()
					}
				}
				look("put", 4)
				r.kill()
				r.reopen()
				look("recovered", 4)
				r.mustPack()
				look("packed", 4)
			}
			if err := r.store.Housekeep(t.Context()); err != nil {
				t.Fatal(err)
			}
			if r.store.Stats().Merges == 0 {
				t.Error("nothing was merged")
			}
			look("merged", 4)
		})
	}
}

// The same in a local folder, whose log is made of frames.
func TestLocalFolderShowsNoRecordOfAnEncryptedStream(t *testing.T) {
	for _, encrypted := range []bool{false, true} {
		t.Run(fmt.Sprint(encrypted), func(t *testing.T) {
			l := newLocal(t)
			l.shards(1)
			v := newVault()
			l.keys = v
			if encrypted {
				v.rotate(l.stream)
			}
			s := l.open()
			l.put(0, marker+" a", marker+" b")
			l.stop()
			l.tear(s.Session())
			l.start()
			l.reopen()
			l.put(0, marker+" c")
			l.wantAll(0, []string{marker + " a", marker + " b", marker + " c"})
			seen := 0
			err := filepath.WalkDir(l.dir, func(path string, d fs.DirEntry, err error) error {
				if err != nil || !d.Type().IsRegular() {
					return err
				}
				b, err := os.ReadFile(path)
				seen += strings.Count(string(b), marker)
				return err
			})
			if err != nil || (seen == 0) != encrypted {
				t.Errorf("the marker is found %d times, %v", seen, err)
			}
			l.mustPack()
			l.fsck()
		})
	}
}

// A stream whose key cannot be had takes nothing, and loses nothing; another stream goes on.
func TestNoKeyNoPuts(t *testing.T) {
	r := newRig(t).shards(1)
	other := leat.ShardKey{Stream: leat.NewID[leat.StreamID](nil)}
	r.index.addShard(other)
	v := newVault()
	r.keys = v
	v.rotate(r.stream)
	r.open()
	r.put(0, "before")
	v.lock(true)
	puts := []shardstore.Put{put(r.key(0), marker), put(other, "plain"), put(r.key(0), marker)}
	if err := r.store.Append(t.Context(), puts); err != nil {
		t.Fatal(err)
	}
	for i, want := range []bool{true, false, true} {
		if err := puts[i].Err; (leat.KindOf(err) == leat.KindUnavailable && err != nil) != want {
			t.Errorf("put %d: %v", i, err)
		}
	}
	v.lock(false)
	r.put(0, "after")
	r.wantAll(0, []string{"before", "after"})
	if found := showing(r.stored()); len(found) > 0 {
		t.Errorf("refused records stand in %v", found)
	}
}

// Encryption that begins later reaches what is there when it is packed or merged; a new key likewise; and what is sealed
// stays sealed when encryption stops.
func TestSealsFollowTheStream(t *testing.T) {
	r := newRig(t).shards(1)
	r.params.MergeFanIn = 2
	v := newVault()
	r.keys = v
	r.open()
	var want []string
	put := func(text string) {
		t.Helper()
		for _, p := range r.put(0, text) {
			if p.Err != nil {
				t.Fatal(p.Err)
			}
		}
		want = append(want, text)
	}
	sealed := func(when string, ids ...leat.KeyID) {
		t.Helper()
		got := r.sealedWith(0)
		slices.SortFunc(got, func(a, b leat.KeyID) int { return strings.Compare(a.String(), b.String()) })
		slices.SortFunc(ids, func(a, b leat.KeyID) int { return strings.Compare(a.String(), b.String()) })
		if !slices.Equal(got, ids) {
			t.Errorf("%s: sealed with %v, want %v", when, got, ids)
		}
		r.fsck()
	}
	merge := func() {
		t.Helper()
		if err := r.store.Housekeep(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	put("plain")
	r.mustPack()
	sealed("not encrypted", leat.KeyID{})
	put("in a plain segment")
	first := v.rotate(r.stream)
	r.mustPack()
	sealed("encrypted since the put", leat.KeyID{}, first)
	merge()
	sealed("merged", first)
	put("sealed")
	r.mustPack()
	second := v.rotate(r.stream)
	put("with the second key")
	r.mustPack()
	merge()
	sealed("rotated", first, second) // the first merge is of a higher level
	put("x")
	v.stop(r.stream)
	r.mustPack()
	sealed("stopped since the put", first, second)
	put("y")
	r.mustPack()
	sealed("plain again", leat.KeyID{}, first, second)
	merge() // of level 2
	sealed("merged on a higher level", leat.KeyID{}, second)
	merge()
	sealed("merged with sealed ones", second)
	r.wantAll(0, want)
}

// Records of a stream that is gone keep nobody from packing, and what is sealed stays so; a put to it is refused.
func TestAStreamThatIsNotKnown(t *testing.T) {
	r := newRig(t).shards(2)
	v := newVault()
	r.keys = v
	r.open()
	r.put(0, "plain")
	id := v.rotate(r.stream)
	r.put(1, "sealed")
	v.forget()
	puts := []shardstore.Put{put(r.key(0), marker)}
	if err := r.store.Append(t.Context(), puts); err != nil || !errors.Is(puts[0].Err, shardstore.ErrUnknownStream) {
		t.Errorf("%v, %v", err, puts[0].Err)
	}
	r.mustPack()
	if plain, sealed := r.sealedWith(0), r.sealedWith(1); !slices.Equal(plain, []leat.KeyID{{}}) || !slices.Equal(sealed, []leat.KeyID{id}) {
		t.Errorf("sealed with %v and %v", plain, sealed)
	}
	r.wantAll(0, []string{"plain"})
	r.wantAll(1, []string{"sealed"})
}

// Records in one segment are sealed when their stream's encryption began while the segment was filled; a reader without
// a key is told so and sees nothing; what a dead session left sealed waits for its key.
func TestASealedSessionWaitsForItsKey(t *testing.T) {
	r := newRig(t).shards(1)
	r.params.TailBytes = 1
	v := newVault()
	r.keys = v
	v.rotate(r.stream)
	r.open()
	r.put(0, "a", "b")
	r.kill()
	v.lock(true)
	r.reopen()
	_, err := r.store.Read(t.Context(), r.key(0), 0, shardstore.ReadLimits{Records: 10, Bytes: 1000})
	if !errors.Is(err, errLocked) || leat.KindOf(err) != leat.KindUnavailable {
		t.Errorf("a read without a key: %v", err)
	}
	if err := r.store.Pack(t.Context()); !errors.Is(err, errLocked) {
		t.Errorf("a pack without a key: %v", err)
	}
	v.lock(false)
	r.wantAll(0, []string{"a", "b"})
	r.mustPack()
	r.put(0, "c")
	r.wantAll(0, []string{"a", "b", "c"})
	r.keys = nil
	r.fsck() // without keys: what can be checked is right
	r.kill()
	r.reopen()
	if _, err := r.store.Read(t.Context(), r.key(0), 0, shardstore.ReadLimits{Records: 10, Bytes: 1000}); leat.KindOf(err) != leat.KindUnavailable {
		t.Errorf("a read in a server without a master key: %v", err)
	}
}
