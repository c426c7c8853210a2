// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
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

// The token goes to what asks for it alone, to no other server, and to no other machine in clear.
func TestDebugBundleKeepsTheToken(t *testing.T) {
	var mu sync.Mutex
	told := map[string]string{}
	hear := func(name string) http.HandlerFunc {
		return func(_ http.ResponseWriter, r *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			told[name+r.URL.Path] = r.Header.Get("Authorization")
		}
	}
	other := httptest.NewServer(hear("other"))
	defer other.Close()
	mux := http.NewServeMux()
	mux.Handle("/", hear(""))
	mux.Handle("/debug/pprof/heap", http.RedirectHandler(other.URL+"/heap", http.StatusFound))
	srv := httptest.NewServer(mux)
	defer srv.Close()
	leat := leatAt(t, "127.0.0.1:1")
	out := filepath.Join(t.TempDir(), "b.tar.gz")
	if o := leat("", "debug", "bundle", "--endpoint-http", srv.URL, "--token", "hunter2", "--out", out); o.code != 0 {
		t.Errorf("%+v", o)
	}
	const bearer = "Bearer hunter2"
	want := map[string]string{"/healthz": "", "/readyz": "", "/metrics": "", "/debug/config": bearer, "/v1/nodes": bearer, "/debug/pprof/goroutine": bearer}
	if !maps.Equal(told, want) {
		t.Errorf("%q, want %q", told, want)
	}
	for _, host := range []string{"leat.invalid:4567", "http://192.0.2.1:4567"} {
		leat("", "debug", "bundle", "--endpoint-http", host, "--token", "hunter2", "--out", out+"2").refused(t, exitFailed, "in clear", "https://", "--plaintext")
	}
	leat("", "debug", "bundle", "--endpoint-http", "leat.invalid:4567", "--token", "hunter2", "--plaintext", "--out", out+"2").refused(t, exitFailed, "nothing answers")
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
