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
	// Create makes an active key and tells its secret, this once. KindUnsupported when secrets cannot be kept,
	// KindLimitExceeded when the account has too many keys.
	Create(ctx context.Context, account, name string) (key leat.AccessKey, secret string, err error)
	// List returns up to limit keys of an account whose ids come after an id, in byte order of ids.
	List(ctx context.Context, account, after string, limit int) ([]leat.AccessKey, error)
	// SetActive enables or disables a key; KindNotFound when the account has none of that id.
	SetActive(ctx context.Context, account, id string, active bool) (leat.AccessKey, error)
	// Delete removes a key for good; KindNotFound when the account has none of that id.
	Delete(ctx context.Context, account, id string) error
}

// mayManageKeys lets operators alone manage keys, those of their own account: whoever holds an access key could
// otherwise make more, and keep them when theirs is taken away.
func (b *Broker) mayManageKeys(ctx context.Context, who leat.Principal, action Action) error {
	if !who.Operator {
		return leat.Errorf(leat.KindAccessDenied, "%s of account %s is not authorized to perform %s: it takes the server's own token", who.Name, who.Account, action)
	}
	if err := b.authorize.Authorize(ctx, who, action, Resource{Account: who.Account}); err != nil {
		return err
	}
	if b.accessKeys == nil {
		return leat.Errorf(leat.KindUnsupported, "this server keeps no access keys")
	}
	return nil
}
