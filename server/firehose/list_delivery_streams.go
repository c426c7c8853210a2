// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package firehose

import (
	"context"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/broker"
)

// ListDeliveryStreams: see broker.ListDeliveries for what it promises.

type listDeliveryStreamsInput struct {
	DeliveryStreamType               *string
	ExclusiveStartDeliveryStreamName *string
	Limit                            *int
}

type listDeliveryStreamsOutput struct {
	DeliveryStreamNames    []string
	HasMoreDeliveryStreams bool
}

func (h *Handler) listDeliveryStreams(ctx context.Context, c *call, in *listDeliveryStreamsInput) (*listDeliveryStreamsOutput, error) {
	limit := or(in.Limit, 10)
	if limit < 1 || limit > 10_000 {
		return nil, leat.Invalid("Limit", "Limit %d must be from 1 to 10000", limit)
	}
	kind := or(in.DeliveryStreamType, "")
	out := &listDeliveryStreamsOutput{DeliveryStreamNames: []string{}}
	req := broker.ListDeliveriesRequest{After: or(in.ExclusiveStartDeliveryStreamName, ""), PageSize: 1000}
	for {
		res, err := h.broker.ListDeliveries(ctx, c.who, req)
		if err != nil {
			return nil, err
		}
		for i := range res.Deliveries {
			d := &res.Deliveries[i]
			if kind != "" && (kind == "DirectPut") != d.Config.Source.Direct() || kind != "" && kind != "DirectPut" && kind != "KinesisStreamAsSource" {
				continue
			}
			if len(out.DeliveryStreamNames) == limit {
				out.HasMoreDeliveryStreams = true
				return out, nil
			}
			out.DeliveryStreamNames = append(out.DeliveryStreamNames, d.Name)
		}
		if req.PageToken = res.NextPageToken; req.PageToken == "" {
			return out, nil
		}
	}
}
