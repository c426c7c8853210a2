// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"

	"github.com/leatstream/leat"
)

// The actions on access keys.
const (
	ActionCreateKey Action = "CreateKey"
	ActionListKeys  Action = "ListKeys"
	ActionUpdateKey Action = "UpdateKey"
	ActionDeleteKey Action = "DeleteKey"
)

// AccessKeys makes and keeps access keys. How secrets come about and are kept is its own affair.
type AccessKeys interface {
	// Create makes an active key, with a role or with none, and tells its secret, this once. KindUnsupported when secrets
	// cannot be kept, KindLimitExceeded when the account has too many keys, KindNotFound when it has no such role.
	Create(ctx context.Context, account, name, role string) (key leat.AccessKey, secret string, err error)
	// List returns up to limit keys of an account whose ids come after an id, in byte order of ids.
	List(ctx context.Context, account, after string, limit int) ([]leat.AccessKey, error)
	// SetActive enables or disables a key; KindNotFound when the account has none of that id.
	SetActive(ctx context.Context, account, id string, active bool) (leat.AccessKey, error)
	// Delete removes a key for good; KindNotFound when the account has none of that id.
	Delete(ctx context.Context, account, id string) error
}

// mayManageKeys asks whether a caller may do something with keys of its account. Whoever may make keys or tokens of a role
// has what that role has: the resource is the role, or leat:root for those without one.
func (b *Broker) mayManageKeys(ctx context.Context, who leat.Principal, action Action, path string) error {
	if err := b.may(ctx, who, action, Resource{Account: who.Account, Path: path}); err != nil {
		return err
	}
	if b.accessKeys == nil {
		return leat.Errorf(leat.KindUnsupported, "this server keeps no access keys")
	}
	return nil
}

// holder is the resource of making a credential: its role, or the whole account where it has none.
func holder(role string) string {
	if role == "" {
		return "leat:root"
	}
	return "leat:role/" + role
}
