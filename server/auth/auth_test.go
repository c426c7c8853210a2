// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package auth_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/auth"
)

const token = "correct-horse-battery"

func TestBootstrapAcceptsItsTokenAlone(t *testing.T) {
	b, err := auth.NewBootstrap(token, "123456789012")
	if err != nil {
		t.Fatal(err)
	}
	for _, ok := range []string{"Bearer " + token, "bearer " + token, "BEARER  " + token} {
		who, err := b.Authenticate(ok)
		if err != nil || who.Account != "123456789012" {
			t.Errorf("%q: %v, %v", ok, who, err)
		}
	}
	for _, bad := range []string{"", token, "Bearer", "Bearer ", "Basic " + token, "Bearer " + token + "x", "Bearer " + token[:len(token)-1], "Bearer " + strings.ToUpper(token)} {
		who, err := b.Authenticate(bad)
		if leat.KindOf(err) != leat.KindUnauthenticated || who != (leat.Principal{}) {
			t.Errorf("%q: %v, %v", bad, who, err)
		}
		if err != nil && strings.Contains(err.Error(), token[:8]) {
			t.Errorf("%q: the error tells the token: %v", bad, err)
		}
	}
}

func TestBootstrapRefusesWeakTokens(t *testing.T) {
	for _, bad := range []string{"", "short", "with white space in it", "0123456789abcde"} {
		if _, err := auth.NewBootstrap(bad, ""); err == nil {
			t.Errorf("token %q was accepted", bad)
		}
	}
	b, err := auth.NewBootstrap(token, "")
	if err != nil {
		t.Fatal(err)
	}
	if who, _ := b.Authenticate("Bearer " + token); who.Account != leat.DevAccount {
		t.Errorf("account %q", who.Account)
	}
}

func TestAnybody(t *testing.T) {
	for _, credential := range []string{"", "Bearer x", "AWS4-HMAC-SHA256 Credential=x"} {
		who, err := auth.Anybody{}.Authenticate(credential)
		if signed, e := (auth.Anybody{}).Verify(&http.Request{Header: http.Header{"Authorization": {credential}}}, nil); e != nil || signed != who {
			t.Errorf("%q: %v, %v", credential, signed, e)
		}
		if err != nil || who.Account != leat.DevAccount {
			t.Errorf("%q: %v, %v", credential, who, err)
		}
	}
}
