// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/leatstream/leat/api/leattest"
	"github.com/leatstream/leat/server/masterkey"
)

func TestAccessKeys(t *testing.T) {
	s := leattest.Start(t)
	leatCmd := leatAt(t, s.Endpoint)
	got := leatCmd("", "key", "create", "orders writer").ok(t)
	m := regexp.MustCompile(`^export AWS_ACCESS_KEY_ID=(LEAK[A-Z2-7]{16}) AWS_SECRET_ACCESS_KEY=([A-Za-z0-9+/]{40})\n$`).FindStringSubmatch(got)
	if m == nil {
		t.Fatalf("got %q", got)
	}
	second := objects[keyView](t, leatCmd("", "key", "create", "another", "-o", "json").ok(t))[0]
	if len(second.Secret) != 40 || second.Secret == m[2] || second.State != "ACTIVE" || second.Account != "000000000000" || second.Created == "" {
		t.Errorf("got %+v", second)
	}

	leatCmd("", "key", "disable", m[1]).ok(t)
	if got := leatCmd("", "key", "list").ok(t); !strings.Contains(got, m[1]+"  orders writer  INACTIVE") || strings.Contains(got, m[2]) {
		t.Errorf("got %s", got)
	}
	if got := objects[keyView](t, leatCmd("", "key", "enable", m[1], "-o", "json").ok(t)); got[0].State != "ACTIVE" || got[0].Secret != "" {
		t.Errorf("got %+v", got)
	}
	leatCmd("", "key", "delete", m[1]).refused(t, 1, "--yes", "leat key disable "+m[1])
	leatCmd("", "key", "delete", m[1], "-y").ok(t)
	leatCmd("", "key", "delete", m[1], "-y").refused(t, 1, m[1], "leat key list")
	leatCmd("", "key", "disable", "short").refused(t, 1, "key_id")
	leatCmd("", "key", "create", "a/b").refused(t, 1, "name")
	leatCmd("", "key", "create").refused(t, 2, "key create --help")
	leatCmd("", "key", "frobnicate").refused(t, 2)

	// They outlive a restart, and are there over REST.
	if err := s.Restart(); err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultTransport.RoundTrip(must(http.NewRequestWithContext(t.Context(), http.MethodGet, s.HTTP+"/v1/keys", nil)))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK || !strings.Contains(string(text), second.ID) || strings.Contains(string(text), m[1]) || strings.Contains(string(text), second.Secret) {
		t.Errorf("%s %s %v", res.Status, text, err)
	}
}

func TestMasterKey(t *testing.T) {
	leatCmd := leatAt(t, "127.0.0.1:1")
	one, two := leatCmd("", "master-key").ok(t), leatCmd("", "master-key").ok(t)
	ring, err := masterkey.Parse([]byte("# both\n" + one + two))
	if err != nil || ring.ID() == "" || one == two {
		t.Errorf("%v, %v", ring, err)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
