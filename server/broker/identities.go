// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/policy"
)

// The actions on accounts, roles and tokens.
const (
	ActionCreateAccount   Action = "CreateAccount"
	ActionListAccounts    Action = "ListAccounts"
	ActionDescribeAccount Action = "DescribeAccount"
	ActionUpdateAccount   Action = "UpdateAccount"
	ActionDeleteAccount   Action = "DeleteAccount"

	ActionPutRole      Action = "PutRole"
	ActionDescribeRole Action = "DescribeRole"
	ActionListRoles    Action = "ListRoles"
	ActionDeleteRole   Action = "DeleteRole"

	ActionCreateToken Action = "CreateToken"
	ActionListTokens  Action = "ListTokens"
	ActionDeleteToken Action = "DeleteToken"
)

// Identities keeps accounts, roles, tokens and policies in memory, and decides by them; it is the Authorizer too.
type Identities interface {
	// CreateToken makes a token and tells its text, this once.
	CreateToken(ctx context.Context, t leat.Token) (made leat.Token, text string, err error)
	// Changed is called after each change: what was committed before holds when it returns.
	Changed(ctx context.Context)
	// Quotas are an account's own, from memory; zeros where it has none.
	Quotas(account string) leat.Quotas
}

func (b *Broker) identityChanged(ctx context.Context) {
	if b.identities != nil {
		b.identities.Changed(ctx)
	}
}

// listing is what the listings of an account's own things have in common.
func listing[T any](b *Broker, list Action, scope string, size, otherwise int, token string, read func(after string, limit int) ([]T, error), key func(*T) string) (all []T, next string, err error) {
	if size, err = pageSize(size, otherwise); err != nil {
		return nil, "", err
	}
	p := page{List: string(list), Scope: scope}
	if token != "" {
		sent, err := b.openPage(token, p.List)
		if err != nil {
			return nil, "", err
		}
		if sent.Scope != p.Scope {
			return nil, "", errToken(list)
		}
		p.After = sent.After
	}
	if all, err = read(p.After, size+1); err != nil {
		return nil, "", away(err)
	}
	if len(all) > size {
		all = all[:size]
		p.After = key(&all[size-1])
		next, err = b.sealPage(p)
	}
	return all, next, err
}

// PutRole promises: the account has the role with this policy, in place of the one before; keys and tokens that have it are
// bound by it on this node when PutRole returns and on others within a few seconds.
//
// Differs from AWS (IAM): a role has one policy, and belongs to keys and tokens; nobody assumes it.

// PutRole makes or replaces a role of the caller's account.
func (b *Broker) PutRole(ctx context.Context, who leat.Principal, r leat.Role) (leat.Role, error) {
	r.Account = who.Account
	if err := leat.ValidateRoleName(r.Name); err != nil {
		return leat.Role{}, err
	}
	if err := policy.CheckIdentity(r.Policy); err != nil {
		return leat.Role{}, err
	}
	if len([]rune(r.Description)) > leat.MaxDescription {
		return leat.Role{}, leat.Invalid("description", "a description has up to %d characters", leat.MaxDescription)
	}
	if err := validateTags(r.Tags); err != nil {
		return leat.Role{}, err
	}
	if err := b.may(ctx, who, ActionPutRole, Resource{Account: who.Account, Path: holder(r.Name)}); err != nil {
		return leat.Role{}, err
	}
	before := b.roleOf(ctx, who.Account, r.Name)
	made, err := b.catalog.PutRole(ctx, r)
	b.identityChanged(ctx)
	b.changed(ctx, before, ofRole(&made))
	return made, err
}

// DescribeRole returns a role of the caller's account with its policy.
func (b *Broker) DescribeRole(ctx context.Context, who leat.Principal, name string) (leat.Role, error) {
	if err := leat.ValidateRoleName(name); err != nil {
		return leat.Role{}, err
	}
	if err := b.may(ctx, who, ActionDescribeRole, Resource{Account: who.Account, Path: holder(name)}); err != nil {
		return leat.Role{}, err
	}
	r, err := b.catalog.Role(ctx, who.Account, name)
	if err != nil {
		return leat.Role{}, away(err)
	}
	return r, nil
}

