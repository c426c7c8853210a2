// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"

	"github.com/leatstream/leat"
)

// DeleteDelivery promises: nothing more is delivered. The objects stay; what was put into the delivery stream directly and
// is not delivered yet is gone.
//
// Differs from AWS: it is gone at once and never seen DELETING.

// DeleteDelivery deletes a delivery stream.
func (b *Broker) DeleteDelivery(ctx context.Context, who leat.Principal, name string) error {
	if err := b.delivery(ctx, who, ActionDeleteDelivery, name); err != nil {
		return err
	}
	b.changed(ctx, b.deliveryOf(ctx, who.Account, name), nil)
	return b.deliveries.Delete(ctx, who.Account, name)
}
