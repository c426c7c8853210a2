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
// Differs from AWS (IAM's CreateAccessKey): keys belong to the account and have a name of their own; there are no users.

// CreateKeyResult is a key with its secret. It MUST NOT be logged.
type CreateKeyResult struct {
	Key    leat.AccessKey
	Secret string
}

// CreateKey makes an access key. The name is for people and need not be unique.
func (b *Broker) CreateKey(ctx context.Context, who leat.Principal, name string) (CreateKeyResult, error) {
	if err := leat.ValidateAccessKeyName(name); err != nil {
		return CreateKeyResult{}, err
	}
	if err := b.mayManageKeys(ctx, who, ActionCreateKey); err != nil {
		return CreateKeyResult{}, err
	}
	key, secret, err := b.accessKeys.Create(ctx, who.Account, name)
	return CreateKeyResult{Key: key, Secret: secret}, err
}
