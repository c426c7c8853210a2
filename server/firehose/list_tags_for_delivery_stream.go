// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package firehose

import (
	"context"
	"maps"
	"slices"

	"github.com/leatstream/leat"
)

// ListTagsForDeliveryStream: tags by name.

type listTagsForDeliveryStreamInput struct {
	DeliveryStreamName   *string
	ExclusiveStartTagKey *string
	Limit                *int
}

type listTagsForDeliveryStreamOutput struct {
	HasMoreTags bool
	Tags        []tag
}

func (h *Handler) listTagsForDeliveryStream(ctx context.Context, c *call, in *listTagsForDeliveryStreamInput) (*listTagsForDeliveryStreamOutput, error) {
	name, err := named(in.DeliveryStreamName)
	if err != nil {
		return nil, err
	}
	limit := or(in.Limit, 50)
	if limit < 1 || limit > 50 {
		return nil, leat.Invalid("Limit", "Limit %d must be from 1 to 50", limit)
	}
	tags, err := h.broker.DeliveryTags(ctx, c.who, name)
	if err != nil {
		return nil, err
	}
	out := &listTagsForDeliveryStreamOutput{Tags: []tag{}}
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		switch {
		case in.ExclusiveStartTagKey != nil && k <= *in.ExclusiveStartTagKey:
		case len(out.Tags) == limit:
			out.HasMoreTags = true
		default:
			out.Tags = append(out.Tags, tag{Key: k, Value: tags[k]})
		}
	}
	return out, nil
}
