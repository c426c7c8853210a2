// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"context"
	"strings"
	"time"

	"github.com/leatstream/leat"
)

// Bearers knows all that gRPC and REST accept in an authorization header: the server's own token, API tokens, tokens of an identity provider, and with
// Open, which MUST NOT be used on an address that others reach, anything else and nothing as an operator.
type Bearers struct {
	Identities *Identities
	Bootstrap  *Bootstrap // nil: the server has no token of its own
	OIDC       *OIDC      // nil: tokens of identity providers are not taken
	Open       bool
}

// lookupWithin bounds how long a token that is not known is looked for.
const lookupWithin = 5 * time.Second

// Authenticate returns who a header stands for; KindUnauthenticated when it may not be trusted.
func (b *Bearers) Authenticate(authorization string) (leat.Principal, error) {
	scheme, text, _ := strings.Cut(authorization, " ")
	text = strings.TrimSpace(text)
	if b.Bootstrap != nil {
		if who, err := b.Bootstrap.Authenticate(authorization); err == nil {
			return who, nil
		}
	}
	if strings.EqualFold(scheme, "bearer") && isToken(text) {
		ctx, cancel := context.WithTimeout(context.Background(), lookupWithin)
		defer cancel()
		return b.Identities.byToken(ctx, text)
	}
	if b.OIDC != nil && strings.EqualFold(scheme, "bearer") && isJWT(text) {
		return b.OIDC.Authenticate(context.Background(), text)
	}
	if b.Open {
		return Anybody{}.Authenticate(authorization)
	}
	if authorization == "" {
		return leat.Principal{}, errNothing
	}
	return leat.Principal{}, leat.Errorf(leat.KindUnauthenticated, "the credential is wrong: send \"authorization: Bearer <token>\" with a token of this server")
}

// Knows tells whether a header has an API token that Authenticate takes, from memory alone. Of nothing else: a server's own token may be one that a person
// thought of, and verifying the token of an identity provider costs much.
func (b *Bearers) Knows(authorization string) bool {
	scheme, text, _ := strings.Cut(authorization, " ")
	text = strings.TrimSpace(text)
	if !strings.EqualFold(scheme, "bearer") || !isToken(text) {
		return false
	}
	known := b.Identities.known.Load()
	if known == nil {
		return false
	}
	_, err := b.Identities.holder(known.tokens[tokenID(text)], text)
	return err == nil
}

// ActFor returns a caller that acts for an account: operators for any that there is, others for their own alone. Empty is
// the caller's own.
func (b *Bearers) ActFor(ctx context.Context, who leat.Principal, account string) (leat.Principal, error) {
	if account == "" || account == who.Account {
		return who, nil
	}
	if err := leat.ValidateAccountID(account); err != nil {
		return who, err
	}
	if !who.Operator {
		return who, leat.Errorf(leat.KindAccessDenied, "%s acts for account %s and cannot act for another", ARN(who), who.Account)
	}
	if _, err := b.Identities.Account(ctx, account); err != nil {
		return who, err
	}
	who.Account = account
	return who, nil
}
