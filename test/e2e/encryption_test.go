// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/leatstream/leat/shardstore/blob/s3"
	"github.com/leatstream/leat/test/e2e/rig"
)

// What stands in data and partition keys of an encrypted stream, and of one that is not.
const (
	hidden = "hidden-4be1d8"
	shown  = "shown-93c07a"
)

// vaultTest is one server with encrypted streams, on either storage.
type vaultTest struct {
	*testing.T
	n       *rig.Node
	keys    string                   // the master key file
	stored  func() map[string][]byte // everything that is stored, by name
	refused func(want ...string)     // a start that fails
	check   func(args ...string)     // fsck
	want    map[string][]string      // what each stream must hold
}

func TestEncryptionOnAFolder(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	v := &vaultTest{T: t, n: rig.Dev(t, "dev", dir, "--pack-every", "1s"), keys: filepath.Join(dir, "master.key"), want: map[string][]string{}}
	v.stored = func() map[string][]byte { return files(t, dir) }
	v.refused = func(want ...string) {
		refused(t, rig.Run(t, nil, "dev", "--data-dir", dir, "--http-addr", "127.0.0.1:0", "--grpc-addr", "127.0.0.1:0"), 1, want...)
	}
	v.check = func(...string) { rig.CheckDev(t, dir) }
	v.run()
}

func TestEncryptionOnPostgresAndS3(t *testing.T) {
	t.Parallel()
	b := rig.SharedBackend(t)
	keys := filepath.Join(t.TempDir(), "keys")
	v := &vaultTest{T: t, n: rig.Serve(t, "a", b, "--pack-every", "1s", "--master-key-file", keys), keys: keys, want: map[string][]string{}}
	v.write(v.newKey())
	v.stored = func() map[string][]byte { return bucket(t, b) }
	v.refused = func(want ...string) {
		args := []string{"serve", "--http-addr", "127.0.0.1:0", "--grpc-addr", "127.0.0.1:0"}
		refused(t, rig.Run(t, b.Env(), append(args, "--master-key-file", keys)...), 1, want...)
		refused(t, rig.Run(t, b.Env(), args...), 1, "--master-key-file", "has none")
	}
	v.check = func(args ...string) {
		if out := rig.Must(t, b.Env(), append([]string{"fsck"}, args...)...); strings.Contains(out, "as they are stored") == (len(args) > 0) {
			t.Errorf("fsck %v:\n%s", args, out)
		}
	}
	v.run()
}

