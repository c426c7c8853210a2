// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net/http"
	"strings"

	"github.com/leatstream/leat"
)

// Authenticator turns an authorization header into a caller: KindUnauthenticated when it may not be trusted.
type Authenticator interface {
	Authenticate(authorization string) (leat.Principal, error)
}

// Signatures says who signed a request of the AWS wires. Its errors are *SignatureError.
type Signatures interface {
	// Admit checks what needs no body, before one is taken in: all but the signature itself.
	Admit(r *http.Request) error

	// Verify checks all of it, over a body that is here.
	Verify(r *http.Request, body []byte) (leat.Principal, error)
}

// Anybody accepts every caller, with or without a credential, as the account of development. It MUST NOT be used on an
// address that others reach.
type Anybody struct{}

// Authenticate ignores the credential.
func (Anybody) Authenticate(string) (leat.Principal, error) {
	return leat.Principal{Account: leat.DevAccount, Name: "dev", Operator: true}, nil
}

// Admit ignores the signature.
func (Anybody) Admit(*http.Request) error { return nil }

// Verify ignores the signature.
func (a Anybody) Verify(*http.Request, []byte) (leat.Principal, error) { return a.Authenticate("") }

var errNothing = leat.Errorf(leat.KindUnauthenticated, "a credential is missing: send \"authorization: Bearer <token>\"")

// Bootstrap accepts the bearer of one token.
type Bootstrap struct {
	digest  [sha256.Size]byte
	account string
}

// minTokenBytes keeps tokens out of reach of guessing.
const minTokenBytes = 16

// NewBootstrap accepts a token of 16 bytes or more, without white space, for an account; an empty account means
// leat.DevAccount.
func NewBootstrap(token, account string) (*Bootstrap, error) {
	if len(token) < minTokenBytes || strings.ContainsAny(token, " \t\r\n") {
		return nil, errors.New("auth: the bootstrap token must have 16 bytes or more and no white space")
	}
	if account == "" {
		account = leat.DevAccount
	}
	return &Bootstrap{digest: sha256.Sum256([]byte(token)), account: account}, nil
}

// Authenticate reads an authorization header ("Bearer <token>"): KindUnauthenticated when it is missing or wrong.
// Digests are compared, so that neither the token's length nor a common beginning shows in the time it takes.
func (b *Bootstrap) Authenticate(authorization string) (leat.Principal, error) {
	if authorization == "" {
		return leat.Principal{}, errNothing
	}
	scheme, token, ok := strings.Cut(authorization, " ")
	digest := sha256.Sum256([]byte(strings.TrimSpace(token)))
	if !ok || !strings.EqualFold(scheme, "bearer") || subtle.ConstantTimeCompare(digest[:], b.digest[:]) != 1 {
		return leat.Principal{}, leat.Errorf(leat.KindUnauthenticated, "the credential is wrong: send \"authorization: Bearer <token>\" with this server's token")
	}
	return leat.Principal{Account: b.account, Name: "bootstrap", Operator: true}, nil
}
