// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package auth_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/oidctest"
	"github.com/leatstream/leat/server/auth"
)

// issuer is an identity provider.
type issuer struct{ *oidctest.Issuer }

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	return &issuer{oidctest.New(t)}
}

// claims of a token that is good at noon.
func (i *issuer) claims(change ...func(map[string]any)) map[string]any {
	c := map[string]any{
		"iss": i.URL, "aud": []string{"others", "leat"}, "sub": "user-1", "email": "maria@example.com", "groups": []string{"staff", "writers"},
		"iat": noon.Add(-time.Minute).Unix(), "exp": noon.Add(time.Hour).Unix(),
	}
	for _, ch := range change {
		ch(c)
	}
	return c
}

// provider is an OIDC with its clock and its log.
type provider struct {
	*auth.OIDC
	clock *clock
	log   *lockedBuffer
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.b.Reset()
	return l.b.String()
}

func newProvider(t *testing.T, i *issuer, ids *identities, change ...func(*auth.OIDCOptions)) *provider {
	t.Helper()
	p := &provider{clock: &clock{now: noon}, log: &lockedBuffer{}}
	o := auth.OIDCOptions{
		Issuer: i.URL, Audience: "leat", Grants: []string{"groups=root:operator", "groups=admins:" + account, "groups=writers:" + account + "/writer"},
		AccountClaim: "acct", RoleClaim: "role", NameClaim: "email", Identities: ids.Identities, Clock: p.clock, Logger: slog.New(slog.NewTextHandler(p.log, nil)),
	}
	for _, ch := range change {
		ch(&o)
	}
	var err error
	if p.OIDC, err = auth.NewOIDC(o); err != nil {
		t.Fatal(err)
	}
	return p
}

func set(name string, value any) func(map[string]any) {
	return func(c map[string]any) { c[name] = value }
}

