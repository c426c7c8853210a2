// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"

	"github.com/leatstream/leat"
)

// DeleteKey promises: the key is gone for good; requests signed with it are refused on this node when it returns and on
// others within a few seconds.
//
// Differs from AWS (IAM's DeleteAccessKey): nothing that a client can see.

// DeleteKey deletes an access key.
func (b *Broker) DeleteKey(ctx context.Context, who leat.Principal, id string) error {
	if err := leat.ValidateAccessKeyID(id); err != nil {
		return err
	}
	if err := b.mayManageKeys(ctx, who, ActionDeleteKey, "leat:key/"+id); err != nil {
		return err
	}
	b.changed(ctx, fields{"id": id}, nil)
	return b.accessKeys.Delete(ctx, who.Account, id)
}
