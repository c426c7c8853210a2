// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package auth_test

import (
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/auth"
)

func from(addr string) leat.Origin {
	return leat.Origin{Source: netip.MustParseAddr(addr), Edge: leat.EdgeGRPC}
}

func TestFailuresAreBounded(t *testing.T) {
	clock := &clock{now: noon}
	f := auth.NewFailures(clock, nil)
	bad, same, good := from("2001:db8::1"), from("2001:db8::2"), from("10.0.0.1")
	n := 0
	for ; f.Check(bad) == nil; n++ {
		if n > 10_000 {
			t.Fatal("there is no bound")
		}
		f.Failed(bad, errors.New("wrong"))
	}
	if n != 200 {
		t.Errorf("%d failures were let through", n)
	}
	if err := f.Check(same); leat.KindOf(err) != leat.KindThroughputExceeded {
		t.Errorf("another address of the network: %v", err)
	}
	if err := f.Check(good); err != nil {
		t.Errorf("another network: %v", err)
	}
	clock.advance(time.Second)
	for n = 0; f.Check(bad) == nil; n++ {
		f.Failed(bad, errors.New("wrong"))
	}
	if n != 10 {
		t.Errorf("%d failures after a second", n)
	}
	var none *auth.Failures
	none.Failed(bad, nil)
	if none.Check(bad) != nil {
		t.Error("nil bounds")
	}
}

// signIn is what an edge does.
func signIn(s auth.Signatures, r *http.Request, body []byte) error {
	if err := s.Admit(r); err != nil {
		return err
	}
	_, err := s.Verify(r, body)
	return err
}

// refusing verifies nothing, early or late.
type refusing struct {
	err   error
	early bool
}

func (r refusing) Admit(*http.Request) error {
	if r.early {
		return r.err
	}
	return nil
}

func (r refusing) Verify(*http.Request, []byte) (leat.Principal, error) {
	return leat.Principal{}, r.err
}

func TestGuardedSignatures(t *testing.T) {
	wrong := &auth.SignatureError{Type: "InvalidSignatureException", Status: 400}
	r := &http.Request{RemoteAddr: "10.0.0.1:1234"}
	for _, early := range []bool{true, false} {
		g := &auth.GuardedSignatures{Verifier: refusing{wrong, early}, Failures: auth.NewFailures(&clock{now: noon}, nil)}
		for range 200 {
			if err := signIn(g, r, nil); !errors.Is(err, wrong) {
				t.Fatal(err)
			}
		}
		var e *auth.SignatureError
		if err := g.Admit(r); !errors.As(err, &e) || e.Type != "ThrottlingException" {
			t.Errorf("after too many: %v", err)
		}
		away := &auth.GuardedSignatures{
			Verifier: refusing{&auth.SignatureError{Type: "ServiceUnavailable", Status: 503}, early}, Failures: auth.NewFailures(&clock{now: noon}, nil),
		}
		for range 300 {
			if err := signIn(away, r, nil); !errors.As(err, &e) || e.Type != "ServiceUnavailable" {
				t.Fatalf("a fault of the server's was counted: %v", err)
			}
		}
	}
}

// Behind a load balancer all have one address. Whoever goes on failing there keeps out neither the keys that a node knows nor its tokens.
func TestKnownCredentialsAreNotKeptOut(t *testing.T) {
	rig := newRig(t)
	keys := rig.store(master(t, 1))
	key := rig.create(keys)
	rig.has("after a read", keys, key)
	v4, err := auth.NewSigV4(auth.SigV4Options{Keys: keys, Region: "us-east-1", Clock: rig.clock})
	if err != nil {
		t.Fatal(err)
	}
	failures := auth.NewFailures(rig.clock, nil)
	for range 300 {
		failures.Failed(from("10.0.0.1"), errors.New("wrong"))
	}
	stranger, forged := known, key
	stranger.ID = "LEAKAAAAAAAAAAAAAAAA"
	forged.Secret = known.Secret
	body := []byte("{}")
	for _, v := range []auth.Signatures{v4, &auth.DevSignatures{Keys: keys, SigV4: v4}} {
		g := &auth.GuardedSignatures{Verifier: v, Failures: failures}
		for about, c := range map[string]struct {
			key  auth.Key
			want string // exception
		}{"right": {key, ""}, "wrong": {forged, "InvalidSignatureException"}, "unknown": {stranger, "ThrottlingException"}} {
			r := arrive(t, sign(t, request(t, body), credentials(c.key), hashOf(body), noon))
			r.RemoteAddr = "10.0.0.1:1234"
			var refused *auth.SignatureError
			err := signIn(g, r, body)
			if errors.As(err, &refused); c.want == "" && err != nil || c.want != "" && (refused == nil || refused.Type != c.want) {
				t.Errorf("%T, %s: %v", v, about, err)
			}
		}
	}
}

func TestBearersKnowTheirTokens(t *testing.T) {
	i := newIdentities(t)
	boot, err := auth.NewBootstrap("a-token-of-the-server", "")
	i.must(err)
	made, token, err := i.CreateToken(t.Context(), leat.Token{Account: account, Name: "app", Expires: noon.Add(time.Hour)})
	i.must(err)
	b := &auth.Bearers{Identities: i.Identities, Bootstrap: boot, Open: true}
	for text, want := range map[string]bool{
		"Bearer " + token:                              true,
		"Bearer " + token[:len(token)-1] + "\"":        false,
		"Bearer leat_" + strings.Repeat("A", 16) + "_": false,
		"Bearer a-token-of-the-server":                 false, // it can be guessed
		"Basic " + token:                               false,
		token:                                          false,
		"":                                             false,
	} {
		if got := b.Knows(text); got != want {
			t.Errorf("%q is known: %v", text, got)
		}
	}
	if (&auth.Bearers{Identities: i.another()}).Knows("Bearer " + token) {
		t.Error("a node knows a token that it has not read")
	}
	i.clock.advance(time.Hour)
	if b.Knows("Bearer " + token) {
		t.Errorf("token %s has expired and is known", made.ID)
	}
}
