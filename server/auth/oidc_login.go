// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"cmp"
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/leatstream/leat"
)

// CallbackPath is where the identity provider sends people back to.
const CallbackPath = "/console/signin/oidc/callback"

// LoginOptions say as which client people are signed in at the provider.
type LoginOptions struct {
	ClientID     string
	ClientSecret string   // empty: a public client, which PKCE alone protects
	Redirect     string   // URL of this server's console as browsers see it, with CallbackPath; the provider MUST know it
	Scopes       []string // beside openid
}

// scopeForm is what a scope may consist of (RFC 6749, 3.3).
var scopeForm = regexp.MustCompile(`^[\x21\x23-\x5b\x5d-\x7e]+$`)

// Login signs people in by OpenID Connect's authorization code flow with PKCE (RFC 6749 and 7636, OpenID Connect Core 3.1). Who they are here is what
// OIDC says of the ID token's claims.
type Login struct {
	p      *OIDC
	o      LoginOptions
	name   string
	client *http.Client
	verify *oidc.IDTokenVerifier
}

// Person is whom the provider signed in: what grants need of the claims, and no more, so that it fits into a cookie.
type Person struct {
	Subject string              `json:"s"`
	Name    string              `json:"n"`
	Claims  map[string][]string `json:"c,omitempty"`
}

// NewLogin checks the options; it asks the issuer nothing yet.
func NewLogin(p *OIDC, o LoginOptions) (*Login, error) {
	if o.ClientID == "" {
		return nil, leat.Invalid("oidc-client-id", "give the id of the client that the provider knows this console by")
	}
	u, err := url.Parse(o.Redirect)
	if err != nil || u.Path != CallbackPath || u.RawQuery != "" || u.Fragment != "" || checkIssuer(o.Redirect) != nil {
		return nil, leat.Invalid("oidc-redirect-url", "give https://HOST%s, with the host by which browsers reach the console, as the provider has it among the client's redirect URLs", CallbackPath)
	}
	for _, scope := range o.Scopes {
		if !scopeForm.MatchString(scope) {
			return nil, leat.Invalid("oidc-scope", "scope %.80q: give a list of scopes such as email,profile,groups", scope)
		}
	}
	client := *p.o.HTTP
	client.Timeout = p.o.Within
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return errors.New("it redirects") } // codes and secrets go where discovery says
	l := &Login{p: p, o: o, name: p.Host(), client: &client}
	l.verify = oidc.NewVerifier(p.o.Issuer, p.keys, &oidc.Config{
		ClientID: o.ClientID, SupportedSigningAlgs: []string{oidc.RS256, oidc.ES256}, Now: p.lenient,
	})
	return l, nil
}

// Name is what people know the provider by: its host.
func (l *Login) Name() string { return l.name }

// Secure tells whether browsers reach the console by https.
func (l *Login) Secure() bool { return strings.HasPrefix(l.o.Redirect, "https:") }

// errProviderAway says that the provider cannot be asked.
func (l *Login) errProviderAway(err error) error {
	l.p.o.Logger.Warn("people cannot be signed in at the identity provider", "issuer", l.p.o.Issuer, "error", err)
	return leat.Errorf(leat.KindUnavailable, "%s cannot be asked now: try again in a moment, or sign in with an access key.", l.name)
}

// config is what OAuth needs to know, as the provider tells it now.
func (l *Login) config(ctx context.Context) (*oauth2.Config, error) {
	about, err := l.p.keys.discover(ctx)
	if err != nil {
		return nil, l.errProviderAway(err)
	}
	for name, at := range map[string]string{"authorization_endpoint": about.Authorize, "token_endpoint": about.Token} {
		if checkIssuer(at) != nil {
			return nil, l.errProviderAway(fmt.Errorf("its %s %.200q is no https:// URL", name, at))
		}
	}
	style := oauth2.AuthStyleInHeader // the method where a provider names none
	if l.o.ClientSecret == "" || len(about.TokenAuth) > 0 && !slices.Contains(about.TokenAuth, "client_secret_basic") {
		style = oauth2.AuthStyleInParams
	}
	return &oauth2.Config{
		ClientID: l.o.ClientID, ClientSecret: l.o.ClientSecret, RedirectURL: l.o.Redirect, Scopes: append([]string{oidc.ScopeOpenID}, l.o.Scopes...),
		Endpoint: oauth2.Endpoint{AuthURL: about.Authorize, TokenURL: about.Token, AuthStyle: style},
	}, nil
}

// Begin returns where a browser goes to be signed in. The three texts MUST be fresh and kept for Finish.
func (l *Login) Begin(ctx context.Context, state, nonce, verifier string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, l.p.o.Within)
	defer cancel()
	c, err := l.config(ctx)
	if err != nil {
		return "", err
	}
	return c.AuthCodeURL(state, oidc.Nonce(nonce), oauth2.S256ChallengeOption(verifier)), nil
}

// End returns where people end their session at the provider too (OpenID Connect RP-Initiated Logout 1.0); empty where the provider names no such
// place or cannot be asked. No ID token is kept for it and no way back is asked for, which the provider would have to know: it asks whoever
// comes, and that is the end.
func (l *Login) End(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, l.p.o.Within)
	defer cancel()
	about, err := l.p.keys.discover(ctx)
	if err != nil || about.EndSession == "" {
		return ""
	}
	to, err := url.Parse(about.EndSession)
	if err != nil {
		return ""
	}
	q := to.Query()
	q.Set("client_id", l.o.ClientID)
	to.RawQuery, to.Fragment = "", ""
	if checkIssuer(to.String()) != nil {
		l.p.o.Logger.Warn("nobody is sent to the identity provider to sign out", "issuer", l.p.o.Issuer, "error", fmt.Sprintf("its end_session_endpoint %.200q is no https:// URL", about.EndSession))
		return ""
	}
	to.RawQuery = q.Encode()
	return to.String()
}

