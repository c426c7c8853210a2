// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package authz_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"google.golang.org/grpc/codes"

	leatv1 "github.com/leatstream/leat/api/leat/v1"
	"github.com/leatstream/leat/server"
)

// TestOIDC shows that tokens of an identity provider act for the account and the role that the settings say, over gRPC and REST, and that
// the audit log knows who they are.
func TestOIDC(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	var issuer *httptest.Server
	issuer = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/keys" {
			_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: &key.PublicKey, KeyID: "1"}}})
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]string{"issuer": issuer.URL, "jwks_uri": issuer.URL + "/keys"})
	}))
	defer issuer.Close()
	h := buildWith(t, "the-operator-of-this-test", func(c *server.DevConfig) {
		c.OIDC = server.OIDC{Issuer: issuer.URL, Audience: "leat", NameClaim: "email", Grants: []string{
			"groups=owners:" + ours, "groups=nobodies:" + ours + "/none", "groups=operators:operator",
		}}
	})
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, (&jose.SignerOptions{}).WithHeader("kid", "1"))
	h.must(err)
	token := func(group string) string {
		claims, err := json.Marshal(map[string]any{
			"iss": issuer.URL, "aud": "leat", "sub": "u-" + group, "email": group + "@example.com", "groups": []string{group}, "exp": time.Now().Add(time.Hour).Unix(),
		})
		h.must(err)
		jws, err := signer.Sign(claims)
		h.must(err)
		text, err := jws.CompactSerialize()
		h.must(err)
		return text
	}
	ctx := t.Context()
	owner, nobody, operator, stranger := h.dial(token("owners"), ""), h.dial(token("nobodies"), ""), h.dial(token("operators"), ""), h.dial(token("strangers"), "")
	_, err = owner.Streams.CreateStream(ctx, &leatv1.CreateStreamRequest{Stream: "by-oidc", ShardCount: 1})
	h.must(err)
	e := h.event(h.owner, &leatv1.AuditFilter{Operation: "CreateStream", Resource: "stream/by-oidc"}, "an OIDC token")
	if e.GetName() != "owners@example.com" || e.GetCredential() != "oidc/u-owners" || e.GetPrincipal() != "arn:aws:iam::"+ours+":root" {
		t.Errorf("the audit log says %v", e)
	}
	if _, err := nobody.Streams.DeleteStream(ctx, &leatv1.DeleteStreamRequest{Stream: "by-oidc"}); kind(err) != codes.PermissionDenied {
		t.Errorf("a role that allows nothing: %v", err)
	}
	if _, err := operator.Identity.ListAccounts(ctx, &leatv1.ListAccountsRequest{}); err != nil {
		t.Errorf("an operator: %v", err)
	}
	if _, err := stranger.Streams.ListStreams(ctx, &leatv1.ListStreamsRequest{}); kind(err) != codes.Unauthenticated || strings.Contains(err.Error(), "grant") {
		t.Errorf("nobody that a grant fits: %v", err)
	}
	for text, want := range map[string]int{token("owners"): http.StatusOK, token("owners") + "x": http.StatusUnauthorized} {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, h.server.HTTP+"/v1/streams", nil)
		h.must(err)
		r.Header.Set("Authorization", "Bearer "+text)
		res, err := new(http.Client).Do(r)
		h.must(err)
		h.must(res.Body.Close())
		if res.StatusCode != want {
			t.Errorf("over REST: %d, want %d", res.StatusCode, want)
		}
	}
}
