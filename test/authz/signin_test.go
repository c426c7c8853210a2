// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package authz_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	leatv1 "github.com/leatstream/leat/api/leat/v1"
)

// TestFailedSignIns tries to sign in by each way with what is wrong, and finds that in the log, merged, with whose credential it was
// and without what was presented.
func TestFailedSignIns(t *testing.T) {
	h := buildWith(t, "the-token-of-the-operator")
	ctx := t.Context()
	const hidden = "hidden-5f2c"
	wrong := h.dial("a-token-that-is-"+hidden, "")
	for range 30 {
		if _, err := wrong.Streams.ListStreams(ctx, &leatv1.ListStreamsRequest{}); kind(err) != codes.Unauthenticated {
			t.Fatal(err)
		}
	}
	gone, err := h.owner.Identity.CreateToken(ctx, &leatv1.CreateTokenRequest{Name: "gone"})
	h.must(err)
	_, err = h.owner.Identity.DeleteToken(ctx, &leatv1.DeleteTokenRequest{TokenId: gone.GetToken().GetId()})
	h.must(err)
	if _, err := h.dial(gone.GetSecret(), "").Streams.ListStreams(ctx, &leatv1.ListStreamsRequest{}); kind(err) != codes.Unauthenticated {
		t.Fatal(err)
	}
	ask := func(method, path, authorization string, body url.Values, want int) {
		t.Helper()
		r, err := http.NewRequestWithContext(ctx, method, h.server.HTTP+path, strings.NewReader(body.Encode()))
		h.must(err)
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("User-Agent", "probe/1")
		if authorization != "" {
			r.Header.Set("Authorization", authorization)
		}
		res, err := new(http.Client).Do(r)
		h.must(err)
		h.must(res.Body.Close())
		if res.StatusCode != want {
			t.Fatalf("%s %s: status %d, want %d", method, path, res.StatusCode, want)
		}
	}
	ask(http.MethodGet, "/v1/streams", "Bearer "+hidden, nil, http.StatusUnauthorized)
	ask(http.MethodGet, "/v1/streams", "", nil, http.StatusUnauthorized) // presents nothing: not in the log
	key := h.key(ours, "")
	forged := proto.CloneOf(key)
	forged.Secret = hidden
	if code, got := h.aws(forged, "ListStreams", `{}`); code != http.StatusBadRequest || !strings.Contains(got, "InvalidSignature") {
		t.Fatalf("%d %s", code, got)
	}
	if code, got := h.sign(forged, "firehose", "Firehose_20150804.ListDeliveryStreams", `{}`); code != http.StatusBadRequest || !strings.Contains(got, "InvalidSignature") {
		t.Fatalf("%d %s", code, got)
	}
	ask(http.MethodPost, "/console/signin", "", url.Values{"key": {key.GetKey().GetId()}, "secret": {hidden}}, http.StatusUnauthorized)
	ask(http.MethodPost, "/console/signin", "", url.Values{"key": {hidden}, "secret": {hidden}}, http.StatusUnauthorized)
	ask(http.MethodPost, "/console/signin", "", url.Values{"bearer": {hidden}}, http.StatusUnauthorized)
	ask(http.MethodPost, "/console/signin", "", url.Values{"key": {""}}, http.StatusUnauthorized) // presents nothing

	type row struct{ edge, account, credential, why string }
	id := key.GetKey().GetId()
	want := map[row]int64{
		{"grpc", "", "", "the credential is wrong"}:              30,
		{"grpc", "", "", "the token is not known"}:               1,
		{"rest", "", "", "the credential is wrong"}:              1,
		{"kinesis", ours, id, "the signature is wrong"}:          1,
		{"firehose", ours, id, "the signature is wrong"}:         1,
		{"console", ours, id, "not a credential of this server"}: 1,
		{"console", "", "", "not a credential of this server"}:   1,
		{"console", "", "", "the credential is wrong"}:           1,
	}
	deadline := time.Now().Add(time.Minute)
	for tick := time.NewTicker(20 * time.Millisecond); ; <-tick.C {
		all, text := h.export(h.operator)
		got, rows := map[row]int64{}, 0
		for _, e := range all {
			if e.GetOperation() != "SignIn" {
				continue
			}
			rows++
			if e.GetOutcome() != "UNAUTHENTICATED" || e.GetSourceIp() != "127.0.0.1" || e.GetResource() != "*" || e.GetUserAgent() == "" {
				t.Fatalf("got %v", e)
			}
			for w := range want {
				if w.edge == e.GetEdge() && w.account == e.GetAccount() && w.credential == e.GetCredential() && strings.Contains(e.GetMessage(), w.why) {
					got[w] += e.GetCount()
				}
			}
		}
		complete := true
		for w, n := range want {
			complete = complete && got[w] == n
		}
		if complete {
			if rows > 30 {
				t.Errorf("%d rows", rows)
			}
			for what, secret := range map[string]string{"what was presented": hidden, "a token": gone.GetSecret(), "a token's end": gone.GetSecret()[22:]} {
				if strings.Contains(text, secret) {
					t.Errorf("the audit log holds %s", what)
				}
			}
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the log has %v\nof %v", got, want)
		}
	}
	mine, _ := h.export(h.owner)
	n := 0
	for _, e := range mine {
		if e.GetOperation() == "SignIn" {
			n++
			if e.GetAccount() != ours || e.GetCredential() != id {
				t.Errorf("an account sees %v", e)
			}
		}
	}
	if n != 3 {
		t.Errorf("an account sees %d attempts with its key", n)
	}
}

// TestSignInToTheConsoleIsBounded: an address that has failed too often is not looked at any more, also with what is right.
func TestSignInToTheConsoleIsBounded(t *testing.T) {
	const token = "the-token-of-the-operator"
	h := buildWith(t, token)
	try := func(bearer string) int {
		t.Helper()
		res, err := (&http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).PostForm(h.server.HTTP+"/console/signin", url.Values{"bearer": {bearer}})
		h.must(err)
		h.must(res.Body.Close())
		return res.StatusCode
	}
	if code := try(token); code != http.StatusSeeOther {
		t.Fatalf("status %d", code)
	}
	n := 0
	for ; try("wrong") == http.StatusUnauthorized; n++ {
		if n > 5000 {
			t.Fatal("there is no bound")
		}
	}
	if code := try(token); n < 200 || code != http.StatusTooManyRequests {
		t.Errorf("after %d failures: status %d", n, code)
	}
}
