// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package firehose

import (
	"context"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/broker"
	"github.com/leatstream/leat/server/delivery/spec"
)

// UntagDeliveryStream: tags that are not there are passed over.

type untagDeliveryStreamInput struct {
	DeliveryStreamName *string
	TagKeys            []string
}

func (h *Handler) untagDeliveryStream(ctx context.Context, c *call, in *untagDeliveryStreamInput) (*nothing, error) {
	name, err := named(in.DeliveryStreamName)
	if err != nil {
		return nil, err
	}
	if n := len(in.TagKeys); n < 1 || n > 50 {
		return nil, leat.Invalid("TagKeys", "%d TagKeys must be from 1 to 50", n)
	}
	_, err = h.broker.UpdateDelivery(ctx, c.who, broker.UpdateDeliveryRequest{Delivery: name, Change: spec.Change{DropTags: in.TagKeys}})
	return &nothing{}, err
}
