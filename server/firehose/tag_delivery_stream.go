// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package firehose

import (
	"context"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/broker"
	"github.com/leatstream/leat/server/delivery/spec"
)

// TagDeliveryStream: tags are added, and those of the same name replaced.

type tagDeliveryStreamInput struct {
	DeliveryStreamName *string
	Tags               []tag
}

func (h *Handler) tagDeliveryStream(ctx context.Context, c *call, in *tagDeliveryStreamInput) (*nothing, error) {
	name, err := named(in.DeliveryStreamName)
	if err != nil {
		return nil, err
	}
	if n := len(in.Tags); n < 1 || n > 50 {
		return nil, leat.Invalid("Tags", "%d Tags must be from 1 to 50", n)
	}
	tags := map[string]string{}
	for _, t := range in.Tags {
		tags[t.Key] = t.Value
	}
	_, err = h.broker.UpdateDelivery(ctx, c.who, broker.UpdateDeliveryRequest{Delivery: name, Change: spec.Change{SetTags: tags}})
	return &nothing{}, err
}
