// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package web

import (
	"context"

	"github.com/leatstream/leat"
)

// held is who acts with a role: access keys, tokens, and whom an identity provider's claims give it.
type held struct {
	Shown []heldBy
	More  int // that are not shown
}

type heldBy struct {
	Kind, Icon, Text string
	Off              bool // it cannot be used
}

// heldShown bounds what one row shows.
const heldShown = 8

// holders finds who acts with the roles of somebody's account, as far as they may know.
func (c *Console) holders(ctx context.Context, who leat.Principal) (func(account, role string) held, error) {
	all, err := c.Broker.Holders(ctx, who)
	if err != nil {
		return nil, err
	}
	return func(account, role string) (h held) {
		if account != who.Account {
			return h
		}
		for _, k := range all[role] {
			by := heldBy{Kind: "access key", Icon: "keys", Text: k.Name, Off: !k.Active}
			if k.Token {
				by.Kind, by.Icon = "token", "token"
			}
			h.add(by)
		}
		if c.OIDC != nil {
			h.signIns(c.OIDC.Host(), c.OIDC.Holding(account, role))
		}
		return h
	}, nil
}

// operators are whom claims make operators; operators alone are told.
func (c *Console) operators(who leat.Principal) (h held) {
	if who.Operator && c.OIDC != nil {
		h.signIns(c.OIDC.Host(), c.OIDC.Operators())
	}
	return h
}

func (h *held) signIns(host string, claims []string) {
	for _, claim := range claims {
		h.add(heldBy{Kind: "people with", Icon: "person", Text: claim + " at " + host})
	}
}

func (h *held) add(by heldBy) {
	if len(h.Shown) == heldShown {
		h.More++
		return
	}
	h.Shown = append(h.Shown, by)
}