// Refused is what people are told when the provider sends them back with an error (RFC 6749, 4.1.2.1).
func (l *Login) Refused(code, description string) error {
	l.p.o.Logger.Info("the identity provider did not sign somebody in", "issuer", l.p.o.Issuer, "error", short(code), "description", short(description))
	if code == "temporarily_unavailable" || code == "server_error" {
		return leat.Errorf(leat.KindUnavailable, "%s cannot sign anybody in now: try again in a moment.", l.name)
	}
	if code == "access_denied" {
		return leat.Errorf(leat.KindAccessDenied, "%s did not sign you in: it, or you there, said no.", l.name)
	}
	return leat.Errorf(leat.KindAccessDenied, "%s did not sign you in: it answered %s. Ask this server's operator, whose log has the rest.", l.name, short(code))
}

// errIncomplete is told of all that is wrong with what the provider handed over; the log has the reason.
func (l *Login) errIncomplete(reason any) error {
	l.p.o.Logger.Info("a sign-in at the identity provider was refused", "issuer", l.p.o.Issuer, "reason", reason)
	return leat.Errorf(leat.KindUnauthenticated, "The sign-in at %s could not be completed: try once more. If it fails again, ask this server's operator, whose log says why.", l.name)
}

// Finish trades the code that a browser brought back for an ID token, and returns whose it is. issuer is the answer's iss, empty where it has none.
// KindUnauthenticated where the sign-in is not good, KindAccessDenied where nothing is granted to that person, KindUnavailable where the provider
// cannot be asked.
func (l *Login) Finish(ctx context.Context, code, issuer, nonce, verifier string) (Person, error) {
	ctx, cancel := context.WithTimeout(ctx, l.p.o.Within)
	defer cancel()
	if issuer != "" && issuer != l.p.o.Issuer { // RFC 9207
		return Person{}, l.errIncomplete(fmt.Errorf("the answer is of issuer %.200q", issuer))
	}
	c, err := l.config(ctx)
	if err != nil {
		return Person{}, err
	}
	got, err := c.Exchange(context.WithValue(ctx, oauth2.HTTPClient, l.client), code, oauth2.VerifierOption(verifier))
	var refused *oauth2.RetrieveError
	switch {
	case errors.As(err, &refused) && refused.Response.StatusCode < http.StatusInternalServerError:
		// Its text would have the provider's whole answer.
		return Person{}, l.errIncomplete(fmt.Sprintf("the token endpoint answers with status %d, %s: %s", refused.Response.StatusCode, short(refused.ErrorCode), short(refused.ErrorDescription)))
	case errors.As(err, &refused):
		return Person{}, l.errProviderAway(fmt.Errorf("the token endpoint answers with status %d", refused.Response.StatusCode))
	case err != nil:
		return Person{}, l.errProviderAway(err)
	}
	text, _ := got.Extra("id_token").(string)
	if !isJWT(text) {
		return Person{}, l.errIncomplete("the token endpoint gave no ID token")
	}
	return l.person(ctx, text, nonce)
}

func (l *Login) person(ctx context.Context, text, nonce string) (Person, error) {
	token, claims, err := l.p.verified(ctx, l.verify, text)
	if errors.Is(err, errNoKeys) || ctx.Err() != nil {
		return Person{}, l.errProviderAway(err)
	}
	if err != nil {
		return Person{}, l.errIncomplete(err)
	}
	if subtle.ConstantTimeCompare([]byte(token.Nonce), []byte(nonce)) != 1 {
		return Person{}, l.errIncomplete("its nonce is not the one that was sent")
	}
	if by, ok := claims["azp"].(string); ok && by != l.o.ClientID || !ok && len(token.Audience) > 1 {
		return Person{}, l.errIncomplete("it was issued to another client")
	}
	who := Person{Subject: token.Subject, Name: short(cmp.Or(text1(claims[l.p.o.NameClaim]), token.Subject)), Claims: l.p.needed(claims)}
	_, err = l.Principal(ctx, who)
	return who, err
}

// Principal is who a person is here now, by the grants of this server as it runs. KindAccessDenied where that is nobody.
func (l *Login) Principal(ctx context.Context, person Person) (leat.Principal, error) {
	who := leat.Principal{Name: person.Name, Credential: "oidc/" + short(person.Subject)}
	claims := make(map[string]any, len(person.Claims))
	for name, v := range person.Claims {
		list := make([]any, len(v))
		for i := range v {
			list[i] = v[i]
		}
		claims[name] = list
		if len(v) == 1 {
			claims[name] = v[0]
		}
	}
	err := l.p.granted(&who, claims)
	if err == nil {
		_, err = l.p.o.Identities.Account(ctx, who.Account)
		if leat.KindOf(err) == leat.KindUnavailable {
			return who, err
		}
	}
	if err != nil {
		l.p.o.Logger.Info("somebody whom the identity provider knows is nobody here", "issuer", l.p.o.Issuer, "sub", short(person.Subject), "reason", err)
		return who, leat.Errorf(leat.KindAccessDenied, "%s knows you as %s, but nothing on this server is granted to that account. Ask its operator for a grant (--oidc-grant).", l.name, person.Name)
	}
	return who, nil
}
