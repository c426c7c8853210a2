// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"

	"github.com/leatstream/leat"
)

// OIDCOptions say whose ID or access tokens (JWT, RS256 or ES256) gRPC and REST take, and who their holders are here.
type OIDCOptions struct {
	Issuer   string // URL, as in the tokens' iss
	Audience string // that tokens' aud must have
	// Grants say which account and role a token has by its claims: CLAIM=VALUE:ACCOUNT for everything in the account,
	// CLAIM=VALUE:ACCOUNT/ROLE, or CLAIM=VALUE:operator. The first that fits holds. A claim that is a list fits by any of its values.
	Grants []string
	// AccountClaim and RoleClaim name claims that say so themselves, where no grant fits; both or neither.
	AccountClaim, RoleClaim string
	NameClaim               string // what callers are called in the audit log; empty, or not in a token: its sub

	Identities *Identities
	HTTP       *http.Client // nil: one with bounds
	Clock      leat.Clock
	Logger     *slog.Logger
	Within     time.Duration // how long the issuer may take; 0 means 5 s
}

// Bounds of OIDC.
const (
	maxJWT        = 16 << 10
	maxKeySet     = 1 << 20
	clockSkew     = time.Minute
	maxOIDCName   = 128
	issuerWithin  = 5 * time.Second
	keysFor       = time.Hour        // then they are fetched again, so that what is withdrawn is refused
	keysNoOftener = 30 * time.Second // however many tokens name keys that are not known
)

// OIDC checks tokens of one identity provider. Its keys are fetched when they are needed, kept for an hour, and used on while the
// provider is away.
type OIDC struct {
	o      OIDCOptions
	grants []grant
	keys   *keySet
	verify *oidc.IDTokenVerifier
}

// grant is a line of OIDCOptions.Grants.
type grant struct {
	claim, value  string
	account, role string
	operator      bool
}

// NewOIDC checks the options; it asks the issuer nothing yet.
func NewOIDC(o OIDCOptions) (*OIDC, error) {
	if err := checkIssuer(o.Issuer); err != nil {
		return nil, err
	}
	if o.Audience == "" {
		return nil, leat.Invalid("oidc-audience", "give the audience that tokens for this server have: without it tokens for others would be taken")
	}
	p := &OIDC{o: o}
	for _, text := range o.Grants {
		g, err := parseGrant(text)
		if err != nil {
			return nil, err
		}
		p.grants = append(p.grants, g)
	}
	if (o.AccountClaim == "") != (o.RoleClaim == "") {
		return nil, leat.Invalid("oidc-role-claim", "give both --oidc-account-claim and --oidc-role-claim, or neither")
	}
	if len(p.grants) == 0 && o.AccountClaim == "" {
		return nil, leat.Invalid("oidc-grant", "say which account tokens have: --oidc-grant CLAIM=VALUE:ACCOUNT/ROLE, or --oidc-account-claim and --oidc-role-claim")
	}
	if p.o.Clock == nil {
		p.o.Clock = leat.SystemClock{}
	}
	if p.o.Logger == nil {
		p.o.Logger = slog.New(slog.DiscardHandler)
	}
	if p.o.Within == 0 {
		p.o.Within = issuerWithin
	}
	if p.o.HTTP == nil {
		p.o.HTTP = &http.Client{}
	}
	client := *p.o.HTTP
	client.Timeout = p.o.Within
	p.keys = newKeySet(o.Issuer, &client, p.o.Clock, p.o.Logger)
	p.verify = oidc.NewVerifier(o.Issuer, p.keys, &oidc.Config{
		ClientID: o.Audience, SupportedSigningAlgs: []string{oidc.RS256, oidc.ES256},
		Now: p.lenient,
	})
	return p, nil
}

// lenient is the time by which tokens end: they are good for a little longer than they say.
func (p *OIDC) lenient() time.Time { return p.o.Clock.Now().Add(-clockSkew) }

func checkIssuer(issuer string) error {
	u, err := url.Parse(issuer)
	if err != nil || u.Host == "" || u.User != nil || u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(u.Hostname())) {
		return leat.Invalid("oidc-issuer", "issuer %.200q must be an https:// URL", issuer)
	}
	return nil
}

func isLoopback(host string) bool {
	return host == "localhost" || host == "127.0.0.1" || host == "::1"
}

func parseGrant(text string) (g grant, err error) {
	bad := leat.Invalid("oidc-grant", "%.200q must be CLAIM=VALUE:ACCOUNT, CLAIM=VALUE:ACCOUNT/ROLE or CLAIM=VALUE:operator", text)
	at := strings.LastIndexByte(text, ':')
	if at < 0 {
		return g, bad
	}
	claim, value, ok := strings.Cut(text[:at], "=")
	if !ok || claim == "" || value == "" {
		return g, bad
	}
	g.claim, g.value = claim, value
	if text[at+1:] == "operator" {
		g.account, g.operator = leat.DevAccount, true
		return g, nil
	}
	role := ""
	g.account, role, ok = strings.Cut(text[at+1:], "/")
	if leat.ValidateAccountID(g.account) != nil || ok && leat.ValidateRoleName(role) != nil {
		return g, bad
	}
	g.role = role
	return g, nil
}

// isJWT tells whether a text has the form of a signed JWT.
func isJWT(text string) bool {
	return strings.Count(text, ".") == 2 && strings.HasPrefix(text, "ey") && len(text) <= maxJWT
}

// errNotTaken is all that a caller is told of a token that is refused; the log has the reason.
var errNotTaken = leat.Errorf(leat.KindUnauthenticated, "the token of the identity provider is not accepted: get a new one, or ask this server's operator, whose log says why")

