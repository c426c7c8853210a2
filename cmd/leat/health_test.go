// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/leatstream/leat/api/leattest"
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
