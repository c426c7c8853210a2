// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package grpcapi_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/leatstream/leat/server/auth"
)

// Where callers need no credential, REST takes nothing from web pages of others; where they need one, that is what keeps pages out.
func TestPagesOfOthers(t *testing.T) {
	boot, err := auth.NewBootstrap(token, "")
	if err != nil {
		t.Fatal(err)
	}
	open, closed := newRig(t, options{}), newRig(t, options{auth: boot})
	open.stream("s", 1)
	closed.token = token
	closed.stream("s", 1)
	for _, c := range []struct {
		about, method, path, host, origin string
		taken                             bool
	}{
		{"a program", http.MethodPost, "/v1/streams/s/records", "localhost:4567", "", true},
		{"a program by address", http.MethodPost, "/v1/streams/s/records", "[::1]:4567", "", true},
		{"a page", http.MethodPost, "/v1/streams/s/records", "localhost:4567", "https://evil.example", false},
		{"a page whose name points here", http.MethodPost, "/v1/streams/s/records", "evil.example", "http://evil.example", false},
		{"such a page that reads", http.MethodGet, "/v1/streams/s", "evil.example", "", false},
	} {
		for _, r := range []*rig{open, closed} {
			req, answer := httptest.NewRequest(c.method, c.path, strings.NewReader(`{"partitionKey": "k"}`)), httptest.NewRecorder()
			if c.method == http.MethodGet {
				req = httptest.NewRequest(c.method, c.path, http.NoBody)
			}
			req.Host = c.host
			req.Header.Set("Content-Type", "text/plain")
			if c.origin != "" {
				req.Header.Set("Origin", c.origin)
			}
			if r == closed {
				req.Header.Set("Authorization", "Bearer "+token)
			}
			r.server.Handler().ServeHTTP(answer, req)
			want := http.StatusOK
			if r == open && !c.taken {
				want = http.StatusForbidden
			}
			if answer.Code != want || want != http.StatusOK && !strings.Contains(answer.Body.String(), "lets everybody in") {
				t.Errorf("%s, open %v: %d %.300s", c.about, r == open, answer.Code, answer.Body)
			}
		}
	}
}
