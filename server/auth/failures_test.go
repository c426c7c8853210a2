// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package auth_test

import (
	"errors"
	"net/http"
	"net/netip"
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

// refusing verifies nothing.
type refusing struct{ err error }

func (r refusing) Verify(*http.Request, []byte) (leat.Principal, error) {
	return leat.Principal{}, r.err
}

func TestGuardedSignatures(t *testing.T) {
	wrong := &auth.SignatureError{Type: "InvalidSignatureException", Status: 400}
	g := &auth.GuardedSignatures{Verifier: refusing{wrong}, Failures: auth.NewFailures(&clock{now: noon}, nil)}
	r := &http.Request{RemoteAddr: "10.0.0.1:1234"}
	for range 200 {
		if _, err := g.Verify(r, nil); !errors.Is(err, wrong) {
			t.Fatal(err)
		}
	}
	var e *auth.SignatureError
	if _, err := g.Verify(r, nil); !errors.As(err, &e) || e.Type != "ThrottlingException" {
		t.Errorf("after too many: %v", err)
	}
	away := &auth.GuardedSignatures{Verifier: refusing{&auth.SignatureError{Type: "ServiceUnavailable", Status: 503}}, Failures: auth.NewFailures(&clock{now: noon}, nil)}
	for range 300 {
		if _, err := away.Verify(r, nil); !errors.As(err, &e) || e.Type != "ServiceUnavailable" {
			t.Fatalf("a fault of the server's was counted: %v", err)
		}
	}
}
