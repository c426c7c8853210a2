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

// OIDC says which identity provider's tokens gRPC, REST and the console take. Without an issuer they take none.
type OIDC struct {
	Issuer       string   `name:"issuer" takes:"an https:// URL" placeholder:"URL" env:"ISSUER" help:"Take tokens of this OpenID Connect provider (JWT, RS256 or ES256) as bearer tokens over gRPC and REST."`
	Audience     string   `name:"audience" takes:"a text" placeholder:"TEXT" env:"AUDIENCE" help:"Audience that the tokens must have."`
	Grants       []string `name:"grant" takes:"a list of CLAIM=VALUE:ACCOUNT/ROLE" sep:"none" placeholder:"CLAIM=VALUE:ACCOUNT/ROLE" env:"GRANT" help:"Whoever has this claim acts for the account with the role; without a role with everything in it; 'operator' instead of both for an operator. The first that fits holds; may be given more than once."`
	AccountClaim string   `name:"account-claim" takes:"a claim" placeholder:"CLAIM" env:"ACCOUNT_CLAIM" help:"Claim that names the account where no grant fits; with --oidc-role-claim."`
	RoleClaim    string   `name:"role-claim" takes:"a claim" placeholder:"CLAIM" env:"ROLE_CLAIM" help:"Claim that names the role where no grant fits."`
	NameClaim    string   `name:"name-claim" takes:"a claim" default:"email" placeholder:"CLAIM" env:"NAME_CLAIM" help:"Claim that callers are called by in the audit log."`
	CAFile       string   `name:"ca-file" takes:"a PEM file" type:"path" placeholder:"FILE" env:"CA_FILE" help:"PEM file of certificate authorities to trust for the provider."`
}

func (c *OIDC) options() auth.OIDCOptions {
	return auth.OIDCOptions{
		Issuer: c.Issuer, Audience: c.Audience, Grants: c.Grants, AccountClaim: c.AccountClaim, RoleClaim: c.RoleClaim, NameClaim: c.NameClaim,
	}
}

func (c *OIDC) validate() error {
	if c.Issuer == "" {
		return check(c.Audience == "" && len(c.Grants) == 0 && c.AccountClaim == "" && c.RoleClaim == "" && c.CAFile == "", "oidc-issuer", "", "give the URL of the provider, or none of the --oidc settings")
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
	_, err = auth.NewOIDC(c.options())
	var told *leat.Error
	if errors.As(err, &told) {
		value := map[string]string{"oidc-issuer": c.Issuer, "oidc-audience": c.Audience, "oidc-grant": strings.Join(c.Grants, " ")}[told.Field]
		return bad(told.Field, value, "%s", told.Message)
	}
	return err
}

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

// open makes what checks tokens; nil without an issuer.
func (c *OIDC) open(who *auth.Identities, log *slog.Logger) (*auth.OIDC, error) {
	if c.Issuer == "" {
		return nil, nil
	}
	o := c.options()
	client, err := c.client()
	if err != nil {
		return nil, err
	}
	o.Identities, o.HTTP, o.Logger = who, client, log
	return auth.NewOIDC(o)
}