// Authenticate returns who holds a token. KindUnauthenticated when it is not accepted; KindUnavailable when that cannot be told now.
func (p *OIDC) Authenticate(ctx context.Context, text string) (leat.Principal, error) {
	ctx, cancel := context.WithTimeout(ctx, p.o.Within)
	defer cancel()
	who, err := p.authenticate(ctx, text)
	switch {
	case err == nil:
		return who, nil
	case errors.Is(err, errNoKeys), ctx.Err() != nil:
		p.o.Logger.Warn("tokens of the identity provider cannot be checked", "issuer", p.o.Issuer, "error", err)
		return leat.Principal{}, leat.Errorf(leat.KindUnavailable, "tokens of the identity provider cannot be checked now: retry")
	case leat.KindOf(err) == leat.KindUnavailable:
		return leat.Principal{}, err
	}
	p.o.Logger.Info("a token of the identity provider was refused", "issuer", p.o.Issuer, "reason", err)
	return leat.Principal{}, errNotTaken
}

// verified checks a token and returns its claims.
func (p *OIDC) verified(ctx context.Context, by *oidc.IDTokenVerifier, text string) (*oidc.IDToken, map[string]any, error) {
	if _, err := p.keys.named(ctx, ""); err != nil { // package oidc hides why it cannot verify
		return nil, nil, err
	}
	token, err := by.Verify(ctx, text)
	if err != nil {
		return nil, nil, err
	}
	claims := map[string]any{}
	if err := token.Claims(&claims); err != nil {
		return nil, nil, err
	}
	if token.Subject == "" {
		return nil, nil, errors.New("it has no sub")
	}
	if token.IssuedAt.After(p.o.Clock.Now().Add(clockSkew)) {
		return nil, nil, fmt.Errorf("it was issued in the future, at %s", token.IssuedAt)
	}
	return token, claims, nil
}

func (p *OIDC) authenticate(ctx context.Context, text string) (who leat.Principal, err error) {
	token, claims, err := p.verified(ctx, p.verify, text)
	if err != nil {
		return who, err
	}
	who = leat.Principal{Name: short(cmp.Or(text1(claims[p.o.NameClaim]), token.Subject)), Credential: "oidc/" + short(token.Subject)}
	if err := p.granted(&who, claims); err != nil {
		return who, fmt.Errorf("sub %.100q: %w", token.Subject, err)
	}
	_, err = p.o.Identities.Account(ctx, who.Account)
	return who, err
}

// granted says which account and role a token's claims give.
func (p *OIDC) granted(who *leat.Principal, claims map[string]any) error {
	for _, g := range p.grants {
		if slices.Contains(values(claims[g.claim]), g.value) {
			who.Account, who.Role, who.Operator = g.account, g.role, g.operator
			return nil
		}
	}
	if p.o.AccountClaim == "" {
		return errors.New("no grant fits its claims")
	}
	account, ok := claims[p.o.AccountClaim].(string)
	if !ok || leat.ValidateAccountID(account) != nil {
		return fmt.Errorf("no grant fits, and its claim %s is no account", p.o.AccountClaim)
	}
	role, ok := claims[p.o.RoleClaim].(string)
	if !ok || leat.ValidateRoleName(role) != nil { // never everything for want of a claim
		return fmt.Errorf("no grant fits, and its claim %s is no role", p.o.RoleClaim)
	}
	who.Account, who.Role = account, role
	return nil
}

// needed are the claims that decide who somebody is: of grants the values that grant something, and of those that name account and role all.
func (p *OIDC) needed(claims map[string]any) map[string][]string {
	all := map[string][]string{}
	for _, g := range p.grants {
		if slices.Contains(values(claims[g.claim]), g.value) && !slices.Contains(all[g.claim], g.value) {
			all[g.claim] = append(all[g.claim], g.value)
		}
	}
	for _, name := range []string{p.o.AccountClaim, p.o.RoleClaim} {
		if v := text1(claims[name]); v != "" && !slices.Contains(all[name], v) {
			all[name] = append(all[name], short(v))
		}
	}
	return all
}

// text1 is a claim that is one text, or nothing.
func text1(claim any) string {
	s, _ := claim.(string)
	return s
}

// values are the texts of a claim.
func values(claim any) (all []string) {
	switch c := claim.(type) {
	case string:
		return []string{c}
	case bool:
		return []string{fmt.Sprint(c)}
	case []any:
		for _, v := range c {
			if s, ok := v.(string); ok {
				all = append(all, s)
			}
		}
	}
	return all
}

func short(s string) string {
	if len(s) > maxOIDCName {
		return strings.ToValidUTF8(s[:maxOIDCName], "")
	}
	return s
}

// readBounded reads an answer of the issuer.
func readBounded(r io.Reader) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxKeySet+1))
	if err == nil && len(b) > maxKeySet {
		err = errors.New("the answer is too long")
	}
	return b, err
}

// Holding tells by which claims callers whom the provider knows have a role of an account; without a role everything in it.
func (p *OIDC) Holding(account, role string) (all []string) {
	for _, g := range p.grants {
		if !g.operator && g.account == account && g.role == role {
			all = append(all, g.claim+"="+g.value)
		}
	}
	if p.o.AccountClaim != "" && role != "" {
		all = append(all, p.o.AccountClaim+"="+account+" and "+p.o.RoleClaim+"="+role)
	}
	return all
}

// Operators tells by which claims callers are operators.
func (p *OIDC) Operators() (all []string) {
	for _, g := range p.grants {
		if g.operator {
			all = append(all, g.claim+"="+g.value)
		}
	}
	return all
}

// Host is what people know the provider by.
func (p *OIDC) Host() string {
	u, err := url.Parse(p.o.Issuer)
	if err != nil { // it was checked
		return p.o.Issuer
	}
	return u.Host
}
