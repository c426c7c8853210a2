// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/leatstream/leat/api/leattest"
)

func TestDebugBundle(t *testing.T) {
	s := leattest.Start(t)
	leat := leatAt(t, s.Endpoint)
	dir := t.TempDir()
	out, log := filepath.Join(dir, "b.tar.gz"), filepath.Join(dir, "leat.log")
	if err := os.WriteFile(log, []byte("a line\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	leat("", "debug", "bundle", "--endpoint-http", s.HTTP, "--out", out, "--log", log).ok(t)
	parts := unpack(t, out)
	for name, want := range map[string]string{
		"readyz.json": `"ready"`, "metrics.txt": "leat_records_acked_total", "config.json": "DataDir", "nodes.json": "nodes",
		"goroutines.txt": "goroutine ", "heap.pprof": "", "log-1.txt": "a line", "about.json": `"missing": {}`,
	} {
		if got, ok := parts["leat-debug/"+name]; !ok || !strings.Contains(got, want) {
			t.Errorf("%s: there %t, without %q in %.300s", name, ok, want, got)
		}
	}
	leat("", "debug", "bundle", "--endpoint-http", s.HTTP, "--out", out).refused(t, exitFailed, "out", "exists")
	leat("", "debug", "bundle", "--endpoint-http", "127.0.0.1:1", "--out", out+"2").refused(t, exitFailed, "nothing answers")
}

func unpack(t *testing.T, file string) map[string]string {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	zip, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	parts := map[string]string{}
	for r := tar.NewReader(zip); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return parts
		}
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		parts[h.Name] = string(body)
	}
}
