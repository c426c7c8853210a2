// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package kinesis

import (
	"context"

	"github.com/leatstream/leat/server/broker"
)

// DeleteStream promises: when it answers, the stream is DELETING and takes neither puts nor reads on this node, and it
// goes away with all that it holds. One that has consumers is ResourceInUseException unless EnforceConsumerDeletion.
//
// Differs from AWS: deleting a stream that is DELETING already succeeds.

type deleteStreamInput struct {
	StreamName              *string `json:"StreamName,omitempty" check:"pattern=streamName,len=1..128"`
	StreamARN               *string `json:"StreamARN,omitempty" check:"pattern=streamARN,len=1..2048"`
	StreamId                *string `json:"StreamId,omitempty" check:"pattern=streamId,len=1..24"`
	EnforceConsumerDeletion *bool   `json:"EnforceConsumerDeletion,omitempty"`
}

func (h *Handler) deleteStream(ctx context.Context, c *call, in *deleteStreamInput) (*nothing, error) {
	stream, err := h.stream(c, in.StreamName, in.StreamARN, in.StreamId)
	if err != nil {
		return nil, err
	}
	enforce := in.EnforceConsumerDeletion != nil && *in.EnforceConsumerDeletion
	return nil, h.broker.DeleteStream(ctx, c.who, broker.DeleteStreamRequest{Stream: stream, EnforceConsumerDeletion: enforce})
}
