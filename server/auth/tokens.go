// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"io"
	"strings"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/catalog"
)

// A token is leat_ID_SECRET: 16 characters of base32, and 32 random bytes in 43 characters of base64. The catalog has the
// SHA-256 of the whole.
const (
	tokenPrefix      = "leat_"
	tokenIDBytes     = 10
	tokenSecretBytes = 32
	tokenChars       = len(tokenPrefix) + 16 + 1 + 43
)

// CreateToken makes a token. Its text is told here and never again.
func (i *Identities) CreateToken(ctx context.Context, t leat.Token) (leat.Token, string, error) {
	var random [tokenIDBytes + tokenSecretBytes]byte
	if _, err := io.ReadFull(i.rand, random[:]); err != nil {
		return leat.Token{}, "", leat.Errorf(leat.KindInternal, "no randomness for a token: %w", err)
	}
	t.ID, t.Active = base32.StdEncoding.EncodeToString(random[:tokenIDBytes]), true
	text := tokenPrefix + t.ID + "_" + base64.RawURLEncoding.EncodeToString(random[tokenIDBytes:])
	sum := sha256.Sum256([]byte(text))
	made, err := i.catalog.AddToken(ctx, catalog.StoredToken{Token: t, Hash: hex.EncodeToString(sum[:])})
	if err != nil {
		return leat.Token{}, "", err
	}
	i.Changed(ctx)
	return made, text, nil
}

// isToken tells whether a text has the form of a token.
func isToken(text string) bool {
	return len(text) == tokenChars && strings.HasPrefix(text, tokenPrefix) && text[len(tokenPrefix)+16] == '_'
}

func tokenID(text string) string { return text[len(tokenPrefix) : len(tokenPrefix)+16] }

// byToken returns who holds a token; KindUnauthenticated for one that is unknown, disabled or expired.
func (i *Identities) byToken(ctx context.Context, text string) (leat.Principal, error) {
	known, err := i.now(ctx)
	if err != nil {
		return leat.Principal{}, err
	}
	id := tokenID(text)
	t := known.tokens[id]
	if t == nil {
		var current bool
		if known, current = i.again(ctx); known.tokens[id] == nil && !current {
			return leat.Principal{}, leat.Errorf(leat.KindUnavailable, "tokens cannot be looked up now: retry")
		}
		t = known.tokens[id]
	}
	return i.holder(t, text)
}

// holder returns who holds a token that is stored as t; nil: as none.
func (i *Identities) holder(t *catalog.StoredToken, text string) (leat.Principal, error) {
	sum := sha256.Sum256([]byte(text))
	stored := strings.Repeat("0", 2*sha256.Size)
	if t != nil {
		stored = t.Hash
	}
	if subtle.ConstantTimeCompare([]byte(hex.EncodeToString(sum[:])), []byte(stored)) != 1 {
		return leat.Principal{}, leat.Errorf(leat.KindUnauthenticated, "the token is not known")
	}
	if !t.Active {
		return leat.Principal{}, leat.Errorf(leat.KindUnauthenticated, "the token is disabled")
	}
	if !t.Expires.IsZero() && !i.clock.Now().Before(t.Expires) {
		return leat.Principal{}, leat.Errorf(leat.KindUnauthenticated, "the token has expired")
	}
	return leat.Principal{Account: t.Account, Name: t.Name, Role: t.Role, Credential: t.ID}, nil
}