// ListRoles returns a page of the roles of the caller's account in order of their names (by bytes).
func (b *Broker) ListRoles(ctx context.Context, who leat.Principal, size int, token string) (roles []leat.Role, next string, err error) {
	if err := b.may(ctx, who, ActionListRoles, Resource{Account: who.Account}); err != nil {
		return nil, "", err
	}
	return listing(b, ActionListRoles, who.Account, size, 100, token,
		func(after string, limit int) ([]leat.Role, error) {
			return b.catalog.ListRoles(ctx, who.Account, after, limit)
		},
		func(r *leat.Role) string { return r.Name })
}

// DeleteRole removes a role of the caller's account. KindInUse while keys or tokens have it.
func (b *Broker) DeleteRole(ctx context.Context, who leat.Principal, name string) error {
	if err := leat.ValidateRoleName(name); err != nil {
		return err
	}
	if err := b.may(ctx, who, ActionDeleteRole, Resource{Account: who.Account, Path: holder(name)}); err != nil {
		return err
	}
	b.changed(ctx, b.roleOf(ctx, who.Account, name), nil)
	err := b.catalog.DeleteRole(ctx, who.Account, name)
	b.identityChanged(ctx)
	return err
}

// CreateTokenRequest says what token to make.
type CreateTokenRequest struct {
	Name     string        // for people; it need not be unique
	Role     string        // whose policy binds its holder; empty: everything in the account
	Lifetime time.Duration // 0: it never expires
}

// CreateToken makes an API token of the caller's account and tells its text, this once. This node accepts it at once,
// others at its first use.
func (b *Broker) CreateToken(ctx context.Context, who leat.Principal, req CreateTokenRequest) (t leat.Token, text string, err error) {
	if err := leat.ValidateAccessKeyName(req.Name); err != nil {
		return t, "", err
	}
	if req.Role != "" {
		if err := leat.ValidateRoleName(req.Role); err != nil {
			return t, "", err
		}
	}
	if req.Lifetime != 0 && req.Lifetime < leat.MinTokenLifetime {
		return t, "", leat.Invalid("lifetime", "a token lives for %s at least, or with 0 for ever", leat.MinTokenLifetime)
	}
	if err := b.may(ctx, who, ActionCreateToken, Resource{Account: who.Account, Path: holder(req.Role)}); err != nil {
		return t, "", err
	}
	if b.identities == nil {
		return t, "", leat.Errorf(leat.KindUnsupported, "this server keeps no tokens")
	}
	t = leat.Token{Account: who.Account, Name: req.Name, Role: req.Role}
	if req.Lifetime > 0 {
		t.Expires = b.clock.Now().Add(req.Lifetime).UTC().Truncate(time.Microsecond)
	}
	if t, text, err = b.identities.CreateToken(ctx, t); err == nil {
		b.changed(ctx, nil, ofToken(&t))
	}
	return t, text, err
}

// ListTokens returns a page of the tokens of the caller's account, without their secrets, in order of their ids.
func (b *Broker) ListTokens(ctx context.Context, who leat.Principal, size int, token string) (tokens []leat.Token, next string, err error) {
	if err := b.may(ctx, who, ActionListTokens, Resource{Account: who.Account}); err != nil {
		return nil, "", err
	}
	return listing(b, ActionListTokens, who.Account, size, 100, token,
		func(after string, limit int) ([]leat.Token, error) {
			return b.catalog.ListTokens(ctx, who.Account, after, limit)
		},
		func(t *leat.Token) string { return t.ID })
}

// DeleteToken removes a token of the caller's account for good: it is refused on this node when DeleteToken returns and on
// others within a few seconds.
func (b *Broker) DeleteToken(ctx context.Context, who leat.Principal, id string) error {
	if err := leat.ValidateTokenID(id); err != nil {
		return err
	}
	if err := b.may(ctx, who, ActionDeleteToken, Resource{Account: who.Account, Path: "leat:token/" + id}); err != nil {
		return err
	}
	b.changed(ctx, fields{"id": id}, nil)
	err := b.catalog.DeleteToken(ctx, who.Account, id)
	b.identityChanged(ctx)
	return err
}
