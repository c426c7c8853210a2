// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/leatstream/leat/internal/sqldb"
	"github.com/leatstream/leat/test/e2e/rig"
)

// everyVersion reads all that a bucket keeps, former versions and what was deleted too, by name and version.
func everyVersion(t *testing.T, c *minio.Client, bucket string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for v := range c.ListObjectsIter(t.Context(), bucket, minio.ListObjectsOptions{Recursive: true, WithVersions: true}) {
		if v.Err != nil {
			t.Fatal(v.Err)
		}
		if v.IsDeleteMarker {
			continue
		}
		o, err := c.GetObject(t.Context(), bucket, v.Key, minio.GetObjectOptions{VersionID: v.VersionID})
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(o)
		if err != nil {
			t.Fatal(err)
		}
		all[v.Key+" "+v.VersionID] = string(body)
	}
	return all
}

// An erased stream cannot be opened by anybody when the command ends: its keys are in no version of any object, and were never
// in the database or the journal. Every node forgets them in seconds. What is left is told for what it is.
func TestErasure(t *testing.T) {
	t.Parallel()
	b := rig.SharedBackend(t)
	store, err := minio.New(b.S3.Endpoint, &minio.Options{Creds: credentials.NewStaticV4(b.S3.AccessKey, b.S3.SecretKey, ""), Region: b.S3.Region})
	if err == nil {
		err = store.EnableVersioning(t.Context(), b.Bucket)
	}
	if err != nil {
		t.Fatal(err)
	}
	keys := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(keys, []byte(rig.Must(t, nil, "master-key")), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"--shard-limits", "off", "--pack-every", "1s", "--master-key-file", keys}
	c := rig.NewCluster(t, b, 2, args...)
	c.Start(t)
	nodes := []*rig.Node{c.Nodes[0], c.Nodes[1]}
	must := func(args ...string) string { return rig.Must(t, nodes[0].Env(), args...) }
	catalogued := func(dsn string, want int) {
		t.Helper()
		db, err := sqldb.Open(t.Context(), sqldb.Config{Postgres: dsn})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		var all, whole int
		err = db.View(t.Context(), func(tx *sqldb.Tx) error {
			return tx.Row("SELECT count(*), count(*) FILTER (WHERE wrapped <> 'apart') FROM stream_keys").Scan(&all, &whole)
		})
		if err != nil || all != want || whole != 0 {
			t.Errorf("the database has %d keys of %d, %d of them whole: %v", all, want, whole, err)
		}
	}
	known := func(n *rig.Node, want float64) {
		t.Helper()
		rig.Eventually(t, 30*time.Second, fmt.Sprintf("a node has %v keys in memory", want), func() error {
			got, err := n.Metric(t.Context(), "leat_stream_keys")
			if err == nil && got != want {
				err = fmt.Errorf("it has %v", got)
			}
			return err
		})
	}
	for _, name := range []string{"gone", "kept"} {
		must("stream", "create", name, "--shards", "4")
		must("stream", "encrypt", name, "--key", "alias/mine")
		for i := range 20 {
			must("put", name, fmt.Sprintf("secret %d of %s", i, name), "--key", fmt.Sprint(i))
		}
	}
	must("stream", "encrypt", "gone", "--key", "alias/again")
	must("put", "gone", "under another key", "--key", "k")
	for _, n := range nodes {
		if got := getJSON(t, n, "gone"); len(got) != 21 {
			t.Fatalf("%d records", len(got))
		}
		known(n, 3)
	}
	rig.Eventually(t, rig.Patience, "all is packed", func() error {
		for _, n := range nodes {
			if v, err := n.Metric(t.Context(), "leat_unpacked_bytes"); err != nil || v > 0 {
				return fmt.Errorf("%v bytes are not: %w", v, err)
			}
		}
		return nil
	})
	before := b.PG.Dump(t, b.DSN)
	catalogued(b.DSN, 3)

	must("stream", "erase", "gone", "--yes")
	erased := time.Now()
	var names []string
	for name, body := range everyVersion(t, store, b.Bucket) {
		if strings.Contains(body, "leat-wrapped-") {
			names = append(names, name)
		}
	}
	if len(names) != 1 || !strings.HasPrefix(names[0], "keys/") {
		t.Errorf("wrapped keys are in %q", names)
	}
	catalogued(b.DSN, 1)
	for _, n := range nodes {
		known(n, 1)
	}
	t.Logf("both nodes had forgotten %v after the erasure", time.Since(erased).Round(time.Millisecond))
	if got := getJSON(t, nodes[1], "kept"); len(got) != 20 {
		t.Errorf("what was kept has %d records", len(got))
	}
	c.Stop(t)
	b.Check(t)

	// A database of before knows where the records are. They are not damaged, and nobody opens them.
	stale := *b
	stale.DSN = b.PG.Restore(t, before)
	if out := rig.Must(t, stale.Env(), "fsck", "--master-key-file", keys); !strings.Contains(out, "of erased streams") || !strings.Contains(out, "0 problems") {
		t.Errorf("fsck of a database of before says:\n%s", out)
	}

	fresh := *b
	fresh.DSN = b.PG.Database(t)
	out := rig.Must(t, fresh.Env(), "rebuild", "--master-key-file", keys)
	if !strings.Contains(out, "stream gone of account 000000000000 was erased at ") || strings.Contains(out, "stream kept") || !strings.Contains(out, "0 problems") {
		t.Errorf("leat rebuild says:\n%s", out)
	}
	two := rig.Serve(t, "two", &fresh, args...)
	two.Start(t)
	if got := getJSON(t, two, "kept"); len(got) != 20 {
		t.Errorf("after the rebuild what was kept has %d records", len(got))
	}
	if out := rig.Must(t, two.Env(), "stream", "list"); strings.Contains(out, "gone") {
		t.Errorf("after the rebuild:\n%s", out)
	}
	two.Stop(t)
}
