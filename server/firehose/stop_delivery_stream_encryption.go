// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package firehose

import "context"

// StopDeliveryStreamEncryption: see broker.DecryptDelivery for what it promises.

type stopDeliveryStreamEncryptionInput struct{ DeliveryStreamName *string }

func (h *Handler) stopDeliveryStreamEncryption(ctx context.Context, c *call, in *stopDeliveryStreamEncryptionInput) (*nothing, error) {
	name, err := named(in.DeliveryStreamName)
	if err != nil {
		return nil, err
	}
	return &nothing{}, h.broker.DecryptDelivery(ctx, c.who, name)
}
