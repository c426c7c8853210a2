// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"

	"github.com/leatstream/leat"
)

// UpdateKey promises: requests signed with the key are refused, or accepted again, on this node when it returns and on
// others within a few seconds. A node that cannot reach the catalog meanwhile goes by what it knew.
//
// Differs from AWS (IAM's UpdateAccessKey): nothing that a client can see.

// UpdateKeyRequest says what a key should be.
type UpdateKeyRequest struct {
	ID     string
	Active bool
}

// UpdateKey enables or disables an access key.
func (b *Broker) UpdateKey(ctx context.Context, who leat.Principal, req UpdateKeyRequest) (leat.AccessKey, error) {
	if err := leat.ValidateAccessKeyID(req.ID); err != nil {
		return leat.AccessKey{}, err
	}
	if err := b.mayManageKeys(ctx, who, ActionUpdateKey, "leat:key/"+req.ID); err != nil {
		return leat.AccessKey{}, err
	}
	key, err := b.accessKeys.SetActive(ctx, who.Account, req.ID, req.Active)
	if err == nil {
		b.changed(ctx, nil, ofKey(&key))
	}
	return key, err
}
