// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package kinesis

import (
	"context"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/broker"
)

// ListStreamConsumers promises: the stream's consumers in order of their names. A page has 100 at most, as with AWS;
// its NextToken lives 300 s.
//
// Differs from AWS: nothing that a client can see.

type listStreamConsumersInput struct {
	StreamARN               *string    `json:"StreamARN,omitempty" check:"required,pattern=streamARN,len=1..2048"`
	StreamId                *string    `json:"StreamId,omitempty" check:"pattern=streamId,len=1..24"`
	NextToken               *string    `json:"NextToken,omitempty" check:"len=1..1048576"`
	MaxResults              *int32     `json:"MaxResults,omitempty" check:"range=1..10000"`
	StreamCreationTimestamp *timestamp `json:"StreamCreationTimestamp,omitempty"`
}

type listStreamConsumersOutput struct {
	Consumers []consumer `json:"Consumers"`
	NextToken *string    `json:"NextToken,omitempty"`
}

// maxListConsumers bounds a page, whatever MaxResults asks for.
const maxListConsumers = 100

func (h *Handler) listStreamConsumers(ctx context.Context, c *call, in *listStreamConsumersInput) (*listStreamConsumersOutput, error) {
	stream, err := h.stream(c, nil, in.StreamARN, in.StreamId)
	if err != nil {
		return nil, err
	}
	if in.NextToken != nil && in.StreamCreationTimestamp != nil {
		return nil, leat.Invalid("NextToken", "NextToken and StreamCreationTimestamp cannot be provided together.")
	}
	res, err := h.broker.ListConsumers(ctx, c.who, broker.ListConsumersRequest{
		Stream:    stream,
		PageToken: value(in.NextToken),
		PageSize:  min(int(value(in.MaxResults)), maxListConsumers),
	})
	if err == nil {
		err = sameCreation(&res.Stream, in.StreamCreationTimestamp)
	}
	if err != nil {
		return nil, err
	}
	out := &listStreamConsumersOutput{Consumers: []consumer{}, NextToken: given(res.NextPageToken)}
	for i := range res.Consumers {
		out.Consumers = append(out.Consumers, h.consumer(&res.Consumers[i]))
	}
	return out, nil
}
