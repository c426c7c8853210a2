// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package firehose

import "context"

// DeleteDeliveryStream: see broker.DeleteDelivery for what it promises.
//
// Differs from AWS: AllowForceDelete changes nothing, since there are no grants of KMS that could stand in the way.

type deleteDeliveryStreamInput struct {
	AllowForceDelete   *bool
	DeliveryStreamName *string
}

func (h *Handler) deleteDeliveryStream(ctx context.Context, c *call, in *deleteDeliveryStreamInput) (*nothing, error) {
	name, err := named(in.DeliveryStreamName)
	if err != nil {
		return nil, err
	}
	return &nothing{}, h.broker.DeleteDelivery(ctx, c.who, name)
}
