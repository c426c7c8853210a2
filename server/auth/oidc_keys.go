// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"

	"github.com/leatstream/leat"
)

// keySet is the keys of an issuer, found by discovery. The package oidc has one too, which asks the issuer for each token that names a key it does
// not know: whoever sends such tokens would decide how often.
type keySet struct {
	issuer string
	client *http.Client
	clock  leat.Clock
	log    *slog.Logger

	turn    chan struct{} // held while keys are looked at or fetched
	keys    []jose.JSONWebKey
	fetched time.Time // the keys; zero: never
	tried   time.Time
	about   provider // empty: to be asked for
}

// provider is what an issuer says of itself (OpenID Connect Discovery 1.0, 3, and RP-Initiated Logout 1.0, 2.1).
type provider struct {
	Issuer     string   `json:"issuer"`
	Keys       string   `json:"jwks_uri"`
	Authorize  string   `json:"authorization_endpoint"`
	Token      string   `json:"token_endpoint"`
	TokenAuth  []string `json:"token_endpoint_auth_methods_supported"`
	EndSession string   `json:"end_session_endpoint"` // empty: it has none
}

// errNoKeys says that no keys could be fetched yet.
var errNoKeys = errors.New("the identity provider's keys are not known")

func newKeySet(issuer string, client *http.Client, clock leat.Clock, log *slog.Logger) *keySet {
	return &keySet{issuer: issuer, client: client, clock: clock, log: log, turn: make(chan struct{}, 1)}
}

// VerifySignature returns the payload of a token that one of the issuer's keys signed.
func (k *keySet) VerifySignature(ctx context.Context, text string) ([]byte, error) {
	jws, err := jose.ParseSignedCompact(text, []jose.SignatureAlgorithm{jose.RS256, jose.ES256})
	if err != nil {
		return nil, err
	}
	if len(jws.Signatures) != 1 {
		return nil, errors.New("it has not one signature")
	}
	header := jws.Signatures[0].Header
	keys, err := k.named(ctx, header.KeyID)
	if err != nil {
		return nil, err
	}
	for i := range keys {
		key := &keys[i]
		if key.Use != "" && key.Use != "sig" || key.Algorithm != "" && key.Algorithm != header.Algorithm || !key.IsPublic() {
			continue
		}
		if payload, err := jws.Verify(key); err == nil {
			return payload, nil
		}
	}
	return nil, fmt.Errorf("no key of the issuer signed it (kid %.80q)", header.KeyID)
}

// named returns the keys of an id, or all where a token names none. It fetches when they are old or none is known.
func (k *keySet) named(ctx context.Context, id string) ([]jose.JSONWebKey, error) {
	select {
	case k.turn <- struct{}{}:
		defer func() { <-k.turn }()
	case <-ctx.Done():
		return nil, errNoKeys
	}
	now := k.clock.Now()
	found := k.find(id)
	old := now.Sub(k.fetched) >= keysFor
	if (len(found) == 0 || old) && (k.tried.IsZero() || now.Sub(k.tried) >= keysNoOftener) {
		k.tried = now
		if err := k.fetch(ctx); err != nil {
			k.log.Warn("the identity provider's keys cannot be fetched; those that are known go on being used", "issuer", k.issuer, "error", err)
			k.about = provider{}
		} else {
			k.fetched = now
		}
		found = k.find(id)
	}
	if k.fetched.IsZero() {
		return nil, errNoKeys
	}
	return found, nil
}

// discover returns what the issuer said of itself when its keys were fetched last; it has them fetched where that was long ago.
func (k *keySet) discover(ctx context.Context) (provider, error) {
	if _, err := k.named(ctx, ""); err != nil {
		return provider{}, err
	}
	select {
	case k.turn <- struct{}{}:
		defer func() { <-k.turn }()
	case <-ctx.Done():
		return provider{}, errNoKeys
	}
	if k.about.Keys == "" {
		return provider{}, errors.New("it does not answer")
	}
	return k.about, nil
}

func (k *keySet) find(id string) []jose.JSONWebKey {
	if id == "" {
		return k.keys
	}
	var all []jose.JSONWebKey
	for _, key := range k.keys {
		if key.KeyID == id {
			all = append(all, key)
		}
	}
	return all
}

// fetch replaces the keys by those that the issuer has now.
func (k *keySet) fetch(ctx context.Context) error {
	if k.about.Keys == "" {
		var about provider
		if err := k.get(ctx, strings.TrimSuffix(k.issuer, "/")+"/.well-known/openid-configuration", &about); err != nil {
			return err
		}
		if about.Issuer != k.issuer {
			return fmt.Errorf("the issuer calls itself %.200q", about.Issuer)
		}
		if err := checkIssuer(about.Keys); err != nil {
			return fmt.Errorf("its jwks_uri %.200q is no https:// URL", about.Keys)
		}
		k.about = about
	}
	var set jose.JSONWebKeySet
	if err := k.get(ctx, k.about.Keys, &set); err != nil {
		return err
	}
	if len(set.Keys) == 0 {
		return errors.New("it has no keys")
	}
	k.keys = set.Keys
	return nil
}

func (k *keySet) get(ctx context.Context, url string, into any) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	res, err := k.client.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers with status %d", url, res.StatusCode)
	}
	text, err := readBounded(res.Body)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, into)
}

var _ oidc.KeySet = (*keySet)(nil)