func TestOIDCTokens(t *testing.T) {
	i, ids := newIssuer(t), newIdentities(t)
	p := newProvider(t, i, ids)
	want := func(about, token string, who leat.Principal) {
		t.Helper()
		got, err := p.Authenticate(t.Context(), token)
		if err != nil || got != who {
			t.Errorf("%s: got %+v, %v; the log says %s", about, got, err, p.log.take())
		}
	}
	maria := leat.Principal{Account: account, Name: "maria@example.com", Role: "writer", Credential: "oidc/user-1"}
	want("RS256", i.Sign(jose.RS256, i.RSA, "r1", i.claims()), maria)
	want("ES256", i.Sign(jose.ES256, i.EC, "e1", i.claims()), maria)
	want("a little late", i.Sign(jose.ES256, i.EC, "e1", i.claims(set("exp", noon.Add(-30*time.Second).Unix()))), maria)
	want("the issuer's clock is ahead", i.Sign(jose.ES256, i.EC, "e1", i.claims(set("iat", noon.Add(30*time.Second).Unix()), set("nbf", noon.Add(30*time.Second).Unix()))), maria)
	admin := maria
	admin.Role = ""
	want("the first grant that fits", i.Sign(jose.ES256, i.EC, "e1", i.claims(set("groups", []string{"writers", "admins"}))), admin)
	want("a claim that is one text", i.Sign(jose.ES256, i.EC, "e1", i.claims(set("groups", "admins"))), admin)
	root := leat.Principal{Account: leat.DevAccount, Name: "maria@example.com", Operator: true, Credential: "oidc/user-1"}
	want("an operator", i.Sign(jose.ES256, i.EC, "e1", i.claims(set("groups", "root"))), root)
	named := leat.Principal{Account: "210987654321", Name: "user-1", Role: "reader", Credential: "oidc/user-1"}
	want("by claims", i.Sign(jose.ES256, i.EC, "e1", i.claims(set("groups", nil), set("acct", "210987654321"), set("role", "reader"), set("email", nil))), named)
	if n := i.State().Asked; n != 1 {
		t.Errorf("the keys were fetched %d times", n)
	}

	other, err := rsa.GenerateKey(rand.Reader, 2048)
	ids.must(err)
	public, err := x509.MarshalPKIXPublicKey(&i.RSA.PublicKey)
	ids.must(err)
	good := i.Sign(jose.RS256, i.RSA, "r1", i.claims())
	parts := strings.Split(good, ".")
	const none = "eyJhbGciOiJub25lIn0" // {"alg":"none"}
	for about, c := range map[string]struct{ token, reason string }{
		"another issuer":              {i.Sign(jose.RS256, i.RSA, "r1", i.claims(set("iss", "https://evil.example"))), "different provider"},
		"another audience":            {i.Sign(jose.RS256, i.RSA, "r1", i.claims(set("aud", "others"))), "audience"},
		"no audience":                 {i.Sign(jose.RS256, i.RSA, "r1", i.claims(set("aud", nil))), "audience"},
		"expired":                     {i.Sign(jose.RS256, i.RSA, "r1", i.claims(set("exp", noon.Add(-2*time.Minute).Unix()))), "expired"},
		"without an end":              {i.Sign(jose.RS256, i.RSA, "r1", i.claims(set("exp", nil))), "claims"},
		"not yet":                     {i.Sign(jose.RS256, i.RSA, "r1", i.claims(set("nbf", noon.Add(time.Hour).Unix()))), "not before"},
		"issued in the future":        {i.Sign(jose.RS256, i.RSA, "r1", i.claims(set("iat", noon.Add(time.Hour).Unix()))), "future"},
		"nobody":                      {i.Sign(jose.RS256, i.RSA, "r1", i.claims(set("sub", ""))), "no sub"},
		"another's key":               {i.Sign(jose.RS256, other, "r1", i.claims()), "no key"},
		"a key that is not known":     {i.Sign(jose.RS256, other, "x1", i.claims()), "no key"},
		"a key for another algorithm": {i.Sign(jose.RS256, i.RSA, "e1", i.claims()), "no key"},
		"the public key as a secret":  {i.Sign(jose.HS256, public, "r1", i.claims()), "HS256"},
		"another algorithm":           {i.Sign(jose.RS512, i.RSA, "r1", i.claims()), "RS512"},
		"no algorithm":                {none + "." + parts[1] + ".", "none"},
		"claims that were changed":    {parts[0] + "." + parts[1][:len(parts[1])-4] + "AAAA." + parts[2], ""},
		"no grant":                    {i.Sign(jose.RS256, i.RSA, "r1", i.claims(set("groups", "staff"))), "no grant"},
		"an account without a role":   {i.Sign(jose.RS256, i.RSA, "r1", i.claims(set("groups", nil), set("acct", account))), "role"},
		"an account that is not there": {
			i.Sign(jose.RS256, i.RSA, "r1", i.claims(set("groups", nil), set("acct", "999999999999"), set("role", "reader"))), "999999999999",
		},
		"no token": {"ey.ey.ey", ""},
	} {
		p.log.take()
		_, err := p.Authenticate(t.Context(), c.token)
		logged := p.log.take()
		if leat.KindOf(err) != leat.KindUnauthenticated || !strings.Contains(logged, c.reason) || !strings.Contains(logged, "refused") {
			t.Errorf("%s: %v; the log says %s", about, err, logged)
		}
		if e := err.Error(); c.reason != "" && strings.Contains(e, c.reason) || strings.Contains(logged, c.token) {
			t.Errorf("%s: the caller is told %s; the log says %s", about, e, logged)
		}
	}
	// However many tokens name keys that are not known, the issuer is not asked more often than every half minute.
	for range 100 {
		_, _ = p.Authenticate(t.Context(), i.Sign(jose.ES256, i.EC, "x2", i.claims()))
	}
	if n := i.State().Asked; n != 1 {
		t.Errorf("the keys were fetched %d times", n)
	}
}

