// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"

	"github.com/leatstream/leat"
)

// Holders promises: which access keys and API tokens of the caller's account act with each role, as far as the caller may list them. What they may
// not list is left out, and that is not in the audit log: a page that is shown without it has asked for nothing.
//
// AWS has no such operation, and the native API has none either: the console alone asks.

// Holder is a credential that acts with a role, or without one for its account.
type Holder struct {
	Token  bool // an API token; otherwise an access key
	ID     string
	Name   string
	Active bool
}

// Holders returns the credentials of the caller's account by their roles; those without one have the role "".
func (b *Broker) Holders(ctx context.Context, who leat.Principal) (map[string][]Holder, error) {
	all := map[string][]Holder{}
	account := Resource{Account: who.Account}
	if b.accessKeys != nil && b.decide(ctx, who, ActionListKeys, account) == nil {
		keys, err := b.accessKeys.List(ctx, who.Account, "", leat.MaxAccessKeys)
		if err != nil {
			return nil, away(err)
		}
		for i := range keys {
			k := &keys[i]
			all[k.Role] = append(all[k.Role], Holder{ID: k.ID, Name: k.Name, Active: k.Active})
		}
	}
	if b.identities != nil && b.decide(ctx, who, ActionListTokens, account) == nil {
		tokens, err := b.catalog.ListTokens(ctx, who.Account, "", leat.MaxTokens)
		if err != nil {
			return nil, away(err)
		}
		for i := range tokens {
			t := &tokens[i]
			expired := !t.Expires.IsZero() && !b.clock.Now().Before(t.Expires)
			all[t.Role] = append(all[t.Role], Holder{Token: true, ID: t.ID, Name: t.Name, Active: t.Active && !expired})
		}
	}
	return all, nil
}
