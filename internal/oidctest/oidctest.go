// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

// Package oidctest is an OpenID Connect provider for tests: discovery, keys, and the authorization code flow with PKCE, as strict as the standards ask
// it to be. Its page asks nobody for a password: whoever comes is the person that the test says, or says no.
package oidctest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Client is who may sign people in.
type Client struct {
	ID       string
	Secret   string // empty: a public client
	Redirect string
}

// State is what a test changes, by Issuer.Set.
type State struct {
	Keys  []jose.JSONWebKey
	Asked int // how often for keys
	Away  bool
	Slow  chan struct{} // closed when it answers again
	Name  string        // what it calls itself; empty: its URL

	Client Client
	Person map[string]any       // the claims of whoever comes
	Error  string               // what they are sent back with instead of a code
	Ask    bool                 // a page asks whoever comes; otherwise they are sent back at once
	Change func(map[string]any) // of the claims of ID tokens, the last word
	Basic  bool                 // the client's secret is taken in a header alone; otherwise in the form alone
	Fails  int                  // status with which the token endpoint fails; 0: it does not
	Scopes []string             // that were asked for last
	End    string               // its end_session_endpoint; empty: it names none
}

// Issuer is a provider.
type Issuer struct {
	t   testing.TB
	URL string // http://localhost:PORT: another site than 127.0.0.1
	RSA *rsa.PrivateKey
	EC  *ecdsa.PrivateKey

	mu    sync.Mutex
	state State
	codes map[string]url.Values // what was asked for, by the code that was given for it
}

// New starts a provider that ends with the test. Its keys are r1 (RS256) and e1 (ES256).
func New(t testing.TB) *Issuer {
	t.Helper()
	i := &Issuer{t: t, codes: map[string]url.Values{}}
	var err error
	if i.RSA, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
		t.Fatal(err)
	}
	if i.EC, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	i.state.Keys = []jose.JSONWebKey{
		{Key: &i.RSA.PublicKey, KeyID: "r1", Use: "sig", Algorithm: "RS256"}, {Key: &i.EC.PublicKey, KeyID: "e1", Use: "sig", Algorithm: "ES256"},
	}
	srv := httptest.NewServer(i)
	t.Cleanup(srv.Close)
	i.URL = strings.Replace(srv.URL, "127.0.0.1", "localhost", 1)
	return i
}

// Set changes the state.
func (i *Issuer) Set(change func(*State)) {
	i.mu.Lock()
	defer i.mu.Unlock()
	change(&i.state)
}

// State is the state now.
func (i *Issuer) State() State {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.state
}

// Sign signs claims.
func (i *Issuer) Sign(alg jose.SignatureAlgorithm, key any, kid string, claims map[string]any) string {
	i.t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, (&jose.SignerOptions{}).WithType("JWT").WithHeader("kid", kid))
	if err != nil {
		i.t.Fatal(err)
	}
	text, err := json.Marshal(claims)
	if err != nil {
		i.t.Fatal(err)
	}
	jws, err := signer.Sign(text)
	if err != nil {
		i.t.Fatal(err)
	}
	compact, err := jws.CompactSerialize()
	if err != nil {
		i.t.Fatal(err)
	}
	return compact
}

