// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"

	"github.com/leatstream/leat"
)

// CreateKey promises: a new access key of the caller's account, active, with its secret, which is told here and never
// again. This node accepts it when CreateKey returns, others at its first use.
//
// Differs from AWS (IAM's CreateAccessKey): keys belong to the account and have a name of their own and perhaps a role; there are no users.

// CreateKeyResult is a key with its secret. It MUST NOT be logged.
type CreateKeyResult struct {
	Key    leat.AccessKey
	Secret string
}

// CreateKeyRequest says what key to make.
type CreateKeyRequest struct {
	Name string // for people; it need not be unique
	Role string // whose policy binds its holder; empty: everything in the account
}

// CreateKey makes an access key of the caller's account.
func (b *Broker) CreateKey(ctx context.Context, who leat.Principal, req CreateKeyRequest) (CreateKeyResult, error) {
	if err := leat.ValidateAccessKeyName(req.Name); err != nil {
		return CreateKeyResult{}, err
	}
	if req.Role != "" {
		if err := leat.ValidateRoleName(req.Role); err != nil {
			return CreateKeyResult{}, err
		}
	}
	if err := b.mayManageKeys(ctx, who, ActionCreateKey, holder(req.Role)); err != nil {
		return CreateKeyResult{}, err
	}
	key, secret, err := b.accessKeys.Create(ctx, who.Account, req.Name, req.Role)
	if err == nil {
		b.changed(ctx, nil, ofKey(&key))
	}
	return CreateKeyResult{Key: key, Secret: secret}, err
}
