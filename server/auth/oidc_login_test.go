// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package auth_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/oidctest"
	"github.com/leatstream/leat/server/auth"
)

const (
	callback     = "https://leat.example.com" + auth.CallbackPath
	state        = "a-state-of-26-characters-00"
	nonce        = "a-nonce-of-26-characters-00"
	pkceVerifier = "a-pkceVerifier-of-43-characters-000000000000000"
	otherCode    = "no-such-code"
)

// signing is a console's client at an issuer, by the machine's clock.
type signing struct {
	*auth.Login
	t    *testing.T
	at   *issuer
	log  *lockedBuffer
	http *http.Client
}

func newSigning(t *testing.T, change ...func(*auth.LoginOptions)) *signing {
	t.Helper()
	i, ids := newIssuer(t), newIdentities(t)
	o := auth.LoginOptions{ClientID: "console", ClientSecret: "s&cret of the console", Redirect: callback, Scopes: []string{"email", "groups"}}
	for _, ch := range change {
		ch(&o)
	}
	i.Set(func(s *oidctest.State) {
		s.Client = oidctest.Client{ID: o.ClientID, Secret: o.ClientSecret, Redirect: callback}
		s.Person = map[string]any{"sub": "user-1", "email": "maria@example.com", "groups": []string{"staff", "writers"}, "picture": strings.Repeat("x", 4000)}
	})
	p := newProvider(t, i, ids, func(o *auth.OIDCOptions) { o.Clock = leat.SystemClock{} })
	l, err := auth.NewLogin(p.OIDC, o)
	if err != nil {
		t.Fatal(err)
	}
	return &signing{l, t, i, p.log, &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// code goes to the provider as a browser does, and comes back with what it was given.
func (s *signing) code() url.Values {
	s.t.Helper()
	to, err := s.Begin(s.t.Context(), state, nonce, pkceVerifier)
	if err != nil {
		s.t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, to, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	res, err := s.http.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	_ = res.Body.Close()
	back, err := res.Location()
	if err != nil || !strings.HasPrefix(back.String(), callback+"?") || back.Query().Get("state") != state {
		s.t.Fatalf("the provider answers %s and sends back to %v: %v", res.Status, back, err)
	}
	return back.Query()
}

func TestLogin(t *testing.T) {
	for name, change := range map[string]struct {
		options func(*auth.LoginOptions)
		state   func(*oidctest.State)
	}{
		"the secret in the form":   {func(*auth.LoginOptions) {}, func(*oidctest.State) {}},
		"the secret in the header": {func(*auth.LoginOptions) {}, func(s *oidctest.State) { s.Basic = true }},
		"a public client":          {func(o *auth.LoginOptions) { o.ClientSecret = "" }, func(*oidctest.State) {}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSigning(t, change.options)
			s.at.Set(change.state)
			q := s.code()
			if got := s.at.State().Scopes; !cmp.Equal(got, []string{"openid", "email", "groups"}) {
				t.Errorf("scopes are %v", got)
			}
			person, err := s.Finish(t.Context(), q.Get("code"), q.Get("iss"), nonce, pkceVerifier)
			if err != nil {
				t.Fatalf("%v; the log says %s", err, s.log.take())
			}
			want := auth.Person{Subject: "user-1", Name: "maria@example.com", Claims: map[string][]string{"groups": {"writers"}}}
			if diff := cmp.Diff(want, person); diff != "" {
				t.Error(diff)
			}
			text, err := json.Marshal(person)
			if err != nil || len(text) > 200 {
				t.Errorf("it has %d bytes: %s", len(text), text)
			}
			who, err := s.Principal(t.Context(), person)
			if want := (leat.Principal{Account: account, Name: "maria@example.com", Role: "writer", Credential: "oidc/user-1"}); err != nil || who != want {
				t.Errorf("who it is: %+v, %v", who, err)
			}
			if _, err := s.Finish(t.Context(), q.Get("code"), "", nonce, pkceVerifier); leat.KindOf(err) != leat.KindUnauthenticated {
				t.Errorf("a code that was used: %v", err)
			}
		})
	}
}

// Who a token's claims say somebody is, a person says too, whatever claims there are.
func TestPersonIsWhomTheTokenNames(t *testing.T) {
	for about, c := range map[string]struct {
		claims map[string]any
		want   leat.Principal // without an account: nobody
	}{
		"an operator":              {map[string]any{"groups": []string{"writers", "root"}}, leat.Principal{Account: leat.DevAccount, Operator: true}},
		"everything in an account": {map[string]any{"groups": "admins"}, leat.Principal{Account: account}},
		"by claims":                {map[string]any{"acct": "210987654321", "role": "reader"}, leat.Principal{Account: "210987654321", Role: "reader"}},
		"no grant":                 {map[string]any{"groups": "staff"}, leat.Principal{}},
		"no role":                  {map[string]any{"acct": account}, leat.Principal{}},
		"lists are no account":     {map[string]any{"acct": []string{account}, "role": "reader"}, leat.Principal{}},
		"an account that is not":   {map[string]any{"acct": "999999999999", "role": "reader"}, leat.Principal{}},
	} {
		t.Run(about, func(t *testing.T) {
			s := newSigning(t)
			c.claims["sub"] = "u"
			s.at.Set(func(s *oidctest.State) { s.Person = c.claims })
			q := s.code()
			person, err := s.Finish(t.Context(), q.Get("code"), "", nonce, pkceVerifier)
			if c.want.Account == "" {
				if leat.KindOf(err) != leat.KindAccessDenied || !strings.Contains(err.Error(), "knows you as u") {
					t.Errorf("nobody: %v", err)
				}
				return
			}
			c.want.Name, c.want.Credential = "u", "oidc/u"
			if err != nil {
				t.Fatal(err)
			}
			if got, err := s.Principal(t.Context(), person); err != nil || got != c.want {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
}

func TestLoginRefusals(t *testing.T) {
	s := newSigning(t)
	claim := func(name string, v any) func(*oidctest.State) {
		return func(s *oidctest.State) { s.Change = func(c map[string]any) { c[name] = v } }
	}
	for about, c := range map[string]struct {
		state  func(*oidctest.State)
		verify string
		issuer string
		code   string
		kind   leat.Kind
		logged string
	}{
		"another nonce":           {state: claim("nonce", "another"), kind: leat.KindUnauthenticated, logged: "nonce"},
		"no nonce":                {state: claim("nonce", nil), kind: leat.KindUnauthenticated, logged: "nonce"},
		"another client's":        {state: claim("aud", "leat"), kind: leat.KindUnauthenticated, logged: "audience"},
		"several clients'":        {state: claim("aud", []string{"console", "x"}), kind: leat.KindUnauthenticated, logged: "another client"},
		"issued to another":       {state: claim("azp", "x"), kind: leat.KindUnauthenticated, logged: "another client"},
		"another issuer":          {state: claim("iss", "https://x.example"), kind: leat.KindUnauthenticated, logged: "different provider"},
		"expired":                 {state: claim("exp", time.Now().Add(-time.Hour).Unix()), kind: leat.KindUnauthenticated, logged: "expired"},
		"another pkceVerifier":    {verify: pkceVerifier + "0", kind: leat.KindUnauthenticated, logged: "invalid_grant"},
		"another's answer":        {issuer: "https://x.example", kind: leat.KindUnauthenticated, logged: "x.example"},
		"a code that is not":      {code: otherCode, kind: leat.KindUnauthenticated, logged: "invalid_grant"},
		"a secret that is wrong":  {state: func(s *oidctest.State) { s.Client.Secret = "x" }, kind: leat.KindUnauthenticated, logged: "invalid_client"},
		"a provider that fails":   {state: func(s *oidctest.State) { s.Fails = http.StatusInternalServerError }, kind: leat.KindUnavailable, logged: "status 500"},
		"a provider that answers": {kind: leat.KindInternal}, // of no error
	} {
		s.at.Set(func(s *oidctest.State) {
			s.Client.Secret, s.Fails, s.Change = "s&cret of the console", 0, nil
		})
		q := s.code()
		if c.state != nil {
			s.at.Set(c.state)
		}
		s.log.take()
		code, by := q.Get("code"), pkceVerifier
		if c.code != "" {
			code = c.code
		}
		if c.verify != "" {
			by = c.verify
		}
		_, err := s.Finish(t.Context(), code, c.issuer, nonce, by)
		logged := s.log.take()
		if (err == nil) != (c.kind == leat.KindInternal) || err != nil && leat.KindOf(err) != c.kind || !strings.Contains(logged, c.logged) {
			t.Errorf("%s: %v; the log says %s", about, err, logged)
		}
		if text := logged; strings.Contains(text, code) || strings.Contains(text, "s&cret") || strings.Contains(text, pkceVerifier) {
			t.Errorf("%s: the log has a secret: %s", about, text)
		}
	}
	for code, kind := range map[string]leat.Kind{"access_denied": leat.KindAccessDenied, "temporarily_unavailable": leat.KindUnavailable, "interaction_required": leat.KindAccessDenied} {
		if err := s.Refused(code, "because"); leat.KindOf(err) != kind || strings.Contains(err.Error(), "because") || !strings.Contains(s.log.take(), "because") {
			t.Errorf("%s: %v", code, err)
		}
	}
	s.at.Set(func(s *oidctest.State) { s.Away = true })
	away := newSigning(t)
	away.at.Set(func(s *oidctest.State) { s.Away = true })
	if _, err := away.Begin(t.Context(), state, nonce, pkceVerifier); leat.KindOf(err) != leat.KindUnavailable {
		t.Errorf("a provider that is away: %v", err)
	}
}

func TestBadLogin(t *testing.T) {
	p, err := auth.NewOIDC(auth.OIDCOptions{Issuer: "https://id.example", Audience: "leat", Grants: []string{"a=b:123456789012"}})
	if err != nil {
		t.Fatal(err)
	}
	good := auth.LoginOptions{ClientID: "console", Redirect: callback}
	for about, c := range map[string]struct {
		field  string
		change func(*auth.LoginOptions)
	}{
		"no client":           {"oidc-client-id", func(o *auth.LoginOptions) { o.ClientID = "" }},
		"nowhere":             {"oidc-redirect-url", func(o *auth.LoginOptions) { o.Redirect = "" }},
		"not encrypted":       {"oidc-redirect-url", func(o *auth.LoginOptions) { o.Redirect = "http://leat.example.com" + auth.CallbackPath }},
		"another page":        {"oidc-redirect-url", func(o *auth.LoginOptions) { o.Redirect = "https://leat.example.com/console" }},
		"with a query":        {"oidc-redirect-url", func(o *auth.LoginOptions) { o.Redirect = callback + "?x=1" }},
		"two scopes in one":   {"oidc-scope", func(o *auth.LoginOptions) { o.Scopes = []string{"email groups"} }},
		"an empty scope":      {"oidc-scope", func(o *auth.LoginOptions) { o.Scopes = []string{""} }},
		"good":                {"", func(*auth.LoginOptions) {}},
		"good, on a loopback": {"", func(o *auth.LoginOptions) { o.Redirect = "http://127.0.0.1:4567" + auth.CallbackPath }},
	} {
		o := good
		c.change(&o)
		_, err := auth.NewLogin(p, o)
		e, _ := err.(*leat.Error) //nolint:errorlint // it is not wrapped
		if (err == nil) != (c.field == "") || e != nil && e.Field != c.field {
			t.Errorf("%s: %v", about, err)
		}
	}
}

// Whoever signs out is sent to the provider's own end of their session where it names one that a browser may be sent to.
func TestEndAtTheProvider(t *testing.T) {
	for _, c := range []struct{ named, want string }{
		{"", ""},
		{"https://id.example/logout", "https://id.example/logout?client_id=console"},
		{"https://id.example/logout?a=b&client_id=other#x", "https://id.example/logout?a=b&client_id=console"},
		{"http://id.example/logout", ""},
		{"javascript:alert(1)", ""},
		{"https://u:p@id.example/logout", ""},
		{"https://id.example/%zz", ""},
	} {
		s := newSigning(t)
		s.at.Set(func(o *oidctest.State) { o.End = c.named })
		if got := s.End(t.Context()); got != c.want {
			t.Errorf("with %q people are sent to %q: want %q", c.named, got, c.want)
		}
	}
	s := newSigning(t)
	s.at.Set(func(o *oidctest.State) { o.Away = true })
	if got := s.End(t.Context()); got != "" {
		t.Errorf("while the provider is away people are sent to %q", got)
	}
}
