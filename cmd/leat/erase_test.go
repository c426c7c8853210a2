// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/leatstream/leat/api/leattest"
	"github.com/leatstream/leat/internal/sqldb"
	"github.com/leatstream/leat/server"
	"github.com/leatstream/leat/server/masterkey"
	"github.com/leatstream/leat/shardstore"
)

// TestErase follows an erasure to its end, as docs/security.md has it: when the command ends a catalog of before opens nothing of the
// stream, with the same master key; and once the master key is replaced and the old one destroyed, a backup of everything from before
// cannot be opened any more either, while what was kept is read on.
func TestErase(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	srv := leattest.Start(t, leattest.WithDir(dir))
	leatCmd := leatAt(t, srv.Endpoint)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"gone", "kept", "plain"} {
		leatCmd("", "stream", "create", name, "--shards", "1").ok(t)
		if name != "plain" {
			leatCmd("", "stream", "encrypt", name, "--key", "alias/mine").ok(t)
		}
		leatCmd("", "put", name, "secret of "+name).ok(t)
	}
	leatCmd("", "stream", "erase", "gone").refused(t, 1, "--yes")
	leatCmd("", "stream", "erase", "plain", "-y").refused(t, 1, "not encrypted", "leat stream delete plain")
	leatCmd("", "stream", "erase", "nowhere", "-y").refused(t, 1, "nowhere")

	must(srv.Stop())
	backup := filepath.Join(t.TempDir(), "backup")
	must(os.CopyFS(backup, os.DirFS(dir)))
	restart := func() {
		t.Helper()
		must(srv.Restart())
		leatCmd = leatAt(t, srv.Endpoint)
	}
	restart()
	if got := leatCmd("", "stream", "erase", "gone", "-y").ok(t); !strings.Contains(got, "gone erased") || !strings.Contains(got, "destroyed") {
		t.Errorf("got %s", got)
	}
	leatCmd("", "get", "gone", "--from", "trim-horizon").refused(t, 1, "gone")

	must(srv.Stop())

	// A backup of the catalog knows where the records are, and what is left of them is as it was: nobody opens it.
	stale := filepath.Join(t.TempDir(), "stale")
	must(os.CopyFS(stale, os.DirFS(dir)))
	for _, old := range []string{"catalog.db-wal", "catalog.db-shm"} {
		if err := os.Remove(filepath.Join(stale, old)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
	was, err := os.ReadFile(filepath.Join(backup, "catalog.db"))
	must(err)
	must(os.WriteFile(filepath.Join(stale, "catalog.db"), was, 0o600))
	checked, err := server.FsckLocal(t.Context(), stale, func(p shardstore.Problem) { t.Errorf("fsck says %s", p) })
	must(err)
	if checked.Erased == 0 || checked.Records != 3 {
		t.Errorf("with a catalog of before: %+v", checked.FsckStats)
	}

	// Replace the master key: the new one first, then without the old one.
	file := filepath.Join(dir, "master.key")
	old, err := os.ReadFile(file)
	must(err)
	fresh := masterkey.Generate(rand.Reader) + "\n"
	must(os.WriteFile(file, append([]byte(fresh), old...), 0o600))
	restart()
	must(srv.Stop())
	must(os.WriteFile(file, []byte(fresh), 0o600))
	restart()
	if got := leatCmd("", "get", "kept", "--from", "trim-horizon").ok(t); !strings.Contains(got, "secret of kept") {
		t.Errorf("what was kept: %s", got)
	}
	must(srv.Stop())
	db, err := sqldb.Open(t.Context(), sqldb.Config{SQLite: filepath.Join(dir, "catalog.db")})
	must(err)
	defer db.Close()
	var keys int
	must(db.View(t.Context(), func(tx *sqldb.Tx) error { return tx.Row("SELECT count(*) FROM stream_keys").Scan(&keys) }))
	if keys != 1 {
		t.Errorf("the catalog has %d keys of streams", keys)
	}

	// A backup of everything has the erased stream's key still, under a master key that is no more.
	must(os.WriteFile(filepath.Join(backup, "master.key"), []byte(fresh), 0o600))
	_, err = server.Dev(t.Context(), server.DevConfig{DataDir: backup, Common: server.Common{
		HTTPAddr: "127.0.0.1:0", GRPCAddr: "127.0.0.1:0", Region: "us-east-1", ShardLimits: "off", PackEvery: 60e9, LogLevel: "error",
	}}, "test")
	if err == nil || !strings.Contains(err.Error(), "master key") {
		t.Errorf("the backup opens: %v", err)
	}
}

func TestEraseAccount(t *testing.T) {
	leatCmd := leatAt(t, leattest.Start(t).Endpoint)
	const id = "111111111111"
	leatCmd("", "account", "create", "team", "--id", id).ok(t)
	leatCmd("", "stream", "create", "s", "--shards", "1", "--account", id).ok(t)
	leatCmd("", "account", "erase", id).refused(t, 1, "--yes")
	if got := leatCmd("", "account", "erase", id, "-y").ok(t); !strings.Contains(got, "account "+id+" erased") {
		t.Errorf("got %s", got)
	}
	leatCmd("", "account", "describe", id).refused(t, 1, id)
}