// ServeHTTP answers browsers and servers.
func (i *Issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i.Set(func(s *State) {
		if r.URL.Path == "/keys" {
			s.Asked++
		}
	})
	s := i.State()
	if s.Slow != nil {
		select {
		case <-s.Slow:
		case <-r.Context().Done():
		}
	}
	switch {
	case s.Away:
		w.WriteHeader(http.StatusBadGateway)
	case r.URL.Path == "/.well-known/openid-configuration":
		name, method := s.Name, "client_secret_post"
		if name == "" {
			name = i.URL
		}
		if s.Basic {
			method = "client_secret_basic"
		}
		about := map[string]any{
			"issuer": name, "jwks_uri": i.URL + "/keys", "authorization_endpoint": i.URL + "/authorize", "token_endpoint": i.URL + "/token",
			"token_endpoint_auth_methods_supported": []string{method},
		}
		if s.End != "" {
			about["end_session_endpoint"] = s.End
		}
		answer(w, http.StatusOK, about)
	case r.URL.Path == "/keys":
		answer(w, http.StatusOK, jose.JSONWebKeySet{Keys: s.Keys})
	case r.URL.Path == "/authorize":
		i.authorize(w, r, s)
	case r.URL.Path == "/token":
		i.token(w, r, s)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // who has gone needs nothing
}

// authorize takes a browser, and sends it back with a code or an error. A request that is wrong gets a page and no way back.
func (i *Issuer) authorize(w http.ResponseWriter, r *http.Request, s State) {
	q := r.URL.Query()
	scopes := strings.Fields(q.Get("scope"))
	if q.Get("response_type") != "code" || q.Get("client_id") != s.Client.ID || q.Get("redirect_uri") != s.Client.Redirect || !slices.Contains(scopes, "openid") ||
		len(q.Get("state")) < 16 || len(q.Get("nonce")) < 16 || q.Get("code_challenge_method") != "S256" || len(q.Get("code_challenge")) != 43 {
		http.Error(w, "a wrong request: "+r.URL.RawQuery, http.StatusBadRequest)
		return
	}
	i.Set(func(s *State) { s.Scopes = scopes })
	if s.Ask && !q.Has("answer") {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		page := `<!doctype html><html lang="en"><title>Provider</title><link rel="icon" href="data:,"><h1>Who are you?</h1><p><a id="yes" href="HREF&amp;answer=yes">Sign in</a> <a id="no" href="HREF&amp;answer=no">Cancel</a></p></html>`
		_, _ = w.Write([]byte(strings.ReplaceAll(page, "HREF", "/authorize?"+strings.ReplaceAll(q.Encode(), "&", "&amp;")))) // as above
		return
	}
	back := url.Values{"state": {q.Get("state")}, "iss": {i.URL}}
	if q.Get("answer") == "no" {
		s.Error = "access_denied"
	}
	if s.Error != "" {
		back.Set("error", s.Error)
		back.Set("error_description", "<b>because</b> of "+s.Error)
	} else {
		code := rand.Text()
		i.mu.Lock()
		i.codes[code] = q
		i.mu.Unlock()
		back.Set("code", code)
	}
	http.Redirect(w, r, s.Client.Redirect+"?"+back.Encode(), http.StatusFound)
}

// token gives an ID token for a code: once, to its client, and to whoever has what the challenge was made from.
func (i *Issuer) token(w http.ResponseWriter, r *http.Request, s State) {
	refuse := func(status int, code string) {
		answer(w, status, map[string]string{"error": code, "error_description": "it is " + code})
	}
	if s.Fails != 0 {
		w.WriteHeader(s.Fails)
		return
	}
	if err := r.ParseForm(); err != nil || r.Method != http.MethodPost || r.PostForm.Get("grant_type") != "authorization_code" {
		refuse(http.StatusBadRequest, "invalid_request")
		return
	}
	id, secret := r.PostForm.Get("client_id"), r.PostForm.Get("client_secret")
	if name, password, ok := r.BasicAuth(); s.Basic != ok {
		refuse(http.StatusUnauthorized, "invalid_client")
		return
	} else if ok { // each is escaped as a form is (RFC 6749, 2.3.1)
		id, _ = url.QueryUnescape(name)
		secret, _ = url.QueryUnescape(password)
	}
	if id != s.Client.ID || secret != s.Client.Secret {
		refuse(http.StatusUnauthorized, "invalid_client")
		return
	}
	i.mu.Lock()
	asked := i.codes[r.PostForm.Get("code")]
	delete(i.codes, r.PostForm.Get("code"))
	i.mu.Unlock()
	challenge := sha256.Sum256([]byte(r.PostForm.Get("code_verifier")))
	if asked == nil || r.PostForm.Get("redirect_uri") != asked.Get("redirect_uri") || base64.RawURLEncoding.EncodeToString(challenge[:]) != asked.Get("code_challenge") {
		refuse(http.StatusBadRequest, "invalid_grant")
		return
	}
	claims := maps.Clone(s.Person)
	if claims == nil {
		claims = map[string]any{}
	}
	now := time.Now()
	for name, v := range map[string]any{"iss": i.URL, "aud": id, "iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(), "nonce": asked.Get("nonce")} {
		claims[name] = v
	}
	if s.Change != nil {
		s.Change(claims)
	}
	answer(w, http.StatusOK, map[string]any{
		"access_token": "opaque-" + rand.Text(), "token_type": "Bearer", "expires_in": 300, "id_token": i.Sign(jose.ES256, i.EC, "e1", claims),
	})
}
