// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package authz_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"google.golang.org/grpc/codes"

	leatv1 "github.com/leatstream/leat/api/leat/v1"
	"github.com/leatstream/leat/internal/oidctest"
	"github.com/leatstream/leat/server"
)

// TestOIDC shows that tokens of an identity provider act for the account and the role that the settings say, over gRPC and REST, and that
// the audit log knows who they are.
func TestOIDC(t *testing.T) {
	issuer := oidctest.New(t)
	h := buildWith(t, "the-operator-of-this-test", func(c *server.DevConfig) {
		c.OIDC = server.OIDC{Issuer: issuer.URL, Audience: "leat", NameClaim: "email", Grants: []string{
			"groups=owners:" + ours, "groups=nobodies:" + ours + "/none", "groups=operators:operator",
		}}
	})
	token := func(group string) string {
		return issuer.Sign(jose.ES256, issuer.EC, "e1", map[string]any{
			"iss": issuer.URL, "aud": "leat", "sub": "u-" + group, "email": group + "@example.com", "groups": []string{group}, "exp": time.Now().Add(time.Hour).Unix(),
		})
	}
	ctx := t.Context()
	owner, nobody, operator, stranger := h.dial(token("owners"), ""), h.dial(token("nobodies"), ""), h.dial(token("operators"), ""), h.dial(token("strangers"), "")
	_, err := owner.Streams.CreateStream(ctx, &leatv1.CreateStreamRequest{Stream: "by-oidc", ShardCount: 1})
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
