// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/leatstream/leat/test/e2e/rig"
)

// objects reads output of -o json: one object a line.
func objects(t *testing.T, out string) (all []map[string]any) {
	t.Helper()
	for line := range strings.Lines(out) {
		var o map[string]any
		if err := json.Unmarshal([]byte(line), &o); err != nil {
			t.Fatalf("not one JSON object a line: %v\n%s", err, out)
		}
		all = append(all, o)
	}
	return all
}

// Each command of the client side once, for programs and for people.
func TestCommands(t *testing.T) {
	t.Parallel()
	n := rig.Dev(t, "dev", filepath.Join(t.TempDir(), "data"))
	n.Start(t)
	run := func(args ...string) []map[string]any {
		t.Helper()
		return objects(t, rig.Must(t, n.Env(), append(args, "-o", "json")...))
	}
	one := func(args ...string) map[string]any {
		t.Helper()
		all := run(args...)
		if len(all) != 1 {
			t.Fatalf("leat %v prints %d objects", args, len(all))
		}
		return all[0]
	}
	want := func(o map[string]any, name string, value any) {
		t.Helper()
		if o[name] != value {
			t.Errorf("%s is %v, want %v, in %v", name, o[name], value, o)
		}
	}

	s := one("stream", "create", "s", "--shards", "2", "--retention", "48h")
	want(s, "status", "ACTIVE")
	want(s, "open_shard_count", 2.0)
	want(one("stream", "create", "free", "--on-demand"), "mode", "ON_DEMAND")
	if all := run("stream", "list"); len(all) != 2 {
		t.Errorf("stream list prints %v", all)
	}
	d := one("stream", "describe", "s")
	want(d, "retention_hours", 48.0)
	if shards, ok := d["shards"].([]any); !ok || len(shards) != 2 {
		t.Errorf("stream describe has shards %v", d["shards"])
	}
	want(one("stream", "update", "s", "--retention", "24h"), "retention_hours", 24.0)
	want(one("stream", "split", "s", "0"), "open_shard_count", 3.0)
	want(one("stream", "merge", "s", "2", "3"), "open_shard_count", 2.0)
	want(one("stream", "scale", "s", "4"), "open_shard_count", 4.0)
	if all, open := run("shard", "list", "s"), run("shard", "list", "s", "--open"); len(open) != 4 || len(all) <= 4 {
		t.Errorf("shard list prints %d shards, %d with --open", len(all), len(open))
	}
	want(one("consumer", "register", "s", "c"), "name", "c")
	want(one("consumer", "describe", "s", "c"), "status", "ACTIVE")
	if all := run("consumer", "list", "s"); len(all) != 1 {
		t.Errorf("consumer list prints %v", all)
	}
	if o := one("put", "s", "one value", "--key", "k"); len(o["sequence_number"].(string)) != 56 {
		t.Errorf("put prints %v", o)
	}
	file := filepath.Join(t.TempDir(), "lines")
	if err := os.WriteFile(file, []byte("{\"user\":{\"id\":7}}\n{\"user\":{\"id\":8}}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	o := one("put", "s", file, "--lines", "--key-json", "user.id")
	want(o, "acked", 2.0)
	want(o, "complete", true)
	got := run("get", "s")
	if len(got) != 3 {
		t.Errorf("get prints %d records", len(got))
	}
	if one := run("get", "s", "--limit", "1"); len(one) != 1 {
		t.Errorf("get --limit 1 prints %d records", len(one))
	}
	if last := run("tail", "s", "-n", "2"); len(last) != 2 || last[1]["text"] != "{\"user\":{\"id\":8}}" && last[1]["text"] != "{\"user\":{\"id\":7}}" {
		t.Errorf("tail -n 2 prints %v", last)
	}
	want(one("consumer", "deregister", "s", "c"), "status", "DELETING")
	want(one("stream", "delete", "free", "--yes"), "status", "DELETED")

	for _, args := range [][]string{
		{"stream", "list"}, {"stream", "describe", "s"}, {"shard", "list", "s"}, {"consumer", "list", "s"}, {"get", "s"}, {"get", "s", "-v"},
		{"tail", "s"}, {"put", "s", "for people"}, {"version"}, {"--help"}, {"put", "--help"},
	} {
		if out := rig.Must(t, n.Env(), args...); strings.TrimSpace(out) == "" && args[0] != "consumer" {
			t.Errorf("leat %v prints nothing for people", args)
		}
	}
}

// leat tail -f shows what is put later, and ends in order on Ctrl-C.
func TestTailFollows(t *testing.T) {
	t.Parallel()
	n := rig.Dev(t, "dev", filepath.Join(t.TempDir(), "data"))
	n.Start(t)
	rig.Must(t, n.Env(), "stream", "create", "s", "--shards", "2")
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	tail := rig.Begin(t, rig.Command{Args: []string{"tail", "s", "-f", "-o", "json"}, Env: n.Env(), Stdout: w})
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(r)
	for i := range 3 {
		rig.Must(t, n.Env(), "put", "s", strconv.Itoa(i), "--key", "k")
		var o record
		if err := d.Decode(&o); err != nil || string(o.Data) != strconv.Itoa(i) {
			t.Fatalf("tail -f shows %q (%v), want %d", o.Data, err, i)
		}
	}
	tail.Signal(t, syscall.SIGINT)
	if r := tail.Wait(t); r.Code != 0 {
		t.Errorf("tail -f ends with exit status %d: %s", r.Code, r.Stderr)
	}
	if left := objects(t, rig.Must(t, n.Env(), "consumer", "list", "s", "-o", "json")); len(left) != 0 {
		t.Errorf("tail -f leaves consumers behind: %v", left)
	}
}

// What goes wrong is one line on standard error and an exit status: 1 for a failure, 2 for a wrong call.
func TestCommandsFail(t *testing.T) {
	t.Parallel()
	n := rig.Dev(t, "dev", filepath.Join(t.TempDir(), "data"))
	n.Start(t)
	rig.Must(t, n.Env(), "stream", "create", "s", "--shards", "1")
	for _, tc := range []struct {
		args  []string
		stdin string
		env   []string
		code  int
		want  []string
	}{
		{args: []string{"nonsense"}, code: 2, want: []string{"nonsense", "leat --help"}},
		{args: []string{"put"}, code: 2, want: []string{"name"}},
		{args: []string{"stream", "create", "x", "--shards", "many"}, code: 2, want: []string{"--shards"}},
		{args: []string{"stream", "list", "-o", "xml"}, code: 2, want: []string{"--output"}},
		{args: []string{"stream", "list"}, env: []string{"LEAT_ENDPOINT=127.0.0.1:1"}, code: 1, want: []string{"127.0.0.1:1", "leat dev", "--endpoint"}},
		{args: []string{"stream", "describe", "nobody"}, code: 1, want: []string{"nobody", "leat stream list"}},
		{args: []string{"stream", "create", "s", "--shards", "1"}, code: 1, want: []string{"s"}},
		{args: []string{"stream", "create", "a b", "--shards", "1"}, code: 1, want: []string{"stream", "a-zA-Z0-9_.-"}},
		{args: []string{"stream", "create", "x", "--shards", "1", "--retention", "1h"}, code: 1, want: []string{"24"}},
		{args: []string{"stream", "split", "s", "9"}, code: 1, want: []string{"shardId-000000000009"}},
		{args: []string{"stream", "delete", "s"}, code: 1, want: []string{"--yes"}},
		{args: []string{"put", "nobody", "x"}, code: 1, want: []string{"nobody"}},
		{args: []string{"put", "s", "a", "b"}, code: 1, want: []string{"--lines"}},
		{args: []string{"put", "s", "x", "--key", strings.Repeat("k", 257)}, code: 1, want: []string{"256"}},
		{args: []string{"put", "s", "--lines", "--key-column", "3"}, stdin: "a b c\na b\n", code: 1, want: []string{"2 read", "1 acknowledged", "1 failed", "stdin line 2", "--key"}},
		{args: []string{"put", "s", "--lines"}, stdin: strings.Repeat("x", 1<<20+1) + "\n", code: 1, want: []string{"stdin line 1", "--max-record-bytes"}},
		{args: []string{"put", "s", "--lines", "/nowhere/file"}, code: 1, want: []string{"/nowhere/file"}},
		{args: []string{"get", "s", "--from", "yesterday"}, code: 1, want: []string{"yesterday", "10m"}},
		{args: []string{"consumer", "describe", "s", "nobody"}, code: 1, want: []string{"nobody", "leat consumer list"}},
		{args: []string{"fsck"}, code: 1, want: []string{"--data-dir", "--postgres"}},
	} {
		t.Run(strings.Join(tc.args, " ")[:min(40, len(strings.Join(tc.args, " ")))], func(t *testing.T) {
			env := n.Env()
			if tc.env != nil {
				env = tc.env
			}
			refused(t, rig.Exec(t, rig.Command{Args: tc.args, Env: env, Stdin: strings.NewReader(tc.stdin)}), tc.code, tc.want...)
		})
	}
	if got := getJSON(t, n, "s"); len(got) != 1 { // the first of two lines
		t.Errorf("failed commands have put %d records", len(got))
	}
}

// leat bench measures, and leaves nothing behind.
func TestBench(t *testing.T) {
	t.Parallel()
	n := rig.Dev(t, "dev", filepath.Join(t.TempDir(), "data"))
	n.Start(t)
	out := rig.Must(t, append(n.Env(), "TMPDIR="+t.TempDir()), "bench", "put", "get", "--for", "300ms", "--rounds", "1", "--read-mib", "1", "-o", "json")
	if len(objects(t, out)) == 0 {
		t.Errorf("bench prints nothing")
	}
	if left := objects(t, rig.Must(t, n.Env(), "stream", "list", "-o", "json")); len(left) != 0 {
		t.Errorf("bench leaves streams behind: %v", left)
	}
}
