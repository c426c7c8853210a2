// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/leatstream/leat"
	leatv1 "github.com/leatstream/leat/api/leat/v1"
	"github.com/leatstream/leat/test/e2e/rig"
)

// leat fsck finds a changed byte and a lost object, says where, and changes nothing. Otherwise its silence at the end of
// every other scenario would say nothing.
func TestFsckFindsDamage(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	n := rig.Dev(t, "dev", dir, "--pack-every", "1s")
	n.Start(t)
	rig.Must(t, n.Env(), "stream", "create", "s", "--shards", "1")
	lines := strings.Join(realInput(t)[:2000], "\n")
	rig.Exec(t, rig.Command{Args: []string{"put", "s", "--lines"}, Env: n.Env(), Stdin: strings.NewReader(lines)})
	rig.Eventually(t, rig.Patience, "the records are in a pack", func() error {
		packs, err := n.Metric(t.Context(), "leat_packs_total")
		if err == nil && packs == 0 {
			err = errors.New("not yet")
		}
		return err
	})
	n.Stop(t)
	if f := rig.CheckDev(t, dir); f.Records != 2000 {
		t.Errorf("fsck counts %d records", f.Records)
	}
	pack := packOf(t, dir)
	whole, err := os.ReadFile(pack)
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Base(pack)
	damaged := func(about string, want ...string) {
		t.Helper()
		r := rig.Run(t, nil, "fsck", "--data-dir", dir)
		refused(t, r, 1, "1 problem", "nothing was changed")
		for _, w := range want {
			if !strings.Contains(r.Stdout, w) {
				t.Errorf("%s: fsck does not say %q: %s", about, w, r.Stdout)
			}
		}
	}
	spoilt := append([]byte(nil), whole...)
	spoilt[len(spoilt)/2] ^= 1
	rewrite(t, pack, spoilt)
	damaged("a changed byte", name)
	unreadable(t, n, "a changed byte", leat.KindCorrupt)
	if now, err := os.ReadFile(pack); err != nil || string(now) != string(spoilt) {
		t.Errorf("fsck has changed the object (%v)", err)
	}
	if err := os.Remove(pack); err != nil {
		t.Fatal(err)
	}
	damaged("a lost object", name, "missing")
	unreadable(t, n, "a lost object", leat.KindUnavailable)
	rewrite(t, pack, whole)
	rig.CheckDev(t, dir)
}

// unreadable checks that a reader is given an error, and not what is left, nor anything else than was put.
func unreadable(t *testing.T, n *rig.Node, about string, kind leat.Kind) {
	t.Helper()
	n.Start(t)
	c := n.Dial(t)
	it, err := c.Records.GetShardIterator(t.Context(), &leatv1.GetShardIteratorRequest{Stream: "s", ShardId: "0", Start: &leatv1.StartingPosition{Type: leatv1.StartingPositionType_STARTING_POSITION_TYPE_TRIM_HORIZON}})
	if err != nil {
		t.Fatal(err)
	}
	res, err := c.Records.GetRecords(t.Context(), &leatv1.GetRecordsRequest{ShardIterator: it.GetShardIterator()})
	if err == nil || leat.KindOf(err) != kind {
		t.Errorf("%s: a reader is given %d records and %v, want %v", about, len(res.GetRecords()), err, kind)
	}
	n.Stop(t)
}

// packOf finds the only pack.
func packOf(t *testing.T, dir string) (path string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && strings.Contains(p, "/pack/") {
			if path != "" {
				t.Fatalf("two packs: %s and %s", path, p)
			}
			path = p
		}
		return err
	})
	if err != nil || path == "" {
		t.Fatalf("no pack in %s (%v)", dir, err)
	}
	return path
}

// rewrite puts an object in the place of another, as old as that.
func rewrite(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, time.Time{}, time.Now()); err != nil {
		t.Fatal(err)
	}
}
