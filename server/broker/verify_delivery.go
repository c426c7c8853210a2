// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/delivery/spec"
)

// VerifyDelivery promises: a report that is clean exactly when every record of the delivered ranges is in one object, or
// in the error prefix, or was dropped by a filter or had expired, as far as the catalog and the bucket tell. It changes
// nothing.
//
// AWS has no such operation.

// VerifyDeliveryRequest says what to verify.
type VerifyDeliveryRequest struct {
	Delivery string
	Options  spec.VerifyOptions
}

// VerifyDelivery verifies what was delivered.
func (b *Broker) VerifyDelivery(ctx context.Context, who leat.Principal, req VerifyDeliveryRequest) (spec.Report, error) {
	if err := b.delivery(ctx, who, ActionVerifyDelivery, req.Delivery); err != nil {
		return spec.Report{}, err
	}
	return b.deliveries.Verify(ctx, who.Account, req.Delivery, req.Options)
}