// files reads every file of a folder, but for the one with the master key.
func files(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) || err == nil && !d.Type().IsRegular() {
			return nil // the server deletes what it has packed
		}
		b, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		all[path] = b
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// bucket reads every object.
func bucket(t *testing.T, b *rig.Backend) map[string][]byte {
	t.Helper()
	store, err := s3.Open(s3.Options{
		Endpoint: "http://" + b.S3.Endpoint, Region: b.S3.Region, Bucket: b.Bucket, AccessKey: b.S3.AccessKey, SecretKey: b.S3.SecretKey,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	all := map[string][]byte{}
	for after := ""; ; {
		page, err := store.List(t.Context(), "", after, 0)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			return all
		}
		for _, i := range page {
			if all[i.Key], err = store.Read(t.Context(), i.Key, 0, -1); err != nil {
				t.Fatal(err)
			}
			after = i.Key
		}
	}
}

func (v *vaultTest) newKey() string {
	v.Helper()
	return rig.Must(v.T, nil, "master-key")
}

// write puts master keys into the file.
func (v *vaultTest) write(lines ...string) {
	v.Helper()
	if err := os.WriteFile(v.keys, []byte("# keys\n"+strings.Join(lines, "")), 0o600); err != nil {
		v.Fatal(err)
	}
}

// put puts records with the stream's marker in data and key.
func (v *vaultTest) put(stream, marker, when string) {
	v.Helper()
	for i := range 4 {
		text := fmt.Sprintf("%s %s %d", marker, when, i)
		rig.Must(v.T, v.n.Env(), "put", stream, text, "--key", fmt.Sprintf("user-%d-%s", i, marker))
		v.want[stream] = append(v.want[stream], text)
	}
}

// read checks that both streams hold what was put, with its keys.
func (v *vaultTest) read(when string) {
	v.Helper()
	for stream, want := range v.want {
		var got []string
		for _, r := range getJSON(v.T, v.n, stream) {
			got = append(got, string(r.Data))
			if marker, _, _ := strings.Cut(string(r.Data), " "); !strings.HasSuffix(r.PartitionKey, marker) {
				v.Errorf("%s: %q has the key %q", when, r.Data, r.PartitionKey)
			}
		}
		slices.Sort(got)
		want = slices.Sorted(slices.Values(want))
		if !slices.Equal(got, want) {
			v.Errorf("%s: stream %s has %q, want %q", when, stream, got, want)
		}
	}
}

// look searches all that is stored for the markers, once there are more packs than before.
func (v *vaultTest) look(when string, packs int) (now int) {
	v.Helper()
	var all map[string][]byte
	rig.Eventually(v.T, rig.Patience, "a pack "+when, func() error {
		all, now = v.stored(), 0
		for name := range all {
			if strings.Contains(name, "pack/") {
				now++
			}
		}
		if now <= packs {
			return fmt.Errorf("%d packs, there were %d", now, packs)
		}
		return nil
	})
	plain := 0
	for name, b := range all {
		if bytes.Contains(b, []byte(hidden)) {
			v.Errorf("%s: %s shows records of the encrypted stream", when, name)
		}
		plain += bytes.Count(b, []byte(shown))
	}
	if plain == 0 {
		v.Errorf("%s: nothing of the plain stream is found in %d files: this test cannot fail", when, len(all))
	}
	return now
}

func (v *vaultTest) run() {
	v.n.Start(v.T)
	for _, stream := range []string{"open", "closed"} {
		rig.Must(v.T, v.n.Env(), "stream", "create", stream, "--shards", "2")
	}
	rig.Must(v.T, v.n.Env(), "stream", "encrypt", "closed", "--key", "alias/mine")
	if out := rig.Must(v.T, v.n.Env(), "stream", "describe", "closed"); !strings.Contains(out, "alias/mine") {
		v.Errorf("the stream does not tell its key:\n%s", out)
	}
	v.put("open", shown, "first")
	v.put("closed", hidden, "first")
	packs := v.look("at first", 0)

	v.put("open", shown, "before the kill")
	v.put("closed", hidden, "before the kill")
	v.n.Kill(v.T)
	v.n.Start(v.T)
	v.read("after kill -9")
	packs = v.look("after kill -9", packs)

	rig.Must(v.T, v.n.Env(), "stream", "encrypt", "closed", "--key", "alias/other")
	v.put("closed", hidden, "after another key")
	v.n.Stop(v.T)
	v.look("after another key", packs)
	v.check()
	v.check("--master-key-file", v.keys)

	v.changeMasterKey()
	rig.Must(v.T, v.n.Env(), "stream", "decrypt", "closed")
	v.put("open", shown, "at last")
	v.read("at last")
	v.n.Stop(v.T)
	v.check("--master-key-file", v.keys)
}

// changeMasterKey goes from one master key to another, and finds that a third one opens nothing and harms nothing.
func (v *vaultTest) changeMasterKey() {
	v.Helper()
	text, err := os.ReadFile(v.keys)
	if err != nil {
		v.Fatal(err)
	}
	next, wrong := v.newKey(), v.newKey()
	v.write(next, string(text))
	v.n.Start(v.T)
	v.read("under both master keys")
	v.n.Stop(v.T)
	v.write(wrong)
	v.refused("--master-key-file", "wrapped under master key")
	v.write(string(text))
	v.refused("--master-key-file", "wrapped under master key")
	v.write(next)
	v.n.Start(v.T)
	v.read("under the new master key")
	v.put("closed", hidden, "under the new master key")
	v.read("under the new master key")
}
