// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"

	"github.com/leatstream/leat"
)

// PutResourcePolicy promises: the stream or the consumer has this policy, in place of the one before. It is kept as it was
// written.
//
// Differs from AWS: a policy is checked for its form, not for whether its principals and actions exist; and it is kept for
// tools that manage it, but gives nobody of another account a permission.

// PutResourcePolicy sets a policy.
func (b *Broker) PutResourcePolicy(ctx context.Context, who leat.Principal, req ResourceRequest, policy string) error {
	if err := validatePolicy(policy); err != nil {
		return err
	}
	r, _, err := b.resource(ctx, who, ActionPutResourcePolicy, req, b.changeable)
	if err != nil {
		return err
	}
	return b.catalog.PutPolicy(ctx, r, policy)
}

// policyStatement has the members that a statement of a resource policy must have, one of each pair.
type policyStatement struct {
	Effect       string          `json:"Effect"`
	Principal    json.RawMessage `json:"Principal"`
	NotPrincipal json.RawMessage `json:"NotPrincipal"`
	Action       json.RawMessage `json:"Action"`
	NotAction    json.RawMessage `json:"NotAction"`
	Resource     json.RawMessage `json:"Resource"`
	NotResource  json.RawMessage `json:"NotResource"`
}

func validatePolicy(policy string) error {
	if len(policy) > leat.MaxPolicyBytes {
		return leat.Invalid("policy", "a policy of %d bytes is larger than %d", len(policy), leat.MaxPolicyBytes)
	}
	var p struct {
		Version   string          `json:"Version"`
		Statement json.RawMessage `json:"Statement"`
	}
	if err := json.Unmarshal([]byte(policy), &p); err != nil {
		return leat.Invalid("policy", "the policy is no JSON object of a policy: %v", err)
	}
	if versions := []string{"2012-10-17", "2008-10-17"}; !slices.Contains(versions, p.Version) {
		return leat.Invalid("policy", "the policy's Version %.40q must be one of %q", p.Version, versions)
	}
	statements, err := policyStatements(p.Statement)
	if err != nil || len(statements) == 0 {
		return leat.Invalid("policy", "the policy's Statement must be a statement or a list of them")
	}
	for i := range statements {
		if err := statements[i].check(i + 1); err != nil {
			return err
		}
	}
	return nil
}

// policyStatements reads one statement, or a list of them.
func policyStatements(raw json.RawMessage) (list []policyStatement, err error) {
	if raw = bytes.TrimSpace(raw); len(raw) > 0 && raw[0] == '{' {
		list = make([]policyStatement, 1)
		return list, json.Unmarshal(raw, &list[0])
	}
	return list, json.Unmarshal(raw, &list)
}

func (s *policyStatement) check(number int) error {
	if s.Effect != "Allow" && s.Effect != "Deny" {
		return leat.Invalid("policy", "statement %d of the policy: Effect %.40q must be Allow or Deny", number, s.Effect)
	}
	for _, pair := range []struct {
		name     string
		one, not json.RawMessage
	}{{"Principal", s.Principal, s.NotPrincipal}, {"Action", s.Action, s.NotAction}, {"Resource", s.Resource, s.NotResource}} {
		if blank(pair.one) == blank(pair.not) {
			return leat.Invalid("policy", "statement %d of the policy must have %s or Not%s", number, pair.name, pair.name)
		}
	}
	return nil
}

func blank(raw json.RawMessage) bool {
	return slices.Contains([]string{"", "null", `""`, "[]", "{}"}, string(raw))
}
