// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/leatstream/leat/test/e2e/rig"
)

// A database that was restored from a backup is older than the bucket: no server serves with it, and says what to do.
// A rebuild into an empty database then has every stream, setting and acknowledged record, those that were only in the
// log of a server that was killed too.
func TestRebuild(t *testing.T) {
	t.Parallel()
	b := rig.SharedBackend(t)
	keys := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(keys, []byte(rig.Must(t, nil, "master-key")), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"--shard-limits", "off", "--pack-every", "1s", "--master-key-file", keys}
	one := rig.Serve(t, "one", b, args...)
	one.Start(t)
	env := one.Env()
	must := func(args ...string) string { return rig.Must(t, env, args...) }
	must("stream", "create", "logs", "--shards", "3")
	must("stream", "create", "gone", "--shards", "1")
	must("put", "gone", "deleted after the backup", "--key", "k")

	lines := realInput(t)
	acks := filepath.Join(t.TempDir(), "acks")
	p := startPut(t, one, lines, 3, "put", "logs", "--lines", "--key-column", "3", "--ack-log", acks)
	awaitAcked(t, one, len(lines)/10)
	backup := b.PG.Dump(t, b.DSN)
	p.next(t)
	must("stream", "create", "vault", "--shards", "2")
	must("stream", "encrypt", "vault", "--key", "alias/mine")
	must("put", "vault", "sealed and packed", "--key", "k")
	must("stream", "tag", "logs", "team=blue")
	must("consumer", "register", "logs", "reader")
	must("key", "create", "ops")
	must("stream", "split", "logs", "shardId-000000000000")
	must("stream", "update", "logs", "--retention", "48h")
	must("stream", "delete", "gone", "--yes")
	one.Stop(t)
	one.Start(t)
	must("put", "vault", "sealed, in the log alone", "--key", "k")
	p.next(t)
	if r := p.Wait(t); r.Code != 0 {
		t.Fatalf("leat put: exit status %d: %s", r.Code, r.Stderr)
	}
	must("stream", "merge", "logs", "shardId-000000000001", "shardId-000000000002")
	must("put", "logs", "the last one", "--key", "k")
	one.Kill(t)

	stale := *b
	stale.DSN = b.PG.Restore(t, backup)
	r := rig.Run(t, stale.Env(), append([]string{"serve", "--http-addr", "127.0.0.1:0", "--grpc-addr", "127.0.0.1:0"}, args...)...)
	refused(t, r, 1, "older than the bucket", "restored from a backup", "leat rebuild")

	r = rig.Run(t, stale.Env(), "rebuild")
	refused(t, r, 1, "not empty")

	fresh := *b
	fresh.DSN = b.PG.Database(t)
	t.Log(strings.TrimSpace(rig.Must(t, fresh.Env(), "rebuild", "--master-key-file", keys)))

	// The database before last is too old now as well.
	r = rig.Run(t, b.Env(), append([]string{"serve", "--http-addr", "127.0.0.1:0", "--grpc-addr", "127.0.0.1:0"}, args...)...)
	refused(t, r, 1, "older than the bucket", "leat rebuild")

	two := rig.Serve(t, "two", &fresh, args...)
	two.Start(t)
	env = two.Env()
	got := getJSON(t, two, "logs")
	checkAcked(t, lines, got, acks)
	if len(got) != len(lines)+1 || !slices.ContainsFunc(got, func(r record) bool { return string(r.Data) == "the last one" }) {
		t.Errorf("%d records, want the %d lines and one more", len(got), len(lines))
	}
	sealed := getJSON(t, two, "vault")
	if len(sealed) != 2 {
		t.Errorf("the encrypted stream has %d records, want 2", len(sealed))
	}
	for what, want := range map[string][]string{
		must("stream", "list"):              {"logs", "vault"},
		must("stream", "describe", "logs"):  {"48h", "shardId-000000000005"},
		must("stream", "describe", "vault"): {"alias/mine"},
		must("stream", "tags", "logs"):      {"team", "blue"},
		must("consumer", "list", "logs"):    {"reader"},
		must("key", "list"):                 {"ops"},
	} {
		for _, w := range want {
			if !strings.Contains(what, w) {
				t.Errorf("after the rebuild %q is missing in:\n%s", w, what)
			}
		}
	}
	if out := must("stream", "list"); strings.Contains(out, "gone") {
		t.Errorf("a deleted stream is back:\n%s", out)
	}
	must("put", "logs", "after the rebuild", "--key", "k")
	must("stream", "scale", "logs", "2")

	// A server that runs all the same loses its session, and what it acknowledged before that is there.
	must("put", "logs", "in the log of a server that runs", "--key", "k")
	again := *b
	again.DSN = b.PG.Database(t)
	t.Log(strings.TrimSpace(rig.Must(t, again.Env(), "rebuild", "--master-key-file", keys)))
	lost := rig.Begin(t, rig.Command{Args: []string{"put", "logs", "never acknowledged", "--key", "k"}, Env: env})
	rig.Eventually(t, rig.Patience, "the server finds out", func() error {
		err := two.Ready(t.Context())
		if err == nil || !strings.Contains(err.Error(), "older than the bucket") {
			return errors.New("it says " + fmt.Sprint(err))
		}
		return nil
	})
	lost.Signal(t, syscall.SIGINT)
	if r := lost.Wait(t); r.Code == 0 {
		t.Error("a server whose session was ended acknowledged a record")
	}
	two.Stop(t)
	three := rig.Serve(t, "three", &again, args...)
	three.Start(t)
	got = getJSON(t, three, "logs")
	checkAcked(t, lines, got, acks)
	if len(got) != len(lines)+3 {
		t.Errorf("%d records, want the %d lines and three more", len(got), len(lines))
	}
	three.Stop(t)
	again.Check(t)
}
