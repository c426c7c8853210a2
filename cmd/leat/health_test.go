// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/leatstream/leat/api/leattest"
	"github.com/leatstream/leat/internal/tlstest"
	"github.com/leatstream/leat/server"
)

func TestHealthOfAServer(t *testing.T) {
	s := leattest.Start(t)
	leat := leatAt(t, s.Endpoint)
	if got := leat("", "health", "--endpoint-http", strings.TrimPrefix(s.HTTP, "http://"), "--timeout", "30s").ok(t); got != "ready\n" {
		t.Errorf("health says %q", got)
	}
	if got := leat("", "health", "--live", "--endpoint-http", s.HTTP, "--timeout", "30s").ok(t); got != "ok\n" {
		t.Errorf("health --live says %q", got)
	}
}

// The commands that ask over HTTP meet a server that speaks TLS, and asks for certificates, as the others do.
func TestCommandsOverHTTPS(t *testing.T) {
	dir, ca := t.TempDir(), tlstest.NewAuthority(t, "our authority")
	cert, key := ca.Files(t, dir, "server", 90*24*time.Hour)
	mine, mineKey := ca.Files(t, t.TempDir(), "mine", time.Hour)
	authority := tlstest.Write(t, filepath.Join(dir, "ca.pem"), ca.CA())
	s := leattest.Start(t, leattest.WithConfig(func(c *server.DevConfig) {
		c.TLS = server.TLS{Cert: cert, Key: key, ClientCA: authority}
	}))
	leat := leatAt(t, "127.0.0.1:1")
	with := func(args ...string) []string {
		return append(args, "--endpoint-http", s.HTTP, "--ca", authority, "--client-cert", mine, "--client-key", mineKey)
	}
	for _, bare := range []string{strings.TrimPrefix(s.HTTP, "https://"), s.HTTP} {
		if got := leat("", append(with("health", "--timeout", "30s"), "--endpoint-http", bare)...).ok(t); got != "ready\n" {
			t.Errorf("health of %s says %q", bare, got)
		}
	}
	out := leat("", with("doctor")...).ok(t)
	for _, want := range []string{"ok      server: ready", "ok      TLS of ", "ok      AWS wire, HTTP/1.1, JSON: 200", "ok      AWS wire, HTTP/2, CBOR: 200"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if o := leat("", "doctor", "--endpoint-http", s.HTTP); o.code != exitFailed || !strings.Contains(o.out, "bad     TLS of ") || !strings.Contains(o.out, "with --ca\n") {
		t.Errorf("without --ca: %+v", o)
	}
	if o := leat("", "doctor", "--endpoint-http", s.HTTP, "--ca", authority); o.code != exitFailed || !strings.Contains(o.out, "give --client-cert") {
		t.Errorf("without --client-cert: %+v", o)
	}
	leat("", with("debug", "bundle", "--out", filepath.Join(dir, "b.tar.gz"))...).ok(t)
	leat("", "health", "--endpoint-http", s.HTTP, "--client-cert", mine).refused(t, exitFailed, "--client-key")
}

func TestHealthOfWhatDoesNotServe(t *testing.T) {
	answer := func(code int, body string) string {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(code)
			fmt.Fprint(w, body)
		}))
		t.Cleanup(srv.Close)
		return srv.URL
	}
	leat := leatAt(t, "127.0.0.1:1")
	leat("", "health", "--endpoint-http", answer(503, `{"status":"not ready","reasons":["another node serves"]}`)).
		refused(t, exitFailed, "not ready", "another node serves")
	leat("", "health", "--endpoint-http", answer(200, "welcome")).refused(t, exitFailed, "not as Leat does")
	leat("", "health", "--endpoint-http", answer(404, "{}")).refused(t, exitFailed, "404")
	leat("", "health", "--endpoint-http", "127.0.0.1:1").refused(t, exitFailed, "nothing answers")
	leat("", "health", "--endpoint-http", "ftp://x").refused(t, exitFailed, "endpoint-http")
}
