// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net/http"
	"strings"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/auth"
)

// OIDC says which identity provider's tokens gRPC and REST take, and as which client of it people sign in to the console. Without an issuer there is
// neither.
type OIDC struct {
	Issuer       string   `name:"issuer" takes:"an https:// URL" placeholder:"URL" env:"ISSUER" help:"Take tokens of this OpenID Connect provider (JWT, RS256 or ES256) as bearer tokens over gRPC and REST."`
	Audience     string   `name:"audience" takes:"a text" placeholder:"TEXT" env:"AUDIENCE" help:"Audience that the tokens must have."`
	Grants       []string `name:"grant" takes:"a list of CLAIM=VALUE:ACCOUNT/ROLE" sep:"none" placeholder:"CLAIM=VALUE:ACCOUNT/ROLE" env:"GRANT" help:"Whoever has this claim acts for the account with the role; without a role with everything in it; 'operator' instead of both for an operator. The first that fits holds; may be given more than once."`
	AccountClaim string   `name:"account-claim" takes:"a claim" placeholder:"CLAIM" env:"ACCOUNT_CLAIM" help:"Claim that names the account where no grant fits; with --oidc-role-claim."`
	RoleClaim    string   `name:"role-claim" takes:"a claim" placeholder:"CLAIM" env:"ROLE_CLAIM" help:"Claim that names the role where no grant fits."`
	NameClaim    string   `name:"name-claim" takes:"a claim" default:"email" placeholder:"CLAIM" env:"NAME_CLAIM" help:"Claim that callers are called by in the audit log."`
	ClientID     string   `name:"client-id" takes:"a text" placeholder:"ID" env:"CLIENT_ID" help:"Let people sign in to the console at the provider, as this client of it; with --oidc-redirect-url."`
	ClientSecret string   `name:"client-secret" takes:"a text" secret:"" placeholder:"SECRET" env:"CLIENT_SECRET" help:"That client's secret; none for a public client. Better given in the environment than on the command line."`
	RedirectURL  string   `name:"redirect-url" takes:"an https:// URL" placeholder:"URL" env:"REDIRECT_URL" help:"Where the provider sends people back to, as it knows it: https://HOST/console/signin/oidc/callback, with the host by which browsers reach the console."`
	Scopes       []string `name:"scope" takes:"a list of scopes" default:"email,profile" placeholder:"SCOPE" env:"SCOPE" help:"Scopes that are asked for beside openid, such as the one by which the provider tells groups."`
	CAFile       string   `name:"ca-file" takes:"a PEM file" type:"path" placeholder:"FILE" env:"CA_FILE" help:"PEM file of certificate authorities to trust for the provider."`
}

func (c *OIDC) options() auth.OIDCOptions {
	return auth.OIDCOptions{
		Issuer: c.Issuer, Audience: c.Audience, Grants: c.Grants, AccountClaim: c.AccountClaim, RoleClaim: c.RoleClaim, NameClaim: c.NameClaim,
	}
}

func (c *OIDC) loginOptions() auth.LoginOptions {
	return auth.LoginOptions{ClientID: c.ClientID, ClientSecret: c.ClientSecret, Redirect: c.RedirectURL, Scopes: c.Scopes}
}

func (c *OIDC) validate() error {
	if c.Issuer == "" {
		none := c.Audience == "" && len(c.Grants) == 0 && c.AccountClaim == "" && c.RoleClaim == "" && c.CAFile == "" && c.ClientID == "" && c.ClientSecret == "" && c.RedirectURL == ""
		return check(none, "oidc-issuer", "", "give the URL of the provider, or none of the --oidc settings")
	}
	_, err := c.client()
	if err == nil {
		err = errors.Join(
			check(c.AccountClaim == "" || c.RoleClaim != "", "oidc-account-claim", c.AccountClaim, "give both --oidc-account-claim and --oidc-role-claim, or neither"),
			check(c.RoleClaim == "" || c.AccountClaim != "", "oidc-role-claim", c.RoleClaim, "give both --oidc-account-claim and --oidc-role-claim, or neither"),
		)
	}
	if err != nil {
		return err
	}
	if c.ClientID == "" && c.ClientSecret != "" {
		return bad("oidc-client-secret", hidden, "give --oidc-client-id too")
	}
	p, err := auth.NewOIDC(c.options())
	if err == nil && c.signsIn() {
		_, err = auth.NewLogin(p, c.loginOptions())
	}
	var told *leat.Error
	if errors.As(err, &told) {
		value := map[string]string{"oidc-issuer": c.Issuer, "oidc-audience": c.Audience, "oidc-grant": strings.Join(c.Grants, " "), "oidc-client-id": c.ClientID, "oidc-redirect-url": c.RedirectURL, "oidc-scope": strings.Join(c.Scopes, ",")}[told.Field]
		return bad(told.Field, value, "%s", told.Message)
	}
	return err
}

// signsIn tells whether people sign in to the console at the provider.
func (c *OIDC) signsIn() bool { return c.ClientID != "" || c.RedirectURL != "" }

// client trusts the authorities of the file, where one is given.
func (c *OIDC) client() (*http.Client, error) {
	pem, err := readCA("oidc-ca-file", c.CAFile)
	if err != nil || pem == nil {
		return &http.Client{}, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	t := http.DefaultTransport.(*http.Transport).Clone() //nolint:forcetypeassert // it is one
	t.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	return &http.Client{Transport: t}, nil
}

// open makes what checks tokens, and what signs people in to the console; each is nil where the settings do not ask for it.
func (c *OIDC) open(who *auth.Identities, log *slog.Logger) (*auth.OIDC, *auth.Login, error) {
	if c.Issuer == "" {
		return nil, nil, nil
	}
	o := c.options()
	client, err := c.client()
	if err != nil {
		return nil, nil, err
	}
	o.Identities, o.HTTP, o.Logger = who, client, log
	p, err := auth.NewOIDC(o)
	if err != nil || !c.signsIn() {
		return p, nil, err
	}
	login, err := auth.NewLogin(p, c.loginOptions())
	return p, login, err
}