// TestOIDCKeys follows the keys of an issuer that is away at first, changes them, is away again, and is slow.
func TestOIDCKeys(t *testing.T) {
	t.Parallel()
	i, ids := newIssuer(t), newIdentities(t)
	p := newProvider(t, i, ids, func(o *auth.OIDCOptions) { o.Within = 5 * time.Second })
	later := func(d time.Duration) {
		p.clock.mu.Lock()
		p.clock.now = p.clock.now.Add(d)
		p.clock.mu.Unlock()
	}
	long := i.claims(set("exp", noon.Add(100*time.Hour).Unix()))
	first := i.Sign(jose.ES256, i.EC, "e1", long)
	want := func(about, token string, kind leat.Kind) {
		t.Helper()
		_, err := p.Authenticate(context.WithoutCancel(t.Context()), token)
		if err == nil && kind != leat.KindInternal || err != nil && leat.KindOf(err) != kind {
			t.Errorf("%s: %v; the log says %s", about, err, p.log.take())
		}
	}
	const taken = leat.KindInternal // of no error
	i.Set(func(s *oidctest.State) { s.Away = true })
	want("before any key is known", first, leat.KindUnavailable)
	i.Set(func(s *oidctest.State) { s.Away, s.Name = false, "https://other.example" })
	later(time.Minute)
	want("an issuer of another name", first, leat.KindUnavailable)
	i.Set(func(s *oidctest.State) { s.Name = "" })
	want("too soon after", first, leat.KindUnavailable)
	later(time.Minute)
	i.Set(func(s *oidctest.State) { s.Slow = make(chan struct{}) })
	want("an issuer that does not answer", first, leat.KindUnavailable)
	i.Set(func(s *oidctest.State) { close(s.Slow); s.Slow = nil })
	later(time.Minute)
	want("when it is there", first, taken)

	second, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ids.must(err)
	i.Set(func(s *oidctest.State) { s.Keys = []jose.JSONWebKey{{Key: &second.PublicKey, KeyID: "e2", Use: "sig"}} })
	want("the key of before, within the hour", first, taken)
	later(time.Minute)
	want("a new key", i.Sign(jose.ES256, second, "e2", long), taken)
	want("the key that was withdrawn", first, leat.KindUnauthenticated)

	i.Set(func(s *oidctest.State) { s.Away = true })
	later(10 * time.Hour)
	want("while the issuer is away", i.Sign(jose.ES256, second, "e2", long), taken)
	i.Set(func(s *oidctest.State) {
		s.Away, s.Keys = false, []jose.JSONWebKey{{Key: &i.RSA.PublicKey, KeyID: "r2", Use: "sig"}}
	})
	later(time.Minute)
	want("once it is back without that key", i.Sign(jose.ES256, second, "e2", long), leat.KindUnauthenticated)
}

func TestBadOIDC(t *testing.T) {
	good := auth.OIDCOptions{Issuer: "https://id.example", Audience: "leat", Grants: []string{"a=b:c=d:123456789012"}}
	for field, change := range map[string]func(*auth.OIDCOptions){
		"oidc-issuer":     func(o *auth.OIDCOptions) { o.Issuer = "http://id.example" },
		"oidc-audience":   func(o *auth.OIDCOptions) { o.Audience = "" },
		"oidc-grant":      func(o *auth.OIDCOptions) { o.Grants = nil },
		"oidc-role-claim": func(o *auth.OIDCOptions) { o.AccountClaim = "acct" },
	} {
		o := good
		change(&o)
		_, err := auth.NewOIDC(o)
		e, ok := err.(*leat.Error) //nolint:errorlint // it is not wrapped
		if !ok || e.Field != field {
			t.Errorf("%s: %v", field, err)
		}
	}
	for _, text := range []string{"", "a", "a=b", "a:123456789012", "=b:123456789012", "a=:123456789012", "a=b:12", "a=b:123456789012/", "a=b:123456789012/a b", "a=b:Operator"} {
		o := good
		o.Grants = []string{text}
		if _, err := auth.NewOIDC(o); err == nil {
			t.Errorf("grant %q is taken", text)
		}
	}
	if _, err := auth.NewOIDC(good); err != nil {
		t.Error(err)
	}
}
