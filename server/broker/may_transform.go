// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"

	"github.com/leatstream/leat"
)

// MayTransform promises: whether a caller may have this server run programs, as those do who may make any delivery stream of their
// account. Nothing bounds what one step of a program takes. Nothing is asked for, so the audit log hears of nothing.
func (b *Broker) MayTransform(ctx context.Context, who leat.Principal) bool {
	return b.authorize.Authorize(ctx, who, ActionCreateDelivery, Resource{Account: who.Account, Path: "firehose:deliverystream/*"}) == nil
}
