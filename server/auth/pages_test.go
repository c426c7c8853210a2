// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package auth_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/auth"
)

// pageRequests are requests to a server that lets everybody in, and whether it takes them.
var pageRequests = []struct {
	about, method, host string
	header              []string
	taken               bool
}{
	{"a program", http.MethodPost, "127.0.0.1:4567", nil, true},
	{"a program, by name", http.MethodPost, "localhost:4567", nil, true},
	{"a program, without a port", http.MethodPost, "localhost", nil, true},
	{"a program, IPv6", http.MethodPost, "[::1]:4567", nil, true},
	{"a name below localhost", http.MethodPost, "leat.localhost:4567", nil, true},
	{"this server's own page", http.MethodPost, "localhost:4567", []string{"Sec-Fetch-Site", "same-origin", "Origin", "http://localhost:4567"}, true},
	{"somebody at a browser", http.MethodGet, "localhost:4567", []string{"Sec-Fetch-Site", "none"}, true},
	{"a link on a page", http.MethodGet, "localhost:4567", []string{"Sec-Fetch-Site", "cross-site"}, true}, // it sees no answer
	{"a page", http.MethodPost, "localhost:4567", []string{"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"}, false},
	{"a page that deletes", http.MethodDelete, "localhost:4567", []string{"Sec-Fetch-Site", "cross-site"}, false},
	{"a page on another port", http.MethodPost, "localhost:4567", []string{"Sec-Fetch-Site", "same-site", "Origin", "http://localhost:8080"}, false},
	{"a page, by an old browser", http.MethodPost, "localhost:4567", []string{"Origin", "http://evil.example"}, false},
	{"a page of nowhere", http.MethodPost, "localhost:4567", []string{"Origin", "null"}, false},
	{"a page whose name points here", http.MethodPost, "evil.example:4567", []string{"Origin", "http://evil.example:4567"}, false},
	{"such a page that reads", http.MethodGet, "evil.example:4567", nil, false},
	{"a name that only begins so", http.MethodGet, "localhost.evil.example:4567", nil, false},
	{"no host", http.MethodGet, "", nil, false},
}

func TestRefusePages(t *testing.T) {
	for _, c := range pageRequests {
		r, err := http.NewRequestWithContext(t.Context(), c.method, "http://127.0.0.1:4567/v1/streams", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = c.host
		for i := 0; i < len(c.header); i += 2 {
			r.Header.Set(c.header[i], c.header[i+1])
		}
		if err := auth.RefusePages(r); (err == nil) != c.taken || err != nil && leat.KindOf(err) != leat.KindAccessDenied {
			t.Errorf("%s: %v", c.about, err)
		}
	}
}

// The AWS wires of leat dev take no forms, and nothing else, from pages.
func TestDevSignaturesRefusePages(t *testing.T) {
	rig := newRig(t)
	keys := rig.store(master(t, 1))
	v4, err := auth.NewSigV4(auth.SigV4Options{Keys: keys, Region: "us-east-1", Clock: rig.clock})
	if err != nil {
		t.Fatal(err)
	}
	dev := &auth.DevSignatures{Keys: keys, SigV4: v4}
	const form = "Action=ListMetrics&Version=2010-08-01"
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://localhost:4567/", strings.NewReader(form))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if who, err := dev.Verify(r, []byte(form)); err != nil || !who.Operator {
		t.Errorf("a program: %v, %v", who, err)
	}
	r.Header.Set("Origin", "https://evil.example")
	var refused *auth.SignatureError
	if _, err := dev.Verify(r, []byte(form)); !errors.As(err, &refused) || refused.Type != "AccessDeniedException" {
		t.Errorf("a page: %v", err)
	}
	r.Header.Del("Origin")
	r.Host = "evil.example:4567"
	if _, err := dev.Verify(r, []byte(form)); !errors.As(err, &refused) || refused.Type != "AccessDeniedException" {
		t.Errorf("a page whose name points here: %v", err)
	}
}
